"""A bus that is exported over USB/IP, and pyusb pointed at it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from station.virtual.bus import Bus
from station.virtual.usb.backend import UsbIpBackend, as_default
from station.virtual.usb.usbip import serve_usbip
from tests.virtual_usb.helpers import Lab


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """An empty bus; whatever uses pyusb without naming a backend reaches it."""
    bus, path = Bus(), tmp_path / "usbip"
    async with serve_usbip(bus, path):
        with as_default(UsbIpBackend(path)) as backend:
            yield Lab(bus, path, backend)
        for phone in bus.phones:
            assert phone.socket is not None
            await bus.unplug(phone.socket)
