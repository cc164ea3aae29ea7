"""com.apple.mobile.heartbeat, kept up by the library."""

import asyncio

import pytest
from pymobiledevice3.exceptions import ConnectionTerminatedError
from pymobiledevice3.services.heartbeat import HeartbeatService

from station.virtual.services import heartbeat
from tests.virtual_services.helpers import trusted


async def test_goes_on_while_the_host_answers(plug, monkeypatch):
    monkeypatch.setattr(heartbeat, "INTERVAL", 0)
    async with trusted(plug()) as client, asyncio.timeout(5):
        service = await client.start_lockdown_service(HeartbeatService.SERVICE_NAME)
        async with service:
            for _ in range(3):
                assert await service.recv_plist() == {"Command": "Marco", "Interval": 0, "SupportsSleepyTime": True}
                await service.send_plist({"Command": "Polo"})


async def test_hangs_up_on_a_host_that_does_not_answer(plug, monkeypatch):
    monkeypatch.setattr(heartbeat, "INTERVAL", 0)
    monkeypatch.setattr(heartbeat, "PATIENCE", 0.01)
    async with trusted(plug()) as client, asyncio.timeout(5):
        service = await client.start_lockdown_service(HeartbeatService.SERVICE_NAME)
        async with service:
            assert await service.recv_plist() == {"Command": "Marco", "Interval": 0, "SupportsSleepyTime": True}
            assert (await service.recv_plist())["Command"] == "SleepyTime"


async def test_hangs_up_on_a_host_that_answers_something_else(plug, monkeypatch):
    monkeypatch.setattr(heartbeat, "INTERVAL", 0)
    async with trusted(plug()) as client, asyncio.timeout(5):
        service = await client.start_lockdown_service(HeartbeatService.SERVICE_NAME)
        async with service:
            assert (await service.recv_plist())["Command"] == "Marco"
            await service.send_plist({"Command": "Marco"})
            with pytest.raises(ConnectionTerminatedError):
                await service.recv_plist()
