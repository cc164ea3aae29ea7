"""What the tests of a phone in normal mode share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymobiledevice3.lockdown import create_using_usbmux

from station.virtual.phones.phone import VirtualPhone


@asynccontextmanager
async def lockdown(phone: VirtualPhone, *, autopair: bool = True, **options: Any) -> AsyncIterator[Any]:
    """The library's client for a phone; pairs unless told otherwise, and waits for nobody."""
    async with await create_using_usbmux(phone.identity.udid, autopair=False, **options) as client:
        if autopair and not client.paired:
            await client.pair(timeout=0)
            assert await client.validate_pairing()
        yield client
