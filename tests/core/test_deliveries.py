"""What is confirmed while its firmware is still on its way: it waits, says so, and begins by itself, or not at all."""

import pytest

from station.core.actions import StartWorker
from station.core.arriving import Lack
from station.core.events import FirmwareFound, SupplyTold
from station.core.wants import Want
from station.errors import Refused
from station.model.api import BayState, Cancel, Choose, JobView, Order, Start
from station.model.catalog import ArrivalState
from station.model.consent import Options
from station.model.firmware import Firmware
from station.model.gates import Gate
from station.model.job import JobSpec
from station.model.order import OrderNote
from station.model.service import Service
from tests.core.helpers import FIRMWARE, ONE, TWO, A, B, Bench, arriving, gone, image

MODEL = FIRMWARE.product_types[0]


def bench_without(*arrivals, **policy_changes) -> Bench:
    """A station that has no firmware for the phones here."""
    bench = Bench(**policy_changes)
    bench.firmware = None
    bench.do(SupplyTold(arrivals=arrivals))
    return bench


def confirmed(bench: Bench) -> None:
    bench.press()
    bench.hold()


def comes(bench: Bench, *versions: str) -> None:
    """It is in the store, and then no longer on its way."""
    *older, newest = (image(version) for version in versions)
    bench.firmware = newest
    bench.do(FirmwareFound(product_type=MODEL, firmware=newest, older=tuple(older)), SupplyTold(arrivals=()))


def note_of(bench: Bench) -> OrderNote:
    assert bench.order_on_disk is not None
    return bench.order_on_disk


def shown(bench: Bench) -> str:
    view = bench.bay().confirm
    assert view is not None
    return view.target_version


def job_of(bench: Bench) -> JobView:
    view = bench.bay().job
    assert view is not None
    return view


def image_of(spec: JobSpec) -> Firmware:
    assert spec.firmware is not None
    return spec.firmware


def titles(bench: Bench) -> list[str]:
    return [finding.title for finding in findings(bench)]


def findings(bench: Bench):
    return next(offer for offer in bench.bay().offers if offer.service is Service.RESTORE).findings


def told(bench: Bench) -> list[str]:
    return [
        finding.title
        for offer in bench.bay().offers
        if offer.service is Service.RESTORE
        for finding in offer.told
        if finding.gate is Gate.FIRMWARE
    ]


def test_a_gate_is_open_while_firmware_is_on_its_way_and_says_how_far_it_is():
    bench = bench_without(arriving())
    bench.plug()
    assert findings(bench) == ()
    assert told(bench) == ["iOS 26.2 is still being fetched: 43 %, about 6 minutes."]
    assert bench.bay().hint.startswith("Press START to erase it and install iOS 26.2. iOS 26.2 is still being fetched")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seconds_left": None}, "iOS 26.2 is still being fetched: 43 %."),
        ({"seconds_left": 20.0}, "iOS 26.2 is still being fetched: 43 %, less than a minute."),
        ({"seconds_left": 60.0}, "iOS 26.2 is still being fetched: 43 %, about a minute."),
        ({"seconds_left": 9000.0}, "iOS 26.2 is still being fetched: 43 %, about 2 hours."),
        ({"total": 0}, "iOS 26.2 is still being fetched: 0 %, about 6 minutes."),
        ({"state": ArrivalState.CHECKING}, "iOS 26.2 is here, and is being checked."),
        ({"state": ArrivalState.WAITING, "says": "It is its turn soon."}, "iOS 26.2 is still to be fetched. It is its"),
    ],
)
def test_how_far_it_is(changes, says):
    bench = bench_without(arriving(**changes))
    bench.plug()
    assert told(bench)[0].startswith(says)


def test_what_could_not_be_had_closes_the_gate_with_its_own_words():
    failed = arriving(state=ArrivalState.FAILED, says="The server has no such file.", remedy="Import it.")
    bench = bench_without(failed)
    bench.plug()
    assert titles(bench) == ["iOS 26.2 could not be fetched. The server has no such file."]
    assert findings(bench)[0].remedy == "Import it."
    assert told(bench) == []
    with pytest.raises(Refused, match="could not be fetched"):
        bench.do(Start(id=1, bay=ONE, service=Service.RESTORE))


def test_why_nothing_is_on_its_way_is_said():
    bench = bench_without()
    bench.do(SupplyTold(arrivals=(), lacking={MODEL: Lack(title="No list can be had.", remedy="See to the network.")}))
    bench.plug()
    assert titles(bench) == ["No list can be had."]
    erase = next(offer for offer in bench.bay().offers if offer.service is Service.ERASE)
    assert erase.findings == ()


def test_what_failed_does_not_hide_what_comes():
    bench = bench_without(arriving(state=ArrivalState.FAILED), arriving("26.3"))
    bench.plug()
    assert told(bench)[0].startswith("iOS 26.3 is still being fetched")


def test_a_job_waits_for_its_firmware_says_so_and_begins_by_itself():
    bench = bench_without(arriving())
    bench.plug()
    bench.press()
    assert shown(bench) == "26.2"
    bench.hold()
    view = bench.bay()
    assert view.state is BayState.QUEUED
    assert view.title == "Waiting for iOS 26.2"
    assert view.hint.startswith("iOS 26.2 is still being fetched: 43 %, about 6 minutes. Then it starts by itself.")
    assert job_of(bench).awaits == arriving()
    assert (job_of(bench).target_version, job_of(bench).target_build) == ("26.2", "23C55")
    bench.wait(10_000)
    assert bench.all_jobs() == []
    bench.do(SupplyTold(arrivals=(arriving(done=99),)))
    assert job_of(bench).awaits == arriving(done=99)
    comes(bench, "26.2")
    (spec,) = bench.all_jobs()
    assert spec.firmware == image("26.2")
    assert spec.ecid == A
    assert bench.bay().state is BayState.WORKING
    assert job_of(bench).awaits is None


def test_it_costs_nothing_while_it_waits():
    bench = bench_without(arriving())
    bench.plug()
    confirmed(bench)
    assert bench.station.next_deadline() is None


def test_another_build_is_not_what_was_confirmed():
    bench = bench_without(arriving())
    bench.plug()
    confirmed(bench)
    bench.do(FirmwareFound(product_type=MODEL, firmware=image("26.3")))
    assert bench.bay().state is BayState.QUEUED
    comes(bench, "26.2", "26.3")
    (spec,) = bench.all_jobs()
    assert image_of(spec).version == "26.2"


def test_what_comes_between_start_and_confirm_is_what_was_shown():
    bench = bench_without(arriving())
    bench.plug()
    bench.press()
    comes(bench, "26.2", "26.3")
    bench.hold()
    (spec,) = bench.all_jobs()
    assert spec.firmware == image("26.2")


def test_what_fails_between_start_and_confirm_is_not_confirmed():
    bench = bench_without(arriving())
    bench.plug()
    bench.press()
    bench.do(SupplyTold(arrivals=(arriving(state=ArrivalState.FAILED),)))
    bench.hold()
    assert bench.bay().job is None
    assert "could not be fetched" in bench.view().notice


@pytest.mark.parametrize(
    ("arrivals", "says"),
    [
        (
            (arriving(state=ArrivalState.FAILED, says="The server has no such file.", remedy="Import it."),),
            "iOS 26.2 could not be fetched. The server has no such file. Import it. Nothing was changed.",
        ),
        ((), "iOS 26.2 is not being fetched any more. START again when it is to be. Nothing was changed."),
        ((arriving("26.3"),), "iOS 26.2 is not being fetched any more."),
    ],
)
def test_what_does_not_come_is_dropped_and_its_bay_says_why(arrivals, says):
    bench = bench_without(arriving())
    bench.plug()
    confirmed(bench)
    bench.do(SupplyTold(arrivals=arrivals))
    view = bench.bay()
    assert (view.state, view.job) == (BayState.READY, None)
    assert view.title == "It did not begin"
    assert view.hint.startswith(says)
    bench.do(SupplyTold(arrivals=(arriving("26.3"),)))
    assert bench.bay().title == "It did not begin", "whoever comes back must find out"
    bench.do(Choose(id=1, bay=ONE, service=Service.RESTORE))
    assert bench.bay().title == "Ready"
    comes(bench, "26.2")
    assert bench.all_jobs() == []


def test_start_forgets_what_did_not_begin():
    bench = bench_without(arriving())
    bench.plug()
    confirmed(bench)
    bench.do(SupplyTold(arrivals=()))
    bench.do(SupplyTold(arrivals=(arriving(),)))
    confirmed(bench)
    assert bench.bay().state is BayState.QUEUED


def test_unplugging_voids_it():
    bench = bench_without(arriving())
    bench.plug()
    confirmed(bench)
    bench.do(gone())
    bench.plug()
    comes(bench, "26.2")
    assert bench.all_jobs() == []
    assert bench.bay().state is BayState.READY


def test_another_phone_in_its_place_gets_nothing():
    bench = bench_without(arriving())
    bench.plug()
    confirmed(bench)
    bench.do(gone())
    bench.plug(B)
    comes(bench, "26.2")
    assert bench.all_jobs() == []


def test_it_can_be_cancelled():
    bench = bench_without(arriving())
    bench.plug()
    confirmed(bench)
    bench.do(Cancel(id=1, bay=ONE))
    comes(bench, "26.2")
    assert bench.all_jobs() == []


def test_a_gate_that_has_closed_meanwhile_drops_it():
    bench = bench_without(arriving())
    bench.plug()
    confirmed(bench)
    bay = bench.station.bays.get(ONE)
    assert bay is not None
    assert bay.stay is not None
    bay.stay.product_type = ""  # whatever it is: the phone is not what it was
    bench.firmware = image("26.2")
    bench.do(FirmwareFound(product_type=MODEL, firmware=image("26.2")))
    assert bench.all_jobs() == []
    assert bench.bay().title == "It did not begin"
    assert "does not know how to install" in bench.bay().hint


def test_two_phones_of_one_model_wait_for_one_download():
    bench = bench_without(arriving())
    for ecid, bay in ((A, ONE), (B, TWO)):
        bench.plug(ecid, bay)
        bench.do(Start(id=1, bay=bay, service=Service.RESTORE))
        bench.hold()
    comes(bench, "26.2")
    assert [spec.ecid for spec in bench.all_jobs()] == [A, B]


def test_what_waits_does_not_hold_up_what_need_not():
    bench = bench_without(arriving(), cap=1)
    bench.plug(A, ONE)
    confirmed(bench)
    bench.plug(B, TWO)
    bench.do(Start(id=1, bay=TWO, service=Service.ERASE))
    bench.hold()
    assert [spec.service for spec in bench.all_jobs()] == [Service.ERASE]


def test_what_is_wanted():
    bench = bench_without(arriving())
    assert bench.station.wants() == set()
    bench.plug()
    assert bench.station.wants() == {Want(product_type=MODEL)}
    bench.do(Choose(id=1, bay=ONE, service=Service.RESTORE, options=Options(build="23A1")))
    assert bench.station.wants() == {Want(product_type=MODEL, build="23A1")}
    bench.do(Choose(id=1, bay=ONE, service=Service.ERASE))
    assert bench.station.wants() == set()
    bench.do(Choose(id=1, bay=ONE, service=Service.RESTORE))
    bench.press()
    assert bench.station.wants() == {Want(product_type=MODEL, build="23C55")}
    bench.hold()
    assert bench.station.wants() == {Want(product_type=MODEL, build="23C55", promised=True)}
    assert bench.station.in_use() == set()
    comes(bench, "26.2")
    assert bench.station.wants() == set()
    assert bench.station.in_use() == {image("26.2").directory}


def test_an_order_waits_too_and_begins_by_itself():
    bench = bench_without(arriving(), operator_confirm=True)
    bench.do(Order(id=1, service=Service.RESTORE, bays=(), count=1, seconds=5000))
    bench.plug()
    assert bench.all_jobs() == []
    assert note_of(bench).consents == ()
    assert [passed.why for passed in note_of(bench).passed] == ["iOS 26.2 is still being fetched."]
    assert bench.station.wants() == {Want(product_type=MODEL)}
    comes(bench, "26.2")
    (spec,) = bench.all_jobs()
    assert spec.firmware == image("26.2")
    assert note_of(bench).passed == ()


def test_what_an_order_installs_is_kept_for_it_also_while_no_phone_is_here():
    bench = bench_without(operator_confirm=True)
    comes(bench, "26.2", "26.3")
    options = Options(build=image("26.2").build)
    bench.do(Order(id=1, service=Service.RESTORE, bays=(), count=9, seconds=50, options=options))
    assert bench.station.in_use() == {image("26.2").directory}
    bench.wait(60)
    assert bench.station.in_use() == frozenset()


def test_an_order_that_ends_first_begins_nothing():
    bench = bench_without(arriving(), operator_confirm=True)
    bench.do(Order(id=1, service=Service.RESTORE, bays=(), count=1, seconds=50))
    bench.plug()
    bench.wait(60)
    comes(bench, "26.2")
    assert bench.all_jobs() == []
    assert [passed.why for passed in note_of(bench).passed] == ["iOS 26.2 is still being fetched."]


def test_nothing_is_written_anew_while_it_comes():
    bench = bench_without(arriving(), operator_confirm=True)
    bench.do(Order(id=1, service=Service.RESTORE, bays=(), count=1, seconds=5000))
    bench.plug()
    before = len(bench.actions)
    for done in range(50, 60):
        bench.do(SupplyTold(arrivals=(arriving(done=done),)))
    assert len(bench.actions) == before
    assert all(action.spec.service is None for action in bench.all(StartWorker))
