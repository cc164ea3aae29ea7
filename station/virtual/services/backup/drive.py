"""The backup directory on the host, as the phone reads it."""

import asyncio
import plistlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from station.virtual.services.backup import errors, manifest
from station.virtual.services.backup.device_link import DeviceLink
from station.virtual.services.backup.errors import MBError
from station.virtual.services.backup.keybag import BadKeyBagError, BadPasswordError, KeyBag
from station.virtual.services.backup.records import Record

STATUS, INFO, SNAPSHOT = "Status.plist", "Info.plist", "Snapshot"
MAX_METADATA = 256 << 20
"""Bytes of one of the files that describe a backup."""
DIRECTORIES = frozenset(f"{number:02x}" for number in range(256))
"""The directories that hold files, each those whose id begins so."""


@dataclass(frozen=True)
class Manifest:
    """What is in a backup."""

    properties: dict[str, Any]
    keybag: KeyBag
    records: dict[str, Record]
    """By file id."""

    @property
    def encrypted(self) -> bool:
        """Whether a password is needed."""
        return bool(self.properties.get("IsEncrypted"))


class Drive:
    """A backup: the one of the phone with this identifier.

    Args:
        link: to the host.
        identifier: a phone's UDID, which is the name of the backup's directory.
    """

    def __init__(self, link: DeviceLink, identifier: str) -> None:
        self.link = link
        self.identifier = identifier

    def path(self, name: str = "", *, snapshot: bool = False) -> str:
        """The path that the host knows something in the backup by."""
        return "/".join(part for part in (self.identifier, SNAPSHOT if snapshot else "", name) if part)

    async def read(self, name: str, *, snapshot: bool = False) -> bytes:
        """What is in a file. Raises MBError: MISSING."""
        path = self.path(name, snapshot=snapshot)
        files, _ = await self.link.download([path], limit=MAX_METADATA)
        if path not in files:
            raise errors.missing(path)
        return files[path]

    async def read_plist(self, name: str, what: str, *, snapshot: bool = False) -> dict[str, Any]:
        """A property list. Raises MBError: MISSING, UNREADABLE. `what`: it is about, in the words of the error."""
        data = await self.read(name, snapshot=snapshot)
        if not data:
            reason = "Cannot parse a NULL or zero-length data"
            raise MBError(errors.UNREADABLE, f"Error deserializing {what}: {reason}")
        try:
            value = plistlib.loads(data)
        except Exception as error:  # plistlib lets a dozen kinds escape
            raise MBError(errors.UNREADABLE, f"Error deserializing {what}") from error
        if not isinstance(value, dict):
            raise MBError(errors.UNREADABLE, f"Error deserializing {what}")
        return value

    async def read_properties(self, *, snapshot: bool = False) -> dict[str, Any]:
        """Manifest.plist. Raises MBError: DAMAGED, with the reason behind it."""
        try:
            return await self.read_plist(manifest.PROPERTIES, "properties", snapshot=snapshot)
        except MBError as error:
            where = "snapshot" if snapshot else "backup"
            raise MBError(errors.DAMAGED, f"Error reading {where} properties", error) from error

    async def read_manifest(self, password: str | None, *, snapshot: bool = False) -> Manifest:
        """Manifest.plist and Manifest.db. Raises MBError: DAMAGED, PASSWORD."""
        properties = await self.read_properties(snapshot=snapshot)
        keybag = await open_keybag(properties, password)
        where = "snapshot" if snapshot else "backup"
        try:
            data = await self.read(manifest.DATABASE, snapshot=snapshot)
            records = await asyncio.to_thread(_records, data, properties, keybag)
        except (MBError, manifest.BadManifestError) as error:
            cause = (
                error if isinstance(error, MBError) else MBError(errors.UNREADABLE, "Error opening manifest database")
            )
            raise MBError(errors.DAMAGED, f"Error reading {where} manifest database", cause) from error
        return Manifest(properties, keybag, records)

    async def entries(self, *, snapshot: bool = False) -> set[str]:
        """The names in the backup's directory. It must be there: hosts end a connection over one that is not."""
        return set(await self.link.contents(self.path(snapshot=snapshot)))

    async def stored(self, entries: Iterable[str], *, snapshot: bool = False) -> dict[str, int]:
        """What those of these entries hold that are directories of files: bytes by file id."""
        found: dict[str, int] = {}
        for directory in sorted(DIRECTORIES.intersection(entries)):
            for name, about in (await self.link.contents(self.path(directory, snapshot=snapshot))).items():
                size = about.get("DLFileSize")
                if about.get("DLFileType") == "DLFileTypeRegular" and isinstance(size, int):
                    found[name] = size
        return found


async def open_keybag(properties: dict[str, Any], password: str | None) -> KeyBag:
    """The keybag of a backup; that of one which is not encrypted has no password. Raises MBError: DAMAGED, PASSWORD."""
    data = properties.get("BackupKeyBag")
    if not isinstance(data, bytes):
        raise MBError(errors.DAMAGED, "No keybag in manifest")
    if not properties.get("IsEncrypted"):
        return KeyBag(data, {})
    try:
        return await asyncio.to_thread(KeyBag.unlock, data, password or "")
    except BadPasswordError as error:
        cause = MBError(errors.PASSWORD, "MKBKeyBagUnlock error (-3)")
        raise MBError(errors.PASSWORD, "Invalid password when restoring encrypted backup", cause) from error
    except BadKeyBagError as error:
        raise MBError(errors.FAILED, "Error decoding keybag") from error


def _records(data: bytes, properties: dict[str, Any], keybag: KeyBag) -> dict[str, Record]:
    if properties.get("IsEncrypted"):
        data = manifest.unseal(data, properties.get("ManifestKey"), keybag)
    return manifest.read_database(data)
