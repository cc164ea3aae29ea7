"""A daemon that starts anew finds what an earlier one left."""

import msgspec
import pytest

from station.core.actions import CloseJob, KillWorker, RevokeConsent, StartWorker
from station.core.events import JobFound, ResultFound, WorkerEnded
from station.core.policy import BackupRule
from station.errors import Refused
from station.model.api import BayState, Cancel, Dismiss
from station.model.causes import Cause
from station.model.events import Operation
from station.model.gates import BackupDecision, Choice, Gate, Overruling
from station.model.job import JobSpec, Phase
from station.model.record import Outcome, Record
from tests.core.helpers import ONE, RECOVERY, TWO, A, B, Bench, arrived, clean_facts, facts, gone, policy


@pytest.fixture
def spec() -> JobSpec:
    """A restore that an earlier daemon started."""
    return Bench(instance="earlier").confirm()


def record(spec: JobSpec, outcome: Outcome) -> Record:
    earlier = Bench(instance="earlier")
    earlier.confirm()
    if outcome is Outcome.VERIFIED:
        earlier.erase(spec.job)
        earlier.succeed(spec.job)
        earlier.do(gone(), arrived(A))
        earlier.inspect(clean_facts())
    else:
        earlier.fail(spec.job, Cause.SIGNING_REFUSED)
        earlier.inspect(facts())
    assert earlier.records[0].outcome is outcome
    return earlier.records[0]


def test_a_living_worker_is_followed_to_the_end(spec):
    bench = Bench()
    bench.do(JobFound(spec=spec))
    assert bench.bay().state is BayState.WORKING
    bench.erase(spec.job)
    assert not bench.all(StartWorker)
    bench.succeed(spec.job)
    bench.do(gone(), arrived(A))
    look = bench.all(StartWorker)[-1].spec
    assert (look.service, look.plug) == (None, spec.plug)
    bench.inspect(clean_facts())
    assert bench.records[0].outcome is Outcome.VERIFIED
    assert bench.records[0].before == facts(A)
    assert not bench.all(RevokeConsent)


@pytest.mark.parametrize("phase", [Phase.CONNECT, Phase.RECOVERY, Phase.IMAGE])
def test_the_phone_that_is_still_there_goes_on(spec, phase):
    bench = Bench()
    bench.do(JobFound(spec=spec))
    bench.phase(spec.job, phase)
    bench.do(arrived(A), arrived(A))  # udev may tell twice while it starts
    assert not bench.all(RevokeConsent)
    bench.do(gone())
    assert bool(bench.all(RevokeConsent)) is (phase is Phase.CONNECT)


def test_another_phone_in_its_place_voids_the_job(spec):
    bench = Bench()
    bench.do(JobFound(spec=spec), arrived(B))
    assert bench.all(RevokeConsent) == [RevokeConsent(job=spec.job)]
    assert bench.all(KillWorker) == [KillWorker(job=spec.job)]


def test_a_phone_that_left_meanwhile_ends_the_job_in_time(spec):
    bench = Bench()
    bench.do(JobFound(spec=spec))
    assert KillWorker(job=spec.job) in bench.wait(100)
    bench.do(WorkerEnded(job=spec.job, exit=None))
    bench.wait(31)
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.FAILED_UNTOUCHED, Cause.DISCONNECTED)


def test_a_dead_worker_is_judged_and_its_phone_observed(spec):
    bench = Bench()
    bench.do(JobFound(spec=spec))
    bench.phase(spec.job, Phase.RAMDISK)
    bench.do(WorkerEnded(job=spec.job, exit=None))
    assert not bench.records
    bench.do(arrived(A, product_id=RECOVERY))
    assert bench.records[0].cause is Cause.WORKER_DIED
    assert bench.records[0].observed.mode is not None


def test_a_worker_that_succeeded_while_nobody_looked_is_verified(spec):
    bench = Bench()
    bench.do(JobFound(spec=spec))
    for operation in (42, 50):
        bench.say(spec.job, Operation(at=bench.now, operation=operation))
    bench.succeed(spec.job)
    bench.do(arrived(A))
    bench.inspect(clean_facts())
    assert bench.records[0].outcome is Outcome.VERIFIED


def test_a_revoked_job_stays_revoked(spec):
    bench = Bench()
    bench.do(JobFound(spec=spec, revoked=True), WorkerEnded(job=spec.job, exit=None), arrived(A))
    bench.inspect(facts())
    assert bench.records[0].cause is Cause.CONSENT_VOID


def test_a_worker_whose_consent_was_void_does_not_go_on_for_long(spec):
    bench = Bench()
    bench.do(JobFound(spec=spec, revoked=True), arrived(A))
    bench.wait(policy().grace_seconds + 1)
    assert KillWorker(job=spec.job) in bench.actions


def test_what_was_decided_and_overruled_in_a_stay_is_known_still(spec):
    word = Overruling(gate=Gate.BATTERY, reason="mains", at="2026-01-01T00:00:00Z")
    decided = BackupDecision(choice=Choice.DECLINED, at="2026-01-01T00:00:00Z")
    spec = msgspec.structs.replace(spec, decided=decided, overruled=(word,))
    bench = Bench(backup=BackupRule.ASK, min_battery=90)
    bench.do(JobFound(spec=spec), arrived(A))
    bench.fail(spec.job, Cause.SIGNING_REFUSED)
    bench.inspect(facts())
    bench.do(Dismiss(id=1, bay=ONE))
    assert bench.bay().title == "Ready"
    bench.do(gone(), arrived(A))
    bench.inspect(facts())
    assert bench.bay().title != "Ready", "of that stay, and of no other"


def test_a_failed_result_is_still_marked(spec):
    bench = Bench()
    failed = record(spec, Outcome.FAILED_UNTOUCHED)
    bench.do(ResultFound(spec=spec, record=failed, number=3, certificate=None))
    assert bench.bay().state is BayState.FAILED
    bench.plug(A)
    assert bench.bay().state is BayState.FAILED
    assert bench.do(Dismiss(id=1, bay=ONE)) == [CloseJob(job=spec.job)]
    assert bench.bay().state is BayState.READY


def test_a_verified_result_stays_with_its_phone(spec):
    bench = Bench()
    done = record(spec, Outcome.VERIFIED)
    bench.do(ResultFound(spec=spec, record=done, number=3, certificate="/c.pdf"), arrived(A))
    result = bench.bay().result
    assert bench.bay().state is BayState.DONE
    assert result is not None
    assert result.certificate == "/c.pdf"
    assert CloseJob(job=spec.job) in bench.do(gone())


def test_a_verified_result_is_not_another_phones(spec):
    bench = Bench()
    done = record(spec, Outcome.VERIFIED)
    bench.do(ResultFound(spec=spec, record=done, number=3, certificate=None))
    assert CloseJob(job=spec.job) in bench.do(arrived(B))
    assert bench.bay().state is BayState.READING


def test_bays_keep_their_names(spec):
    bench = Bench(bays={})
    bench.do(JobFound(spec=JobSpec(**{f: getattr(spec, f) for f in spec.__struct_fields__} | {"bay": TWO})))
    bench.do(arrived(A), arrived(B, TWO))
    assert {bay.bay: bay.state for bay in bench.view().bays} == {TWO: BayState.WORKING, ONE: BayState.READING}


def test_names_are_never_used_twice(spec):
    bench = Bench(instance="later")
    bench.do(JobFound(spec=spec), WorkerEnded(job=spec.job, exit=None), arrived(A))
    bench.inspect(facts())
    bench.do(Dismiss(id=1, bay=ONE), gone())
    again = bench.confirm()
    assert again.job != spec.job
    assert again.plug != spec.plug


def test_nothing_of_a_queued_job_is_left_to_take_up():
    """Its consent does not outlive the daemon: nobody watched whether the phone stayed."""
    bench = Bench(cap=1)
    bench.confirm(A, ONE)
    bench.plug(B, TWO)
    bench.press()
    bench.hold()
    assert bench.bay(TWO).state is BayState.QUEUED
    assert [action.spec.bay for action in bench.all(StartWorker) if action.spec.consent] == [ONE]
    with pytest.raises(Refused):
        bench.do(Dismiss(id=1, bay=TWO))
    bench.do(Cancel(id=1, bay=TWO))
    assert bench.bay(TWO).state is BayState.READY
