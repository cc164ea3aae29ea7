"""An unpacked IPSW whose every file is known: made by copying, checked by reading.

DIRECTORY/ipsw/          the files, as a worker is given them
DIRECTORY/digests.json   what it is, and every file's size and SHA-256
DIRECTORY/checked.json   how the files looked to the file system when they were last read whole
"""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from station.adapters import durable
from station.adapters.ipsw import MANIFEST, Entry, Manifest, build_order, version_order
from station.errors import InputRejected
from station.model.base import Message

Advance = Callable[[int, int], None]
"""Told (bytes done, bytes in all) as a long call goes on."""

Look = tuple[int, int, int]
"""Size, ctime in ns and inode of a file."""

_CHUNK = 1 << 20
_NO_FILE: Look = (-1, 0, 0)
"""How a link or a device looks: like nothing that was imported."""


class FirmwareDamaged(InputRejected):
    """The station's copy of a firmware is not what was imported."""


class FileDigest(Message, frozen=True, kw_only=True):
    """One file of a firmware."""

    path: str
    size: int
    sha256: str


class Digests(Message, frozen=True, kw_only=True):
    """`digests.json`: what a firmware is, and what is in it, by path."""

    version: str
    build: str
    product_types: tuple[str, ...]
    manifest_sha256: str
    files: tuple[FileDigest, ...]


class _Meter:
    """Counts the bytes of a long call and tells how far it is."""

    def __init__(self, total: int, advance: Advance) -> None:
        self._done, self._total, self._advance = 0, total, advance

    def add(self, count: int) -> None:
        self._done += count
        self._advance(self._done, self._total)


_encoder = msgspec.json.Encoder()
_digests_decoder = msgspec.json.Decoder(Digests)
_checked_decoder = msgspec.json.Decoder(dict[str, Look])


def fill(directory: Path, manifest: Manifest, found: list[Entry], advance: Advance) -> Digests:
    """Copy an IPSW into an empty directory, and write down what it is. Durable when it returns.

    Raises:
        InputRejected: a file is not as long as it said.
        OSError: the source cannot be read, or the copy cannot be written.
    """
    root = directory / "ipsw"
    meter, files = _Meter(sum(entry.size for entry in found), advance), []
    for entry in sorted(found, key=lambda entry: entry.name):
        target = root / entry.name
        target.parent.mkdir(parents=True, exist_ok=True)
        files.append(FileDigest(path=entry.name, size=entry.size, sha256=_copy(entry, target, meter)))
    for made in (root, *(path for path in root.rglob("*") if path.is_dir())):
        durable.sync_directory(made)
    digests = Digests(
        version=manifest.version,
        build=manifest.build,
        product_types=manifest.product_types,
        manifest_sha256=next(file.sha256 for file in files if file.path == MANIFEST),
        files=tuple(files),
    )
    durable.write(directory / "checked.json", _encoder.encode(_looks(root)))
    durable.write(directory / "digests.json", _encoder.encode(digests))
    return digests


def read(directory: Path) -> Digests:
    """What an unpacked IPSW is. Raises FirmwareDamaged when that cannot be told."""
    try:
        digests = _digests_decoder.decode((directory / "digests.json").read_bytes())
        version_order(digests.version)
        build_order(digests.build)
    except (OSError, ValueError, InputRejected) as error:
        raise _damaged(directory.name, "what is in it cannot be told") from error
    return digests


def check(directory: Path, digests: Digests, advance: Advance, *, full: bool) -> None:
    """Raise FirmwareDamaged unless every file is as it was imported.

    A file whose size, ctime and inode are those of its last whole reading is not read again: nothing can
    change a file through the file system without a new ctime, which no program can set. What that cannot
    see is a disk that decays or lies; `full` reads everything, and is for idle hours. Nor can such damage do
    harm unseen: the phone checks each image against the digest Apple signed, so the price of the short cut
    is a restore that fails, not a wrong one.
    """
    root = directory / "ipsw"
    looks = _looks(root)
    expected = {file.path: file for file in digests.files}
    if differing := looks.keys() ^ expected.keys():
        raise _damaged(digests.build, f"{min(differing)[:100]!r} is missing or was added")
    checked = {} if full else _read_checked(directory)
    unread = [path for path, look in looks.items() if checked.get(path) != look]
    meter = _Meter(sum(expected[path].size for path in unread), advance)
    for path in unread:
        if looks[path][0] != expected[path].size or _sha256(root / path, meter) != expected[path].sha256:
            raise _damaged(digests.build, f"{path[:100]!r} differs")
    if unread:
        durable.write(directory / "checked.json", _encoder.encode(looks))


def _damaged(what: str, why: str) -> FirmwareDamaged:
    return FirmwareDamaged(
        f"The station's copy of firmware {what} is damaged: {why}.", remedy="Import or download it again."
    )


def _read_checked(directory: Path) -> dict[str, Look]:
    """How the files looked when they were last read whole; nothing when that cannot be told."""
    try:
        return _checked_decoder.decode((directory / "checked.json").read_bytes())
    except (OSError, ValueError):
        return {}


def _looks(root: Path) -> dict[str, Look]:
    found: dict[str, Look] = {}
    for path in root.rglob("*"):
        now = path.lstat()
        if not stat.S_ISDIR(now.st_mode):
            look = (now.st_size, now.st_ctime_ns, now.st_ino) if stat.S_ISREG(now.st_mode) else _NO_FILE
            found[path.relative_to(root).as_posix()] = look
    return found


def _copy(entry: Entry, target: Path, meter: _Meter) -> str:
    """Copy one file, durably; its SHA-256. Raises InputRejected when it is not as long as it said."""
    hasher, left = hashlib.sha256(), entry.size
    with entry.open() as source, target.open("xb") as file:
        while left >= 0 and (chunk := source.read(_CHUNK)):
            left -= len(chunk)
            hasher.update(chunk)
            file.write(chunk)
            meter.add(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if left != 0:
        raise InputRejected(f"{entry.name[:100]!r} is not as long as the IPSW says.", remedy="Download it again.")
    return hasher.hexdigest()


def _sha256(path: Path, meter: _Meter) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
            meter.add(len(chunk))
    return hasher.hexdigest()
