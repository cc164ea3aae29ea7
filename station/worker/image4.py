"""Personalised components: an IM4P of the firmware with a ticket around it, streamed from the file.

    IMG4 = SEQUENCE { "IMG4", IM4P, [0] { IM4M }, [1] { IM4R } OPTIONAL }      (DER; theapplewiki "IMG4 File Format")

The library reads the component, parses it and writes it anew, which takes six times its size. Only the type in
the IM4P's head differs from the file, so here the file goes out as it is, between a new head and the ticket.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ipsw_parser.build_identity import BuildIdentity
from pyimg4 import IM4M, IM4P
from pymobiledevice3.restore.img4 import stitch_component
from pymobiledevice3.restore.tss import TSSResponse

from station.model.causes import Cause
from station.worker.failures import JobFailed
from station.worker.plists import Blob

_SEQUENCE = 0x30
_MAGIC = b"\x16\x04IMG4"
_IM4P = b"\x16\x04IM4P\x16\x04"
"""What an IM4P begins with, after its own header: magic, and the header of its four-letter type."""
_LONGEST_HEADER = 6


@dataclass(frozen=True)
class FileRange:
    """A part of a file of the firmware."""

    path: Path
    offset: int
    length: int


class Parts(Blob):
    """Bytes and parts of files, one after the other."""

    segments: tuple[bytes | FileRange, ...]

    def __new__(cls, *segments: bytes | FileRange) -> Self:
        """Put segments together."""
        self = super().__new__(cls)
        self.segments = segments
        return self

    def __len__(self) -> int:
        """How many bytes they are together."""
        return sum(each.length if isinstance(each, FileRange) else len(each) for each in self.segments)

    def chunks(self, size: int = 1 << 18) -> Iterator[bytes | memoryview]:
        """The bytes in chunks of `size`; the last one may be shorter."""
        buffer = memoryview(bytearray(size))
        with self.reader() as reader:
            while count := reader.readinto(buffer):
                yield buffer[:count]

    @contextmanager
    def reader(self) -> Iterator["Reader"]:
        """Read them from the start."""
        with ExitStack() as files:
            yield Reader(self.segments, files)


class Reader:
    """Reads segments in their order."""

    def __init__(self, segments: Iterable[bytes | FileRange], files: ExitStack) -> None:
        self._sources = [_open(segment, files) for segment in segments]

    def readinto(self, view: memoryview) -> int:
        """Fill `view`, and return how much of it: less than all only at the end.

        Raises:
            JobFailed: FIRMWARE_CORRUPT, a file is shorter than it was.
        """
        at = 0
        while self._sources and at < len(view):
            source = self._sources[0]
            count = source.file.readinto(view[at : at + source.left])
            source.left -= count
            at += count
            if not source.left:
                self._sources.pop(0)
            elif not count:
                raise JobFailed(Cause.FIRMWARE_CORRUPT, f"cut short: {source.name}")
        return at


@dataclass
class _Source:
    file: io.BytesIO | io.FileIO
    left: int
    name: str


def _open(segment: bytes | FileRange, files: ExitStack) -> _Source:
    if isinstance(segment, bytes):
        return _Source(io.BytesIO(segment), len(segment), "")
    file = files.enter_context(io.FileIO(segment.path))
    file.seek(segment.offset)
    return _Source(file, segment.length, segment.path.name)


def whole_file(path: Path) -> Parts:
    """A file as it is."""
    return Parts(FileRange(path, 0, path.stat().st_size))


def personalise(
    name: str, path: Path, ticket: TSSResponse, identity: BuildIdentity, ap_parameters: dict[str, Any]
) -> Parts:
    """The component `name` from the IM4P in `path`, with its ticket.

    Raises:
        JobFailed: FIRMWARE_CORRUPT, the file is no IM4P.
    """
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER + len(_IM4P) + 4)
    length, at = _header(head, path)
    own_type = head[at + len(_IM4P) : at + len(_IM4P) + 4]
    if head[at : at + len(_IM4P)] != _IM4P or not own_type.isascii() or at + length > path.stat().st_size:
        raise JobFailed(Cause.FIRMWARE_CORRUPT, f"no IM4P, or cut short: {path.name}")
    # The library stitches an empty payload of the same type: the type it is sent as, and all that follows it.
    empty = IM4P(fourcc=own_type.decode(), payload=b"\0").output()
    as_it_is = TSSResponse({**ticket, "ApImg4Ticket": _RawTicket(ticket.ap_img4_ticket)})
    stitched = stitch_component(name, empty, as_it_is, identity, ap_parameters)
    start = _header(stitched, path)[1] + len(_MAGIC)
    inner_length, inner_at = _header(stitched[start:], path)
    type_at = start + inner_at + len(_IM4P)
    tail = stitched[start + inner_at + inner_length :]
    im4p = head[:at] + _IM4P + stitched[type_at : type_at + 4]
    rest = FileRange(path, len(im4p), at + length - len(im4p))
    return Parts(_der_header(len(_MAGIC) + at + length + len(tail)) + _MAGIC + im4p, rest, tail)


class _RawTicket(IM4M):  # type: ignore[misc]  # pyimg4 has no types
    """A ticket that is passed on as it is. Taking one apart and writing it anew costs 35 ms, for each component."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def output(self) -> bytes:
        return self._raw


def _header(data: bytes, path: Path) -> tuple[int, int]:
    """Length of the content of a DER SEQUENCE, and where it begins."""
    if len(data) < _LONGEST_HEADER or data[0] != _SEQUENCE or data[1] == 0x80 or data[1] > 0x84:
        raise JobFailed(Cause.FIRMWARE_CORRUPT, f"no IM4P: {path.name}")
    if data[1] < 0x80:
        return data[1], 2
    count = data[1] & 0x7F
    return int.from_bytes(data[2 : 2 + count]), 2 + count


def _der_header(length: int) -> bytes:
    if length < 0x80:
        return bytes((_SEQUENCE, length))
    size = (length.bit_length() + 7) // 8
    return bytes((_SEQUENCE, 0x80 | size)) + length.to_bytes(size)
