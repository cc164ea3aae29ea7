"""Worker processes: each is systemd's, or in a session of its own, so that it outlives the daemon that started it."""

import asyncio
import os
import signal
import socket
import struct
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from station.adapters.jobdir import JobDirectory
from station.errors import Refused, StorageError

PROGRAM = (sys.executable, "-m", "station.worker")
"""What a worker is. It gets ready, and reads its job directory's path from standard input."""
HELD = 3
"""What is held open for as long as a worker lives is this file descriptor of its."""
AGAIN_SECONDS, LATEST_SECONDS = 2.0, 60.0
"""How soon a kill that came to nothing is repeated, at first and in the end."""
HELLO_SECONDS = 60.0
"""How long a worker that systemd starts may take until it says that it is there."""
Kill = Callable[[int], None]
"""Ends the process that a pidfd stands for, now. What is gone already is no error."""
_CREDENTIALS = struct.Struct("3i")
"""Process, user and group, as the kernel tells them of a sender (unix(7), SCM_CREDENTIALS)."""

log = structlog.get_logger(__name__)


def send_kill(pidfd: int) -> None:
    """End a process of our own user."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


class Worker:
    """A living worker process, started or adopted. Held by a pidfd: its number cannot be mistaken for another's."""

    def __init__(self, pid: int, pidfd: int, kill: Kill = send_kill) -> None:
        """Take over a pidfd; `kill`: how what it stands for is ended."""
        self.pid = pid
        self._pidfd = pidfd
        self._kill = kill

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
            self.release()

    def kill(self) -> None:
        """End the process now. Its own children end with it (they ask the kernel for that)."""
        if self._pidfd >= 0:
            self._kill(self._pidfd)

    async def end(self) -> None:
        """End it, and again until somebody who waits for that (`ended`) has seen it gone: a kill may be lost."""
        pause = AGAIN_SECONDS
        while self._pidfd >= 0:
            self.kill()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LATEST_SECONDS)

    def discard(self) -> None:
        """End the process and hold it no more. Blocks for its last milliseconds."""
        self.kill()
        os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        self.release()

    def release(self) -> None:
        """Hold it no more."""
        os.close(self._pidfd)
        self._pidfd = -1

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # an adopted one is not our child
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)


class _Waiting(Protocol):
    """A process that was told no job yet."""

    def tell(self, directory: JobDirectory) -> Worker | None:
        """Give it a job. None: it has ended meanwhile. Raises OSError."""
        ...

    def let_go(self) -> None:
        """Have it end."""
        ...


class _Starter(ABC):
    """Starts workers; one is kept waiting, so that the next phone does not."""

    def __init__(self, kill: Kill) -> None:
        self._kill = kill
        self._spare: _Waiting | None = None
        self._lock = threading.Lock()

    @abstractmethod
    def _call(self) -> _Waiting:
        """Start one that waits for its job. Raises OSError."""

    def start(self, directory: JobDirectory) -> Worker:
        """Start the worker of a job. Raises StorageError when there is no process to be had."""
        with self._lock:
            spare, self._spare = self._spare, None
            try:
                worker = (spare and spare.tell(directory)) or self._call().tell(directory)
            except OSError as error:
                raise StorageError(f"The worker could not be started: {error.strerror or error}.") from error
        if worker is None:
            raise StorageError("The worker ended before it was told its job.")
        self.prepare()
        return worker

    def adopt(self, directory: JobDirectory) -> Worker | None:
        """The worker of a job that an earlier daemon started; None: there is none, and there will never be one.

        A worker that was started but had not taken its job yet can no longer take it.
        """
        worker = self._living(directory)
        if worker is not None:
            return worker
        with suppress(Refused):
            directory.claim()
            return None
        # Taken: its keeper held the lock before it took the job. It may have done both since the first look.
        return self._living(directory)

    def prepare(self) -> None:
        """Have a worker ready for the next job. One that cannot be had now is started when there is a job for it."""
        with self._lock, suppress(OSError):
            self._spare = self._spare or self._call()

    def close(self) -> None:
        """Let the worker go that waits for a job."""
        with self._lock:
            spare, self._spare = self._spare, None
            if spare is not None:
                spare.let_go()

    def _living(self, directory: JobDirectory) -> Worker | None:
        pid = directory.alive()
        if pid is None:
            return None
        try:
            pidfd = os.pidfd_open(pid)
        except (OSError, OverflowError):  # it has ended, or a worker has made the number up
            return None
        if directory.alive() != pid:  # it ended in between, and the number may be another's by now
            os.close(pidfd)
            return None
        return Worker(pid, pidfd, self._kill)


class LocalStarter(_Starter):
    """Starts workers as child processes of the daemon: where there is no systemd to do it."""

    def __init__(self, program: Sequence[str] = PROGRAM, *, holding: int | None = None) -> None:
        """Start `program`; each holds a copy of the file descriptor `holding` open for as long as it lives."""
        super().__init__(send_kill)
        self._program = tuple(program)
        self._held = {} if holding is None else {HELD: holding}

    def _call(self) -> _Waiting:
        reading, writing = os.pipe()  # closed in whatever is started next, so that only this process holds its end
        try:
            return _WaitingChild(spawn(self._program, {0: reading, **self._held}), writing)
        except OSError:
            os.close(writing)
            raise
        finally:
            os.close(reading)


class UnitStarter(_Starter):
    """Has systemd start workers: an instance of station-worker@.service for each connection to station-worker.socket.

    To connect there is all that this takes, and only the daemon's user may: no right over other units, no D-Bus. The
    connection is the worker's standard input. They are another user, whose processes we may not end: for that, there is
    station-reaper.socket.
    """

    def __init__(self, workers: Path, reaper: Path) -> None:
        """Connect to systemd's sockets: where workers are asked for, and where their end is."""
        super().__init__(self._have_ended)
        self._path = workers
        self._reaper = reaper

    def _call(self) -> _Waiting:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            connection.settimeout(HELLO_SECONDS)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return _WaitingUnit(connection, self._kill)

    def _have_ended(self, pidfd: int) -> None:
        """Have a process ended by who may do that (`station.worker.reaper`)."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
                connection.setblocking(False)  # systemd listens: it takes a connection at once, or never
                connection.connect(str(self._reaper))
                socket.send_fds(connection, [b"\n"], [pidfd])
        except OSError as error:
            log.critical("a worker could not be ended", error=str(error))


@dataclass(frozen=True)
class _WaitingChild:
    worker: Worker
    line: int
    """File descriptor of the pipe to its standard input."""

    def tell(self, directory: JobDirectory) -> Worker | None:
        try:
            os.write(self.line, _line(directory))  # shorter than a pipe holds, so it neither waits nor goes in parts
        except BrokenPipeError:
            self.worker.discard()
            return None
        finally:
            os.close(self.line)
        return self.worker

    def let_go(self) -> None:
        os.close(self.line)
        self.worker.discard()


@dataclass(frozen=True)
class _WaitingUnit:
    connection: socket.socket
    kill: Kill

    def tell(self, directory: JobDirectory) -> Worker | None:
        with self.connection as connection:
            pid = self._who()
            if pid is None:
                return None
            try:
                worker = Worker(pid, os.pidfd_open(pid), self.kill)
            except ProcessLookupError:
                return None
            try:
                # It was there after its number was turned into a handle, if it has not hung up even now.
                connection.sendall(_line(directory))
            except ConnectionError:
                worker.release()
                return None
            return worker

    def let_go(self) -> None:
        self.connection.close()

    def _who(self) -> int | None:
        """The number of the process that has said hello, as the kernel tells it; None: it hung up. Raises OSError."""
        said, more, *_ = self.connection.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size))
        for level, kind, data in more:
            if said and (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid: int = _CREDENTIALS.unpack(data)[0]
                return pid or None  # 0: it is not of this machine's processes
        return None


def spawn(program: Sequence[str], held: Mapping[int, int]) -> Worker:
    """Start a process in a session of its own, with everybody's signals. Raises OSError.

    Args:
        program: what to run.
        held: which of its file descriptors is which of ours. It has standard output and error as they are here.
    """
    pid = os.posix_spawn(
        program[0],
        tuple(program),
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, ours, its) for its, ours in held.items()],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM],
    )
    return Worker(pid, os.pidfd_open(pid))


def _line(directory: JobDirectory) -> bytes:
    return f"{directory.path.absolute()}\n".encode()
