"""What the tests of backups share: the library's clients, and pyiosbackup as the judge of what they wrote."""

import asyncio
import plistlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pyiosbackup import Backup
from pymobiledevice3.exceptions import PyMobileDevice3Exception
from pymobiledevice3.services.afc import AfcService
from pymobiledevice3.services.mobilebackup2 import Mobilebackup2Service

from station.model.phone import UsbArrived, UsbGone
from station.virtual.bus import Bus
from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.files import FileSystem
from tests.virtual_services.helpers import started, trusted

PICTURE = ("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG")
MESSAGES = ("HomeDomain", "Library/SMS/sms.db")
SECRET = "correct horse"
EMPTY: dict[str, Any] = {"set_up": True, "name": "iPhone"}
"""Of a phone that was erased, and set up as far as the question what to restore."""


def erased() -> dict[str, Any]:
    """What is on a phone that was erased."""
    return {**EMPTY, "files": FileSystem()}


@asynccontextmanager
async def asking(phone: VirtualPhone) -> AsyncIterator[Mobilebackup2Service]:
    """The library's client, for one request: it does not connect twice."""
    async with trusted(phone) as client:
        yield Mobilebackup2Service(client)


async def change_password(phone: VirtualPhone, directory: Path, **passwords: str) -> None:
    """Change the password of backups, set one or remove it."""
    async with asking(phone) as service:
        await service.change_password(directory, **passwords)


async def back_up(phone: VirtualPhone, directory: Path, *, full: bool = True) -> None:
    """Back a phone up with the library."""
    async with asking(phone) as service:
        await service.backup(full=full, backup_directory=directory)


async def put_back(phone: VirtualPhone, directory: Path, source: VirtualPhone | None = None, **options: Any) -> None:
    """Restore with the library: all that is in the backup, but no apps from the store; no copy is kept."""
    udid = (source or phone).identity.udid
    wanted = {"system": True, "settings": False, "skip_apps": True, "copy": False} | options
    async with asking(phone) as service:
        await service.restore(directory, source=udid, **wanted)


def contents(directory: Path, phone: VirtualPhone, password: str = "") -> dict[tuple[str, str], bytes]:
    """Every file in a backup, as an independent reader sees it: by domain and path."""
    backup = Backup.from_path(directory / phone.identity.udid, password)
    try:
        return {(entry.domain, entry.relative_path): entry.read_bytes() for entry in backup.iter_files()}
    finally:
        backup._manifest_db._conn.close()
        backup._manifest_db.path.unlink()


def read(directory: Path, phone: VirtualPhone, name: str) -> dict[str, Any]:
    """A property list in a backup."""
    value: dict[str, Any] = plistlib.loads((directory / phone.identity.udid / name).read_bytes())
    return value


def stored(directory: Path, phone: VirtualPhone, name: tuple[str, str], password: str = "") -> Path:
    """The file in a backup that holds this one."""
    backup = Backup.from_path(directory / phone.identity.udid, password)
    path: Path = backup.get_entry_by_domain_and_path(*name).real_path
    backup._manifest_db._conn.close()
    return path


async def media(phone: VirtualPhone) -> dict[str, bytes]:
    """Every file in the media directory, as a client sees it."""
    async with started(phone, AfcService) as afc:
        found = {}
        async for root, _, files in afc.walk("/"):
            for name in files:
                path = f"{root.rstrip('/')}/{name}"
                found[path] = await afc.get_file_contents(path)
        return found


@asynccontextmanager
async def restarting(bus: Bus) -> AsyncIterator[None]:
    """What is done within has a phone restart; it is back afterwards."""
    async with bus.watch() as queue:
        while not queue.empty():
            queue.get_nowait()
        yield
        async with asyncio.timeout(10):
            assert isinstance(await queue.get(), UsbGone)
            assert isinstance(await queue.get(), UsbArrived)


def refused(code: int, text: str = "") -> Any:
    """The phone answers with an error: its number, and something of its text."""
    return pytest.raises(PyMobileDevice3Exception, match=rf"(?s)^(?=.*'ErrorCode': {code}\b).*{text}")
