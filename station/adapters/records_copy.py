"""A copy of the records on another disk: one zip file a night, read back before an older one goes.

In it is each chain as `adapters.chain` lays it out, so whoever unpacks it verifies it with `station records verify
DIRECTORY`, on any machine. The keys that sign are not in it: whoever takes the disk can read, and forge nothing.

Nothing is copied that is not whole. What is to be copied is put together beside the records first, at the cost of the
database alone (the other files never change once they are there, and are linked), and verified like any chain. So a
damaged chain never takes the place of a good copy.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import sqlite3
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from station.adapters import audit, chain, durable
from station.adapters.chain import ChainFiles
from station.adapters.listing import all_below, entries_of
from station.adapters.records import chain_files
from station.adapters.signing import DemonstrationKey, PublicKey, StationKey
from station.errors import RecordsBroken, StorageError

ATTEMPTS = 3
PAUSE = 1.0
"""Seconds after which a chain is looked at again that was being written to."""
ROOM = 16 << 20
"""Bytes that a copy leaves free."""
_CHUNK = 1 << 20
_NAME = re.compile(r"restore-station-records-\d{8}T\d{6}Z\.zip", re.ASCII)
_LEFT = re.compile(r"\.restore-station-records-.*\.part")
_WORDS = {
    errno.ENOSPC: ("it is full", "Free some space there, or take a larger one."),
    errno.EROFS: ("nothing can be written to it", "Unlock it, or take another one."),
    errno.EACCES: ("the station may not write there", "Give the directory to the user restore-station."),
    errno.EFBIG: ("its format holds no file of this size", "Format it with exFAT or ext4."),
}
_FAILS = "It is gone, or it fails: take another one."
_NOT_ITS_WORD = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
}
"""What SQLite says of the disk, the memory or the moment, and not of what the database holds."""
_OUR_DISK = "See with “station doctor” whether the station's own disk has room, and try it again."
_ABOUT = """\
These are the records of a Restore Station, as they were at {at}.

To verify them, unpack this file and run, on any machine with the program:

    station records verify DIRECTORY/station

The key's id that it shows is to be compared with one that is known from elsewhere. What is in "demonstration" is of
virtual phones and proves nothing.
"""


@dataclass(frozen=True)
class Copied:
    """What was written."""

    path: Path
    records: int
    size: int
    """Bytes."""
    removed: int
    """Older copies that went."""


def copies(place: Path) -> Sequence[Path]:
    """The copies there are, oldest first. Raises OSError."""
    return sorted(path for path in entries_of(place) if _NAME.fullmatch(path.name))


def copy_records(state: Path, place: Path, *, keep: int, at: str) -> Copied | None:
    """Copy all records; None: there are none yet. Blocks for as long as the disks take.

    Args:
        state: the station's state directory.
        place: a directory that somebody has made on another disk.
        keep: how many copies there may be, this one included.
        at: now, RFC 3339 in UTC.

    Raises:
        StorageError: that place cannot be used, or gives back something else than was written.
        RecordsBroken: the records are not what was once written; all copies are as they were.
    """
    _require_another_disk(state, place)
    target = place / f"restore-station-records-{at.replace('-', '').replace(':', '')}.zip"
    try:
        with _workshop(state) as work:
            count = 0
            for kind in (StationKey, DemonstrationKey):
                files = chain_files(state, kind)
                if files.head.exists():
                    count += _gather(files, ChainFiles(work / kind.name))
            if not count:
                return None
            (work / "README.txt").write_text(_ABOUT.format(at=at))
            return _put_there(work, target, count, keep=keep)
    except OSError as error:
        raise StorageError(
            f"The records could not be gathered: {error.strerror or error}.", remedy=_OUR_DISK
        ) from error


@contextmanager
def _workshop(state: Path) -> Iterator[Path]:
    """An empty directory beside the records, for one copy at a time. Raises StorageError, OSError."""
    work = state / ".copying-records"
    held = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except BlockingIOError:
        raise StorageError("The records are being copied already.", remedy="Wait for it.") from None
    finally:
        os.close(held)


def _require_another_disk(state: Path, place: Path) -> None:
    try:
        there = place.stat().st_dev
        ours = {disk_of(path.stat().st_dev) for path in (state, Path("/"), Path("/run"))}
    except OSError as error:
        raise StorageError(
            f"The place for copies, {place}, is not there: {error.strerror}.",
            remedy="Plug in its disk, or make the directory on it.",
        ) from error
    if disk_of(there) in ours:  # where no disk is mounted, the directory for it is on the system's, or in memory
        raise StorageError(
            f"The place for copies, {place}, is on the same disk as the records or the system.",
            remedy="Mount another disk there: a copy is to outlive this one.",
        )


def disk_of(number: int, *, sys: Path = Path("/sys")) -> str:
    """The whole disk that a file system (its st_dev) is on: another partition of it dies with it."""
    name = f"{os.major(number)}:{os.minor(number)}"
    try:
        device = (sys / "dev/block" / name).resolve(strict=True)
    except OSError:  # not of a disk: memory, a network, or btrfs, which has numbers of its own
        return name
    return (device.parent if (device / "partition").exists() else device).name


def _gather(files: ChainFiles, work: ChainFiles) -> int:
    """Put one whole chain together. Returns how many records it has. Raises RecordsBroken, StorageError."""
    trouble = False
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
            shutil.rmtree(work.path)
        try:
            _lay_out(files, work)
            report = audit.verify(work.path, PublicKey.read(work.public_key))
        except (sqlite3.Error, FileNotFoundError) as error:
            # Extended codes have the kind in their lowest byte; what Python itself complains about has none.
            found, trouble = str(error), getattr(error, "sqlite_errorcode", -1) & 0xFF in _NOT_ITS_WORD
            continue
        if report.good:
            return report.records
        found, trouble = report.findings[0], False
    if trouble:
        raise StorageError(f"The records could not be gathered: {found}.", remedy=_OUR_DISK)
    raise RecordsBroken(
        f"The records are not as they were written, and were not copied: {found}",
        remedy="Keep the directory as it is, and run “station records verify” to see what is wrong.",
    )


def _lay_out(files: ChainFiles, work: ChainFiles) -> None:
    work.path.mkdir()
    with closing(chain.connect(files)) as source, closing(sqlite3.connect(work.database)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # so that it can be read where nothing can be written
    for directory in (files.path, files.records, files.certificates):
        beside = work.path / directory.relative_to(files.path)
        beside.mkdir(exist_ok=True)
        for path in entries_of(directory):
            # A dot file is what a power cut left of a write.
            if path.is_file() and not path.name.startswith((".", files.database.name)):
                _link(path, beside / path.name)


def _link(path: Path, target: Path) -> None:
    try:
        target.hardlink_to(path)
    except PermissionError:  # a file system without links
        shutil.copyfile(path, target)


def _put_there(work: Path, target: Path, count: int, *, keep: int) -> Copied:
    part = target.with_name(f".{target.name}.part")
    everything = [path for path in sorted(all_below(work)) if path.is_file()]  # on our own disk, not on the other one
    try:
        for left in entries_of(target.parent):
            if _LEFT.fullmatch(left.name):
                left.unlink()
        _require_room(target.parent, sum(path.stat().st_size for path in everything))
        # A new file, always: the disk was in anybody's hands, and a link on it would lead to a file of the station's.
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b") as file:
            digests = _write(file, work, everything)
            file.flush()
            os.fsync(file.fileno())
            # What is read back comes from the disk, and not from memory.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            size = file.seek(0, os.SEEK_END)
        if _read(part) != digests:
            raise StorageError("The disk for copies gave back something else than was written.", remedy=_FAILS)
        part.replace(target)
        durable.sync_directory(target.parent)
        # Whatever the clock says, the one that was just made is not the oldest.
        others = [path for path in copies(target.parent) if path != target]
        old = others[: max(0, len(others) - (keep - 1))]
        for path in old:
            path.unlink()
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        says, remedy = _WORDS.get(getattr(error, "errno", None) or 0, ("it fails", _FAILS))
        raise StorageError(f"The copy could not be written to {target.parent}: {says}.", remedy=remedy) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return Copied(path=target, records=count, size=size, removed=len(old))


def _require_room(place: Path, needed: int) -> None:
    if shutil.disk_usage(place).free < needed + ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(file: IO[bytes], work: Path, everything: Sequence[Path]) -> dict[str, str]:
    """Write the archive; the SHA-256 of each file in it."""
    digests = {}
    with zipfile.ZipFile(file, "w") as archive:
        for path in everything:
            name = str(path.relative_to(work))
            hasher = hashlib.sha256()
            # A zip knows no time before 1980, and a clock that was never set says 1970.
            info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
            info.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(info, "w") as member:
                while chunk := source.read(_CHUNK):
                    hasher.update(chunk)
                    member.write(chunk)
            digests[name] = hasher.hexdigest()
    return digests


def _read(path: Path) -> dict[str, str]:
    """The SHA-256 of each file in an archive. Raises OSError, zipfile.BadZipFile."""
    with zipfile.ZipFile(path) as archive:
        return dict(_digests(archive))


def _digests(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    for name in archive.namelist():
        hasher = hashlib.sha256()
        with archive.open(name) as member:
            while chunk := member.read(_CHUNK):
                hasher.update(chunk)
        yield name, hasher.hexdigest()
