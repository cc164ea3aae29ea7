"""A bus of virtual phones behind a usbmuxd socket, to which this process and the programs it starts are pointed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from station.virtual.bus import Bus
from station.virtual.usb.usbmuxd import serve_usbmuxd


@pytest.fixture
def mux_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where usbmuxd is; clients look there, and keep their own files under `tmp_path`."""
    path = tmp_path / "usbmuxd"
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return path


@pytest.fixture
async def bus(mux_path: Path) -> AsyncIterator[Bus]:
    """A bus behind usbmuxd."""
    bus = Bus()
    async with serve_usbmuxd(bus, mux_path):
        yield bus
        for phone in bus.phones:
            assert phone.socket is not None
            await bus.unplug(phone.socket)
