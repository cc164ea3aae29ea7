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


async def test_only_so_many_services_wait_for_their_host(plug: PlugPhone, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("station.virtual.system.lockdownd.MAX_STARTED", 2)
    name = "com.apple.mobile.heartbeat"
    async with lockdown(plug()) as client:
        first = await client.start_lockdown_service(name)  # connects, and so waits no more
        request = {"Request": "StartService", "Service": name}
        answers = [await client.service.send_recv_plist(request) for _ in range(3)]
        await first.close()
    assert [answer.get("Error") for answer in answers] == [None, None, "ServiceLimit"]
    assert answers[0]["Port"] != answers[1]["Port"]
