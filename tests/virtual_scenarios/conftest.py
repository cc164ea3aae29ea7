"""Phones that go wrong, behind a usbmuxd socket; and whole virtual hosts that scenarios are played on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pymobiledevice3.service_connection import ServiceConnection

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.boot import dfu, iboot
from station.virtual.bus import Bus
from station.virtual.faults.kinds import Fault, Faults
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, Handler, VirtualPhone
from station.virtual.system import lockdownd

APPLE = ec.generate_private_key(ec.SECP384R1()).public_key()
PlugPhone = Callable[..., VirtualPhone]


@pytest.fixture
def plug(bus: Bus) -> PlugPhone:
    """Make a phone and plug it in: number n is ECID n in socket 1-1.n. `listeners`: more ports that it serves."""

    def plug(number: int = 1, *faults: Fault, listeners: dict[int, Handler] | None = None) -> VirtualPhone:
        def boot(phone: VirtualPhone) -> lockdownd.Lockdownd:
            running = lockdownd.boot(phone, apple=APPLE)
            running.listeners |= listeners or {}
            return running

        boots = Boots({PhoneMode.NORMAL: boot})
        boots.by_mode[PhoneMode.RECOVERY] = partial(iboot.boot, apple=APPLE)
        boots.by_mode[PhoneMode.DFU] = partial(dfu.boot, apple=APPLE)
        identity = find_model("iPhone 12").identity(Ecid(number))
        phone = VirtualPhone(identity, System("18.5", "22F76"), boots, faults=Faults(faults))
        bus.plug(phone, SocketPath(f"1-1.{number}"))
        return phone

    return plug


@pytest.fixture
async def virtual_host(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VirtualHost]:
    """A whole virtual host, to which the library is pointed."""
    with TemporaryDirectory(prefix="host-") as directory:
        async with VirtualHost(Path(directory) / "v") as host:
            monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", host.reach.usbmuxd)
            monkeypatch.setenv("HOME", directory)
            yield host


@pytest.fixture(autouse=True)
async def tidy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The library leaves connections behind when they break; asyncio would complain of that."""
    made: list[ServiceConnection] = []
    original = ServiceConnection.from_socket

    async def remember(*args: Any, **kwargs: Any) -> ServiceConnection:
        made.append(await original(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(ServiceConnection, "from_socket", remember)
    yield
    left_open = [service.writer for service in made if not service.writer.is_closing()]
    for writer in left_open:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in left_open), return_exceptions=True)
