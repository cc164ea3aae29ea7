"""A backup as the phone makes it: it reads what the host has, sends what is new, and renames it into place last.

Until then the old backup is whole: what is new goes into a directory of its own, Snapshot, and Status.plist says how
far it got. A backup that broke off is taken up there. Phases, their names and the sizes that are asked for: logs of
BackupAgent2 in public issues, and pymobiledevice3 (services/device_link.py), which measured them.
"""

import asyncio
import plistlib
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.services.backup import errors, manifest
from station.virtual.services.backup.device_link import DeviceLink, Upload
from station.virtual.services.backup.drive import DIRECTORIES, SNAPSHOT, STATUS, Drive, Manifest
from station.virtual.services.backup.errors import MBError
from station.virtual.services.backup.keybag import KeyBag
from station.virtual.services.backup.records import FILE, Record
from station.virtual.services.backup.scanning import Found, Sealer, handfuls, scan

HEADROOM = 128 << 20
"""Bytes that must be left on the host's disk."""
PURGE_MORE = 2 << 30
"""Bytes that the host is asked to free beyond what is missing."""
BATCH_FILES, BATCH_BYTES = 256, 8 << 20
"""Files are sent in handfuls of about so many."""
MOVES = 500
"""Renames in one message."""
STATUS_VERSION = "3.3"
TEMPORARY = "/private/var/mobile/Library/Caches/Backup"
"""Where on the phone the files are that describe a backup."""


class Backup:
    """One backup of a phone."""

    def __init__(self, phone: VirtualPhone, system: System, link: DeviceLink, *, full: bool) -> None:
        self._phone = phone
        self._system = system
        self._link = link
        self._force = full
        self._full = False
        self._drive = Drive(link, phone.identity.udid)
        self._uuid = str(uuid.uuid4()).upper()
        self._old: Manifest | None = None
        """What the host has; None: nothing, or nothing to build on."""
        self._entries: set[str] = set()
        """The names in the directory of the backup on the host."""
        self._stored: dict[str, int] = {}
        """All files that are in the backup on the host, with their sizes."""
        self._sealer: Sealer
        """Of the keys that this backup has."""
        self._records: list[Record] = []
        """What is in the new backup, as far as it was sent or is there."""
        self._new: list[Found] = []
        """What must be sent."""
        self._described: dict[str, bytes] = {}
        """The manifest that is sent, by file name."""

    async def run(self) -> None:
        """Make it. Raises MBError."""
        self._check_allowed()
        await self._resume()
        keybag, key = await self._keys()
        self._sealer = Sealer(keybag, encrypted=self._system.backup_password is not None)
        await self._scan()
        await self._make_room(self._size())
        await self._phone.step("backup:uploading")
        old = {record.file_id for record in self._records}
        await self._upload(keybag, key)
        await self._phone.step("backup:moving")
        await self._move([record.stored for record in self._records if record.file_id not in old])
        await self._phone.step("backup:removing")
        await self._remove()
        await self._verify()
        self._link.progress = 100.0

    def _check_allowed(self) -> None:
        if not self._system.set_up:
            raise MBError(errors.SETUP)
        if self._system.backup_encryption_required and self._system.backup_password is None:
            raise MBError(errors.PASSWORD, "No backup password set when required by device management")

    async def _resume(self) -> None:
        """Read what the host has, and finish what broke off."""
        try:
            status = await self._drive.read_plist(STATUS, "status")
        except MBError as error:
            if error.code != errors.MISSING:
                raise MBError(errors.DAMAGED, "Error reading status", error) from error
            status = {}
        self._entries = await self._drive.entries()
        if status.get("Version") == STATUS_VERSION:
            self._full = bool(status.get("IsFullBackup"))
            self._uuid = str(status.get("UUID", self._uuid))
            match status.get("SnapshotState"):
                case "moving":
                    await self._finish_moving()
                    self._full = False
                case "uploading" | "removing" | "finished":
                    pass
                case other:
                    raise MBError(errors.DAMAGED, f"Invalid snapshot state: {other}")
            if not self._full:
                self._old = await self._read_old()
        self._full |= self._force or self._old is None
        whole = self._old is not None and status.get("SnapshotState") == "finished"
        used = {name[:2] for name in self._old.records} if whole and self._old is not None else self._entries
        self._stored = await self._drive.stored(self._entries.intersection(used))
        if not self._full and self._old is not None and _absent(self._old.records.values(), self._stored):
            self._full = True  # the existing backup is corrupt

    async def _read_old(self) -> Manifest | None:
        try:
            old = await self._drive.read_manifest(self._system.backup_password)
        except MBError as error:
            if error.code != errors.PASSWORD:
                raise
            return None  # the password has changed
        return old if old.encrypted == (self._system.backup_password is not None) else None

    async def _finish_moving(self) -> None:
        """Move what a broken backup has left in its snapshot to where it belongs."""
        if SNAPSHOT in self._entries:
            entries = await self._drive.entries(snapshot=True)
            left = await self._drive.stored(entries, snapshot=True)
            await self._move([f"{name[:2]}/{name}" for name in left], also=entries)

    async def _keys(self) -> tuple[KeyBag, bytes]:
        """The keybag of this backup, and the key of Manifest.db."""
        password = self._system.backup_password
        if not self._full and self._old is not None:
            keybag = self._old.keybag
            return keybag, keybag.unwrap(self._old.properties["ManifestKey"]) if password is not None else b""
        return await asyncio.to_thread(KeyBag.new, password or ""), secrets.token_bytes(32)

    async def _scan(self) -> None:
        """Find all that belongs into the backup, and what the host does not have of it."""
        known = {} if self._full or self._old is None else self._old.records
        for found in scan(self._system.files):
            record = found.record
            old = known.get(record.file_id)
            if record.flags != FILE:
                self._records.append(record)
            elif old is None or self._stored.get(record.file_id) != self._sealer.size(record):
                self._new.append(found)
            elif self._system.files.exists(found.path):
                content = self._system.files.read(found.path)
                sealed, _ = await asyncio.to_thread(self._sealer.seal, replace(record, key=old.key), content)
                if sealed.digest == old.digest:
                    self._records.append(sealed)
                else:
                    self._new.append(replace(found, record=replace(record, key=old.key)))

    def _size(self) -> int:
        """Bytes that must be sent."""
        return sum(self._sealer.size(found.record) for found in self._new)

    async def _make_room(self, size: int) -> None:
        """Refuse when the host's disk is too small."""
        required = size + HEADROOM
        free = await self._link.free_space()
        if free > required:
            return
        if self._system.release >= (14,):
            purged = await self._link.purge(required - free + PURGE_MORE)
            if purged.code == 0 and await self._link.free_space() > required:
                return
        raise MBError(errors.DRIVE_FULL)

    async def _upload(self, keybag: KeyBag, key: bytes) -> None:
        """Send everything that is new into the snapshot."""
        if SNAPSHOT in self._entries:
            await self._link.remove([self._drive.path(snapshot=True)])
        await self._link.make_directory(self._drive.path())
        await self._link.make_directory(self._drive.path(snapshot=True))
        await self._tell("uploading")
        for directory in sorted(DIRECTORIES - self._entries):
            await self._link.make_directory(self._drive.path(directory))
        for directory in sorted({found.record.stored[:2] for found in self._new}):
            await self._link.make_directory(self._drive.path(directory, snapshot=True))
        total = self._size() or 1
        done = 0
        for batch in handfuls(self._new, count=BATCH_FILES, size=BATCH_BYTES):
            await self._phone.step("backup:files")
            uploads = await self._seal(batch)
            size = sum(len(each.data) for each in uploads)
            await self._send(uploads, size)
            done += size
            self._link.progress = 95.0 * done / total
        await self._describe(keybag, key)

    async def _seal(self, batch: list[Found]) -> list[Upload]:
        """These files as they are now, in their form; those that are gone meanwhile are left out."""
        uploads: list[Upload] = []
        for found in batch:
            if self._system.files.exists(found.path):
                content = self._system.files.read(found.path)
                record, stored = await asyncio.to_thread(self._sealer.seal, found.record, content)
                self._records.append(record)
                uploads.append(Upload(found.path, self._drive.path(record.stored, snapshot=True), stored))
        return uploads

    async def _describe(self, keybag: KeyBag, key: bytes) -> None:
        """Send the manifest into the snapshot."""
        database = await asyncio.to_thread(manifest.write_database, self._records)
        properties = manifest.properties(self._phone, self._system, keybag)
        if self._system.backup_password is not None:
            database = manifest.seal(database, key)
            properties["ManifestKey"] = manifest.wrap_key(key, keybag)
        self._described = {manifest.PROPERTIES: _binary(properties), manifest.DATABASE: database}
        files = [
            Upload(f"{TEMPORARY}/{name}", self._drive.path(name, snapshot=True), data)
            for name, data in self._described.items()
        ]
        await self._send(files, len(database))

    async def _send(self, files: list[Upload], size: int) -> None:
        status = await self._link.upload(files, size=size)
        if status.code:
            raise MBError(errors.UPLOAD)

    async def _tell(self, state: str) -> None:
        """Have the host keep how far it got."""
        status = {
            "BackupState": "new",
            "Date": manifest.now(),
            "IsFullBackup": self._full and state != "finished",
            "SnapshotState": state,
            "UUID": self._uuid,
            "Version": STATUS_VERSION,
        }
        await self._send([Upload(f"{TEMPORARY}/{STATUS}", self._drive.path(STATUS), _binary(status))], 0)

    async def _move(self, stored: list[str], also: Iterable[str] = (manifest.DATABASE, manifest.PROPERTIES)) -> None:
        """Rename what was sent into place, the manifest last."""
        await self._tell("moving")
        for start in range(0, len(stored), MOVES):
            await self._phone.step("backup:moving:files")
            await self._rename(stored[start : start + MOVES])
        await self._phone.step("backup:moving:manifest")
        await self._rename([name for name in (manifest.DATABASE, manifest.PROPERTIES) if name in set(also)])

    async def _rename(self, names: list[str]) -> None:
        items = {self._drive.path(name, snapshot=True): self._drive.path(name) for name in names}
        if items and (await self._link.move(items)).code:
            raise MBError(errors.UPLOAD, "Error moving files")

    async def _remove(self) -> None:
        """Remove what is in the backup no longer, and the snapshot."""
        await self._tell("removing")
        now = {record.file_id for record in self._records if record.flags == FILE}
        gone = [self._drive.path(f"{name[:2]}/{name}") for name in self._stored if name not in now]
        for start in range(0, len(gone), MOVES):
            await self._link.remove(gone[start : start + MOVES])
        await self._link.remove([self._drive.path(snapshot=True)])
        await self._tell("finished")

    async def _verify(self) -> None:
        """Read it back: the manifest as it was sent, and a file for each record."""
        self._link.progress = 99.0
        await self._drive.read(STATUS)
        for name, data in self._described.items():
            if await self._drive.read(name) != data:
                raise MBError(errors.DAMAGED, "Error reading backup manifest database")
        used = {record.file_id[:2] for record in self._records if record.flags == FILE}
        if _absent(self._records, await self._drive.stored(used)):
            raise MBError(errors.DAMAGED, "Manifest references files not in backup")


def _absent(records: Iterable[Record], stored: dict[str, int]) -> bool:
    return any(record.flags == FILE and record.file_id not in stored for record in records)


def _binary(value: dict[str, Any]) -> bytes:
    return plistlib.dumps(value, fmt=plistlib.FMT_BINARY)
