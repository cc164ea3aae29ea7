"""The daemon's loop with real processes, real job directories, real records and the real socket."""

import asyncio
import errno
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from asyncinotify import Inotify

from station.adapters.clock import boottime
from station.adapters.jobshelf import JobShelf
from station.adapters.records import chain_files
from station.adapters.signing import DemonstrationKey
from station.adapters.unpacked import FirmwareDamaged
from station.adapters.workers import LocalStarter
from station.core.events import ButtonChanged, Tick
from station.core.situation import Health
from station.daemon.follow import Follower
from station.daemon.running import Running
from station.errors import StorageError
from station.model.api import BayState, Cancel, Dismiss, HoldBegan, HoldEnded, Lamp, OperatorConfirm, Start
from station.model.base import format_ecid
from station.model.causes import Cause
from station.model.events import Failed, PasswordOwed
from station.model.job import Phase
from station.model.panel import Button, Control, ControlState
from station.model.phone import PhoneMode
from station.model.record import Outcome, Record
from station.model.service import Service
from tests.core.helpers import FIRMWARE, ONE, TWO, A, B, clean_facts, facts, gone
from tests.daemon.helpers import IN_RECOVERY, PATIENCE, RESTORED, Conducted, Daemon, House, arrived, spec_of
from tests.processes import until_gone

pytestmark = pytest.mark.system  # real processes


async def ready(house: House, daemon: Daemon) -> None:
    """A phone is plugged in and read."""
    daemon.tell(arrived())
    await (await house.conductor.worker()).inspect()
    await daemon.until(lambda bay: bay.state is BayState.READY and "START" in bay.hint)


async def confirmed(house: House, daemon: Daemon) -> Conducted:
    """An operator confirms; the restore's worker."""
    await ready(house, daemon)
    assert await daemon.command(Start, bay=ONE, service=Service.RESTORE) == ""
    assert await daemon.command(OperatorConfirm, bay=ONE, ecid=A) == ""
    return await house.conductor.worker()


def record(house: House, number: int = 1) -> Record:
    files = sorted((house.state / "proof" / "demonstration" / "records").iterdir())
    sealed = msgspec.json.decode(files[number - 1].read_bytes())
    return msgspec.json.decode(sealed["payload"], type=Record)


@pytest.fixture
def house(house: House) -> House:
    house.changes["operator_confirm"] = True
    return house


async def test_the_main_job(house):
    house.changes["operator_confirm"] = False
    async with house.daemon() as daemon:
        await ready(house, daemon)
        daemon.press()
        await daemon.until(lambda bay: bay.state is BayState.ARMED)
        daemon.loop.button(Button(Control.CONFIRM), ControlState.DOWN)
        worker = await house.conductor.worker()
        daemon.loop.button(Button(Control.CONFIRM), ControlState.UP)
        spec = spec_of(house.state, worker.job)
        assert (spec.ecid, spec.bay, spec.before) == (A, ONE, facts())
        await worker.begin(Phase.RECOVERY)
        daemon.tell(*IN_RECOVERY)
        await worker.begin(Phase.RAMDISK)
        daemon.tell(*RESTORED)
        await worker.erase()
        await worker.begin(Phase.IMAGE, 0.5)
        working = await daemon.until(lambda bay: bay.job and bay.job.phase_fraction == 0.5)
        assert working.state is BayState.WORKING
        await worker.succeed()
        daemon.tell(*RESTORED)
        await (await house.conductor.worker()).inspect(clean_facts())
        done = await daemon.until(lambda bay: bay.state is BayState.DONE)
        assert done.result is not None
        assert done.result.record == 1
        assert done.result.certificate is not None
        assert daemon.lamps[-1] is Lamp.DONE
        daemon.tell(gone())
        await daemon.until(lambda bay: bay.state is BayState.EMPTY)
    assert await asyncio.to_thread(Path(done.result.certificate).exists)
    assert record(house).outcome is Outcome.VERIFIED
    assert house.jobs() == []
    assert [path.name for path in (house.state / "closed").iterdir()] == [worker.job]


async def test_what_a_worker_wrote_before_its_phone_left_is_read_first(house, monkeypatch):
    """Else a phone that goes into recovery because it was told to would be taken for an unplugged one."""
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        monkeypatch.setattr(Follower, "_stir", lambda *_: None)  # the kernel's word is slower than the bus's
        await worker.begin(Phase.RECOVERY)
        daemon.tell(*IN_RECOVERY)
        await daemon.until(lambda bay: bay.job and bay.job.phase is Phase.RECOVERY)
        assert not (house.state / "jobs" / worker.job / "revoked").exists()
        await worker.exit(1)


async def test_what_a_worker_wrote_before_it_was_known_to_run_is_read_too(house, monkeypatch):
    """It runs at once; that it does, the daemon may learn after its phone has left for recovery."""
    known, start = threading.Event(), LocalStarter.start

    def slowly(starter, directory):
        worker = start(starter, directory)
        if spec_of(house.state, directory.path.name).service is not None:
            known.wait(PATIENCE)
        return worker

    monkeypatch.setattr(LocalStarter, "start", slowly)
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        await worker.begin(Phase.RECOVERY)
        daemon.tell(*IN_RECOVERY)
        await daemon.until(lambda bay: bay.phone and bay.phone.mode is PhoneMode.RECOVERY)
        assert not (house.state / "jobs" / worker.job / "revoked").exists()
        known.set()
        await worker.begin(Phase.RAMDISK)
        await daemon.until(lambda bay: bay.job and bay.job.phase is Phase.RAMDISK)
        await worker.exit(1)


async def test_what_a_phone_did_before_its_worker_ended_is_handled_first(house, monkeypatch):
    """Else a busy daemon would record a phone that left long ago as still there."""
    house.changes["observe_seconds"] = 0.1
    free, said = asyncio.Event(), Running.said

    async def busy(running, job):
        await free.wait()
        return await said(running, job)

    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        await worker.begin(Phase.RAMDISK)
        daemon.tell(*IN_RECOVERY)
        await daemon.until(lambda bay: bay.phone and bay.phone.mode is PhoneMode.RECOVERY)
        monkeypatch.setattr(Running, "said", busy)
        daemon.tell(*IN_RECOVERY, gone())
        await worker.say(Failed(at=boottime(), cause=Cause.DISCONNECTED, detail=""))
        await worker.exit(1)
        await until_gone(worker.pid)
        free.set()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
    assert record(house).observed.mode is None


async def test_unplugging_revokes_the_consent_on_disk(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        daemon.tell(gone())
        await daemon.until(lambda bay: bay.phone is None)
        assert (house.state / "jobs" / worker.job / "revoked").exists()
        await worker.say(Failed(at=boottime(), cause=Cause.CONSENT_VOID, detail="revoked"))
        await worker.exit(1)
        await daemon.until(lambda bay: bay.result and bay.result.title.startswith("The phone was unplugged"))


async def test_cancel_kills_the_worker(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        assert await daemon.command(Cancel, bay=ONE) == ""
        await worker.gone()
        await until_gone(worker.pid)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
        assert await daemon.command(Dismiss, bay=ONE) == ""
        await daemon.until(lambda bay: bay.state is BayState.READY)
    assert (record(house).outcome, record(house).cause) == (Outcome.FAILED_UNTOUCHED, Cause.CANCELLED)


async def test_an_erase_that_was_announced_is_read_before_a_cancel(house, monkeypatch):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        monkeypatch.setattr(Follower, "_stir", lambda *_: None)  # the kernel's word is slower than the finger
        await worker.erase()
        assert "too late" in await daemon.command(Cancel, bay=ONE)
        assert not (house.state / "jobs" / worker.job / "revoked").exists()
        await worker.exit(1)


async def test_a_consent_that_cannot_be_revoked_costs_the_worker_its_life(house, monkeypatch):
    def full(_self):
        raise StorageError("full")

    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        monkeypatch.setattr("station.adapters.jobdir.JobDirectory.revoke", full)
        daemon.tell(gone())
        await worker.gone()


async def test_a_job_that_cannot_be_put_away_does_not_end_the_daemon(house, monkeypatch):
    def broken(_self, _path):
        raise OSError(errno.EIO, "Input/output error")

    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        await worker.exit(1)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
        monkeypatch.setattr(JobShelf, "_put_away", broken)
        assert await daemon.command(Dismiss, bay=ONE) == ""
        await daemon.until(lambda bay: bay.state is BayState.READY)


async def test_a_worker_whose_words_cannot_be_read_is_ended(house, monkeypatch):
    def broken(_self):
        raise OSError(errno.EIO, "Input/output error")

    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        monkeypatch.setattr("station.adapters.jobdir.EventReader.read", broken)
        with suppress(ConnectionError, AssertionError):  # it may be killed before it can answer
            await worker.begin(Phase.TICKET)
        await worker.gone()


async def test_a_worker_that_cannot_be_watched_is_ended(house, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    async with house.daemon() as daemon:
        await ready(house, daemon)
        monkeypatch.setattr(Inotify, "add_watch", full)
        await daemon.command(Start, bay=ONE, service=Service.RESTORE)
        await daemon.command(OperatorConfirm, bay=ONE, ecid=A)
        await daemon.until(lambda bay: bay.state is BayState.FAILED)


async def test_a_second_phone_is_not_disturbed_by_the_end_of_the_first(house):
    async with house.daemon() as daemon:
        first = await confirmed(house, daemon)
        daemon.tell(arrived(B, TWO))
        await (await house.conductor.worker()).inspect(facts(B))
        await daemon.until(lambda bay: bay.state is BayState.READY and "START" in bay.hint, TWO)
        assert await daemon.command(Start, bay=TWO, service=Service.RESTORE) == ""
        assert await daemon.command(OperatorConfirm, bay=TWO, ecid=B) == ""
        second = await house.conductor.worker()
        os.kill(first.pid, signal.SIGKILL)
        await daemon.until(lambda bay: bay.state is BayState.FAILED)
        await second.begin(Phase.IMAGE, 0.25)
        view = await daemon.until(lambda bay: bay.job and bay.job.phase_fraction == 0.25, TWO)
        assert view.state is BayState.WORKING
        await second.exit(1)


async def test_garbage_in_the_events_ends_the_worker(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        with (house.state / "jobs" / worker.job / "work" / "events.jsonl").open("a") as file:
            file.write('{"type":"made up"}\n')
        await worker.gone()
        await daemon.until(lambda bay: bay.state is BayState.FAILED)


async def test_damaged_firmware_starts_no_worker(house):
    house.firmware.damage = FirmwareDamaged("23C55", "a bit flipped")
    async with house.daemon() as daemon:
        await ready(house, daemon)
        await daemon.command(Start, bay=ONE, service=Service.RESTORE)
        await daemon.command(OperatorConfirm, bay=ONE, ecid=A)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
    assert (record(house).outcome, record(house).cause) == (Outcome.FAILED_UNTOUCHED, Cause.FIRMWARE_CORRUPT)


async def test_a_job_that_cannot_be_written_down_starts_no_worker(house, monkeypatch):
    def full(_self, spec):
        if spec.consent is not None:
            raise StorageError("The job could not be written down: no space.")
        return real(_self, spec)

    real = JobShelf.create
    monkeypatch.setattr(JobShelf, "create", full)
    async with house.daemon() as daemon:
        await ready(house, daemon)
        await daemon.command(Start, bay=ONE, service=Service.RESTORE)
        await daemon.command(OperatorConfirm, bay=ONE, ecid=A)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
    assert record(house).cause is Cause.DISK_FULL


async def test_firmware_that_arrives_later_is_found_at_start(house):
    house.firmware.firmware = None
    async with house.daemon() as daemon:
        daemon.tell(arrived())
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.state is BayState.READY and "firmware" in bay.hint)
        assert "firmware" in await daemon.command(Start, bay=ONE, service=Service.RESTORE)
        house.firmware.firmware = FIRMWARE
        assert await daemon.command(Start, bay=ONE, service=Service.RESTORE) == ""


async def test_start_is_refused_on_a_full_disk(house):
    async with house.daemon() as daemon:
        await ready(house, daemon)
        house.health = Health(free=1000)
        assert "disk" in await daemon.command(Start, bay=ONE, service=Service.RESTORE)
        house.health = Health(free=1 << 40)
        assert await daemon.command(Start, bay=ONE, service=Service.RESTORE) == ""


async def test_the_machine_is_looked_at_again_when_it_is_confirmed(house):
    async with house.daemon() as daemon:
        await ready(house, daemon)
        assert await daemon.command(Start, bay=ONE, service=Service.RESTORE) == ""
        house.health = Health(free=1000)
        assert "disk" in await daemon.command(OperatorConfirm, bay=ONE, ecid=A)
        daemon.loop.button(Button(Control.CONFIRM), ControlState.DOWN)
        await daemon.until(lambda bay: bay.state is BayState.READY)
        assert house.conductor.nobody()


async def test_a_vault_that_fails_holds_up_nothing_but_its_own_job(house, monkeypatch):
    monkeypatch.setattr("station.core.jobs.RECORD_RETRY_SECONDS", 0.1)
    owed = house.state / "vault" / "owed"
    async with house.daemon() as daemon:
        await ready(house, daemon)
        assert await daemon.command(Start, bay=ONE, service=Service.BACKUP) == ""
        worker = await house.conductor.worker()
        await worker.say(PasswordOwed(at=boottime(), owed=True))
        await asyncio.to_thread(owed.rmdir)
        await asyncio.to_thread(owed.touch)  # nothing can be written below it
        await worker.say(Failed(at=boottime(), cause=Cause.DISCONNECTED, detail=""))
        await worker.exit(1)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.state is BayState.FAILED and daemon.lamps[-1] is Lamp.FAULT)
        daemon.tell(arrived(B, TWO))
        await (await house.conductor.worker()).inspect(facts(B))
        await daemon.until(lambda bay: bay.state is BayState.READY and "vault" in daemon.client.latest.notice, TWO)
        assert await daemon.command(Start, bay=TWO, service=Service.RESTART) == ""
        await (await house.conductor.worker()).exit(1)
        await asyncio.to_thread(owed.unlink)
        await asyncio.to_thread(owed.mkdir)
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
        while daemon.client.latest.notice:
            await daemon.client.snapshot()
    assert [path.name for path in owed.iterdir()] == [format_ecid(A)]


async def test_a_phone_whose_name_is_none_costs_its_job_and_not_the_daemon(house):
    async with house.daemon() as daemon:
        daemon.tell(arrived())
        await (await house.conductor.worker()).inspect(facts(udid="../../etc/passwd"))
        await daemon.until(lambda bay: bay.state is BayState.READY)
        assert await daemon.command(Start, bay=ONE, service=Service.RESTART) == ""
        failed = await daemon.until(lambda bay: bay.state is BayState.FAILED)
        assert failed.result.cause is Cause.INTERNAL


async def test_start_is_refused_when_the_records_are_broken(house):
    async with house.daemon() as daemon:
        worker = await confirmed(house, daemon)
        os.kill(worker.pid, signal.SIGKILL)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 1)
        await daemon.command(Dismiss, bay=ONE)
    chain_files(house.state, DemonstrationKey).database.write_bytes(b"not a database" * 100)
    async with house.daemon() as daemon:
        daemon.tell(arrived())
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.state is BayState.READY)
        assert await daemon.command(Start, bay=ONE, service=Service.RESTORE) != ""
        assert daemon.lamps[-1] is Lamp.FAULT


async def test_what_has_happened_comes_before_the_time_that_has_passed(house, monkeypatch):
    """A finger that left before the two seconds were over has left, even if the loop was too busy to see it."""
    async with house.daemon() as daemon:
        await ready(house, daemon)
        monkeypatch.setattr(daemon.loop._station, "next_deadline", lambda: 0.0)
        daemon.press()
        assert isinstance(await daemon.loop._next(), ButtonChanged)
        assert isinstance(await daemon.loop._next(), ButtonChanged)
        assert isinstance(await daemon.loop._next(), Tick)


async def test_the_daemon_ends_while_a_finger_holds_the_screen(house):
    house.changes["touch_confirms"] = True
    async with asyncio.timeout(PATIENCE), house.daemon() as daemon:
        await ready(house, daemon)
        await daemon.command(Start, bay=ONE, service=Service.RESTORE)
        assert await daemon.command(HoldBegan, bay=ONE) == ""
        daemon.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await daemon.running
        assert "ending" in await daemon.command(HoldEnded, bay=ONE)


async def test_a_command_that_meets_the_end_is_answered(house, monkeypatch):
    handling = asyncio.Event()

    async def endless():
        handling.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE), house.daemon() as daemon:
        await ready(house, daemon)
        monkeypatch.setattr(daemon.loop, "_refresh", endless)
        start = asyncio.create_task(daemon.loop.carry_out(Start(id=5, bay=ONE, service=Service.RESTORE)))
        await handling.wait()
        waits = asyncio.create_task(daemon.loop.carry_out(Cancel(id=6, bay=ONE)))
        await asyncio.sleep(0)
        daemon.running.cancel()
        answers = await asyncio.gather(start, waits)
        assert [(answer.id, answer.refused) for answer in answers] == [
            (5, "The station is ending."),
            (6, "The station is ending."),
        ]


async def test_what_happens_in_the_instant_of_a_deadline_comes_first(house, monkeypatch):
    """After a stall, a release and the deadline are both there, and asyncio takes up the deadline first."""
    async with house.daemon() as daemon:
        await ready(house, daemon)
        monkeypatch.setattr(daemon.loop, "_inbox", asyncio.Queue())
        monkeypatch.setattr(daemon.loop._station, "next_deadline", lambda: 0.0)
        waiting = asyncio.create_task(daemon.loop._next())
        asyncio.get_running_loop().call_soon(daemon.loop.button, Button(Control.CONFIRM), ControlState.UP)
        assert isinstance(await waiting, ButtonChanged)


async def test_an_idle_daemon_does_nothing(house):
    async with house.daemon() as daemon:
        await ready(house, daemon)
        asked = 0

        def clock():
            nonlocal asked
            asked += 1
            raise AssertionError("somebody asks what time it is")

        await asyncio.sleep(0)
        daemon.loop._clock = clock
        for _ in range(100):
            await asyncio.sleep(0)
        assert asked == 0
