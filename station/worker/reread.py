"""A backup is opened again: its manifest, every file's size and digest, and the decryption with its password.

Streamed: a file is never in memory as a whole, but for the manifest, and nothing of what is decrypted is ever on a
disk. The format is that
of iOS 10.2 and later, as the public readers of backups have it: Manifest.db is a SQLite database, encrypted with a
key in Manifest.plist; a row is a file, its column `file` an archive (NSKeyedArchiver) of an MBFile. Files are
AES-256-CBC without an initialization vector, padded (PKCS #7), each with a key of its own, wrapped (RFC 3394) with the
key of its protection class, which is in the keybag. The keybag is pyiosbackup's business; it reads files whole, so
they are ours.
"""

import hashlib
import os
import plistlib
import re
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from plistlib import UID
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from pyiosbackup.keybag import Keybag, encryption_key_struct
from pyiosbackup.manifest_plist import ManifestPlist

from station.worker.received import Received

CHUNK = 1 << 20
BLOCK = 16
MAX_PROPERTIES = 256 << 20
"""Bytes of Manifest.plist, which is read whole."""
MAX_FAULTS = 5
"""So many are told in words."""
PROPERTIES, DATABASE, INFO, STATUS = "Manifest.plist", "Manifest.db", "Info.plist", "Status.plist"
FILE = 1
"""Column `flags` of a file; the others are directories and links, of which nothing else is stored."""

_FILE_ID = re.compile(r"[0-9a-f]{40}")


@dataclass
class Reading:
    """What was found."""

    files: int = 0
    size: int = 0
    """Bytes, as they lie in the vault."""
    faulty: int = 0
    words: list[str] = field(default_factory=list)

    def fault(self, what: str) -> None:
        """Something is not as it must be."""
        self.faulty += 1
        if len(self.words) < MAX_FAULTS:
            self.words.append(what)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, in words; a few of them when there are many."""
        more = self.faulty - len(self.words)
        return (*self.words, f"and {more} more") if more else tuple(self.words)


@dataclass(frozen=True)
class Entry:
    """What the manifest says of a file."""

    size: int
    """Bytes, decrypted."""
    key: bytes
    """The class and the wrapped key; empty where an empty file has none."""
    digest: bytes | None
    """SHA-1 of the file as it is stored, where this version has it."""


class FaultFound(Exception):
    """Nothing more can be read, or not of this file."""


def reread(
    directory: Path, password: str, *, received: Received, memory: Path, alive: Callable[[float], None]
) -> Reading:
    """Read a whole backup. Blocks for as long as that takes.

    Args:
        directory: the backup itself: the directory that is named after the phone.
        password: the backup's.
        received: what came from the phone.
        memory: a file that is to be in memory (tmpfs): the decrypted manifest, while it is read.
        alive: called for every block that was read, with the part of the whole that is done, 0..1.

    Raises:
        OSError: the disk cannot be read at all.
    """
    reading = Reading()
    os.sync()  # what is read below shall come from the disk, not from the memory on its way there
    try:
        keybag, manifest_key = _open(directory, password, received)
        with _database(directory / DATABASE, keybag, manifest_key, received, memory) as database:
            total = max(1, database.execute("SELECT count(*) FROM Files WHERE flags = ?", (FILE,)).fetchone()[0])
            for name, archive in database.execute("SELECT fileID, file FROM Files WHERE flags = ?", (FILE,)):
                read = partial(alive, reading.files / total)
                reading.files += 1
                try:
                    reading.size += _check(directory, name, archive, keybag, received, read)
                except FaultFound as fault:
                    reading.fault(str(fault))
    except FaultFound as fault:
        reading.fault(str(fault))
    except sqlite3.Error as error:
        reading.fault(f"the manifest cannot be read ({error})")
    if not reading.files and not reading.faulty:
        reading.fault("there is nothing in it")
    return reading


def _open(directory: Path, password: str, received: Received) -> tuple[Keybag, bytes]:
    """The keybag, and the wrapped key of the manifest."""
    _plist(directory, INFO)
    if _plist(directory, STATUS, received).get("SnapshotState") != "finished":
        raise FaultFound("the phone has not finished it")
    properties = _plist(directory, PROPERTIES, received)
    if not properties.get("IsEncrypted"):
        raise FaultFound("it is not encrypted")
    try:
        return Keybag.from_manifest(ManifestPlist(properties), password), bytes(properties["ManifestKey"])
    except InvalidUnwrap as error:
        raise FaultFound("its password does not open it") from error
    except Exception as error:  # plistlib and construct let a dozen kinds escape
        raise FaultFound(f"{PROPERTIES} makes no sense ({type(error).__name__})") from error


def _plist(directory: Path, name: str, received: Received | None = None) -> dict[str, Any]:
    """One of the files that describe the backup; none of the owner's."""
    path = directory / name
    try:
        if path.stat().st_size > MAX_PROPERTIES:
            raise FaultFound(f"{name} is too large")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FaultFound(f"{name} is missing") from error
    if received is not None and received.of(name) not in (None, hashlib.sha256(data).digest()):
        raise FaultFound(f"{name} is not what came from the phone")
    try:
        value = plistlib.loads(data)
    except Exception as error:  # plistlib lets a dozen kinds escape
        raise FaultFound(f"{name} makes no sense ({type(error).__name__})") from error
    if not isinstance(value, dict):
        raise FaultFound(f"{name} makes no sense")
    return value


@contextmanager
def _database(
    path: Path, keybag: Keybag, wrapped: bytes, received: Received, memory: Path
) -> Iterator[sqlite3.Connection]:
    """The manifest, decrypted into `memory`, and without a name there as soon as it is open."""
    digest = hashlib.sha256()
    decryptor = _cipher(keybag, wrapped, DATABASE).decryptor()
    try:
        try:
            with path.open("rb") as stored, memory.open("xb") as plain:
                while chunk := stored.read(CHUNK):
                    digest.update(chunk)
                    plain.write(decryptor.update(chunk))
                plain.write(decryptor.finalize())
        except FileNotFoundError as error:
            raise FaultFound(f"{DATABASE} is missing") from error
        except ValueError as error:
            raise FaultFound(f"{DATABASE} is cut off") from error
        if received.of(DATABASE) not in (None, digest.digest()):
            raise FaultFound(f"{DATABASE} is not what came from the phone")
        with closing(sqlite3.connect(f"{memory.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.execute("SELECT 1 FROM Files").fetchone()
            memory.unlink()
            yield database
    finally:
        memory.unlink(missing_ok=True)


def _check(
    directory: Path, name: object, archive: object, keybag: Keybag, received: Received, alive: Callable[[], None]
) -> int:
    """Read one file; its bytes. Raises FaultFound."""
    if not isinstance(name, str) or _FILE_ID.fullmatch(name) is None:
        raise FaultFound("the manifest names a file that cannot be")
    entry = _entry(name, archive)
    path = directory / name[:2] / name
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise FaultFound(f"file {name} is missing") from error
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise FaultFound(f"file {name} is no file")
        with suppress(OSError):  # not every file system lets go of what it has in memory
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        _compare(name, entry, _Digests.of(partial(os.read, fd), entry, keybag, name, alive), received)
    finally:
        os.close(fd)
    return about.st_size


@dataclass
class _Digests:
    """Of one file as it is stored, and how long it is once decrypted; -1: that makes no sense."""

    sha1: bytes
    sha256: bytes
    size: int

    @classmethod
    def of(
        cls, read: Callable[[int], bytes], entry: Entry, keybag: Keybag, name: str, alive: Callable[[], None]
    ) -> "_Digests":
        """Read it."""
        sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
        decryptor = _cipher(keybag, entry.key, name).decryptor() if entry.key else None
        size, last = 0, b""
        while chunk := read(CHUNK):
            sha1.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
            if decryptor is not None:
                last = (last + decryptor.update(chunk))[-BLOCK:]
            alive()
        if decryptor is not None:
            whole = size >= BLOCK and size % BLOCK == 0
            padding = last[-1] if whole else 0
            right = 1 <= padding <= BLOCK and last[-padding:] == bytes([padding]) * padding
            size = size - padding if right else -1
        return cls(sha1.digest(), sha256.digest(), size)


def _compare(name: str, entry: Entry, found: _Digests, received: Received) -> None:
    """Hold what was read against what it must be. Raises FaultFound."""
    came = received.of(name)
    if came is None and entry.digest is None:
        raise FaultFound(f"nobody knows what file {name} must be")
    if (came is not None and came != found.sha256) or (entry.digest is not None and entry.digest != found.sha1):
        raise FaultFound(f"file {name} is not what came from the phone")
    if found.size < 0:
        raise FaultFound(f"file {name} cannot be decrypted")
    if found.size != entry.size:
        raise FaultFound(f"file {name} has {found.size} bytes instead of {entry.size}")


def _entry(name: str, archive: object) -> Entry:
    """What the manifest says of a file. Raises FaultFound."""
    try:
        assert isinstance(archive, bytes)
        plist = plistlib.loads(archive)
        objects = plist["$objects"]
        file = objects[plist["$top"]["root"].data]

        def follow(what: str) -> Any:
            value = file.get(what)
            value = objects[value.data] if isinstance(value, UID) else value
            return value.get("NS.data") if isinstance(value, dict) else value

        size, key, digest = file["Size"], follow("EncryptionKey"), follow("Digest")
        assert type(size) is int
        assert isinstance(key, bytes | None)
        assert isinstance(digest, bytes | None)
    except Exception as error:  # plistlib lets a dozen kinds escape, and anything may be in there
        raise FaultFound(f"the manifest makes no sense of file {name} ({type(error).__name__})") from error
    if key is None and size:
        raise FaultFound(f"file {name} is not encrypted")
    return Entry(size, key or b"", digest)


def _cipher(keybag: Keybag, wrapped: bytes, name: str) -> "Cipher[modes.CBC]":
    """What decrypts a file with this key: its class, and the key under that of the class. Raises FaultFound."""
    try:
        parsed = encryption_key_struct.parse(wrapped)
        key = aes_key_unwrap(keybag.get_key(parsed.class_), parsed.key)
        return Cipher(algorithms.AES(key), modes.CBC(bytes(BLOCK)))
    except Exception as error:  # construct's, KeyError, InvalidUnwrap, ValueError
        raise FaultFound(f"{name} has a key that this password does not open") from error
