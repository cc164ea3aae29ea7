"""The files of one firmware, each from another station, each known by its digest; and from where that goes on.

DIRECTORY/near.json   which files are here, and how far one is; written after all that it builds on is on the disk
DIRECTORY/ipsw/       the files

What arrives is hashed and written by a thread of its own, while the next bytes come.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from station.adapters import durable, unpacked
from station.adapters.fetch import checkpoint
from station.adapters.fetch.digests import Algorithm, Digest, DigestState
from station.adapters.fetch.limits import Limits
from station.adapters.fetch.line import Line
from station.adapters.fetch.neighbour import Neighbour
from station.adapters.fetch.vouched import Vouched, is_as_vouched
from station.adapters.listing import all_below
from station.adapters.objects import Objects
from station.adapters.unpacked import FileDigest
from station.errors import StorageError
from station.model.base import Message

STATE = "near.json"

_CHUNK = 1 << 20


class Lied(Exception):
    """Another station sends what is not what it should be. The message is a clause."""


@dataclass(frozen=True)
class Wanted:
    """One file."""

    file: FileDigest
    crc: int | None
    """CRC-32 as the zip's table of contents has it; None: nobody knows."""


class Here(Message, frozen=True, kw_only=True):
    """A file that is here, or the first part of one."""

    sha256: str
    """Of all of it."""
    written: int
    crc: int
    digest: DigestState | None = None
    """Of what is here, until all of it is and was found right."""


class State(Message, frozen=True, kw_only=True):
    """`near.json`."""

    files: dict[str, Here] = msgspec.field(default_factory=dict)
    """By path."""
    seal: str = ""
    """SHA-256 of all this without it."""


_decoder = msgspec.json.Decoder(State)
_encoder = msgspec.json.Encoder()


class Gathering:
    """Has files here. A context manager: leaving it ends its thread, and writes down how far it is."""

    def __init__(
        self,
        directory: Path,
        objects: Objects,
        line: Line,
        limits: Limits,
        *,
        moved: Callable[[int], None],
        vouched: Vouched,
        require_space: Callable[[int], None],
    ) -> None:
        """One that goes on where another was, as far as that can be used.

        Args:
            directory: of the download.
            objects: the store's contents.
            line: what receives.
            limits: how much is held, and how often it is written down how far it is.
            moved: told how many bytes of the wanted files are here.
            vouched: what the manifest says of some files.
            require_space: raises StorageError unless so many bytes more fit on the disk.
        """
        self._directory, self._objects, self._line, self._limits = directory, objects, line, limits
        self._moved, self._vouched, self._require_space = moved, vouched, require_space
        self._root = directory / "ipsw"
        self._files = dict(_load(directory).files)
        self._held: set[str] = set()
        """Paths of what the store has."""
        self._loose: set[str] = set()
        """Paths of what is not durable yet."""
        self._saved_at, self._since = time.monotonic(), 0
        self._done = self._left = 0
        """Bytes of the wanted files that are here, and that are to come."""

    def __enter__(self) -> Self:
        self._root.mkdir(exist_ok=True)
        self._writer = ThreadPoolExecutor(1, "writer")
        self._buffers = [memoryview(bytearray(self._limits.buffer)) for _ in range(self._limits.buffers)]
        self._writing: list[Future[None] | None] = [None] * self._limits.buffers
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()
        with suppress(OSError, StorageError):  # a disk that failed may fail again; what was written down before holds
            self._save()

    def look(self, wanted: Sequence[Wanted]) -> None:
        """See what of it is here already, and whether the rest fits on the disk.

        What the store has is read, once, because its checksum has to be compared; anything else in the way is deleted.

        Raises:
            StorageError: it does not fit.
            Refused: the download is to end.
            OSError: what is here cannot be looked through.
        """
        names = {each.file.path for each in wanted}
        self._files = {path: here for path, here in self._files.items() if path in names and self._is_there(path, here)}
        for path, _ in list(unpacked.walk(self._root)):
            if path not in self._files:
                (self._root / path).unlink()
        directories = [path for path in all_below(self._root) if path.is_dir()]
        for directory in sorted(directories, reverse=True):
            with suppress(OSError):  # not empty, mostly; one may stand where a file belongs now
                directory.rmdir()
        self._held.clear()
        left = read = 0
        for each in wanted:
            file = each.file
            here = self._files.get(file.path)
            if here is not None and here.sha256 == file.sha256:
                left += file.size - here.written
            elif self._is_held(each, read):
                self._held.add(file.path)
                read += file.size
            else:
                left += file.size
        self._left = left
        self._require_space(left)

    def gather(self, neighbour: Neighbour, wanted: Sequence[Wanted]) -> None:
        """Have all of it here. Call `look` before.

        Raises:
            Lied: something is not what it should be; what was good stays.
            SourceFailed: the other station does not give it (now).
            Refused: the download is to end.
            OSError: the disk fails, or is full.
            StorageError: the same.
        """
        self._done = 0
        for each in wanted:
            if not self._is_here(each) and each.file.path not in self._held:
                self._fetch(neighbour, each)
            self._done += each.file.size
            self._moved(self._done)
        self._save()

    def _fetch(self, neighbour: Neighbour, wanted: Wanted) -> None:
        file, path = wanted.file, self._root / wanted.file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        before = self._files.get(file.path)
        whole = before is None or before.sha256 != file.sha256 or before.digest is None
        while True:
            arriving = _Arriving(path, file, None if whole else before)
            try:
                if arriving.written < file.size:
                    self._receive(neighbour, arriving)
            finally:
                try:
                    self._drain()
                finally:
                    arriving.close()
                    self._note(arriving)
            if arriving.digest.hexdigest() == file.sha256:
                break
            if whole:
                self._drop(file.path)
                raise Lied(f"what it sends of {file.path[:100]!r} is not what it says")
            whole = True  # what was here before may have been the other's fault, or the disk's
        if wanted.crc not in (None, arriving.crc):
            self._drop(file.path)
            raise Lied(f"its {file.path[:100]!r} is not Apple's")
        if not is_as_vouched(self._vouched, file.path, path):
            self._drop(file.path)
            raise Lied(f"its {file.path[:100]!r} is not what Apple's manifest names")
        self._files[file.path] = Here(sha256=file.sha256, written=file.size, crc=arriving.crc)

    def _receive(self, neighbour: Neighbour, arriving: "_Arriving") -> None:
        turn = 0
        with neighbour.content(arriving.file.sha256, arriving.written, arriving.file.size) as answer:
            while answer.offset < answer.end:
                if (before := self._writing[turn]) is not None:
                    before.result()
                count = self._line.some(answer, self._buffers[turn])
                self._line.arrived += count
                self._writing[turn] = self._writer.submit(self._take, arriving, self._buffers[turn][:count])
                turn = (turn + 1) % len(self._buffers)
                self._moved(self._done + arriving.written)

    def _take(self, arriving: "_Arriving", data: memoryview) -> None:
        """In the thread that writes."""
        if arriving.broken:
            return
        try:
            arriving.take(data)
        except BaseException:
            arriving.broken = True  # what comes after what is missing is worth nothing
            raise
        self._since += len(data)
        self._left -= len(data)
        late = time.monotonic() - self._saved_at >= self._limits.checkpoint_seconds
        if late or self._since >= self._limits.checkpoint_bytes:
            self._note(arriving)
            self._save()
            self._require_space(max(self._left, 0))  # others fill the disk too

    def _drain(self) -> None:
        """Wait for what is being written. Raises what went wrong with it."""
        pending, self._writing = self._writing, [None] * len(self._writing)
        failures = [error for each in pending if each is not None and (error := each.exception()) is not None]
        if failures:
            raise failures[0]

    def _note(self, arriving: "_Arriving") -> None:
        """What of it is here; whether that is right is not known before it was compared."""
        file = arriving.file
        state = arriving.digest.state()
        self._files[file.path] = Here(sha256=file.sha256, written=arriving.written, crc=arriving.crc, digest=state)
        self._loose.add(file.path)

    def _drop(self, path: str) -> None:
        """Have it no more."""
        self._files.pop(path, None)
        self._loose.discard(path)
        (self._root / path).unlink(missing_ok=True)
        self._save()

    def _save(self) -> None:
        """Write down how far it is, once that is true after a power cut too."""
        for path in self._loose:
            fd = os.open(self._root / path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
        above = {self._root / each for path in self._loose for each in Path(path).parents}
        checkpoint.sync_directories({*above, self._root, self._directory})
        durable.write(self._directory / STATE, _encoder.encode(_sealed(State(files=self._files))))
        self._loose.clear()
        self._saved_at, self._since = time.monotonic(), 0

    def _is_here(self, wanted: Wanted) -> bool:
        here = self._files.get(wanted.file.path)
        return here is not None and here.digest is None and _matches(here, wanted)

    def _is_there(self, path: str, here: Here) -> bool:
        with suppress(OSError):
            look = (self._root / path).lstat()
            return look.st_size >= here.written
        return False

    def _is_held(self, wanted: Wanted, before: int) -> bool:
        """Whether the store has just this content. Tells how far it is: a slow disk has gigabytes to read."""
        file = wanted.file
        if self._objects.look(file.sha256)[0] != file.size:
            return False
        hasher, crc = hashlib.sha256(), 0
        buffer = memoryview(bytearray(_CHUNK))
        with suppress(OSError), self._objects.place(file.sha256).open("rb", buffering=0) as content:
            while count := content.readinto(buffer):
                self._line.require_going_on()
                hasher.update(buffer[:count])
                crc = zlib.crc32(buffer[:count], crc)
                before += count
                self._moved(before)
            return hasher.hexdigest() == file.sha256 and wanted.crc in (None, crc)
        return False


class _Arriving:
    """A file that is being written."""

    def __init__(self, path: Path, file: FileDigest, before: Here | None) -> None:
        self.file = file
        self.written, self.crc = (0, 0) if before is None else (before.written, before.crc)
        self.digest = Digest(Algorithm.SHA256, None if before is None else before.digest)
        self.broken = False
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.ftruncate(self._fd, self.written)
        except BaseException:
            self.close()
            raise

    def take(self, data: memoryview) -> None:
        """What follows; all of it, or as if nothing had come."""
        left, at = data, self.written
        while len(left):
            count = os.pwrite(self._fd, left, at)
            at += count
            left = left[count:]
        self.digest.update(data)
        self.crc, self.written = zlib.crc32(data, self.crc), at

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def forget(directory: Path) -> None:
    """Begin from nothing the next time."""
    (directory / STATE).unlink(missing_ok=True)


def _load(directory: Path) -> State:
    """What was here; nothing when that cannot be told."""
    try:
        state = _decoder.decode((directory / STATE).read_bytes())
    except (OSError, ValueError):
        return State()
    return state if _sealed(msgspec.structs.replace(state, seal="")) == state else State()


def _sealed(state: State) -> State:
    return msgspec.structs.replace(state, seal=hashlib.sha256(_encoder.encode(state)).hexdigest())


def _matches(here: Here, wanted: Wanted) -> bool:
    file = wanted.file
    return (here.sha256, here.written) == (file.sha256, file.size) and wanted.crc in (None, here.crc)
