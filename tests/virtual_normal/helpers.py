"""What the tests of a phone in normal mode share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from pymobiledevice3.lockdown import create_using_usbmux

from station.virtual.phone import VirtualPhone

HOST_KEY, *PHONE_KEYS = (rsa.generate_private_key(65537, 2048) for _ in range(3))
"""Made once, because it takes long: the host's, and those of two phones."""


@asynccontextmanager
async def lockdown(phone: VirtualPhone, *, autopair: bool = True, **options: Any) -> AsyncIterator[Any]:
    """The library's client for a phone; pairs unless told otherwise, and waits for nobody."""
    async with await create_using_usbmux(phone.identity.udid, autopair=False, **options) as client:
        if autopair and not client.paired:
            await client.pair(timeout=0, private_key=HOST_KEY)
            assert await client.validate_pairing()
        yield client
