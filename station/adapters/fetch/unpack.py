"""Unpacks a zip file while it arrives, byte by byte if need be, and can tell from where to go on after a crash.

The table of contents, which was read before (`plan`), is the authority on what is where; of the local headers only
their lengths count, and what lies between entries is nobody's. That copes with data descriptors, padding and zip64.
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

from station.adapters.fetch.digests import Algorithm, Digest, DigestState
from station.adapters.fetch.inflate import WINDOW, Boundary, Inflater, NotDeflated
from station.adapters.fetch.plan import Part, Plan
from station.model.base import Message

GRAIN = 1 << 20
"""Bytes: what is unpacked and written at a time."""

_LOCAL = 30
_SIGNATURE = b"PK\x03\x04"


class PartDamaged(Exception):
    """What arrived of an entry is not what the table of contents says."""

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index = index


class TailDamaged(Exception):
    """What arrived at the end is not the table of contents by which everything was unpacked."""


class Position(Message, frozen=True, kw_only=True):
    """From where unpacking can go on."""

    offset: int
    """Bytes of the zip that are not needed again."""
    index: int
    """The entry that is being unpacked; as many as there are: all are."""
    inside: bool = False
    """Whether its header is behind, and what follows counts."""
    taken: int = 0
    """Bytes of its data."""
    written: int = 0
    """Bytes of its file that are right."""
    crc: int = 0
    digest: DigestState | None = None
    bits: int = 0
    byte: int = 0
    """Where in the deflated data it stands, to the bit (`inflate.Boundary`)."""


Publish = Callable[[Position], None]


class Unpacker:
    """Takes the bytes of a zip in their order, and writes the files in it. For one thread."""

    def __init__(self, plan: Plan, root: Path, start: Position, publish: Publish, *, grain: int = GRAIN) -> None:
        """One that goes on.

        Args:
            plan: what is in the zip.
            root: where the files go; the directories in it are there.
            start: where it goes on.
            publish: told every position from which it could go on, once what is before it is written (not synced).
            grain: bytes that are written at a time.
        """
        self._plan, self._root, self._publish, self._grain = plan, root, publish, grain
        self.digests: dict[int, str] = {}
        """SHA-256 of each file that it finished, by the entry's number."""
        self.offset = start.offset
        """Bytes of the zip that it does not want again."""
        self._index = start.index
        self._header = bytearray()
        self._wanted = _LOCAL
        self._file: _File | None = None
        if start.inside:
            self._open(start)

    def feed(self, offset: int, data: memoryview) -> None:
        """Take in what stands at `offset` of the zip; what was taken in before is left out.

        Raises:
            PartDamaged: an entry is not what it should be.
            TailDamaged: the table of contents is not.
            OSError: it cannot be written.
        """
        data = data[max(0, self.offset - offset) :]
        while len(data):
            taken = self._step(data)
            self.offset += taken
            data = data[taken:]
        if self._file is None and self._header == b"":
            self._tell()

    def close(self) -> None:
        """Let go of the file that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _step(self, data: memoryview) -> int:
        if self._index == len(self._plan.parts):
            return self._compare(data)
        part = self._plan.parts[self._index]
        if self._file is None:
            if self.offset < part.offset:
                return min(len(data), part.offset - self.offset)
            taken = self._take_header(part, data)
        else:
            taken = self._take_content(part, self._file, data)
        return taken

    def _compare(self, data: memoryview) -> int:
        ahead = self._plan.tail_at - self.offset
        if ahead > 0:
            return min(len(data), ahead)
        if data != self._plan.tail[-ahead : len(data) - ahead]:
            raise TailDamaged
        return len(data)

    def _take_header(self, part: Part, data: memoryview) -> int:
        taken = min(len(data), self._wanted - len(self._header))
        self._header += data[:taken]
        if len(self._header) == _LOCAL and self._wanted == _LOCAL:
            if self._header[:4] != _SIGNATURE:
                raise PartDamaged(self._index, "its header is damaged")
            self._wanted += sum(int.from_bytes(self._header[at : at + 2], "little") for at in (26, 28))
        if len(self._header) == self._wanted:
            here = Position(offset=self.offset + taken, index=self._index, inside=True)
            self._open(here)
            if part.packed == 0:
                self._close(part)
        return taken

    def _open(self, start: Position) -> None:
        self._header.clear()
        self._wanted = _LOCAL
        part = self._plan.parts[self._index]
        self._file = _File(self._root / part.name, part, start, self._grain)

    def _take_content(self, part: Part, file: "_File", data: memoryview) -> int:
        data = data[: part.packed - file.taken]
        try:
            whole = file.taken + len(data) == part.packed
            taken = file.inflate(data) if part.deflated else file.store(data)
        except NotDeflated as error:
            raise PartDamaged(self._index, f"it cannot be unpacked ({error})") from error
        if whole and taken == len(data):
            self._close(part)
        else:
            self._tell(taken)
        return taken

    def _close(self, part: Part) -> None:
        file = self._file
        assert file is not None
        file.flush()
        file.close()
        self._file = None
        if file.written != part.size or file.crc != part.crc or not file.complete:
            raise PartDamaged(self._index, "its checksum is wrong")
        self.digests[self._index] = file.digest.hexdigest()
        self._index += 1

    def _tell(self, ahead: int = 0) -> None:
        """Say from where it could go on now, if that is more than was said."""
        if self._file is None:
            self._publish(Position(offset=self.offset + ahead, index=self._index))
        elif mark := self._file.mark():
            begins = self.offset + ahead - self._file.taken
            self._publish(
                Position(
                    offset=begins + mark.taken,
                    index=self._index,
                    inside=True,
                    taken=mark.taken,
                    written=self._file.written,
                    crc=self._file.crc,
                    digest=self._file.digest.state(),
                    bits=mark.boundary.bits,
                    byte=mark.boundary.byte,
                )
            )


class _Mark:
    """A place in the data of an entry that all of its file has been written up to."""

    def __init__(self, taken: int, boundary: Boundary) -> None:
        self.taken, self.boundary = taken, boundary


class _File:
    """A file that is being written, and the end of the data that it is unpacked from."""

    def __init__(self, path: Path, part: Part, start: Position, grain: int) -> None:
        self._part = part
        self.taken, self.written, self.crc = start.taken, start.written, start.crc
        self.digest = Digest(Algorithm.SHA256, start.digest)
        self.complete = not part.deflated or part.packed == 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        self._mark: _Mark | None = None
        self._out, self._filled = memoryview(bytearray(max(grain, 1) if part.deflated else 0)), 0
        try:
            if start.written == 0:
                os.ftruncate(self._fd, 0)
                allocate(self._fd, part.size)
            if part.deflated:
                boundary = Boundary(start.bits, start.byte) if start.taken else None
                window = min(WINDOW, self.written)
                self._inflater = Inflater(boundary, os.pread(self._fd, window, self.written - window))
        except BaseException:
            os.close(self._fd)
            raise

    def store(self, data: memoryview) -> int:
        """Take in data that is not packed."""
        self._write(data)
        self.taken += len(data)
        self._mark = _Mark(self.taken, Boundary(0, 0))
        return len(data)

    def inflate(self, data: memoryview) -> int:
        """Take in deflated data, as much as there is."""
        done = 0
        while done < len(data):
            if self.complete:
                raise NotDeflated("there is more than its end")
            ran = self._inflater.run(data[done:], self._out[self._filled :])
            if ran.taken == ran.made == 0 and not ran.finished and ran.boundary is None:
                raise NotDeflated("it does not go on")
            done += ran.taken
            self.taken += ran.taken
            self._filled += ran.made
            self.complete = ran.finished
            if self.written + self._filled > self._part.size:
                raise NotDeflated("it is longer than it says")
            if ran.boundary and self._filled >= len(self._out) // 2:
                self.flush()
                self._mark = _Mark(self.taken, ran.boundary)
                break
            if self._filled == len(self._out):
                self.flush()
                self._mark = None
        if done == len(data) == self._part.packed - (self.taken - done):
            self._drain()
        return done

    def _drain(self) -> None:
        """Take what is still to come out when all data is in."""
        nothing = memoryview(bytearray(1))[:0]
        while not self.complete:
            if self._filled == len(self._out):
                self.flush()
            ran = self._inflater.run(nothing, self._out[self._filled :])
            self._filled += ran.made
            self.complete = ran.finished
            if self.written + self._filled > self._part.size or (ran.made == 0 and not ran.finished):
                raise NotDeflated("its length is wrong")

    def mark(self) -> _Mark | None:
        """The place up to which all is written, once."""
        mark, self._mark = self._mark, None
        return mark

    def flush(self) -> None:
        """Write what is unpacked."""
        self._write(self._out[: self._filled])
        self._filled = 0

    def close(self) -> None:
        """Let go of it. What is not flushed is lost."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._part.deflated:
            self._inflater.close()

    def _write(self, data: memoryview) -> None:
        self.digest.update(data)
        self.crc = zlib.crc32(data, self.crc)
        while len(data):
            count = os.pwrite(self._fd, data, self.written)
            self.written += count
            data = data[count:]


def allocate(fd: int, size: int) -> None:
    """Have the disk keep room for a file, and say now if there is none. Raises OSError."""
    if size:
        os.posix_fallocate(fd, 0, size)
