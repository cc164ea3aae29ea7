"""A daemon dies at any moment; the next one loses nothing."""

import asyncio
import os
import signal

import msgspec
import pytest

from station.adapters.clock import boottime
from station.daemon.proof import RecordedProof
from station.model.api import BayState, Dismiss, OperatorConfirm, Start
from station.model.causes import Cause
from station.model.events import Failed, Succeeded
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.model.service import Service
from tests.core.helpers import ONE, TWO, B, Bench, clean_facts, gone
from tests.daemon.helpers import IN_RECOVERY, RESTORED, Conducted, Daemon, House, arrived
from tests.daemon.test_loop import confirmed, ready, record
from tests.processes import until_gone

pytestmark = pytest.mark.system  # real processes


@pytest.fixture
def house(house: House) -> House:
    house.changes["operator_confirm"] = True
    return house


STAGES = ("connect", "recovery", "image", "succeeded", "verifying", "recorded")


async def restore_until(stage: str, house: House, daemon: Daemon, worker: Conducted) -> None:
    """Go through the main job as far as `stage`, each step seen by the daemon."""
    steps = STAGES[1 : STAGES.index(stage) + 1]
    if "recovery" in steps:
        await worker.begin(Phase.RECOVERY)
        daemon.tell(*IN_RECOVERY)
        await daemon.until(lambda bay: bay.phone and bay.phone.mode is PhoneMode.RECOVERY)
    if "image" in steps:
        await worker.begin(Phase.RAMDISK)
        daemon.tell(*RESTORED)
        await worker.erase()
        await worker.begin(Phase.IMAGE)
        await daemon.until(lambda bay: bay.job and bay.job.phase is Phase.IMAGE)
    if "succeeded" in steps:
        await worker.succeed()
        await daemon.until(lambda bay: bay.job and bay.job.phase is Phase.RETURN)
    if "verifying" in steps:
        daemon.tell(*RESTORED)
        await daemon.until(lambda bay: bay.job and bay.job.phase is Phase.VERIFY)
    if "recorded" in steps:
        await (await house.conductor.worker()).inspect(clean_facts())
        await daemon.until(lambda bay: bay.state is BayState.DONE)


@pytest.mark.parametrize("stage", STAGES)
async def test_whenever_the_daemon_dies_the_job_is_finished(house, stage):
    """The daemon is gone after `stage`; the worker goes on without it; the next daemon finishes."""
    reached = STAGES.index(stage)
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        await restore_until(stage, house, daemon, worker)
    if reached < STAGES.index("image"):
        await worker.erase()
    if reached < STAGES.index("succeeded"):
        await worker.succeed()
    if stage == "verifying":  # the inspection does not outlive its daemon
        look = await house.conductor.worker()
    async with house.daemon() as daemon:
        daemon.tell(arrived())
        if stage == "verifying":
            await look.gone()
        if stage != "recorded":
            await (await house.conductor.worker()).inspect(clean_facts())
        done = await daemon.until(lambda bay: bay.state is BayState.DONE)
        assert done.result is not None
        assert done.result.record == 1
        assert done.result.certificate is not None
        daemon.tell(gone())
        await daemon.until(lambda bay: bay.state is BayState.EMPTY)
    assert record(house).outcome is Outcome.VERIFIED
    assert record(house).job == worker.job
    assert house.jobs() == []


async def test_a_record_is_what_it_was_sealed_as(tmp_path):
    """A daemon died between sealing and noting it; the next one has seen the phone return, and judges otherwise."""
    bench = Bench()
    first = bench.confirm()
    bench.erase(first.job)
    bench.succeed(first.job)
    bench.do(gone())
    bench.wait(1000)
    (record,) = bench.records
    assert record.outcome is Outcome.NOT_VERIFIED
    otherwise = msgspec.structs.replace(record, outcome=Outcome.VERIFIED, cause=None, title="Verified.")
    proof = await RecordedProof.open(tmp_path)
    try:
        sealed = await proof.write(record)
        assert await proof.write(otherwise) == sealed
    finally:
        await proof.close()
    assert (sealed.record.outcome, sealed.number, sealed.certificate) == (Outcome.NOT_VERIFIED, 1, None)


async def test_a_living_worker_is_adopted_and_followed(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
    async with house.daemon() as daemon:
        daemon.tell(arrived())
        await worker.begin(Phase.TICKET, 0.75)
        view = await daemon.until(lambda bay: bay.job and bay.job.phase_fraction == 0.75)
        assert view.state is BayState.WORKING
        assert await daemon.command(Start, bay=ONE, service=Service.RESTORE) != ""
        os.kill(worker.pid, signal.SIGKILL)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
    assert (record(house).outcome, record(house).cause) == (Outcome.FAILED_UNTOUCHED, Cause.WORKER_DIED)


async def test_another_phone_in_the_bay_of_an_adopted_worker_ends_it(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
    async with house.daemon() as daemon:
        daemon.tell(arrived(B))
        await worker.gone()
        await until_gone(worker.pid)
        await daemon.until(lambda bay: bay.state is BayState.FAILED)


@pytest.mark.parametrize("erased", [False, True])
async def test_a_worker_that_died_without_a_daemon_is_judged(house, erased):
    house.changes["observe_seconds"] = 0.1
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
    if erased:
        await worker.erase()
    os.kill(worker.pid, signal.SIGKILL)
    await worker.gone()
    async with house.daemon() as daemon:
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
        await daemon.command(Dismiss, bay=ONE)
    assert record(house).outcome is (Outcome.FAILED_ERASED if erased else Outcome.FAILED_UNTOUCHED)
    assert record(house).cause is Cause.WORKER_DIED
    assert record(house).observed.mode is None


async def test_a_failed_result_is_still_marked_after_a_restart(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        await worker.say(Failed(at=boottime(), cause=Cause.SIGNING_REFUSED, detail="94"))
        await worker.exit(1)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
    async with house.daemon() as daemon:
        view = await daemon.until(lambda bay: bay.state is BayState.FAILED)
        assert view.result is not None
        assert view.result.record == 1
        await daemon.command(Dismiss, bay=ONE)
        await daemon.until(lambda bay: bay.state is BayState.EMPTY)
    assert house.jobs() == []


async def test_a_record_whose_note_was_lost_is_not_written_twice(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        await worker.erase()
        await worker.succeed()
        daemon.tell(*RESTORED)
        await (await house.conductor.worker()).inspect(clean_facts())
        await daemon.until(lambda bay: bay.state is BayState.DONE)
    (house.state / "jobs" / worker.job / "result.json").unlink()
    async with house.daemon() as daemon:
        daemon.tell(arrived())
        await (await house.conductor.worker()).inspect(clean_facts())
        done = await daemon.until(lambda bay: bay.state is BayState.DONE)
        assert done.result is not None
        assert done.result.record == 1


async def test_a_job_that_was_never_taken_can_never_be_taken(house):
    """The daemon died between writing the job down and its worker taking it."""
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        os.kill(worker.pid, signal.SIGKILL)
        await worker.gone()
    directory = house.state / "jobs" / worker.job
    for name in ("work/claimed", "work/events.jsonl", "result.json"):
        (directory / name).unlink(missing_ok=True)
    async with house.daemon() as daemon:
        daemon.tell(arrived())
        await daemon.until(lambda bay: bay.state is BayState.FAILED)
        late = await asyncio.create_subprocess_exec(*house.conductor.program, str(directory), stderr=-3)
        assert await late.wait() != 0
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)


async def test_inspections_do_not_outlive_their_daemon(house):
    async with house.daemon() as daemon:
        daemon.tell(arrived())
        look = await house.conductor.worker()
    async with house.daemon() as daemon:
        await look.gone()
        await daemon.client.snapshot()
        assert house.jobs() == []
        await ready(house, daemon)


async def test_what_the_worker_said_while_no_daemon_lived_is_heard(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
    await worker.begin(Phase.IMAGE, 0.5)
    async with house.daemon() as daemon:
        await daemon.until(lambda bay: bay.job and bay.job.phase is Phase.IMAGE)
        await worker.say(Succeeded(at=boottime()))
        await worker.exit(0)
        await daemon.until(lambda bay: bay.job and bay.job.phase is Phase.RETURN)


async def test_a_consent_is_not_left_waiting_for_the_next_daemon(house):
    house.changes["cap"] = 1
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        daemon.tell(arrived(B, TWO))
        await (await house.conductor.worker()).inspect(clean_facts(B))
        await daemon.until(lambda bay: bay.state is BayState.READY and "START" in bay.hint, TWO)
        await daemon.command(Start, bay=TWO, service=Service.RESTORE)
        await daemon.command(OperatorConfirm, bay=TWO, ecid=B)
        await daemon.until(lambda bay: bay.state is BayState.QUEUED, TWO)
    await worker.exit(1)
    async with house.daemon() as daemon:
        daemon.tell(arrived(B, TWO))
        await (await house.conductor.worker()).inspect(clean_facts(B))
        await daemon.until(lambda bay: bay.state is BayState.READY, TWO)
        assert len(house.jobs()) == 1
