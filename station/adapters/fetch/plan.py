"""What is in a zip file that is not here yet, read from its end: refused or accepted before gigabytes move."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import BinaryIO, cast

from station.adapters import ipsw
from station.adapters.ipsw import MANIFEST, MAX_MANIFEST, Manifest
from station.errors import InputRejected
from station.model.catalog import Offer

ReadRange = Callable[[int, int], bytes]
"""Fetches the bytes from one offset up to another."""

_FIRST = 256 << 10
"""Bytes of the end that are read at first: more than the table of contents of most IPSWs."""
_MOST = 32 << 20
"""What the end may be at most: the longest table that `ipsw` accepts, and what stands behind it."""
_LOCAL = 30
"""Bytes of what stands before each entry's data, without its name and extra field."""
_NAMES = 2 * 65_535


@dataclass(frozen=True)
class Part:
    """One file in the zip."""

    name: str
    offset: int
    """Where its local header begins."""
    packed: int
    """Bytes of its data in the zip."""
    size: int
    crc: int
    deflated: bool


@dataclass(frozen=True)
class Plan:
    """The whole zip, in the order in which it arrives."""

    total: int
    parts: tuple[Part, ...]
    tail_at: int
    """Where `tail` begins: behind the last entry."""
    tail: bytes
    """The table of contents and what follows it, to the end of the file."""

    @property
    def unpacked(self) -> int:
        """Bytes of all files."""
        return sum(part.size for part in self.parts)

    @property
    def digest(self) -> str:
        """Tells this zip's table from another's."""
        return hashlib.sha256(self.tail).hexdigest()


class _NotHere(OSError):
    """What is before the part of the file that is here was asked for."""

    def __init__(self, at: int) -> None:
        super().__init__(f"{at} is not here")
        self.at = at


class _End(io.RawIOBase):
    """A file of which only the end is here."""

    def __init__(self, total: int, data: bytes) -> None:
        super().__init__()
        self._total, self._data, self._at = total, data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._total}[whence]
        if at < 0:
            raise OSError(22, "before the start")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        start = self._at - (self._total - len(self._data))
        if start < 0 and size != 0:
            raise _NotHere(self._at)
        found = self._data[start:] if size < 0 else self._data[start : start + size]
        self._at += len(found)
        return found


def read_plan(total: int, read: ReadRange) -> Plan:
    """What is in a zip of `total` bytes.

    Raises:
        InputRejected: it is none, or one that could do harm; `ipsw` says what is looked at.
    """
    start = max(0, total - _FIRST)
    end = read(start, total)
    while True:
        try:
            infos = ipsw.table(cast("BinaryIO", _End(total, end)), total)
        except _NotHere as missing:
            if missing.at >= start or total - missing.at > _MOST:
                raise _refuse("its table of contents is too long") from missing
            end = read(missing.at, start) + end
            start = missing.at
        else:
            return _plan(total, infos, end)


def _plan(total: int, infos: list[zipfile.ZipInfo], end: bytes) -> Plan:
    parts = sorted((_part(info) for info in infos), key=lambda part: part.offset)
    reached = 0
    for part in parts:
        if part.offset < reached:
            raise _refuse("its entries overlap")
        reached = part.offset + _LOCAL + len(part.name) + part.packed
    # What is behind the last entry is compared when it arrives, as far as it is here now: the table always is.
    start = max(reached, total - len(end))
    if reached > total:
        raise _refuse("its entries overlap")
    return Plan(total=total, parts=tuple(parts), tail_at=start, tail=end[start - (total - len(end)) :])


def _part(info: zipfile.ZipInfo) -> Part:
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    if not deflated and info.compress_size != info.file_size:
        raise _refuse(f"{info.filename[:100]!r} says two lengths")
    return Part(
        name=info.filename,
        offset=info.header_offset,
        packed=info.compress_size,
        size=info.file_size,
        crc=info.CRC,
        deflated=deflated,
    )


def check_manifest(plan: Plan, offer: Offer, read: ReadRange) -> bytes:
    """Fetch the manifest alone, and see that this is the firmware that was asked for.

    Raises:
        InputRejected: it is another, or not whole.
    """
    part = next(part for part in plan.parts if part.name == MANIFEST)
    if part.size > MAX_MANIFEST or part.packed > MAX_MANIFEST:
        raise _refuse("its manifest is too long")
    data = read(part.offset, min(plan.total, part.offset + _LOCAL + _NAMES + part.packed))
    begins = _LOCAL + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
    data = data[begins : begins + part.packed]
    if part.deflated:
        try:
            data = zlib.decompressobj(-15).decompress(data, part.size + 1)
        except zlib.error as error:
            raise _refuse("its manifest is damaged") from error
    if len(data) != part.size or zlib.crc32(data) != part.crc:
        raise _refuse("its manifest is damaged")
    require_manifest(data, offer, {part.name for part in plan.parts})
    return data


def require_manifest(data: bytes, offer: Offer, names: Collection[str]) -> Manifest:
    """See that a manifest is that of the firmware that was asked for, and that all it names is among these files.

    Raises:
        InputRejected: it is not.
    """
    manifest = ipsw.read_manifest(data)
    _require_the_one(manifest, offer)
    if missing := manifest.paths - set(names):
        raise _refuse(f"{min(missing)[:100]!r} is missing")
    return manifest


def _require_the_one(manifest: Manifest, offer: Offer) -> None:
    if (manifest.version, manifest.build) != (offer.version, offer.build):
        raise _refuse(
            f"the list says that it is iOS {offer.version} ({offer.build}), "
            f"and it says that it is {manifest.version} ({manifest.build})"
        )
    if others := set(offer.product_types) - set(manifest.product_types):
        raise _refuse(f"it is not for {min(others)[:30]}")


def _refuse(why: str) -> InputRejected:
    return InputRejected(
        f"This is not a usable IPSW: {why}.", remedy="Choose another build, or import the firmware from a USB stick."
    )
