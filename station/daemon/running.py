"""Jobs as processes and directories: written down, then started; revoked, killed, adopted, put away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import structlog

from station.adapters import clock
from station.adapters.jobdir import EventReader, JobDirectory
from station.adapters.jobshelf import Finished, Found, JobShelf
from station.adapters.workers import Worker
from station.core.events import (
    Event,
    JobFound,
    Moment,
    ResultFound,
    WorkerEnded,
    WorkerGarbled,
    WorkerNotStarted,
    WorkerSaid,
)
from station.core.leash import KILL_SECONDS
from station.core.situation import VaultState
from station.daemon.custody import Custody
from station.daemon.follow import Ended, Follower, Stirred
from station.daemon.ports import FirmwareCheck, WorkerStarter
from station.errors import ConsentVoid, InputRejected, Refused, StationError, StorageError
from station.model.base import JobId, Udid, format_ecid
from station.model.causes import Cause
from station.model.events import WorkerEvent, WorkerExit
from station.model.job import JobSpec
from station.model.record import Record

log = structlog.get_logger(__name__)

Tell = Callable[[Event | Stirred | Ended], None]


class Running:
    """Does what the Station wants done to jobs, and tells what becomes of them."""

    def __init__(self, shelf: JobShelf, starter: WorkerStarter, firmware: FirmwareCheck, custody: Custody) -> None:
        self._shelf = shelf
        self._custody = custody
        self._starter = starter
        self._firmware = firmware
        self._starting: dict[JobId, EventReader] = {}
        """Jobs whose workers may run already, and are not followed yet."""
        self.starts: set[asyncio.Task[None]] = set()
        """Workers that are being started: a daemon that ends of its own will waits for them."""
        self._doomed: set[JobId] = set()
        """Killed before they began."""

    def begin(self, tasks: asyncio.TaskGroup, tell: Tell) -> None:
        """Follow jobs within `tasks`, and tell their news."""
        self._tasks = tasks
        self._tell = tell
        self._follower = Follower(tell, tasks)
        tasks.create_task(self._follower.run())

    def __iter__(self) -> Iterator[JobId]:
        return iter([*self._starting, *self._follower])

    async def take_up(self) -> list[Event]:
        """What an earlier daemon left, as events: results, living workers (followed from now on), dead ones."""
        events: list[Event] = []
        every = await asyncio.to_thread(self._shelf.found)
        for found in every:
            if found.finished is not None:
                done = found.finished
                events.append(
                    ResultFound(
                        spec=found.spec,
                        record=done.record,
                        number=done.number,
                        certificate=done.certificate,
                        proof=done.proof,
                    )
                )
            elif found.spec.service is None:
                await self._end_inspection(found)
            else:
                events += await self._take_up_job(found)
        opened = [found.spec for found in every if found.finished is None and found.spec.service is not None]
        await asyncio.to_thread(self._custody.sweep, opened, list(self))
        return events

    async def start(self, spec: JobSpec) -> None:
        """Write a job down and have its worker started. Raises StorageError when it cannot be written down."""
        directory = await asyncio.to_thread(self._shelf.create, spec)
        self._starting[spec.job] = EventReader(directory)
        task = self._tasks.create_task(self._start(spec, directory))
        self.starts.add(task)
        task.add_done_callback(self.starts.discard)

    async def revoke(self, job: JobId) -> None:
        """Make it durable that the consent is void. Where that cannot be written, the worker is ended instead."""
        try:
            await asyncio.to_thread(self._shelf.directory(job).revoke)
        except StorageError as error:
            log.critical("consent could not be revoked: the worker is ended", job=job, error=str(error))
            self.kill(job)

    def kill(self, job: JobId) -> None:
        """End a job's worker, or keep it from being started."""
        if not self._follower.kill(job):
            if job in self._starting:
                self._doomed.add(job)
            else:
                log.info("nothing to kill", job=job)

    async def said(self, job: JobId) -> list[Event]:
        """What a job has said since the last call."""
        if job in self._starting:
            return await _events(job, asyncio.to_thread(self._starting[job].read))
        return await _events(job, self._follower.read(job))

    async def leave(self, job: JobId) -> WorkerExit | None:
        """A job's worker has ended and everything it said was read: how it ended."""
        how = await self._follower.leave(job)
        await asyncio.to_thread(self._custody.ended, job)
        return how

    async def settle(self, record: Record) -> None:
        """A job is recorded: what it says of a backup counts from now on. Raises StorageError: ask again."""
        await asyncio.to_thread(self._custody.settle, record)

    async def finish(self, finished: Finished) -> None:
        """A job is recorded, and what follows from that is done. Raises StorageError: ask again."""
        await asyncio.to_thread(self._shelf.finish, finished.record.job, finished)

    async def forget(self, udid: Udid) -> None:
        """A phone has left, and nothing works on it."""
        await asyncio.to_thread(self._custody.forget, udid)

    async def vault(self) -> VaultState:
        """The vault, as it is now."""
        return await asyncio.to_thread(self._custody.look)

    async def expire(self, now: Moment) -> bool:
        """Delete the backups that were kept long enough; whether the clock could be trusted with that."""
        return await asyncio.to_thread(self._custody.expire, now)

    async def close(self, job: JobId) -> None:
        """Nobody needs a job's directory any more. One that cannot be put away is found again by the next daemon."""
        try:
            await asyncio.to_thread(self._shelf.close, job)
        except OSError as error:
            log.warning("job not put away", job=job, error=str(error))

    def _follow(self, job: JobId, directory: JobDirectory, reader: EventReader, worker: Worker) -> None:
        """Follow a worker; one that cannot be watched is ended, and its end is still told."""
        if not self._follower.follow(job, directory, reader, worker):
            log.critical("worker cannot be watched: it is ended", job=job)
            worker.kill()

    async def _start(self, spec: JobSpec, directory: JobDirectory) -> None:
        bound = log.bind(job=spec.job, bay=spec.bay, ecid=_number(spec))
        never: WorkerEnded | WorkerNotStarted | None = None
        try:
            if spec.firmware is not None:
                await asyncio.to_thread(self._firmware.verify, spec.firmware)
            await asyncio.to_thread(self._prepare, spec)
            if spec.job not in self._doomed:
                await asyncio.to_thread(directory.require_unrevoked)
                worker = await asyncio.to_thread(self._starter.start, directory)
                self._follow(spec.job, directory, self._starting[spec.job], worker)
                what = "look" if spec.service is None else spec.service.value
                bound.info("worker started", service=what, pid=worker.pid)
            if spec.job in self._doomed and not self._follower.kill(spec.job):
                never = WorkerEnded(job=spec.job, exit=None)
        except ConsentVoid:
            never = WorkerEnded(job=spec.job, exit=None)
        except Refused as error:
            never = WorkerNotStarted(job=spec.job, cause=Cause.BACKUP_MISSING, detail=str(error))
        except InputRejected as error:
            never = WorkerNotStarted(job=spec.job, cause=Cause.FIRMWARE_CORRUPT, detail=str(error))
        except (StationError, OSError) as error:  # whatever it is, it is this one job's end and not the daemon's
            never = WorkerNotStarted(job=spec.job, cause=Cause.INTERNAL, detail=str(error))
        finally:
            del self._starting[spec.job]
            self._doomed.discard(spec.job)
        if never is not None:
            await asyncio.to_thread(self._custody.ended, spec.job)  # nobody will take the password laid down for it
            self._tell(never)

    def _prepare(self, spec: JobSpec) -> None:
        self._custody.prepare(spec, now=clock.utc_now(), trusted=clock.trusted())

    async def _end_inspection(self, found: Found) -> None:
        """An inspection changes nothing: whoever wants to know, asks anew."""
        worker = await asyncio.to_thread(self._starter.adopt, found.directory)
        if worker is not None:
            ending = asyncio.create_task(worker.end())
            try:
                async with asyncio.timeout(KILL_SECONDS):
                    await worker.ended()
            except TimeoutError:
                pass  # one that is stuck in the kernel ends when it can; nobody listens to it
            finally:
                ending.cancel()
        await self.close(found.spec.job)

    async def _take_up_job(self, found: Found) -> list[Event]:
        job = found.spec.job
        worker = await asyncio.to_thread(self._starter.adopt, found.directory)
        reader = EventReader(found.directory)
        events: list[Event] = [JobFound(spec=found.spec, revoked=await asyncio.to_thread(_revoked, found.directory))]
        if worker is not None:
            log.info("worker adopted", job=job, bay=found.spec.bay, ecid=_number(found.spec), pid=worker.pid)
            self._follow(job, found.directory, reader, worker)
            return events + await self.said(job)
        events += await _events(job, asyncio.to_thread(reader.read))
        return [*events, WorkerEnded(job=job, exit=await asyncio.to_thread(found.directory.ended))]


def _number(spec: JobSpec) -> str | None:
    return None if spec.ecid is None else format_ecid(spec.ecid)


async def _events(job: JobId, reading: Awaitable[list[WorkerEvent]]) -> list[Event]:
    try:
        return [WorkerSaid(job=job, event=event) for event in await reading]
    except (InputRejected, OSError) as error:  # what a failing disk hides is as bad as what cannot be understood
        return [WorkerGarbled(job=job, detail=str(error))]


def _revoked(directory: JobDirectory) -> bool:
    try:
        directory.require_unrevoked()
    except ConsentVoid:
        return True
    return False
