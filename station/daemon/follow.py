"""Following jobs: what workers write down and when they end, told by the kernel, never asked for."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncinotify import Inotify, Mask, Watch

from station.adapters.jobdir import EVENTS, EventReader, JobDirectory
from station.adapters.workers import Worker
from station.model.base import JobId
from station.model.events import WorkerEvent, WorkerExit


@dataclass(frozen=True)
class Stirred:
    """A job's worker has said something."""

    job: JobId


@dataclass(frozen=True)
class Ended:
    """A job's worker is gone."""

    job: JobId


@dataclass
class _Followed:
    directory: JobDirectory
    reader: EventReader
    worker: Worker
    watch: Watch | None
    told: bool = False
    """Whether it was already told that there is something to read."""


class Follower:
    """Tells of the jobs it follows through one callback, on the loop. Whoever is told then reads."""

    def __init__(self, tell: Callable[[Stirred | Ended], None], tasks: asyncio.TaskGroup) -> None:
        """Follow nothing yet.

        Args:
            tell: called with each news; once for all that a job says until it is read.
            tasks: what the waiting is done in.
        """
        self._tell = tell
        self._tasks = tasks
        self._jobs: dict[JobId, _Followed] = {}
        self._inotify = Inotify()

    def __iter__(self) -> Iterator[JobId]:
        return iter(list(self._jobs))

    async def run(self) -> None:
        """Listen to the kernel until cancelled; the workers live on after that."""
        try:
            async for event in self._inotify:
                overflow = Mask.Q_OVERFLOW in event.mask
                for job, followed in self._jobs.items():
                    if overflow or (followed.watch is event.watch and event.name == Path(EVENTS)):
                        self._stir(job, followed)
        finally:
            self._inotify.close()

    def follow(self, job: JobId, directory: JobDirectory, reader: EventReader, worker: Worker) -> bool:
        """Tell of this job from now on; what it has said and `reader` has not read is told of at once.

        Returns whether the kernel tells what it says (it has only so many watches); its end is told in any case.
        """
        watch = None
        with suppress(OSError):
            watch = self._inotify.add_watch(directory.work, Mask.MODIFY | Mask.CREATE)
        followed = self._jobs[job] = _Followed(directory, reader, worker, watch)
        self._tasks.create_task(self._wait(job, worker))
        self._stir(job, followed)
        return watch is not None

    async def read(self, job: JobId) -> list[WorkerEvent]:
        """What a job has said since the last call. Raises InputRejected when that is no events."""
        followed = self._jobs.get(job)
        if followed is None:
            return []
        followed.told = False
        return await asyncio.to_thread(followed.reader.read)

    async def leave(self, job: JobId) -> WorkerExit | None:
        """Follow a job no more whose worker has ended; how it did, when it could still say."""
        followed = self._jobs.pop(job)
        if followed.watch is not None:
            with suppress(OSError):  # its directory may be gone already
                self._inotify.rm_watch(followed.watch)
        return await asyncio.to_thread(followed.directory.ended)

    def kill(self, job: JobId) -> bool:
        """End a job's worker. Returns whether there is one."""
        if job not in self._jobs:
            return False
        self._tasks.create_task(self._jobs[job].worker.end())
        return True

    def _stir(self, job: JobId, followed: _Followed) -> None:
        if not followed.told:
            followed.told = True
            self._tell(Stirred(job))

    async def _wait(self, job: JobId, worker: Worker) -> None:
        await worker.ended()
        self._tell(Ended(job))
