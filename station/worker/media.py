"""The owner's pictures and recordings, counted through the phone's file service."""

import asyncio
from typing import Any

from pymobiledevice3.exceptions import AfcException, AfcFileNotFoundError
from pymobiledevice3.services.afc import AfcError, AfcService

from station.errors import InputRejected
from station.model.phone import Media
from station.worker.connection import PhoneConnection
from station.worker.lockdown import Lockdown

PICTURES = "/DCIM"
MAX_ENTRIES = 50_000
"""Files and folders. Who has more than that is not told how many: a part of a count is none."""
MAX_PACKET = 4 << 20
"""Bytes of one answer: a folder's names."""
_AT_ONCE = 64
_GONE = (AfcError.OBJECT_NOT_FOUND, AfcError.READ_ERROR)


async def count_media(lockdown: Lockdown) -> Media:
    """Count the files below DCIM, and their bytes. A phone without that folder has none.

    Raises:
        InputRejected: there are too many, or the answers make no sense.
        whatever the library raises, PasswordRequiredError while the phone is locked.
    """
    async with AfcService(lockdown) as afc:
        assert isinstance(afc.service, PhoneConnection)
        afc.service.max_read = MAX_PACKET
        try:
            names = await afc.listdir(PICTURES)
        except AfcException as error:
            if error.status in _GONE:
                return Media(files=0, size=0)
            raise
        return await _count(afc, [f"{PICTURES}/{name}" for name in names])


async def _count(afc: AfcService, left: list[str]) -> Media:
    files = size = seen = 0
    while left:
        seen += len(left[:_AT_ONCE])
        if seen + len(left) > MAX_ENTRIES:
            raise InputRejected("The phone has more pictures than are counted.")
        batch, left = left[:_AT_ONCE], left[_AT_ONCE:]
        for path, told in zip(batch, await asyncio.gather(*(_stat(afc, path) for path in batch)), strict=True):
            match told.get("st_ifmt"):
                case "S_IFDIR":
                    left += [f"{path}/{name}" for name in await afc.listdir(path)]
                case "S_IFREG":
                    files, size = files + 1, size + max(0, told["st_size"])
                case _:
                    pass
    return Media(files=files, size=size)


async def _stat(afc: AfcService, path: str) -> dict[str, Any]:
    """What a name stands for; nothing when it is gone by now: somebody may be using the phone."""
    try:
        return await afc.stat(path)
    except AfcFileNotFoundError:
        return {}
