"""Who is in which bay, and what is known of them."""

import pytest
from pymobiledevice3.irecv_devices import IRECV_DEVICES

from station.core.actions import CloseJob, KillWorker, RevokeConsent, StartWorker
from station.core.bays import Stay
from station.core.events import WorkerEnded
from station.core.models import model_of_serial
from station.errors import Refused
from station.model.api import BayState, Dismiss, Lamp, Start
from station.model.base import SocketPath
from station.model.causes import Cause
from station.model.events import FactsRead, Failed, PersonNeeded, Succeeded
from station.model.job import JobSpec, Phase
from station.model.phone import PhoneMode, UsbArrived, UsbGone
from station.model.record import Outcome
from station.model.service import Service
from tests.core.helpers import ALL_FINE, NORMAL, ONE, RECOVERY, SOCKETS, TWO, A, B, Bench, arrived, facts, gone

OLD_UDID = "0123456789abcdef0123456789abcdef01234567"


def old_phone(product_id: int = NORMAL) -> UsbArrived:
    """Before A12: the UDID says nothing of the ECID."""
    return UsbArrived(socket=SOCKETS[ONE], product_id=product_id, serial=OLD_UDID)


def test_an_empty_station_is_ready_and_waits_for_nothing():
    bench = Bench()
    assert bench.view().lamp is Lamp.READY
    assert [bay.state for bay in bench.view().bays] == [BayState.EMPTY, BayState.EMPTY]
    assert bench.station.next_deadline() is None


def test_a_phone_that_is_ready_costs_nothing():
    bench = Bench()
    bench.plug()
    assert bench.station.next_deadline() is None


def test_a_phone_in_normal_mode_is_inspected_once():
    bench = Bench()
    bench.do(arrived(A))
    (started,) = bench.all(StartWorker)
    assert (started.spec.service, started.spec.ecid, started.spec.consent) == (None, A, None)
    assert bench.bay().state is BayState.READING
    job = bench.inspect(facts(A))
    assert CloseJob(job=job) in bench.actions
    view = bench.bay()
    assert view.state is BayState.READY
    assert view.phone is not None
    assert (view.phone.version, view.phone.name, view.phone.battery_percent) == ("26.1", "Somebody’s iPhone", 80)
    bench.wait(1000)
    assert len(bench.all(StartWorker)) == 1


def stay_in(bench: Bench) -> Stay | None:
    bay = bench.station.bays.get(ONE)
    assert bay is not None
    return bay.stay


def lost(bench: Bench) -> JobSpec:
    """A phone that was confirmed in recovery mode, and is away when its job ends."""
    bench.do(arrived(A, product_id=RECOVERY))
    bench.press()
    bench.hold()
    spec = bench.all(StartWorker)[-1].spec
    bench.phase(spec.job, Phase.RAMDISK)
    bench.do(gone())
    bench.fail(spec.job, Cause.DISCONNECTED)
    return spec


@pytest.mark.parametrize("recorded", [False, True])
def test_a_phone_that_does_not_show_its_ecid_inherits_nothing(recorded):
    bench = Bench()
    spec = lost(bench)
    if recorded:
        bench.wait(1000)
        assert stay_in(bench) is None
    bench.do(old_phone())
    bench.inspect(Cause.NOT_TRUSTED)
    bench.wait(1000)
    bench.do(Dismiss(id=1, bay=ONE))
    stay = stay_in(bench)
    assert stay is not None
    assert stay.ecid is None
    assert stay.plug != spec.plug
    with pytest.raises(Refused):
        bench.do(Start(id=2, bay=ONE, service=Service.RESTORE))


def test_a_phone_that_does_not_come_back_leaves_its_bay_with_its_record():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.succeed(spec.job)
    bench.do(gone())
    bench.wait(1000)
    assert stay_in(bench) is None


def test_a_phone_that_came_in_anothers_stay_must_say_itself_who_it_is():
    """It took the place of one that was on its way into another mode, and cannot be told from that."""
    bench = Bench()
    bench.do(arrived(A, product_id=RECOVERY))
    bench.press()
    bench.hold()
    job = bench.all(StartWorker)[-1].spec.job
    bench.phase(job, Phase.RAMDISK)
    bench.do(gone(), old_phone())
    bench.fail(job, Cause.DISCONNECTED)
    bench.inspect(Cause.NOT_TRUSTED)
    bench.wait(1000)
    bench.do(Dismiss(id=1, bay=ONE))
    with pytest.raises(Refused):
        bench.do(Start(id=2, bay=ONE, service=Service.RESTORE))


def test_a_phone_with_two_identities_is_never_wiped():
    bench = Bench()
    bench.do(arrived(A))
    bench.inspect(facts(B))
    with pytest.raises(Refused, match="two identities"):
        bench.do(Start(id=1, bay=ONE, service=Service.RESTORE))


def test_told_twice_is_told_once():
    bench = Bench()
    bench.do(arrived(A), arrived(A))
    assert len(bench.all(StartWorker)) == 1


def test_what_is_no_phone_and_where_is_no_bay_are_not_looked_at():
    bench = Bench()
    bench.do(UsbArrived(socket=SOCKETS[ONE], product_id=0x8600, serial="keyboard"))
    bench.do(UsbArrived(socket=SocketPath("9-9"), product_id=NORMAL, serial=arrived(A).serial))
    bench.do(UsbGone(socket=SocketPath("9-9")))
    assert not bench.actions
    assert len(bench.view().bays) == 2


def test_sockets_become_bays_as_phones_appear():
    bench = Bench(bays={})
    assert bench.view().bays == ()
    for socket, ecid in (("2-1", A), ("1-1.7", B)):
        bench.do(UsbArrived(socket=SocketPath(socket), product_id=NORMAL, serial=arrived(ecid).serial))
    assert [bay.bay for bay in bench.view().bays] == ["1", "2"]
    bench.do(UsbGone(socket=SocketPath("2-1")))
    assert [bay.state for bay in bench.view().bays] == [BayState.EMPTY, BayState.READING]


def test_a_phone_that_needs_a_person_says_what_to_do():
    bench = Bench()
    bench.do(arrived(A))
    job = bench.all(StartWorker)[0].spec.job
    bench.say(job, PersonNeeded(at=bench.now, cause=Cause.NOT_TRUSTED))
    assert bench.bay().state is BayState.NEEDS_PERSON
    assert bench.bay().cause is Cause.NOT_TRUSTED  # so that it can be drawn
    assert "Trust" in bench.bay().hint
    assert bench.bay().cause is Cause.NOT_TRUSTED
    assert bench.bay().lamp is Lamp.PERSON
    bench.inspect(facts(A))
    assert bench.bay().state is BayState.READY


def test_a_phone_that_could_not_be_read_stays_a_persons_business_until_it_is_plugged_in_again():
    bench = Bench()
    bench.do(arrived(A))
    bench.inspect(Cause.LOCKED)
    assert bench.bay().state is BayState.NEEDS_PERSON
    bench.wait(100)
    assert len(bench.all(StartWorker)) == 1
    bench.do(gone(), arrived(A))
    assert len(bench.all(StartWorker)) == 2


def test_an_inspection_of_a_phone_that_left_is_ended_and_forgotten():
    bench = Bench()
    bench.do(arrived(A))
    job = bench.all(StartWorker)[0].spec.job
    assert KillWorker(job=job) in bench.do(gone(), arrived(B))
    bench.say(job, FactsRead(at=bench.now, facts=facts(A)), Succeeded(at=bench.now))
    bench.do(WorkerEnded(job=job, exit=ALL_FINE))
    phone = bench.bay().phone
    assert phone is not None
    assert (phone.ecid, phone.name) == (B, "")
    assert bench.all(StartWorker)[-1].spec.ecid == B


def test_an_inspection_that_hangs_is_ended():
    bench = Bench()
    bench.do(arrived(A))
    job = bench.all(StartWorker)[0].spec.job
    assert KillWorker(job=job) in bench.wait(100)
    assert bench.bay().state is BayState.NEEDS_PERSON  # even though the process never ended
    assert bench.station.next_deadline() is None


def test_a_phone_whose_usb_and_lockdown_disagree_is_not_ready():
    bench = Bench()
    bench.do(arrived(A))
    bench.inspect(facts(B))
    assert bench.bay().state is BayState.NEEDS_PERSON


def test_the_model_is_remembered_for_recovery_mode():
    bench = Bench()
    bench.do(arrived(A))
    bench.inspect(facts(A, product_type="iPhone99,1", model_name="iPhone of the future"))
    bench.do(gone(), arrived(A, product_id=RECOVERY))
    phone = bench.bay().phone
    assert phone is not None
    assert (phone.product_type, phone.model_name) == ("iPhone99,1", "iPhone of the future")
    assert phone.name == ""  # the owner's name for it is forgotten


def test_an_old_phone_is_known_by_its_ecid_once_it_was_asked():
    bench = Bench()
    bench.do(old_phone())
    assert bench.all(StartWorker)[0].spec.ecid is None
    bench.inspect(facts(A, udid=OLD_UDID))
    bench.press()
    bench.hold()
    spec = bench.all(StartWorker)[-1].spec
    assert (spec.ecid, spec.udid) == (A, OLD_UDID)
    bench.phase(spec.job, Phase.RECOVERY)
    bench.do(gone(), arrived(A, product_id=RECOVERY))
    bench.phase(spec.job, Phase.RAMDISK)
    bench.do(gone(), old_phone())  # the restore system: no ECID to be seen, but the same UDID
    assert not bench.all(RevokeConsent)
    bench.do(gone(), UsbArrived(socket=SOCKETS[ONE], product_id=NORMAL, serial="f" * 40))
    assert bench.all(RevokeConsent) == [RevokeConsent(job=spec.job)]


def test_one_ecid_in_two_bays_is_refused_in_both():
    bench = Bench()
    bench.plug(A, ONE)
    bench.do(arrived(A, TWO))
    for bay in (ONE, TWO):
        assert bench.bay(bay).state is BayState.NEEDS_PERSON
        assert "Two bays" in bench.bay(bay).title
    bench.press()
    bench.hold()
    assert len(bench.all(StartWorker)) == 1
    bench.do(gone(TWO))
    assert bench.bay(ONE).state is BayState.READY


def test_a_twin_voids_a_job_that_has_not_erased():
    bench = Bench()
    spec = bench.confirm()
    bench.do(arrived(A, TWO))
    assert bench.all(RevokeConsent) == [RevokeConsent(job=spec.job)]
    bench.do(WorkerEnded(job=spec.job, exit=None))
    bench.wait(200)
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.FAILED_UNTOUCHED, Cause.CONSENT_VOID)


def test_a_twin_does_not_stop_a_job_that_is_erasing():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.do(arrived(A, TWO))
    assert not bench.all(RevokeConsent)
    assert not bench.all(KillWorker)


def test_a_phone_that_moves_to_another_bay_during_a_mode_change_voids_its_job():
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, Phase.RECOVERY)
    bench.do(gone(ONE), arrived(A, TWO, RECOVERY))
    assert bench.all(RevokeConsent) == [RevokeConsent(job=spec.job)]


def test_facts_are_not_kept_of_a_phone_that_was_erased():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    phone = bench.bay().phone
    assert phone is not None
    assert (phone.name, phone.mode) == ("Somebody’s iPhone", PhoneMode.RESTORE)
    bench.say(spec.job, Failed(at=bench.now, cause=Cause.DEADLINE, detail=""))
    bench.do(WorkerEnded(job=spec.job, exit=None))
    phone = bench.bay().phone
    assert phone is not None
    assert phone.name == ""


@pytest.mark.parametrize(
    "device",
    [
        device
        for device in IRECV_DEVICES
        if device.product_type.startswith(("iPhone9,", "iPhone13,", "iPhone18,", "iPad8,", "iPad13,", "iPad17,"))
    ],
    ids=lambda device: device.product_type,
)
def test_models_agree_with_the_library(device):
    serial = f"CPID:{device.chip_id:04X} CPRV:11 CPFM:03 SCEP:01 BDID:{device.board_id:02X} ECID:1 IBFL:3D"
    model = model_of_serial(serial)
    assert model is not None
    assert model[0] == device.product_type
    assert model[1].split(" (")[0] == device.display_name.split(" (")[0]


@pytest.mark.parametrize("serial", ["", "CPID:8101", "BDID:0C", "CPID:FFFF BDID:0C ECID:1", OLD_UDID])
def test_an_unknown_model_is_not_guessed(serial):
    assert model_of_serial(serial) is None
