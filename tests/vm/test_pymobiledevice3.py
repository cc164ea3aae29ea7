"""pymobiledevice3's own command line, at the kernel's USB: restores phones of the present, two at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from station.model.phone import PhoneMode
from station.virtual.phones.phone import VirtualPhone
from tests.vm.firmware import NEW, Release
from tests.vm.guest import Guest
from tests.vm.media import lockdown_values, media
from tests.vm.program import PYTHON
from tests.vm.sockets import Sockets

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

RESTORE = (str(PYTHON), "-m", "pymobiledevice3", "--no-color", "restore")
SECONDS = 400.0
"""It takes a minute when nothing else runs."""


@pytest.mark.client("pymobiledevice3", "erase, from recovery mode", phone="iPhone 16, iOS 18.5 → 26.2.1")
@pytest.mark.client("pymobiledevice3", "erase, from DFU mode", phone="iPhone 12, iOS 18.5 → 26.2.1")
async def test_erase(guest: Guest, sockets: Sockets, firmware: Callable[[Release], Awaitable[Path]]):
    ipsw = await firmware(NEW)
    one = await sockets.plug("iPhone 16", "18.5", "22F76", mode=PhoneMode.RECOVERY)
    two = await sockets.plug("iPhone 12", "18.5", "22F76", mode=PhoneMode.DFU)

    async def restore(phone: VirtualPhone) -> None:
        options = ("--erase", "--ipsw", str(ipsw), "--ecid", hex(phone.identity.ecid))
        output = await guest.check(*RESTORE, "update", *options, seconds=SECONDS)
        assert "'Status': 0, 'Successful': True" in output

    await sockets.keep_usbmuxd()
    await asyncio.gather(restore(one), restore(two))
    for phone in (one, two):
        await sockets.listed(phone)
        state = await lockdown_values(guest, phone, "ProductVersion", "BuildVersion", "ActivationState")
        assert state == [NEW.version, NEW.build, "Unactivated"]
        assert await media(guest, phone) == {}
