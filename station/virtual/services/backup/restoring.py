"""A backup that is put back: checked, fetched and laid out; a restart puts it in place.

What is checked, in which order and with which words: logs of BackupAgent2 in public issues of libimobiledevice and
pymobiledevice3. Options: names as both send them.
"""

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import Any, Self

from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.services.backup import errors, manifest
from station.virtual.services.backup.device_link import DeviceLink
from station.virtual.services.backup.domains import Layout, is_setting, is_system
from station.virtual.services.backup.drive import INFO, SNAPSHOT, STATUS, Drive, Manifest
from station.virtual.services.backup.errors import MBError
from station.virtual.services.backup.placing import Plan, Staging
from station.virtual.services.backup.records import FILE, Record
from station.virtual.services.backup.scanning import Found, Sealer, handfuls

OLDEST_STATUS = 2.4
COPY_HEADROOM = 128 << 20
"""Bytes that must be left on the host's disk after a copy of the backup."""
BATCH_FILES, BATCH_BYTES = 64, 8 << 20


@dataclass(frozen=True)
class Options:
    """What the host wants of a restore."""

    password: str | None
    reboot: bool
    copy: bool
    preserve_settings: bool
    system_files: bool
    remove: bool

    @classmethod
    def of(cls, message: dict[str, Any]) -> Self:
        """From the host's message."""
        options = message.get("Options")
        given = options if isinstance(options, dict) else {}
        password = given.get("Password")
        return cls(
            password=password if isinstance(password, str) else None,
            reboot=bool(given.get("RestoreShouldReboot", True)),
            copy=not given.get("RestoreDontCopyBackup", False),
            preserve_settings=bool(given.get("RestorePreserveSettings", False)),
            system_files=bool(given.get("RestoreSystemFiles", False)),
            remove=bool(given.get("RemoveItemsNotRestored", False)),
        )


class Restore:
    """One restore of a backup, perhaps of another phone's."""

    def __init__(self, phone: VirtualPhone, system: System, link: DeviceLink, *, source: str, options: Options) -> None:
        self._phone = phone
        self._system = system
        self._link = link
        self._drive = Drive(link, source)
        self._options = options
        self._layout = Layout(system.files)

    async def run(self) -> None:
        """Do it, to where only a restart is missing. Raises MBError."""
        staging = Staging(self._system.files)
        staging.check()
        backup, moved = await self._open()
        await self._check_compatible()
        if self._system.find_my:
            raise MBError(errors.FIND_MY)
        wanted = [record for record in backup.records.values() if self._is_wanted(record)]
        self._check_space(sum(record.size for record in wanted if record.flags == FILE))
        if self._options.copy:
            await self._copy()
        staging.begin()
        await self._phone.step("restore:files")
        await self._fetch(backup, wanted, moved, staging)
        kept = {self._path(record) for record in wanted}
        staging.finish(
            Plan(
                removals=self._leftovers(kept) if self._options.remove else [],
                name=None if self._options.preserve_settings else _name(backup),
                password=self._options.password if backup.encrypted else None,
            )
        )
        self._link.progress = 100.0

    async def _open(self) -> tuple[Manifest, set[str]]:
        """The manifest, and which files are still in the snapshot of a backup that broke off."""
        try:
            status = await self._drive.read_plist(STATUS, "status")
        except MBError as error:
            if error.code != errors.MISSING:
                raise MBError(errors.DAMAGED, "Error reading status", error) from error
            raise MBError(errors.EMPTY) from error
        version = _number(status.get("Version"))
        if version < OLDEST_STATUS:
            raise MBError(errors.INCOMPATIBLE, f"Unsupported backup status version: {version:.1f}")
        if status.get("BackupState") == "empty":
            raise MBError(errors.EMPTY, "Backup state is empty")
        state = status.get("SnapshotState")
        if state not in {"uploading", "moving", "removing", "finished"}:
            raise MBError(errors.DAMAGED, f"Invalid snapshot state: {state}")
        entries = await self._drive.entries() if state in {"uploading", "moving"} else set()
        if state == "uploading" and manifest.DATABASE not in entries:
            raise MBError(errors.EMPTY, "Initial backup failed while uploading files")
        left = await self._drive.entries(snapshot=True) if state == "moving" and SNAPSHOT in entries else set()
        moved = set(await self._drive.stored(left, snapshot=True))
        return await self._drive.read_manifest(
            self._options.password, snapshot=manifest.PROPERTIES in left and manifest.DATABASE in left
        ), moved

    async def _check_compatible(self) -> None:
        try:
            info = await self._drive.read_plist(INFO, "info")
        except MBError:
            return
        made_with = str(info.get("Product Version", ""))
        release = tuple(int(part) for part in made_with.split(".") if part.isdecimal())
        if release[:2] > self._system.release[:2]:
            raise MBError(errors.INCOMPATIBLE)

    def _is_wanted(self, record: Record) -> bool:
        if not record.relative or self._layout.path(record.domain, record.relative) is None:
            return False
        if self._options.preserve_settings and is_setting(record.domain, record.relative):
            return False
        return self._options.system_files or not is_system(record.domain)

    def _path(self, record: Record) -> str:
        path = self._layout.path(record.domain, record.relative)
        assert path is not None
        return path

    def _check_space(self, size: int) -> None:
        free = self._system.files.free
        if free < size:
            code = errors.DEVICE_FULL if self._system.release >= (14,) else errors.DRIVE_FULL
            raise MBError(code, f"Insufficient free disk space on device to restore ({free} < {size})")

    async def _copy(self) -> None:
        """Have the host keep a copy of this phone's own backup, where there is one and room for it."""
        target = Drive(self._link, self._phone.identity.udid)
        try:
            await target.read(INFO)
        except MBError:
            return
        usage = sum((await target.stored(await target.entries())).values())
        if await self._link.free_space() >= usage + COPY_HEADROOM:
            now = dt.datetime.now(dt.UTC)
            await self._link.copy(target.path(), f"{target.path()}-{now:%Y%m%d-%H%M%S}")

    async def _fetch(self, backup: Manifest, wanted: list[Record], moved: set[str], staging: Staging) -> None:
        sealer = Sealer(backup.keybag, encrypted=backup.encrypted)
        files = [Found(self._path(record), record) for record in wanted if record.flags == FILE]
        total = sum(found.record.size for found in files) or 1
        done = 0
        for record in wanted:
            if record.flags != FILE:
                staging.add(self._path(record), record, b"")
        for handful in handfuls(files, count=BATCH_FILES, size=BATCH_BYTES):
            await self._phone.step("restore:batch")
            batch = [found.record for found in handful]
            sources = {self._drive.path(each.stored, snapshot=each.file_id in moved): each for each in batch}
            limit = sum(sealer.size(each) for each in batch)
            contents, _ = await self._link.download(list(sources), limit=limit)
            if len(contents) < len(sources):
                raise MBError(errors.DAMAGED, "Multiple errors downloading files")
            for source, record in sources.items():
                try:
                    content = await asyncio.to_thread(sealer.unseal, record, contents[source])
                except ValueError as error:
                    raise MBError(errors.DAMAGED, "Digest didn't match for some files") from error
                staging.add(self._path(record), record, content)
            done += sum(each.size for each in batch)
            self._link.progress = 95.0 * done / total

    def _leftovers(self, kept: set[str]) -> list[str]:
        """Files on the phone that a backup would hold and this one does not."""
        found: list[str] = []
        for path, node in self._system.files.walk("/var"):
            place = None if node.is_directory or path in kept else self._layout.place(path)
            if place is None or (self._options.preserve_settings and is_setting(place[0].name, place[1])):
                continue
            if self._options.system_files or not place[0].system:
                found.append(path)
        return found


def _name(backup: Manifest) -> str | None:
    lockdown = backup.properties.get("Lockdown")
    name = lockdown.get("DeviceName") if isinstance(lockdown, dict) else None
    return name if isinstance(name, str) else None


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
