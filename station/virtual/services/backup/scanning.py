"""What of a phone's files belongs into a backup, and the form in which it does."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.padding import PKCS7

from station.virtual.services.backup.domains import Layout
from station.virtual.services.backup.keybag import FILES_CLASS, BadPasswordError, KeyBag, decrypt, encrypt
from station.virtual.services.backup.records import Record
from station.virtual.system.files import FileSystem

BLOCK = 16
"""Bytes to whose multiple an encrypted file is filled up, by at least one."""


@dataclass(frozen=True)
class Found:
    """A file, directory or link on the phone."""

    path: str
    record: Record


def scan(files: FileSystem) -> list[Found]:
    """All that belongs into a backup; of each domain the root comes first."""
    layout = Layout(files)
    found: list[Found] = []
    roots: set[str] = set()
    for path, node in files.walk("/var"):
        if (place := layout.place(path)) is None:
            continue
        domain, relative = place
        if domain.name not in roots:
            roots.add(domain.name)
            found.append(Found(domain.root, Record.of(domain.name, "", files.find(domain.root), FILES_CLASS)))
        if relative:
            found.append(Found(path, Record.of(domain.name, relative, node, FILES_CLASS)))
    return found


class Sealer:
    """Turns files into what a backup keeps of them, and back.

    Args:
        keybag: of the backup.
        encrypted: whether its files are encrypted.
    """

    def __init__(self, keybag: KeyBag, *, encrypted: bool) -> None:
        self._keybag = keybag
        self._encrypted = encrypted

    def size(self, record: Record) -> int:
        """Bytes that a file has in the backup."""
        return record.size + BLOCK - record.size % BLOCK if self._encrypted else record.size

    def seal(self, record: Record, content: bytes) -> tuple[Record, bytes]:
        """A file's record with its digest and its key, a new one where it has none; and its bytes in the backup.

        Not for the event loop.
        """
        key, stored = None, content
        if self._encrypted:
            secret, key = self._key(record.key)
            padder = PKCS7(BLOCK * 8).padder()
            stored = encrypt(secret, padder.update(content) + padder.finalize())
        return replace(record, size=len(content), digest=_sha1(stored), key=key), stored

    def unseal(self, record: Record, stored: bytes) -> bytes:
        """A file as it was on the phone. Not for the event loop. Raises ValueError: these are not its bytes."""
        if record.digest is not None and _sha1(stored) != record.digest:
            raise ValueError("another digest")
        content = stored
        if self._encrypted:
            unpadder = PKCS7(BLOCK * 8).unpadder()
            content = unpadder.update(decrypt(self._keybag.unwrap(record.key or b""), stored)) + unpadder.finalize()
        if len(content) != record.size:
            raise ValueError("another size")
        return content

    def _key(self, wrapped: bytes | None) -> tuple[bytes, bytes]:
        """A file's key, as it is and wrapped."""
        if wrapped is not None:
            try:
                return self._keybag.unwrap(wrapped), wrapped
            except BadPasswordError:
                pass  # it never was a key of this backup
        secret = secrets.token_bytes(32)
        return secret, self._keybag.wrap(secret, FILES_CLASS)


def handfuls(found: Iterable[Found], *, count: int, size: int) -> Iterator[list[Found]]:
    """Files in handfuls: at most so many, and no more bytes than that, but for one that has more by itself."""
    batch: list[Found] = []
    left = size
    for each in found:
        if batch and (len(batch) == count or each.record.size > left):
            yield batch
            batch, left = [], size
        batch.append(each)
        left -= each.record.size
    if batch:
        yield batch


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
