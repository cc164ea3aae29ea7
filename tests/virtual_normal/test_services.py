"""How lockdownd starts services, seen by the unmodified library."""

import asyncio

import pytest
from pymobiledevice3.exceptions import InvalidServiceError

from tests.virtual_normal.conftest import PlugPhone
from tests.virtual_normal.helpers import lockdown


async def test_a_started_service_answers_on_a_port_of_its_own(plug: PlugPhone):
    phone = plug()
    async with lockdown(phone) as client:
        service = await client.start_lockdown_service("com.apple.mobile.heartbeat")
        async with service, asyncio.timeout(5):
            assert (await service.recv_plist())["Command"] == "Marco"
    assert "service:com.apple.mobile.heartbeat" in phone.history


async def test_a_service_that_does_not_exist_is_refused(plug: PlugPhone):
    phone = plug()
    async with lockdown(phone) as client:
        with pytest.raises(InvalidServiceError):
            await client.start_lockdown_service("com.apple.nothing")
