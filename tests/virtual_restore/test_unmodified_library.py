"""The library's own `Restore(...).update()`, unmodified, from an iPhone's normal, recovery or DFU mode to Status 0."""

import asyncio
from dataclasses import replace

import pytest
import usb.backend.libusb1
import usb.util
from ipsw_parser.ipsw import IPSW
from pymobiledevice3.irecv import IRecv
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.restore import tss as library_tss
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.device import Device
from pymobiledevice3.restore.restore import Restore

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.restore.script import steps
from station.virtual.usb.backend import UsbIpBackend
from tests.virtual_restore.helpers import elsewhere

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]  # the library itself sleeps for up to 15 s in each

LIBRARY, PHONE = "pymobiledevice3.restore", "iPhone 12, iOS 18.5 → 26.2.1"
ECID = Ecid(0x0001_2345_6789_ABCD)
HERE = SocketPath("1-1.1")
USED = Installed(version="18.5", build="22F76", name="Kim’s iPhone")


class Lab:
    """A virtual host on a loop of its own: the library blocks the one it runs on while it talks USB."""

    def __init__(self, host: VirtualHost, call) -> None:
        self.host = host
        self._call = call

    def plug(self, installed: Installed | None = None, *, mode: PhoneMode | None = None):
        """An iPhone 12 with this on it; None: an erased one, which is in recovery."""

        async def plug():
            phone = self.host.hands.plug(Plug(model="iPhone 12", ecid=ECID, socket=HERE, installed=installed))
            if mode is not None:
                await phone.disappear()
                phone.appear(mode)
            return phone

        return self._call(plug())

    def comes_back(self, phone) -> None:
        """Wait until the phone is in normal mode again."""

        async def back():
            async with self.host.bus.watch() as events:
                while phone.running is None or phone.mode is not PhoneMode.NORMAL:
                    await events.get()

        self._call(back())


@pytest.fixture
def lab(tmp_path, ipsw, monkeypatch, tidy):
    host = VirtualHost(tmp_path / "v")
    host.apple.register(ipsw)
    with elsewhere(host) as call:
        backend = UsbIpBackend(host.directory / "usbip")
        monkeypatch.setattr(usb.backend.libusb1, "get_backend", lambda *_, **__: backend)
        monkeypatch.setattr(library_tss, "TSS_CONTROLLER_ACTION_URL", host.reach.signing_url)
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", host.reach.usbmuxd)
        monkeypatch.setenv("HOME", str(tmp_path))
        yield Lab(host, call)


async def update(device, ipsw, behavior) -> None:
    restore = Restore(IPSW.create_from_path(str(ipsw)), device, behavior=behavior)
    async with asyncio.timeout(80):
        await restore.update()
    usb.util.dispose_resources(device.irecv._device)  # the library leaves it to the garbage collector


def assert_erased_and_installed(phone) -> None:
    assert set(steps("Erase")) <= set(phone.history)
    assert (phone.system.version, phone.system.build) == ("26.2.1", "23C71")
    assert (phone.system.activation_state, phone.system.passcode, phone.system.canary) == ("Unactivated", False, None)


@pytest.mark.client(LIBRARY, "erase from normal", phone=PHONE)
async def test_an_iphone_in_use_is_erased_and_restored(lab, ipsw):
    phone = lab.plug(USED)
    await update(Device(lockdown=await create_using_usbmux(autopair=True)), ipsw, Behavior.Erase)
    lab.comes_back(phone)
    assert_erased_and_installed(phone)
    assert phone.destructions == ["restored format_media"]


@pytest.mark.client(LIBRARY, "erase from recovery", phone=PHONE)
async def test_an_iphone_in_recovery_is_restored(lab, ipsw):
    phone = lab.plug()
    await update(Device(irecv=IRecv(ECID)), ipsw, Behavior.Erase)
    lab.comes_back(phone)
    assert_erased_and_installed(phone)


@pytest.mark.long
@pytest.mark.client(LIBRARY, "erase from DFU", phone=PHONE)
async def test_an_iphone_in_dfu_is_restored(lab, ipsw):
    phone = lab.plug(mode=PhoneMode.DFU)
    await update(Device(irecv=IRecv(ECID)), ipsw, Behavior.Erase)
    lab.comes_back(phone)
    assert_erased_and_installed(phone)


@pytest.mark.long
@pytest.mark.client(LIBRARY, "update from normal", phone=PHONE)
async def test_an_iphone_in_use_is_updated(lab, ipsw):
    phone = lab.plug(USED)
    before = phone.system
    await update(Device(lockdown=await create_using_usbmux(autopair=True)), ipsw, Behavior.Update)
    lab.comes_back(phone)
    assert phone.system == replace(before, version="26.2.1", build="23C71")
    assert phone.system.canary is not None
    assert phone.destructions == []
