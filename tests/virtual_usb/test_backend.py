"""The pyusb backend, through unmodified pyusb."""

import array
import asyncio
import errno
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import usb.backend.libusb1
import usb.core
import usb.util
from usb.core import USBError, USBTimeoutError

from station.model.base import SocketPath
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.usb.backend import UsbIpBackend, as_default
from station.virtual.usb.usbip_client import MAX_TRANSFER_SECONDS, UsbIpConnection
from tests.virtual_usb.helpers import Lab

CONSOLE_IN = 0x81


async def in_thread(work: Callable[[], Any]) -> Any:
    async with asyncio.timeout(15):
        return await asyncio.to_thread(work)


async def find(number: int = 1) -> Any:
    devices = await in_thread(lambda: list(usb.core.find(find_all=True, port_number=number)))
    assert len(devices) == 1
    return devices[0]


def greeted(device: Any) -> None:
    """Open the console, and read what iBoot says when it starts: then it is silent."""
    device.set_interface_altsetting(1, 1)
    device.read(CONSOLE_IN, 4096)


async def errno_of(work: Callable[[], Any]) -> int | None:
    with pytest.raises(USBError) as caught:
        await in_thread(work)
    number: int | None = caught.value.errno
    return number


async def test_shows_an_iphone_in_recovery(lab: Lab):
    phone = lab.plug(4)
    device = await find(4)
    assert (device.idVendor, device.idProduct, device.bcdUSB, device.bMaxPacketSize0) == (0x05AC, 0x1281, 0x0200, 64)
    assert (device.bus, device.address, device.port_numbers, device.speed) == (1, 1, (1, 4), 3)
    assert device.parent is None
    configuration = device[0]
    assert (configuration.wTotalLength, configuration.bmAttributes, configuration.bMaxPower) == (57, 0x80, 0xFA)
    assert [
        (
            setting.bInterfaceNumber,
            setting.bAlternateSetting,
            (setting.bInterfaceClass, setting.bInterfaceSubClass, setting.bInterfaceProtocol),
            [endpoint.bEndpointAddress for endpoint in setting],
        )
        for setting in configuration
    ] == [(0, 0, (0xFE, 1, 2), [0x04]), (1, 0, (0xFF, 0xFF, 0), []), (1, 1, (0xFF, 0xFF, 0x51), [0x81, 0x02])]
    strings = await in_thread(lambda: [usb.util.get_string(device, index) for index in range(1, 7)])
    assert strings == [
        f" NONC:{phone.ap_nonce.hex().upper()} SNON:{phone.sep_nonce.hex().upper()}",
        "Apple Inc.",
        "Apple Mobile Device (Recovery Mode)",
        phone.usb_serial,
        "Apple Mobile Device (Recovery Mode)",
        "Apple USB Serial Interface",
    ]


async def test_finds_nothing_on_an_empty_bus(lab: Lab):
    assert await in_thread(lambda: list(usb.core.find(find_all=True))) == []


async def test_no_server_is_an_error(tmp_path: Path):
    with as_default(UsbIpBackend(tmp_path / "nobody")):
        assert await errno_of(lambda: list(usb.core.find(find_all=True))) == errno.ENOENT


def test_default_is_put_back(tmp_path: Path):
    before = usb.backend.libusb1.get_backend
    with as_default(UsbIpBackend(tmp_path / "nobody")) as backend:
        assert usb.backend.libusb1.get_backend() is backend
    assert usb.backend.libusb1.get_backend is before


async def test_configurations_and_settings(lab: Lab):
    lab.plug()
    device = await find()

    def talk() -> list[Any]:
        seen = [device.get_active_configuration().bConfigurationValue]
        device.set_configuration(1)
        device.set_interface_altsetting(1, 1)
        seen.append(usb.control.get_interface(device, 1))
        device.clear_halt(0x04)
        seen.append(usb.control.get_status(device))
        device.reset()
        seen.append(usb.control.get_interface(device, 1))
        assert not device.is_kernel_driver_active(0)
        device.detach_kernel_driver(0)
        device.attach_kernel_driver(0)
        return seen

    assert await in_thread(talk) == [1, 1, 0, 0]
    assert await errno_of(lambda: device.ctrl_transfer(0x00, 9, 7)) == errno.EPIPE
    assert await errno_of(lambda: device.ctrl_transfer(0x01, 11, 3, 1)) == errno.EPIPE


async def test_timeout_leaves_the_device_usable(lab: Lab):
    lab.plug()
    device = await find()

    def talk() -> int:
        greeted(device)
        with pytest.raises(USBTimeoutError) as caught:
            device.read(CONSOLE_IN, 512, timeout=20)
        number: int = caught.value.errno
        assert usb.control.get_interface(device, 1) == 1
        return number

    assert await in_thread(talk) == errno.ETIMEDOUT


async def test_endpoint_of_another_setting_stalls(lab: Lab):
    lab.plug()
    device = await find()
    handle = await in_thread(lambda: lab.backend.open_device(device._ctx.dev))

    def read() -> int:
        return lab.backend.bulk_read(handle, CONSOLE_IN, 1, array.array("B", bytes(64)), 1000)

    assert await errno_of(read) == errno.EPIPE
    lab.backend.close_device(handle)
    assert await errno_of(read) == errno.ENODEV


async def test_gone_while_waiting(lab: Lab):
    lab.plug(1, Fault(at="iboot:getenv", kind=FaultKind.UNPLUG))
    device = await find()
    assert await errno_of(lambda: device.ctrl_transfer(0x40, 0, 0, 0, b"getenv x\0")) == errno.ENODEV
    assert await errno_of(lambda: device.ctrl_transfer(0x80, 8, 0, 0, 1)) == errno.ENODEV
    assert await in_thread(lambda: list(usb.core.find(find_all=True))) == []


async def test_what_came_back_is_not_what_left(lab: Lab):
    phone = lab.plug()
    device = await find()
    await lab.bus.unplug(SocketPath("1-1.1"))
    lab.bus.plug(phone, SocketPath("1-1.1"))
    assert await errno_of(lambda: lab.backend.open_device(device._ctx.dev)) == errno.ENODEV
    assert await errno_of(lambda: device.ctrl_transfer(0x80, 8, 0, 0, 1)) == errno.ENODEV
    again = await find()
    assert again != device
    assert await in_thread(lambda: again.serial_number) == phone.usb_serial


async def test_two_handles_at_once(lab: Lab):
    phone = lab.plug()
    device, other = await find(), await find()

    def read(one: Any) -> list[str]:
        return [usb.util.get_string(one, 4) for _ in range(20)]

    results = await asyncio.gather(*(in_thread(partial(read, one)) for one in (device, other, device)))
    assert results == [[phone.usb_serial] * 20] * 3


@pytest.mark.parametrize("answer", [b"", b"nonsense" * 40, bytes.fromhex("0111 0005 00000000 7fffffff")])
async def test_a_server_that_lies(tmp_path: Path, answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "usbip"):
        with as_default(UsbIpBackend(tmp_path / "usbip")):
            assert await errno_of(lambda: list(usb.core.find(find_all=True))) == errno.ENODEV


async def test_a_server_that_does_not_answer_an_unlink_is_left(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    lab.plug()
    device = await find()
    monkeypatch.setattr("station.virtual.usb.usbip_client.UNLINK_SECONDS", 0.02)
    monkeypatch.setattr("station.virtual.usb.usbip._Session._unlink", lambda *_: None)
    await in_thread(partial(greeted, device))
    assert await errno_of(lambda: device.read(CONSOLE_IN, 512, timeout=20)) == errno.ETIMEDOUT
    assert await errno_of(lambda: device.read(CONSOLE_IN, 512, timeout=20)) == errno.ENODEV


async def test_zero_does_not_mean_for_ever(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    lab.plug()
    device = await find()
    assert MAX_TRANSFER_SECONDS < 120
    monkeypatch.setattr("station.virtual.usb.usbip_client.MAX_TRANSFER_SECONDS", 0.02)
    await in_thread(partial(greeted, device))
    assert await errno_of(lambda: device.read(CONSOLE_IN, 512, timeout=0)) == errno.ETIMEDOUT


async def test_waiting_for_a_turn_has_a_deadline(lab: Lab):
    lab.plug()
    device = await find()
    await in_thread(partial(greeted, device))
    handle: UsbIpConnection = device._ctx.handle
    waiting = threading.Event()

    def hold() -> None:
        with handle._turn:
            waiting.set()
            done.wait(10)

    done = threading.Event()
    holder = asyncio.ensure_future(in_thread(hold))
    await in_thread(waiting.wait)
    assert await errno_of(lambda: device.read(CONSOLE_IN, 512, timeout=20)) == errno.ETIMEDOUT
    done.set()
    await holder
