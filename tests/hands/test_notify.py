"""What systemd is told, read from a real notification socket."""

import asyncio
import os
import socket

import pytest

from station.adapters import notify


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield server


def test_readiness_carries_a_status_line(systemd):
    notify.ready("2 bays")
    assert systemd.recv(1000) == b"READY=1\nSTATUS=2 bays"


def test_a_supervisor_that_is_gone_is_no_reason_to_fail(systemd):
    systemd.close()
    notify.ready("2 bays")
    notify.status("1 bay")
    notify.stopping()


async def test_the_watchdog_is_fed_from_the_loop(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        feeding = group.create_task(notify.keep_watchdog_fed())
        for _ in range(2):
            assert await asyncio.to_thread(systemd.recv, 100) == b"WATCHDOG=1"
        feeding.cancel()


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}])
async def test_without_a_watchdog_of_our_own_nothing_is_fed(monkeypatch, environment):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with asyncio.timeout(1):
        await notify.keep_watchdog_fed()
