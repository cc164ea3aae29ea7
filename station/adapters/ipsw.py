"""Reads an IPSW from outside, a zip file or a directory, trusting nothing it says.

What a hostile archive can try, and what stops it: names that leave the directory, links and devices (refused
by name and by type); bombs, overlapping entries and a huge table of contents (bounded before anything is read,
counted while it is read); other compressions and encryption (refused).
"""

import errno
import plistlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO, cast

from station.adapters.listing import all_below, entries_of
from station.core.versions import age
from station.errors import InputRejected, StationError

MAX_ENTRIES = 20_000
"""Far more than a real IPSW has."""
MAX_TOTAL = 64 << 30
"""Bytes, unpacked: some eight times a phone's IPSW."""
MAX_RATIO = 20
"""Unpacked to packed, over the whole archive. A real IPSW is mostly images that are compressed already."""
MAX_MANIFEST = 32 << 20
MAX_IDENTITIES = 2_000
_DEPTH, _MAX_FOUND = 2, 100
"""How far below a folder IPSWs are looked for, and how many are found at most."""
_MAX_TABLE = 16 << 20
_SMALL = 16 << 20
"""Below this a good ratio is no bomb."""

MANIFEST = "BuildManifest.plist"

_MAX_PART = 255
"""Bytes of a name that a disk takes."""
_PART = re.compile(r"[^\x00-\x1f\x7f/\\\ud800-\udfff]{1,200}")
_PRODUCT = re.compile(r"[A-Za-z]{1,20}\d{1,3},\d{1,3}", re.ASCII)


def _refuse(why: str) -> InputRejected:
    return InputRejected(f"This is not a usable IPSW: {why}.", remedy="Download it again from Apple.")


@dataclass(frozen=True)
class Entry:
    """One file of an IPSW."""

    name: str
    """Its path inside, checked to stay inside."""
    size: int
    """Bytes it says it has; whoever copies counts."""
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Manifest:
    """What the station needs to know of a BuildManifest.plist."""

    version: str
    build: str
    product_types: tuple[str, ...]
    paths: frozenset[str]
    """The files that an erase or update reads."""


@contextmanager
def entries(source: Path) -> Iterator[list[Entry]]:
    """The files in an IPSW, by name, while the context is open.

    Raises:
        InputRejected: it is neither a zip file nor a directory, or one that could do harm.
        OSError: it cannot be read.
    """
    if source.is_dir():
        yield checked(sorted(islice(_walk(source), MAX_ENTRIES + 1), key=lambda entry: entry.name))
        return
    with source.open("rb") as file:
        with _zip_trouble():
            _check_table(file)
            archive = _archive(file)
            found = checked([_entry(archive, info) for info in _members(archive, source.stat().st_size)])
        with archive:
            try:
                yield found
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:  # from reading an entry
                raise _refuse(f"its zip file is damaged ({error})") from error


def table(file: BinaryIO, size: int) -> list[zipfile.ZipInfo]:
    """The files in a zip of `size` bytes, by its table of contents, when `entries` would accept them.

    Nothing but the table is read: of a file that is not here yet its end is enough.

    Raises:
        InputRejected: as `entries`.
        OSError: it cannot be read.
    """
    if size > MAX_TOTAL:  # it is to come, and what lies between its entries is in nobody's size
        raise _refuse("it is too large")
    with _zip_trouble():
        _check_table(file)
        archive = _archive(file)
        found = _members(archive, size)
        checked([_entry(archive, info) for info in found])
    return found


def find_ipsws(place: Path) -> list[Path]:
    """What of a file, an unpacked IPSW or a folder `entries` can be asked to read; of a folder all in it, by name.

    Links are not followed: a stick was made by anybody. Raises OSError when it cannot be read.
    """
    if not place.is_dir() or (place / MANIFEST).is_file():
        return [place]
    return sorted(islice(_ipsws_in(place, _DEPTH), _MAX_FOUND))


def _ipsws_in(folder: Path, depth: int) -> Iterator[Path]:
    for path in entries_of(folder):
        kind = path.lstat().st_mode
        if path.name.startswith("."):  # as what computers leave on sticks: "._" and a name that was copied there
            continue
        packed = stat.S_ISREG(kind) and path.suffix.lower() == ".ipsw"
        if packed or (stat.S_ISDIR(kind) and (path / MANIFEST).is_file()):
            yield path
        elif stat.S_ISDIR(kind) and depth:
            yield from _ipsws_in(path, depth - 1)


def read_manifest(data: bytes) -> Manifest:
    """Read a BuildManifest.plist. Raises InputRejected."""
    if len(data) > MAX_MANIFEST:
        raise _refuse("its manifest is too long")
    try:
        # Only XML, as Apple's are: in a binary plist a few bytes can stand for endless structures.
        root = plistlib.loads(data, fmt=plistlib.FMT_XML)
        identities = root["BuildIdentities"]
        manifest = Manifest(
            version=root["ProductVersion"],
            build=root["ProductBuildVersion"],
            product_types=tuple(root["SupportedProductTypes"]),
            paths=frozenset(
                entry["Info"]["Path"]
                for identity in identities[:MAX_IDENTITIES]
                if "RestoreBehavior" in identity["Info"]
                for entry in identity["Manifest"].values()
                if "Path" in entry["Info"]
            ),
        )
        age(manifest.version, manifest.build)
        fitting = all(_PRODUCT.fullmatch(product) for product in manifest.product_types)
        fitting = fitting and all(isinstance(path, str) for path in manifest.paths)
    except InputRejected as error:
        raise _refuse(str(error).removesuffix(".")) from None
    except Exception as error:  # plistlib and a plist of other types than ours let a dozen kinds escape
        raise _refuse(f"its manifest cannot be read ({type(error).__name__})") from error
    if not fitting or not manifest.product_types or not manifest.paths or len(identities) > MAX_IDENTITIES:
        raise _refuse("its manifest does not say for which phones it is, or of which files it consists")
    return manifest


def _walk(root: Path) -> Iterator[Entry]:
    for path in all_below(root):
        kind = path.lstat()
        if stat.S_ISDIR(kind.st_mode):
            continue
        name = path.relative_to(root).as_posix()
        if not stat.S_ISREG(kind.st_mode):
            raise _refuse(f"{name[:100]!r} is a link or a device")
        yield Entry(name, kind.st_size, partial(_open, path))


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


class _Wary:
    """A file that gives zipfile no more than a table of contents may be.

    Two end records in one file, or one that is told of twice, can have it read another table than the one that
    `_check_table` saw.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Some bytes. Raises InputRejected when they are too many, or a table of too much."""
        if size > _MAX_TABLE:
            raise _too_many()
        data = self._file.read(size)
        if data.count(b"PK\x01\x02") > MAX_ENTRIES:
            raise _too_many()
        return data


def _archive(file: BinaryIO) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(cast("IO[bytes]", _Wary(file)))
    archive.fp = file  # what is in it may be as long as it likes
    return archive


def _members(archive: zipfile.ZipFile, size: int) -> list[zipfile.ZipInfo]:
    found = []
    infos = archive.infolist()
    if sum(info.compress_size for info in infos) > size:
        raise _refuse("its entries overlap")
    total = sum(info.file_size for info in infos)
    if total > max(MAX_RATIO * size, _SMALL):
        raise _refuse("it would unpack to far more than it is")
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir() and kind in (0, stat.S_IFDIR):
            continue
        if kind not in (0, stat.S_IFREG):
            raise _refuse(f"{info.filename[:100]!r} is a link or a device")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refuse(f"{info.filename[:100]!r} is encrypted or packed in an unusual way")
        # zipfile cuts a name at NUL and turns what it takes for separators; only the name as stored counts.
        if info.orig_filename != info.filename:
            raise _refuse(f"{info.filename[:100]!r} has a forbidden name")
        found.append(info)
    return found


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    return Entry(info.filename, info.file_size, partial(_open_member, archive, info))


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    with _zip_trouble():
        return archive.open(info)


@contextmanager
def _zip_trouble() -> Iterator[None]:
    """Refuse an archive that zipfile stumbles over: it lets IndexError, struct.error and others escape."""
    try:
        yield
    except StationError:
        raise
    except Exception as error:
        # A seek to before the start of the file is the archive's fault, other trouble is the disk's.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise _refuse(f"its zip file is damaged ({error})") from error


def checked(found: list[Entry]) -> list[Entry]:
    """The entries, when their names and sizes are acceptable together. Raises InputRejected."""
    if len(found) > MAX_ENTRIES:
        raise _too_many()
    if sum(entry.size for entry in found) > MAX_TOTAL:
        raise _refuse("it is too large")
    names = {entry.name for entry in found}
    if len(names) < len(found):
        raise _refuse("two of its files have the same name")
    for name in names:
        parts = name.split("/")
        if not is_inside(name):
            raise _refuse(f"{name[:100]!r} has a forbidden name")
        if any("/".join(parts[:depth]) in names for depth in range(1, len(parts))):
            raise _refuse(f"{name[:100]!r} lies in something that is a file")
    if MANIFEST not in names:
        raise _refuse(f"it has no {MANIFEST}")
    return found


def is_inside(name: str) -> bool:
    """Whether a file's path in an IPSW stays inside, and could be Apple's."""
    parts = name.split("/")
    inside = all(_PART.fullmatch(part) and part not in (".", "..") for part in parts)
    inside = inside and max(len(part.encode()) for part in parts) <= _MAX_PART
    return inside and len(parts) <= 16 and len(name.encode(errors="surrogatepass")) <= 1000


def _check_table(file: BinaryIO) -> None:
    """Refuse a zip whose table of contents is huge: zipfile would read all of it into memory.

    The end record (APPNOTE 4.3.16) lies in the last 64 KiB; a zip64 one (4.3.14) is pointed at just before it.
    """
    size = file.seek(0, 2)
    start = file.seek(max(0, size - 65_557))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise _refuse("it is no zip file")
    count, table = struct.unpack_from("<HI", tail, at + 10)
    if tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        (offset,) = struct.unpack_from("<Q", tail, at - 12)
        file.seek(min(offset, start + at))
        record = file.read(56)
        if record.startswith(b"PK\x06\x06"):
            count, table = struct.unpack_from("<QQ", record, 32)
    file.seek(0)
    if table > _MAX_TABLE or count > MAX_ENTRIES:
        raise _too_many()


def _too_many() -> InputRejected:
    return _refuse(f"it has more than {MAX_ENTRIES} files")
