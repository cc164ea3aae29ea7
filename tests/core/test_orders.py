"""A standing order: whose turn comes, what is said of the rest, and when it is over."""

import msgspec
import pytest

from station.core.actions import CloseJob, StartWorker
from station.core.events import JobFound, Moment, OrderFound, OrderNotSaved, OrderSaved, ResultFound, WorkerEnded
from station.core.orders import AGAIN_SECONDS
from station.errors import Refused
from station.model.api import BayState, Cancel, Dismiss, EndOrder, Order, Snapshot
from station.model.causes import Cause
from station.model.consent import Hand, Options
from station.model.events import FactsRead, Succeeded, WorkerExit
from station.model.job import JobSpec
from station.model.order import MAX_COUNT, MAX_SECONDS, OrderEnd, OrderNote
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.model.service import Service
from tests.core.helpers import ALL_FINE, ONE, RECOVERY, TWO, A, B, Bench, arrived, clean_facts, facts, gone


@pytest.fixture
def bench() -> Bench:
    return Bench(operator_confirm=True)


def give(bench: Bench, *, service: Service = Service.RESTORE, count: int = 2, bays=(), seconds: float = 3600.0) -> None:
    bench.do(Order(id=1, service=service, bays=bays, count=count, seconds=seconds))


def plug(bench: Bench, ecid=A, bay=ONE) -> JobSpec | None:
    """A phone is plugged in and read; the job it gets, if it gets one."""
    before = len(bench.all(StartWorker))
    bench.plug(ecid, bay)
    started = [action.spec for action in bench.all(StartWorker)[before:] if action.spec.consent is not None]
    return started[0] if started else None


def turn(bench: Bench, ecid=A, bay=ONE) -> JobSpec:
    spec = plug(bench, ecid, bay)
    assert spec is not None, bench.bay(bay)
    return spec


def restored(bench: Bench, spec: JobSpec, ecid=A, bay=ONE) -> None:
    """It goes as it should, and the phone is looked at."""
    bench.erase(spec.job, ecid)
    bench.succeed(spec.job)
    bench.do(gone(bay), arrived(ecid, bay))
    bench.inspect(clean_facts(ecid))


def looked_at(bench: Bench, found=None) -> None:
    """The look that goes on now ends."""
    job = bench.all(StartWorker)[-1].spec.job
    bench.say(job, FactsRead(at=bench.now, facts=found or facts()), Succeeded(at=bench.now))
    bench.do(WorkerEnded(job=job, exit=ALL_FINE))


def note(bench: Bench) -> OrderNote:
    assert bench.order_on_disk is not None
    return bench.order_on_disk


def view(snapshot: Snapshot):
    order = snapshot.order
    assert order is not None
    return order.left, order.done, order.failed


def test_phones_that_are_ready_get_their_turn(bench):
    give(bench)
    spec = turn(bench)
    assert spec.consent is not None
    assert (spec.consent.by, spec.consent.ecid, spec.consent.bay, spec.consent.plug) == (Hand.ORDER, A, ONE, spec.plug)
    assert spec.consent in note(bench).consents
    assert view(bench.view()) == (1, 0, 0)
    restored(bench, spec)
    assert bench.records[0].outcome is Outcome.VERIFIED
    assert view(bench.view()) == (1, 1, 0)
    bench.do(gone())
    assert bench.bay().state is BayState.EMPTY
    restored(bench, turn(bench, B), B)
    assert bench.view().order is None
    assert (note(bench).end, bool(note(bench).closed)) == (OrderEnd.COUNT, True)


def test_what_is_there_already_gets_its_turn_too(bench):
    bench.plug()
    give(bench)
    assert bench.bay().state is BayState.WORKING


def test_a_consent_counts_only_once_it_is_on_the_disk(bench):
    bench.saves_orders = False
    give(bench)
    bench.do(OrderSaved(note=note(bench)))
    assert plug(bench) is None
    (consent,) = note(bench).consents
    bench.do(OrderSaved(note=note(bench)))
    assert bench.all(StartWorker)[-1].spec.consent == consent


def test_what_changed_while_it_was_written_down_counts(bench):
    bench.saves_orders = False
    give(bench)
    bench.do(OrderSaved(note=note(bench)))
    plug(bench)
    written = note(bench)
    bench.do(gone(), arrived(B), OrderSaved(note=written))
    assert all(action.spec.consent is None for action in bench.all(StartWorker))
    assert note(bench).consents == ()  # taken back: it was never used, and somebody alive knows


def test_a_disk_that_fails_starts_nothing_and_is_tried_again(bench):
    bench.saves_orders = False
    give(bench)
    bench.do(OrderNotSaved(detail="full"))
    assert plug(bench) is None
    bench.saves_orders = True
    bench.wait(AGAIN_SECONDS + 1)
    assert bench.bay().state is BayState.WORKING


def test_bays_that_were_not_named_are_left_alone(bench):
    give(bench, bays=(TWO,))
    assert plug(bench) is None
    turn(bench, B, TWO)


@pytest.mark.parametrize("ended", ["count", "time", "operator"])
def test_nothing_begins_after_the_end(bench, ended):
    give(bench, count=1, seconds=60.0)
    if ended == "count":
        restored(bench, turn(bench))
        bench.do(gone())
    elif ended == "time":
        bench.wait(61.0)
    else:
        bench.do(EndOrder(id=2))
    assert bench.view().order is None
    assert note(bench).closed
    assert plug(bench, B, TWO) is None


def test_what_has_begun_goes_on_after_the_end_and_what_waits_does_not_begin():
    bench = Bench(operator_confirm=True, cap=1)
    give(bench)
    spec = turn(bench)
    assert plug(bench, B, TWO) is None
    assert bench.bay(TWO).state is BayState.QUEUED
    bench.do(EndOrder(id=2))
    assert bench.bay(TWO).state is BayState.READY
    assert view(bench.view()) == (0, 0, 0)
    restored(bench, spec)
    assert bench.view().order is None
    assert [passed.why for passed in note(bench).passed] == ["The order ended before its turn came."]
    assert [consent.ecid for consent in note(bench).consents] == [A]


def test_the_cap_holds():
    bench = Bench(operator_confirm=True, cap=1)
    give(bench)
    spec = turn(bench)
    plug(bench, B, TWO)
    assert bench.bay(TWO).state is BayState.QUEUED
    restored(bench, spec)
    assert bench.bay(TWO).state is BayState.WORKING


def test_why_a_phone_got_nothing_is_kept(bench):
    bench.firmware = None
    give(bench)
    assert plug(bench) is None
    (passed,) = note(bench).passed
    assert (passed.ecid, passed.bay, passed.why) == (A, ONE, "The station has no firmware for this model.")
    assert view(bench.view())[0] == 2


def test_a_phone_that_does_not_trust_the_station_is_named(bench):
    give(bench)
    bench.do(arrived(A))
    bench.inspect(Cause.NOT_TRUSTED)
    assert [passed.why for passed in note(bench).passed] == ["The phone does not trust this station."]


def test_a_failure_of_the_order_does_not_hold_up_the_next_phone(bench):
    """Nobody is there to dismiss it; it is in the report, and its own phone gets no other turn."""
    give(bench, count=3)
    first = turn(bench)
    bench.fail(first.job, Cause.SIGNING_REFUSED)
    looked_at(bench)
    assert bench.bay().state is BayState.FAILED
    bench.do(gone())
    assert plug(bench) is None, "the same one"
    bench.do(gone())
    second = turn(bench, B)
    assert CloseJob(job=first.job) in bench.actions
    assert bench.bay().result is None
    assert [result.verified for result in note(bench).results] == [False]
    assert view(bench.view()) == (1, 0, 1)
    restored(bench, second, B)


def test_a_failure_of_the_order_holds_up_nobody_after_a_crash_either(bench):
    give(bench, count=3)
    first = turn(bench)
    bench.fail(first.job, Cause.SIGNING_REFUSED)
    looked_at(bench)
    again = Bench(operator_confirm=True, instance="u")
    found = ResultFound(spec=first, record=bench.records[0], number=1, certificate=None)
    again.do(found, OrderFound(note=note(bench), same_boot=True))
    turn(again, B)


def test_a_result_of_somebody_elses_that_nobody_has_seen_keeps_its_bay(bench):
    bench.fail(bench.confirm().job, Cause.SIGNING_REFUSED)
    looked_at(bench)
    bench.do(gone())
    give(bench)
    assert plug(bench, B) is None
    assert "has not been dismissed" in note(bench).passed[0].why
    bench.do(Dismiss(id=2, bay=ONE))
    assert bench.bay().state is BayState.WORKING
    assert note(bench).passed == ()


def test_a_phone_that_was_unplugged_while_it_waited_has_not_had_its_turn():
    bench = Bench(operator_confirm=True, cap=1)
    give(bench)
    first = turn(bench)
    assert plug(bench, B, TWO) is None
    assert bench.bay(TWO).state is BayState.QUEUED
    bench.do(gone(TWO))
    assert [consent.ecid for consent in note(bench).consents] == [A]
    assert plug(bench, B, TWO) is None
    restored(bench, first)
    assert bench.bay(TWO).state is BayState.WORKING
    assert bench.all_jobs()[-1].ecid == B
    bench.do(EndOrder(id=2), gone(TWO))


def test_a_phone_that_was_cancelled_while_it_waited_gets_no_other_turn():
    bench = Bench(operator_confirm=True, cap=1)
    give(bench)
    first = turn(bench)
    plug(bench, B, TWO)
    bench.do(Cancel(id=2, bay=TWO))
    restored(bench, first)
    assert bench.bay(TWO).state is BayState.READY


def test_what_waited_when_the_order_ended_may_be_unplugged():
    bench = Bench(operator_confirm=True, cap=1)
    give(bench)
    turn(bench)
    plug(bench, B, TWO)
    bench.do(EndOrder(id=2), gone(TWO))
    assert [consent.ecid for consent in note(bench).consents] == [A]


def test_an_order_for_a_build_that_is_not_here_passes_phones_over(bench):
    options = Options(build="22A100")
    bench.do(Order(id=1, service=Service.RESTORE, bays=(), count=2, seconds=60.0, options=options))
    assert plug(bench) is None
    assert [passed.why for passed in note(bench).passed] == [
        "The station has no firmware with build 22A100 for this model."
    ]


def failed(bench: Bench, cause: Cause = Cause.DEADLINE, status: int | None = None) -> JobSpec:
    """The phone's turn fails, and it is seen again."""
    spec = turn(bench)
    bench.erase(spec.job)
    bench.fail(spec.job, cause, PhoneMode.RECOVERY, status)
    bench.do(gone(), arrived(A, product_id=RECOVERY))
    return spec


def test_a_second_try_after_the_same_phone_was_seen_again(bench):
    give(bench)
    first = failed(bench)
    second = bench.all(StartWorker)[-1].spec
    assert second.consent is not None
    assert (second.job != first.job, second.ecid, second.consent.by) == (True, A, Hand.ORDER)
    assert CloseJob(job=first.job) in bench.actions
    assert view(bench.view()) == (1, 0, 0)
    bench.fail(second.job, Cause.DEADLINE, PhoneMode.RECOVERY)
    assert bench.bay().state is BayState.FAILED  # and no third one
    assert view(bench.view()) == (1, 0, 1)
    assert len(note(bench).consents) == 2


@pytest.mark.parametrize(
    ("cause", "status"), [(Cause.FIRMWARE_CORRUPT, None), (Cause.DEVICE_STATUS, 6), (Cause.ASSET_REFUSED, None)]
)
def test_no_second_try_where_it_would_end_the_same(bench, cause, status):
    give(bench)
    failed(bench, cause, status)
    assert bench.bay().state is BayState.FAILED
    assert view(bench.view()) == (1, 0, 1)


def test_no_second_try_for_a_phone_that_was_pulled(bench):
    give(bench)
    spec = turn(bench)
    bench.fail(spec.job, Cause.DISCONNECTED)
    bench.do(gone())
    bench.wait(100)
    assert bench.records[0].observed.mode is None
    bench.do(arrived(A))
    looked_at(bench)
    assert len(note(bench).consents) == 1
    assert bench.bay().state is BayState.FAILED


def test_a_persons_consent_is_used_once(bench):
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.fail(spec.job, Cause.DEADLINE, PhoneMode.RECOVERY)
    bench.do(gone(), arrived(A, product_id=RECOVERY))
    bench.wait(1000)
    assert sum(action.spec.consent is not None for action in bench.all(StartWorker)) == 1


# -- a daemon ends, another one begins


def after_crash(before: Bench, *, same_boot: bool = True, **changes) -> Bench:
    """Another daemon with what lies on the disk: the order, and no job."""
    bench = Bench(operator_confirm=True, instance="u", at=before.now)
    bench.order_on_disk = msgspec.structs.replace(note(before), **changes)
    bench.do(OrderFound(note=bench.order_on_disk, same_boot=same_boot))
    return bench


@pytest.mark.parametrize("step", ["written down", "confirmed"])
def test_no_second_turn_after_a_crash(bench, step):
    give(bench)
    bench.saves_orders = step == "confirmed"
    plug(bench)
    assert len(note(bench).consents) == 1
    again = after_crash(bench)
    assert plug(again) is None
    assert view(again.view()) == (1, 0, 0)
    again.do(gone())
    restored(again, turn(again, B), B)
    assert again.view().order is None  # nobody waits for a turn that was lost


def test_no_second_try_for_what_began_before_a_crash(bench):
    give(bench)
    spec = turn(bench)
    again = Bench(operator_confirm=True, instance="u")
    again.do(JobFound(spec=spec), OrderFound(note=note(bench), same_boot=True), arrived(A))
    again.fail(spec.job, Cause.DEADLINE)
    looked_at(again)
    assert again.bay().state is BayState.FAILED
    assert view(again.view()) == (1, 0, 1)
    assert len(note(again).consents) == 1


def test_a_turn_that_was_never_written_down_is_given_anew(bench):
    give(bench)
    again = after_crash(bench)
    turn(again)


def test_jobs_that_live_on_are_counted(bench):
    give(bench)
    spec = turn(bench)
    again = Bench(operator_confirm=True, instance="u")
    again.do(JobFound(spec=spec), OrderFound(note=note(bench), same_boot=True))
    assert view(again.view()) == (1, 0, 0)
    again.do(arrived(A), WorkerEnded(job=spec.job, exit=WorkerExit(signal=9)))
    looked_at(again)
    assert again.records[0].consent == spec.consent
    assert len(note(again).results) == 1


def test_results_that_were_recorded_meanwhile_are_counted(bench):
    give(bench)
    before = note(bench)
    spec = turn(bench)
    asked = note(bench)
    restored(bench, spec)
    again = Bench(operator_confirm=True, instance="u")
    found = ResultFound(spec=spec, record=bench.records[0], number=7, certificate=None)
    again.do(found, OrderFound(note=asked, same_boot=True))
    assert view(again.view()) == (1, 1, 0)
    again.do(found)
    assert [result.record for result in note(again).results] == [7]
    assert before.results == ()


@pytest.mark.parametrize(
    ("trusted_then", "trusted_now", "utc", "holds"),
    [
        (True, True, "2026-01-01T00:20:00Z", True),
        (True, True, "2026-01-01T09:00:00Z", False),
        (True, True, "2025-01-01T00:00:00Z", True),  # it went back: never for longer than was meant
        (False, True, "2026-01-01T00:20:00Z", False),
        (True, False, "2026-01-01T00:20:00Z", True),
    ],
)
def test_after_the_machine_was_off_the_clock_decides(bench, trusted_then, trusted_now, utc, holds):
    give(bench, seconds=3600.0)
    kept = msgspec.structs.replace(note(bench), clock_trusted=trusted_then, ends="2026-01-01T01:00:00Z")
    kept = msgspec.structs.replace(kept, given="2026-01-01T00:00:00Z")
    station = Bench(operator_confirm=True, instance="u", at=5.0).station
    moment = Moment(at=5.0, utc=utc, trusted=trusted_now)
    station.handle(OrderFound(note=kept, same_boot=False), moment)
    order = station.orders.view()
    assert (order is not None and order.left > 0) is holds
    if holds and trusted_now:
        assert order is not None
        assert order.until <= 5.0 + 3600.0
    if not trusted_now:  # it waits for the clock, and gives nothing
        station.handle(arrived(A, product_id=RECOVERY), moment)
        assert station.orders.note is not None
        assert station.orders.note.consents == ()
        assert station.orders.deadline == 5.0 + AGAIN_SECONDS


# -- people


def test_only_where_the_operator_may():
    with pytest.raises(Refused, match="Only an operator"):
        give(Bench())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"count": 0}, "1 to"),
        ({"count": MAX_COUNT + 1}, "1 to"),
        ({"seconds": 0.0}, "hours at most"),
        ({"seconds": MAX_SECONDS + 1}, "hours at most"),
        ({"seconds": float("nan")}, "hours at most"),
        ({"bays": ("9",)}, "no bay 9"),
    ],
)
def test_orders_that_make_no_sense(bench, changes, why):
    with pytest.raises(Refused, match=why):
        give(bench, **changes)
    assert bench.view().order is None


def test_one_at_a_time(bench):
    give(bench)
    with pytest.raises(Refused, match="holds already"):
        give(bench)
    bench.do(EndOrder(id=2))
    with pytest.raises(Refused, match="no standing order"):
        bench.do(EndOrder(id=3))
    give(bench)


def test_every_service_can_be_ordered_where_its_gates_are_open(bench):
    give(bench, service=Service.RESTART)
    spec = turn(bench)
    assert spec.service is Service.RESTART
