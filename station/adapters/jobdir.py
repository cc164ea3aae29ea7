"""The job directory: the contract between the daemon and one worker.

    spec.json           what to do; written by the daemon before the worker starts, never changed
    revoked             made by the daemon when the consent is void: nothing irreversible may follow
    work/               what is the worker's to write
        claimed         made when it takes the job: a job is taken once
        lock            flock'ed by the worker's keeper for as long as it lives
        events.jsonl    what the worker says; only appended
        exit.json       how the worker ended; written by its keeper
        reserve         room on the disk for the worker's last words; given up for them
        log             the worker's log, for people
        home/, cwd/     the worker's private HOME and working directory

Whoever starts anew finds all there is to know here.

Where they are two users (station-worker@.service), their group is one: a worker can read what it is told and cannot
change that, and its consent least of all. The daemon follows no link that it finds in `work`. It can clear it away, but
for what a worker has made for itself alone; that is told. Others of the group are shut out by the directory that all
this is in.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from station.adapters import durable
from station.adapters.commons import clear_away, open_plain
from station.errors import ConsentVoid, InputRejected, Refused, StorageError
from station.model.events import Failed, Intent, PasswordOwed, Succeeded, WorkerEvent, WorkerExit
from station.model.job import JobSpec

EVENTS = "events.jsonl"
LOG = "log"
OF_THE_DAEMON = ("spec.json", "revoked", "result.json")
MAX_NUMBER = 20
"""Digits of a process id, and more."""
MAX_LINE = 64 * 1024
"""No event is longer; a longer line is not ours."""

MAX_EVENTS = 16 << 20
"""Bytes that are read at once: more than a worker says in the hours it may take, a line or two a second."""

RESERVE = 64 * 1024
"""Bytes kept free for the end of the story: on a full disk a job still says why it failed, or that it did not."""

MAX_UNWRITTEN = 1 << 20
"""Bytes of events that a worker keeps while the disk is full."""

_encoder = msgspec.json.Encoder()
_spec_decoder = msgspec.json.Decoder(JobSpec)
_event_decoder: msgspec.json.Decoder[WorkerEvent] = msgspec.json.Decoder(WorkerEvent)
_exit_decoder = msgspec.json.Decoder(WorkerExit)


class JobDirectory:
    """One job's directory. Both sides use this class and nothing else to touch it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / "work"
        """What is the worker's to write."""

    @classmethod
    def create(cls, parent: Path, spec: JobSpec) -> "JobDirectory":
        """Make the directory with its spec, durable. Raises StorageError, and leaves nothing, when it cannot."""
        path = parent / spec.job
        try:
            path.mkdir(mode=0o750)
        except OSError as error:
            raise StorageError(f"The job could not be written down: {error.strerror}.") from error
        directory = cls(path)
        try:
            for place in (directory.work, directory.work / "home", directory.work / "cwd"):
                place.mkdir(mode=0o770)
            durable.write(directory.work / "reserve", bytes(RESERVE), mode=0o660)
            durable.write(path / "spec.json", _encoder.encode(spec), mode=0o640)
            durable.sync_directory(parent)
        except (OSError, StorageError) as error:
            shutil.rmtree(path, ignore_errors=True)
            raise StorageError(f"The job could not be written down: {error}") from error
        return directory

    def bring_up_to_date(self) -> None:
        """Have one of an earlier version, without `work`, be as they are now. Its worker has ended.

        Goes on with what the power cut off. Raises StorageError.
        """
        try:
            theirs = [path for path in self.path.iterdir() if path != self.work and path.name not in OF_THE_DAEMON]
            if theirs:
                self.path.chmod(0o750)
                self.work.mkdir(mode=0o770, exist_ok=True)
            for path in theirs:
                path.rename(self.work / path.name)
        except OSError as error:
            raise StorageError(f"Job {self.path.name} cannot be read: {error.strerror}.") from error

    def spec(self) -> JobSpec:
        """What to do. Raises InputRejected when it is missing or not a spec."""
        try:
            return _spec_decoder.decode((self.path / "spec.json").read_bytes())
        except (OSError, ValueError) as error:
            raise InputRejected(f"Job {self.path.name} has no usable spec: {error}") from error

    def claim(self) -> None:
        """Take the job. Raises Refused when it was taken before: a consent is used once."""
        try:
            os.close(os.open(self.work / "claimed", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            durable.sync_directory(self.work)
        except FileExistsError:
            raise Refused(f"Job {self.path.name} was taken before.") from None

    @property
    def claimed(self) -> bool:
        """Whether a worker ever took the job."""
        return os.path.lexists(self.work / "claimed")

    def revoke(self) -> None:
        """Void the job's consent. The worker sees it at once, while the disk may still be slow; durable on return.

        Raises:
            StorageError: it is not durable, and perhaps not even to be seen.
        """
        try:
            (self.path / "revoked").touch(mode=0o600)
            durable.sync_directory(self.path)
        except OSError as error:
            raise StorageError(f"The consent could not be revoked: {error.strerror}.") from error

    def require_unrevoked(self) -> None:
        """Return only while the consent is seen to stand: the spec is there, and no revocation beside it.

        Raises:
            ConsentVoid: the daemon has voided the consent, or the directory cannot be looked into.
        """
        try:
            names = {path.name for path in self.path.iterdir()}
        except OSError as error:
            raise ConsentVoid(f"Whether the consent still stands cannot be read: {error.strerror}.") from error
        if "revoked" in names:
            raise ConsentVoid("The phone was unplugged or somebody cancelled after it was confirmed.")
        if "spec.json" not in names:
            raise ConsentVoid("The job that was confirmed is not in its directory any more.")

    @contextmanager
    def living(self) -> Iterator[None]:
        """Hold the lock that says "the worker lives". The keeper's.

        Processes forked meanwhile hold it too. Waits while another holds it: a moment when it only asks `alive`,
        until its end when it is a worker; ask `claimed` first.
        """
        with (self.work / "lock").open("a") as file:  # not "w": that would wipe the number of a living keeper
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def alive(self) -> int | None:
        """The living keeper's process id, or None. A stale number is never returned: the kernel holds the lock."""
        try:
            with open_plain(self.work / "lock") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    number = file.read(MAX_NUMBER)
                    return int(number) or None if number.strip().isdigit() else None
                return None
        except OSError:
            return None

    def ended(self) -> WorkerExit | None:
        """How the worker ended; None while it has not, or when its keeper could not say."""
        try:
            with open_plain(self.work / "exit.json") as file:
                return _exit_decoder.decode(file.read(MAX_LINE))
        except (OSError, ValueError):
            return None

    def clear_home(self) -> bool:
        """Remove what the worker kept for itself: keys of the phone among it. For when its keeper could not.

        Returns whether all of it is gone. A worker can make what only its own user can remove.
        """
        return clear_away(self.work / "home")

    def give_up_reserve(self) -> None:
        """Make room for what must still be written down."""
        with suppress(OSError):  # on a disk that takes nothing at all, the writing itself tells
            (self.work / "reserve").unlink(missing_ok=True)

    def end(self, how: WorkerExit) -> None:
        """Write down how the worker ended. The keeper's."""
        self.give_up_reserve()
        durable.write(self.work / "exit.json", _encoder.encode(how), mode=0o640)


class EventWriter:
    """The worker's end of events.jsonl."""

    def __init__(self, directory: JobDirectory) -> None:
        self._fd = os.open(directory.work / EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        durable.sync_directory(directory.work)  # an event on a file without a name would be lost with the power
        self._directory = directory
        self._unwritten = bytearray()

    def write(self, event: WorkerEvent) -> None:
        """Append one event. Intents and verdicts are on the disk when this returns.

        Others wait when the disk is full, and follow before whatever comes next: a restore is not to fail for
        want of a line about its progress. The file is the beginning of the whole story at any time, never a
        story with a gap.

        Raises:
            StorageError: an intent or a verdict is not written; what it announces must not happen. Or too many
                other events wait.
        """
        self._unwritten += _encoder.encode(event) + b"\n"
        durable_one = isinstance(event, Intent | PasswordOwed | Succeeded | Failed)
        if isinstance(event, Succeeded | Failed):
            self._directory.give_up_reserve()
        try:
            while self._unwritten:
                del self._unwritten[: os.write(self._fd, self._unwritten)]
            if durable_one:
                os.fsync(self._fd)
        except OSError as error:
            if durable_one or len(self._unwritten) > MAX_UNWRITTEN:
                raise StorageError(f"The job's events could not be written: {error.strerror}.") from error

    def keep(self, name: str, data: bytes) -> None:
        """Put a file into the job's directory, durably. Raises StorageError."""
        durable.write(self._directory.work / name, data, mode=0o640)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class EventReader:
    """The daemon's end: reads what is new, and waits for a torn last line to become whole."""

    def __init__(self, directory: JobDirectory) -> None:
        self._path = directory.work / EVENTS
        self._offset = 0
        self._rest = b""

    def read(self) -> list[WorkerEvent]:
        """The events since the last call.

        Raises:
            InputRejected: the file holds something that is no event; the worker is not to be believed.
        """
        try:
            with open_plain(self._path) as file:
                if file.seek(0, os.SEEK_END) - self._offset > MAX_EVENTS:
                    raise InputRejected("The worker said more than any job has to say.")
                file.seek(self._offset)
                data = file.read(MAX_EVENTS)
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE or any(len(line) > MAX_LINE for line in lines):
            raise InputRejected("The worker wrote a line that is too long.")
        try:
            return [_event_decoder.decode(line) for line in lines]
        except ValueError as error:
            raise InputRejected(f"The worker wrote something that is no event: {error}") from error
