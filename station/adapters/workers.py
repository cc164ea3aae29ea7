"""Worker processes: each in a session of its own, so that it outlives the daemon that started it."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from station.adapters.jobdir import JobDirectory
from station.errors import Refused, StorageError

PROGRAM = (sys.executable, "-m", "station.worker")
"""What a worker is. It gets ready, and reads its job directory's path from standard input."""


class Worker:
    """A living worker process, started or adopted. Held by a pidfd: its number cannot be mistaken for another's."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd

    async def ended(self) -> None:
        """Wait until the process is gone. Holds it no more after that, nor when the waiting is cancelled."""
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(self._pidfd, gone.set)
        try:
            await gone.wait()
            self._reap()
        finally:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def kill(self) -> None:
        """End the process now. Its own children end with it (they ask the kernel for that)."""
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def discard(self) -> None:
        """End the process and hold it no more. Blocks for its last milliseconds."""
        self.kill()
        os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        os.close(self._pidfd)
        self._pidfd = -1

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # an adopted one is not our child
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)


@dataclass(frozen=True)
class _Waiting:
    """A process that was told no job yet."""

    worker: Worker
    line: int
    """File descriptor of the pipe to its standard input."""


class LocalStarter:
    """Starts workers as child processes of the daemon; one is kept waiting, so that the next phone does not."""

    def __init__(self, program: Sequence[str] = PROGRAM) -> None:
        self._program = tuple(program)
        self._spare: _Waiting | None = None
        self._lock = threading.Lock()

    def start(self, directory: JobDirectory) -> Worker:
        """Start the worker of a job. Raises StorageError when there is no process to be had."""
        with self._lock:
            spare, self._spare = self._spare, None
            try:
                worker = (spare and self._tell(spare, directory)) or self._tell(self._spawn(), directory)
            except OSError as error:
                raise StorageError(f"The worker could not be started: {error.strerror}.") from error
        if worker is None:
            raise StorageError("The worker ended before it was told its job.")
        self.prepare()
        return worker

    def prepare(self) -> None:
        """Have a worker ready for the next job. One that cannot be had now is started when there is a job for it."""
        with self._lock, suppress(OSError):
            self._spare = self._spare or self._spawn()

    def close(self) -> None:
        """Let the worker go that waits for a job."""
        with self._lock:
            spare, self._spare = self._spare, None
            if spare is not None:
                os.close(spare.line)
                spare.worker.discard()

    def _tell(self, waiting: _Waiting, directory: JobDirectory) -> Worker | None:
        """Give a job to a process that waits for one; None: it has ended meanwhile."""
        told = f"{directory.path.absolute()}\n".encode()
        try:
            os.write(waiting.line, told)  # shorter than a pipe holds, so it neither waits nor goes in parts
        except BrokenPipeError:
            waiting.worker.discard()
            return None
        finally:
            os.close(waiting.line)
        return waiting.worker

    def _spawn(self) -> _Waiting:
        reading, writing = os.pipe()  # closed in whatever is started next, so that only this process holds its end
        try:
            pid = os.posix_spawn(
                self._program[0],
                self._program,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM],
            )
            return _Waiting(Worker(pid, os.pidfd_open(pid)), writing)
        except OSError:
            os.close(writing)
            raise
        finally:
            os.close(reading)


def adopt(directory: JobDirectory) -> Worker | None:
    """The living worker of a job that an earlier daemon started; None: there is none, and there will never be one.

    A worker that was started but had not taken its job yet can no longer take it.
    """
    worker = _living(directory)
    if worker is not None:
        return worker
    with suppress(Refused):
        directory.claim()
        return None
    # Taken: its keeper held the lock before it took the job. It may have done both since the first look.
    return _living(directory)


def _living(directory: JobDirectory) -> Worker | None:
    pid = directory.alive()
    if pid is None:
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if directory.alive() != pid:  # it ended in between, and the number may be another's by now
        os.close(pidfd)
        return None
    return Worker(pid, pidfd)
