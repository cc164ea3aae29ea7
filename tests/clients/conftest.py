"""The whole virtual side, and phones of a kind plugged into it: what its owner would start for the same programs."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from station.model.base import Ecid
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import VirtualPhone
from tests.clients.kinds import Kind

PlugKind = Callable[..., VirtualPhone]


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VirtualHost]:
    """A virtual host; clients look for usbmuxd there, and keep their own files under `tmp_path`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    async with VirtualHost(tmp_path / "v") as host:
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", host.reach.usbmuxd)
        yield host


@pytest.fixture
def plug(host: VirtualHost) -> PlugKind:
    """Make a phone and plug it in: `plug(NEW, "passcode", name="Mine")`; states by name, the rest is `Installed`'s."""

    def plug(kind: Kind, *people: str, number: int = 1, pace: float = 0.0, **installed: Any) -> VirtualPhone:
        system = Installed(version=kind.version, build=kind.build, **installed)
        return host.hands.plug(Plug(model=kind.model, ecid=Ecid(number), installed=system, people=people, pace=pace))

    return plug


@pytest.fixture
def phone(plug: PlugKind, kind: Kind) -> VirtualPhone:
    """A phone of the kind that the test is parametrized with."""
    return plug(kind)
