"""How lockdownd starts services, seen by the unmodified library."""

import asyncio

import pytest
from pymobiledevice3.exceptions import InvalidServiceError
from pymobiledevice3.lockdown import LockdownClient, create_using_usbmux

from tests.virtual_normal.conftest import PlugPhone


async def paired(udid: str) -> LockdownClient:
    return await create_using_usbmux(serial=udid)


async def test_a_started_service_answers_on_a_port_of_its_own(plug: PlugPhone):
    phone = plug()
    async with await paired(phone.identity.udid) as lockdown:
        service = await lockdown.start_lockdown_service("com.apple.mobile.heartbeat")
        async with service, asyncio.timeout(5):
            assert (await service.recv_plist())["Command"] == "Marco"
    assert "service:com.apple.mobile.heartbeat" in phone.history


async def test_a_service_that_does_not_exist_is_refused(plug: PlugPhone):
    phone = plug()
    async with await paired(phone.identity.udid) as lockdown:
        with pytest.raises(InvalidServiceError):
            await lockdown.start_lockdown_service("com.apple.nothing")
