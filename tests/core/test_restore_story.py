"""The main story, and every way it can end."""

import signal

import msgspec
import pytest

from station.core.actions import CloseJob, KillWorker, RevokeConsent, StartWorker, WriteRecord
from station.core.events import (
    RecordNotWritten,
    RecordWritten,
    WorkerEnded,
    WorkerGarbled,
    WorkerNotStarted,
)
from station.core.leash import KILL_SECONDS
from station.core.story import Story
from station.core.verdict import judge
from station.errors import Refused
from station.model.api import BayState, Cancel, Dismiss, Lamp, Start
from station.model.causes import Cause
from station.model.consent import Hand
from station.model.events import Failed, Operation, PhaseBegan, Progress, Signed, Succeeded, WorkerExit
from station.model.job import DEADLINES, Phase
from station.model.phone import PhoneMode
from station.model.record import Outcome, Record
from station.model.service import Service
from tests.core.helpers import (
    ALL_FINE,
    DFU,
    FIRMWARE,
    ONE,
    RECOVERY,
    TWO,
    A,
    B,
    Bench,
    arrived,
    clean_facts,
    facts,
    gone,
)


def returned(bench: Bench, job, **changes) -> Record:
    """The worker succeeds, the phone starts and is looked at."""
    bench.succeed(job)
    bench.do(gone(), arrived(A))
    bench.inspect(clean_facts(**changes))
    return bench.records[-1]


def test_the_main_job_ends_verified():
    bench = Bench()
    spec = bench.confirm()
    assert spec.service is not None
    assert spec.ecid == A
    assert spec.firmware == FIRMWARE
    assert spec.before == facts(A)
    assert spec.consent is not None
    assert (spec.consent.ecid, spec.consent.bay, spec.consent.plug) == (A, ONE, spec.plug)
    assert spec.consent.by is Hand.BUTTONS
    bench.erase(spec.job)
    assert bench.bay().state is BayState.WORKING
    bench.wait(30)
    record = returned(bench, spec.job)
    assert record.outcome is Outcome.VERIFIED
    assert record.cause is None
    assert record.status == 0
    assert record.operations == (42, 50)
    assert all(check.passed for check in record.checks)
    assert record.observed.mode is PhoneMode.NORMAL
    assert record.before == facts(A)
    assert record.duration_seconds == pytest.approx(30)
    view = bench.bay()
    assert view.state is BayState.DONE
    assert view.lamp is Lamp.DONE
    assert bench.view().lamp is Lamp.DONE
    assert not bench.all(RevokeConsent)
    assert not bench.all(KillWorker)


def test_unplugging_a_verified_phone_clears_its_bay():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    returned(bench, spec.job)
    assert CloseJob(job=spec.job) in bench.do(gone())
    assert bench.bay().state is BayState.EMPTY
    assert bench.bay().result is None


def test_the_lamp_is_not_green_before_the_record_is_written():
    bench = Bench()
    bench.writes_records = False
    spec = bench.confirm()
    bench.erase(spec.job)
    returned(bench, spec.job)
    assert bench.bay().state is BayState.WORKING
    bench.do(RecordWritten(record=bench.records[-1], number=7, certificate="/c.pdf", proof="STATION 7"))
    result = bench.bay().result
    assert bench.bay().state is BayState.DONE
    assert result is not None
    assert (result.record, result.certificate, result.proof) == (7, "/c.pdf", "STATION 7")


def test_what_is_shown_is_what_an_earlier_daemon_sealed():
    bench = Bench()
    bench.writes_records = False
    spec = bench.confirm()
    bench.erase(spec.job)
    verified = returned(bench, spec.job)
    assert verified.outcome is Outcome.VERIFIED
    sealed = msgspec.structs.replace(verified, outcome=Outcome.NOT_VERIFIED, title="It did not come back.")
    bench.do(RecordWritten(record=sealed, number=1, certificate=None))
    assert bench.bay().lamp is Lamp.FAULT
    assert bench.bay().title == "It did not come back."


def test_a_record_that_cannot_be_written_is_tried_again_and_seen():
    bench = Bench()
    bench.writes_records = False
    spec = bench.confirm()
    bench.erase(spec.job)
    returned(bench, spec.job)
    bench.do(RecordNotWritten(job=spec.job, detail="the disk is full"))
    assert bench.view().lamp is Lamp.FAULT
    assert "the disk is full" in bench.view().notice
    again = [action for action in bench.wait(120) if isinstance(action, WriteRecord)]
    assert len(again) == 1
    assert again[0].record == bench.records[0]
    bench.do(RecordWritten(record=bench.records[-1], number=1, certificate=None))
    assert bench.view().notice == ""
    assert bench.bay().state is BayState.DONE


def test_while_a_record_cannot_be_written_nothing_is_wiped():
    bench = Bench()
    bench.writes_records = False
    first = bench.confirm(A, ONE)
    bench.plug(B, TWO)
    bench.fail(first.job, Cause.SIGNING_REFUSED)
    bench.inspect(facts(A))
    bench.do(RecordNotWritten(job=first.job, detail="the disk is full"))
    with pytest.raises(Refused, match="disk is full"):
        bench.do(Start(id=1, bay=TWO, service=Service.RESTORE))
    bench.do(RecordWritten(record=bench.records[-1], number=1, certificate=None))
    bench.do(Start(id=2, bay=TWO, service=Service.RESTORE))
    assert bench.bay(TWO).state is BayState.ARMED


def test_a_queued_job_waits_for_records_that_can_be_written():
    bench = Bench(cap=1)
    bench.writes_records = False
    first = bench.confirm(A, ONE)
    bench.plug(B, TWO)
    bench.press()
    bench.hold()
    bench.do(RecordNotWritten(job=first.job, detail="the disk is full"))
    bench.fail(first.job, Cause.SIGNING_REFUSED)
    bench.inspect(facts(A))
    assert bench.bay(TWO).state is BayState.QUEUED
    bench.do(RecordWritten(record=bench.records[-1], number=1, certificate=None))
    assert bench.bay(TWO).state is BayState.WORKING


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"build": "23B85"}, Cause.BUILD_DIFFERS),
        ({"activation_state": "Activated"}, Cause.NOT_CLEAN),
        ({"passcode": True}, Cause.NOT_CLEAN),
        ({"passcode": None}, Cause.NOT_CLEAN),
        ({"ecid": B}, Cause.WRONG_PHONE),
    ],
)
def test_what_came_back_must_be_as_it_must_be(changes, cause):
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    record = returned(bench, spec.job, **changes)
    assert record.outcome is Outcome.NOT_VERIFIED
    assert record.cause is cause
    assert not all(check.passed for check in record.checks)
    assert bench.bay().state is BayState.FAILED
    assert bench.view().lamp is Lamp.FAULT


@pytest.mark.parametrize("seen", [(), (42,), (50,)])
def test_without_both_operations_nothing_is_verified(seen):
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, Phase.RAMDISK)
    bench.do(gone(), arrived(A))
    bench.phase(spec.job, Phase.PREPARE)
    for operation in seen:
        bench.say(spec.job, Operation(at=bench.now, operation=operation))
    record = returned(bench, spec.job)
    assert (record.outcome, record.cause) == (Outcome.NOT_VERIFIED, Cause.NOT_CLEAN)


def test_a_phone_that_does_not_come_back_is_not_verified():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.succeed(spec.job)
    bench.do(gone())
    bench.wait(DEADLINES[Phase.RETURN] - 1)
    assert bench.bay().state is BayState.WORKING
    assert bench.bay().phone is not None
    bench.wait(2)
    assert bench.records[0].outcome is Outcome.NOT_VERIFIED
    assert bench.records[0].cause is Cause.NOT_RETURNED
    assert bench.records[0].last_phase is Phase.RETURN
    assert bench.records[0].observed.mode is None


def test_a_phone_that_comes_back_in_recovery_is_not_verified():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.succeed(spec.job)
    bench.do(gone(), arrived(A, product_id=RECOVERY))
    bench.wait(60)
    assert bench.records[0].cause is Cause.NOT_RETURNED
    assert bench.records[0].observed.mode is PhoneMode.RECOVERY


def test_a_phone_that_stays_in_the_restore_system_is_recorded_as_such():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.succeed(spec.job)
    for _ in range(3):
        bench.wait(10)
        bench.fail(bench.all(StartWorker)[-1].spec.job, Cause.NOT_RETURNED, PhoneMode.RESTORE)
    bench.wait(DEADLINES[Phase.RETURN] + DEADLINES[Phase.VERIFY])
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.NOT_VERIFIED, Cause.NOT_RETURNED)
    assert bench.records[0].observed.mode is PhoneMode.RESTORE


def test_a_phone_that_comes_and_goes_does_not_keep_the_job_for_ever():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.succeed(spec.job)
    for _ in range(100):
        bench.do(gone())
        bench.wait(20)
        bench.do(arrived(A))
        bench.wait(5)
        if bench.records:
            break
        for job in {action.job for action in bench.all(KillWorker)}:
            bench.do(WorkerEnded(job=job, exit=None))
    assert bench.records[0].cause is Cause.NOT_RETURNED


def test_the_restore_system_is_not_taken_for_the_returned_phone():
    """It enumerates like a normal phone (usbmuxd#147): the look that meets it fails, and another one follows."""
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.succeed(spec.job)
    assert len(bench.all(StartWorker)) == 2  # the arrival's inspection, and the restore
    bench.wait(20)
    assert len(bench.all(StartWorker)) == 3
    bench.inspect(Cause.DISCONNECTED)
    bench.do(gone(), arrived(A))
    bench.inspect(clean_facts(A))
    assert bench.records[0].outcome is Outcome.VERIFIED


def test_a_look_from_before_the_phone_left_again_does_not_count():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.succeed(spec.job)
    bench.do(gone(), arrived(A))
    bench.do(gone(), arrived(A))
    bench.inspect(clean_facts())  # the first look: its worker was quicker than its end
    assert not bench.records
    bench.inspect(clean_facts())
    assert bench.records[0].outcome is Outcome.VERIFIED


def test_a_phone_that_returns_faster_than_the_news_of_success_is_looked_at_at_once():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.phase(spec.job, Phase.FIRMWARE)
    bench.do(gone(), arrived(A))
    bench.succeed(spec.job)
    assert bench.all(StartWorker)[-1].spec.service is None
    bench.inspect(clean_facts(A))
    assert bench.records[0].outcome is Outcome.VERIFIED


def test_another_phone_in_place_of_the_returning_one_voids_the_job():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.succeed(spec.job)
    bench.do(gone(), arrived(B))
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.NOT_VERIFIED, Cause.WRONG_PHONE)


def test_a_failure_before_the_erase_says_so_and_the_phone_is_looked_at():
    bench = Bench()
    spec = bench.confirm()
    bench.fail(spec.job, Cause.SIGNING_UNREACHABLE)
    assert bench.bay().state is BayState.FAILED
    assert not bench.records
    bench.inspect(facts(A))
    record = bench.records[0]
    assert record.outcome is Outcome.FAILED_UNTOUCHED
    assert record.cause is Cause.SIGNING_UNREACHABLE
    assert record.observed.facts == facts(A)
    assert "Nothing was erased" in record.remedy


def test_a_failure_after_the_erase_says_so():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.fail(spec.job, Cause.DEVICE_STATUS, mode=PhoneMode.RESTORE, status=53)
    bench.do(gone(), arrived(A, product_id=RECOVERY))
    record = bench.records[0]
    assert record.outcome is Outcome.FAILED_ERASED
    assert record.status == 53
    assert "(53)" in record.title
    assert "erased" in record.remedy
    assert record.observed.mode is PhoneMode.RECOVERY
    assert record.last_phase is Phase.IMAGE


def test_a_phone_that_is_away_after_a_failure_is_waited_for_but_not_long():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.do(gone())
    bench.fail(spec.job, Cause.DISCONNECTED)
    result = bench.bay().result
    assert result is not None
    assert result.record == 0
    bench.wait(31)
    assert bench.records[0].observed.mode is None
    assert bench.records[0].cause is Cause.DISCONNECTED


def test_a_failed_wipe_is_marked_until_somebody_dismisses_it():
    bench = Bench()
    spec = bench.confirm()
    bench.fail(spec.job, Cause.SIGNING_REFUSED)
    with pytest.raises(Refused):
        bench.do(Dismiss(id=1, bay=ONE))  # not before it is recorded
    bench.inspect(facts(A))
    bench.do(gone())
    assert bench.bay().state is BayState.FAILED
    assert "before this one" not in bench.bay().title
    bench.plug(B)
    assert bench.bay().title.startswith("The phone before this one:")
    with pytest.raises(Refused, match="dismissed"):
        bench.do(Start(id=1, bay=ONE, service=Service.RESTORE))
    assert CloseJob(job=spec.job) in bench.press()  # the button says that somebody has seen it, and no more
    assert bench.bay().state is BayState.READY
    bench.press()
    assert bench.bay().state is BayState.ARMED


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        (WorkerExit(signal=signal.SIGALRM), Cause.DEADLINE),
        (WorkerExit(signal=signal.SIGSEGV), Cause.WORKER_DIED),
        (WorkerExit(code=0), Cause.WORKER_DIED),
        (WorkerExit(code=1), Cause.WORKER_DIED),
        (None, Cause.WORKER_DIED),
    ],
)
def test_a_worker_that_ends_without_a_word_failed(how, cause):
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, Phase.TICKET)
    bench.do(WorkerEnded(job=spec.job, exit=how))
    bench.inspect(facts(A))
    assert bench.records[0].outcome is Outcome.FAILED_UNTOUCHED
    assert bench.records[0].cause is cause
    if cause is Cause.DEADLINE:
        assert "ticket" in bench.records[0].detail


@pytest.mark.parametrize("how", [None, WorkerExit(code=1), WorkerExit(signal=9)])
def test_success_needs_the_word_and_the_exit(how):
    story = Story()
    story.hear(Succeeded(at=1))
    verdict = judge(story, how, voided=None)
    assert verdict is not None
    assert verdict.cause is Cause.WORKER_DIED
    assert judge(story, ALL_FINE, voided=None) is None


def test_a_worker_that_could_not_be_started_is_recorded():
    bench = Bench()
    bench.plug()
    bench.press()
    bench.hold()
    job = bench.all(StartWorker)[-1].spec.job
    bench.do(WorkerNotStarted(job=job, cause=Cause.DISK_FULL, detail="no space"))
    bench.inspect(facts(A))
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.FAILED_UNTOUCHED, Cause.DISK_FULL)


def test_a_worker_whose_words_are_garbled_is_ended_and_not_believed():
    bench = Bench()
    spec = bench.confirm()
    actions = bench.do(WorkerGarbled(job=spec.job, detail="no event"))
    assert RevokeConsent(job=spec.job) in actions
    assert KillWorker(job=spec.job) in actions
    bench.do(WorkerEnded(job=spec.job, exit=None))
    bench.inspect(facts(A))
    # Whatever it had announced cannot be read: the data must be taken as gone.
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.FAILED_ERASED, Cause.INTERNAL)


def test_a_worker_that_outlives_its_deadline_is_killed():
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, Phase.TICKET)
    bench.wait(DEADLINES[Phase.TICKET])
    assert not bench.all(KillWorker)
    bench.wait(bench.station.policy.grace_seconds + 1)
    assert bench.all(KillWorker) == [KillWorker(job=spec.job)]
    assert bench.all(RevokeConsent) == [RevokeConsent(job=spec.job)]
    bench.do(WorkerEnded(job=spec.job, exit=None))
    bench.inspect(facts(A))
    assert bench.records[0].cause is Cause.DEADLINE
    assert "ticket" in bench.records[0].detail


def test_signs_of_life_put_the_deadline_off():
    bench = Bench()
    spec = bench.confirm()
    for step in range(10):
        bench.wait(DEADLINES[Phase.CONNECT] - 1)
        bench.say(spec.job, Progress(at=bench.now, phase=Phase.CONNECT, fraction=step / 10))
    assert not bench.all(KillWorker)


def test_a_worker_that_cannot_be_killed_is_given_up():
    bench = Bench()
    spec = bench.confirm()
    bench.wait(DEADLINES[Phase.CONNECT] + bench.station.policy.grace_seconds + KILL_SECONDS + 1)
    bench.inspect(facts(A))
    assert bench.records[0].cause is Cause.DEADLINE
    bench.do(WorkerEnded(job=spec.job, exit=None))  # years later
    assert len(bench.records) == 1


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        (Phase.TICKET, Outcome.FAILED_UNTOUCHED),
        (Phase.RAMDISK, Outcome.FAILED_UNTOUCHED),
        (Phase.RESTORED, Outcome.FAILED_ERASED),
        (Phase.PREPARE, Outcome.FAILED_ERASED),
    ],
)
def test_a_worker_that_is_given_up_may_have_erased(phase, outcome):
    """What it wrote last may never have been read."""
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, phase)
    bench.do(Cancel(id=1, bay=ONE))
    bench.wait(KILL_SECONDS)
    bench.inspect(facts(A))
    assert bench.records[0].outcome is outcome


def test_a_worker_that_said_why_it_failed_is_believed_when_it_is_given_up():
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, Phase.RESTORED)
    bench.say(spec.job, Failed(at=bench.now, cause=Cause.SIGNING_REFUSED, detail=""))
    bench.wait(bench.station.policy.grace_seconds + KILL_SECONDS)
    bench.inspect(facts(A))
    assert bench.records[0].outcome is Outcome.FAILED_UNTOUCHED


def test_a_worker_that_said_its_last_word_must_end_soon():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.phase(spec.job, Phase.FIRMWARE)
    bench.say(spec.job, Succeeded(at=bench.now))
    bench.wait(bench.station.policy.grace_seconds + 1)
    assert bench.all(KillWorker) == [KillWorker(job=spec.job)]
    assert not bench.all(RevokeConsent)


def test_unplugging_during_a_phase_in_which_the_phone_stays_voids_the_job():
    bench = Bench()
    spec = bench.confirm()
    actions = bench.do(gone())
    assert actions == [RevokeConsent(job=spec.job)]
    bench.do(arrived(A))  # the same phone, but another stay
    bench.fail(spec.job, Cause.CONSENT_VOID)
    bench.inspect(facts(A))
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.FAILED_UNTOUCHED, Cause.DISCONNECTED)


def test_a_worker_that_does_not_notice_the_unplugging_is_killed():
    bench = Bench()
    spec = bench.confirm()
    bench.do(gone())
    assert KillWorker(job=spec.job) in bench.wait(bench.station.policy.grace_seconds + 1)


def test_a_phone_that_does_not_come_back_from_a_mode_change_in_time_ends_the_job():
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, Phase.RECOVERY)
    bench.do(gone())
    assert not bench.all(RevokeConsent)
    assert KillWorker(job=spec.job) in bench.wait(DEADLINES[Phase.RECOVERY] + 1)
    bench.do(WorkerEnded(job=spec.job, exit=None))
    bench.wait(31)
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.FAILED_UNTOUCHED, Cause.DISCONNECTED)


def test_another_phone_during_a_mode_change_ends_the_job_at_once():
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, Phase.RECOVERY)
    bench.do(gone())
    actions = bench.do(arrived(B, product_id=RECOVERY))
    assert RevokeConsent(job=spec.job) in actions
    assert KillWorker(job=spec.job) in actions
    bench.fail(spec.job, Cause.CONSENT_VOID)
    bench.wait(31)
    assert bench.records[0].cause is Cause.WRONG_PHONE
    assert bench.records[0].observed.mode is None  # the other phone says nothing about this one


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.IMAGE])
def test_a_departure_that_is_told_late_does_not_end_the_job(phase):
    """The worker is a phase further than the bus's news: the phone left for the restore system, and is back."""
    bench = Bench()
    spec = bench.confirm()
    bench.phase(spec.job, Phase.RAMDISK)
    bench.phase(spec.job, phase)
    bench.do(gone(), arrived(A))
    assert not bench.all(RevokeConsent)
    bench.do(gone())
    assert KillWorker(job=spec.job) in bench.wait(DEADLINES[phase] + 1)


def test_a_status_that_comes_after_the_phone_left_still_counts():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    bench.do(gone())
    bench.fail(spec.job, Cause.DEVICE_STATUS, status=53)
    bench.do(arrived(A, product_id=RECOVERY))
    assert (bench.records[0].cause, bench.records[0].status) == (Cause.DEVICE_STATUS, 53)


def test_cancel_before_the_erase():
    bench = Bench()
    spec = bench.confirm()
    actions = bench.do(Cancel(id=1, bay=ONE))
    assert actions == [KillWorker(job=spec.job), RevokeConsent(job=spec.job)]
    bench.do(WorkerEnded(job=spec.job, exit=None))
    bench.inspect(facts(A))
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.FAILED_UNTOUCHED, Cause.CANCELLED)


def test_cancel_is_refused_once_the_erase_was_announced():
    bench = Bench()
    spec = bench.confirm()
    bench.erase(spec.job)
    with pytest.raises(Refused):
        bench.do(Cancel(id=1, bay=ONE))
    assert not bench.all(RevokeConsent)


def test_an_erase_that_was_announced_while_it_was_cancelled_is_not_denied():
    bench = Bench()
    spec = bench.confirm()
    bench.do(Cancel(id=1, bay=ONE))
    bench.erase(spec.job)
    bench.do(WorkerEnded(job=spec.job, exit=None))
    bench.wait(200)
    record = bench.records[0]
    assert record.outcome is Outcome.FAILED_ERASED
    assert record.cause is Cause.CANCELLED
    assert "before" not in record.title


def test_progress_is_weighted_and_never_goes_back():
    bench = Bench()
    spec = bench.confirm()
    seen = [bench.bay().job]
    for phase in (Phase.CONNECT, Phase.TICKET, Phase.RECOVERY, Phase.IMAGE, Phase.RAMDISK, Phase.FIRMWARE):
        for fraction in (0.2, 0.9, 0.4):
            bench.wait(3)
            bench.say(spec.job, PhaseBegan(at=bench.now, phase=phase))
            bench.say(spec.job, Progress(at=bench.now, phase=phase, fraction=fraction))
            seen.append(bench.bay().job)
    fractions = [job.fraction for job in seen if job is not None]
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.05
    assert fractions[-1] > 0.5
    assert all(job.eta is None for job in seen if job is not None and job.fraction < 0.05)
    assert 0 < fractions[1] < 0.05
    assert seen[-1] is not None
    assert seen[-1].eta is not None
    assert seen[-1].eta > bench.now


def test_a_phone_in_dfu_mode_can_be_restored():
    bench = Bench()
    bench.do(arrived(A, product_id=DFU))
    view = bench.bay()
    assert view.state is BayState.READY
    assert view.phone is not None
    assert (view.phone.product_type, view.phone.model_name) == ("iPhone13,2", "iPhone 12")
    bench.press()
    bench.hold()
    spec = bench.all(StartWorker)[-1].spec
    assert (spec.service, spec.ecid, spec.udid, spec.before) == (Service.RESTORE, A, None, None)


def test_no_more_jobs_at_once_than_the_cap_and_the_rest_in_order():
    bench = Bench(cap=1)
    first = bench.confirm(A, ONE)
    bench.plug(B, TWO)
    bench.press()
    bench.hold()
    assert bench.bay(TWO).state is BayState.QUEUED
    assert len([action for action in bench.all(StartWorker) if action.spec.consent]) == 1
    bench.fail(first.job, Cause.SIGNING_REFUSED)
    second = [action.spec for action in bench.all(StartWorker) if action.spec.consent]
    assert [spec.ecid for spec in second] == [A, B]


def test_a_queued_job_whose_phone_leaves_never_starts():
    bench = Bench(cap=1)
    first = bench.confirm(A, ONE)
    bench.plug(B, TWO)
    bench.press()
    bench.hold()
    bench.do(gone(TWO), arrived(B, TWO))
    bench.inspect(facts(B))
    assert bench.bay(TWO).state is BayState.READY
    bench.fail(first.job, Cause.SIGNING_REFUSED)
    assert [action.spec.ecid for action in bench.all(StartWorker) if action.spec.consent] == [A]


def test_the_record_names_the_last_ticket():
    bench = Bench()
    job = bench.confirm().job
    bench.phase(job, Phase.TICKET)
    bench.say(job, Signed(at=bench.now, ticket="aa" * 32), Signed(at=bench.now, ticket="bb" * 32))
    bench.fail(job, Cause.DISCONNECTED)
    bench.do(gone())
    bench.wait(1000)
    (record,) = bench.records
    assert record.ticket == "bb" * 32
