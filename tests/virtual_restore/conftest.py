"""A phone that has just booted the restore system, and the unmodified library on the other side of usbmuxd."""

import asyncio
import plistlib
from functools import partial

import pytest
from pymobiledevice3.restore import tss as library_tss
from pymobiledevice3.service_connection import ServiceConnection

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.apple.servers import AppleServers
from station.virtual.bus import Bus
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, Handler, VirtualPhone
from station.virtual.restore import restored
from station.virtual.restore.ramdisk import make_options
from station.virtual.usb.protocol import UsbDevice
from station.virtual.usb.usbmuxd import serve_usbmuxd
from tests.virtual_restore.helpers import elsewhere

KIB = 1024


@pytest.fixture(scope="session")
def ipsw(tmp_path_factory):
    return make_ipsw(
        tmp_path_factory.mktemp("firmware") / "ipsw",
        version="26.2.1",
        build="23C71",
        models=[find_model("iPhone 12")],
        os_bytes=1500 * KIB,
        cryptex_bytes=500 * KIB,
        ramdisk_bytes=100 * KIB,
    )


@pytest.fixture(scope="session")
def identities(ipsw):
    """What its manifest says; read once, and not to be changed."""
    return plistlib.loads((ipsw / "BuildManifest.plist").read_bytes())["BuildIdentities"]


@pytest.fixture
def apple(identities, monkeypatch):
    """Apple's servers, on a loop of their own: the library may block the one it runs on while it asks them."""
    servers = AppleServers()
    servers.signing.sign(identities)
    with elsewhere(servers):
        monkeypatch.setattr(library_tss, "TSS_CONTROLLER_ACTION_URL", servers.signing_url)
        yield servers


class Idle:
    """What these phones run in other modes: nothing a host could see."""

    usb: UsbDevice | None = None

    def __init__(self, _phone) -> None:
        self.listeners: dict[int, Handler] = {}


@pytest.fixture
async def tidy(monkeypatch):
    """The library leaves tasks and connections behind; asyncio would complain of both."""
    made = []
    original = ServiceConnection.from_socket

    async def remember(*args, **kwargs):
        made.append(await original(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(ServiceConnection, "from_socket", remember)
    yield
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith(("FDR", "AsyncDataRequestMsg"))]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    left_open = [service.writer for service in made if not service.writer.is_closing()]
    for writer in left_open:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in left_open), return_exceptions=True)


@pytest.fixture
async def bus(tmp_path, monkeypatch):
    bus = Bus()
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(tmp_path / "usbmuxd"))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serve_usbmuxd(bus, tmp_path / "usbmuxd"):
        yield bus
        for phone in bus.phones:
            assert phone.socket is not None
            await bus.unplug(phone.socket)


@pytest.fixture
def plug_in(bus, apple, tidy):
    """Makes a phone that somebody used, in recovery, of a model and with a restore ramdisk."""

    def plug_in(model: str = "iPhone 12", ramdisk: bytes = b"") -> VirtualPhone:
        boots = Boots(dict.fromkeys(PhoneMode, Idle))
        boots.by_mode[PhoneMode.RESTORE] = partial(restored.boot, apple=apple, patience=1.0)
        phone = VirtualPhone(find_model(model).identity(Ecid(0x1234)), System("18.5", "22F76"), boots)
        phone.nvram["auto-boot"] = "false"
        phone.ramdisk = ramdisk or make_options("Erase")
        bus.plug(phone, SocketPath("1-1.1"))
        return phone

    return plug_in


@pytest.fixture
def phone(plug_in):
    """An iPhone 12 that somebody used, in recovery."""
    return plug_in()
