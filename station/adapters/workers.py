"""Worker processes: each in a session of its own, so that it outlives the daemon that started it."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from station.adapters.jobdir import JobDirectory
from station.errors import Refused, StorageError

PROGRAM = (sys.executable, "-m", "station.worker")
"""What a worker is; the job directory's path follows."""


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

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # an adopted one is not our child
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)


class LocalStarter:
    """Starts workers as child processes of the daemon."""

    def __init__(self, program: Sequence[str] = PROGRAM) -> None:
        self._program = program

    def start(self, directory: JobDirectory) -> Worker:
        """Start the worker of a job. Raises StorageError when there is no process to be had."""
        command = [*self._program, str(directory.path)]
        log = str(directory.path / "log")
        try:
            pid = os.posix_spawn(
                command[0],
                command,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM],
            )
            return Worker(pid, os.pidfd_open(pid))
        except OSError as error:
            raise StorageError(f"The worker could not be started: {error.strerror}.") from error


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
