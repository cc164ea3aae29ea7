"""A phone in normal mode as a USB device: descriptors, requests, and lockdown through it."""

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pymobiledevice3.lockdown
import pymobiledevice3.service_connection
import pytest
import usb.core
from pymobiledevice3.irecv import IRecv
from pymobiledevice3.lockdown import TcpLockdownClient, create_using_tcp

from station.model.phone import PhoneMode
from station.virtual.system.lockdownd import PORT
from station.virtual.usb.usbip_client import list_devices
from tests.virtual_usb.helpers import Lab
from tests.virtual_usb.mux_host import HostStream, MuxHost, Usb, mux_host, plugged_in
from tests.virtual_usb.muxed import plug

SET_CONFIGURATION = 9


async def in_thread(work):
    async with asyncio.timeout(15):
        return await asyncio.to_thread(work)


async def string(device: Usb, index: int) -> str:
    data = await device.control(0x80, 6, 0x0300 | index, 0x0409, 255)
    assert data[:2] == bytes([len(data), 3])
    return data[2:].decode("utf-16-le")


async def test_has_the_descriptors_of_an_iphone(lab: Lab):
    """The bytes of an iPhone's third and fourth configuration are in public (fritzlb/iOS17-JIT-WIN#8)."""
    plug(lab)
    camera = "09040000030601011b07050202000200070581020002000705830340000a"
    mux = "090401 0002fffe020f 07050402000200 07058502000200".replace(" ", "")
    ethernet = "0904020000fffd0111" + "".join(
        f"090402{alternate:02x}02fffd0111 07058602000200 07050502000200".replace(" ", "") for alternate in (1, 2)
    )
    async with plugged_in(lab.path) as device:
        assert (await device.control(0x80, 6, 0x0100, 0, 18)).hex() == "1201000200000040" + "ac05a8120515" + "01020304"
        third, fourth = [await device.control(0x80, 6, 0x0200 | index, 0, 0xFFFF) for index in (2, 3)]
        assert third.hex() == "09023e00020307c0fa" + camera + mux
        assert fourth.hex() == "09027500030408c0fa" + camera + mux + ethernet
        names = [await string(device, index) for index in (1, 2, 5, 6, 7, 8, 15, 17, 27)]
        assert names == [
            "Apple Inc.",
            "iPhone",
            "PTP",
            "iPod USB Interface",
            "PTP + Apple Mobile Device",
            "PTP + Apple Mobile Device + Apple USB Ethernet",
            "Apple USB Multiplexor",
            "AppleUSBEthernet",
            "PTP",
        ]


@pytest.mark.parametrize(
    ("model", "product", "serial"),
    [
        ("iPhone 12", "iPhone", "000081010000000000000001" + "\0" * 16),
        ("iPad (10th generation)", "iPad", "000081010000000000000001" + "\0" * 16),
        ("iPhone 8", "iPhone", None),
    ],
)
async def test_says_who_it_is(lab: Lab, model: str, product: str, serial: str | None):
    phone = plug(lab, model=model)
    async with plugged_in(lab.path) as device:
        assert await string(device, 2) == product
        assert await string(device, 3) == (serial or phone.identity.udid)
        assert len(await string(device, 3)) == 40


async def test_configurations_are_chosen(lab: Lab):
    plug(lab)
    interfaces = []
    async with plugged_in(lab.path) as device:
        for value in (0, 1, 2, 3, 4):
            assert await device.control(0x00, SET_CONFIGURATION, value) == b""
            assert await device.control(0x80, 8, length=1) == bytes([value])
            (record,) = await in_thread(lambda: list_devices(lab.path))
            assert (record.configuration, record.configurations) == (value, 4)
            interfaces.append(record.interfaces)
        assert interfaces == [0, 1, 3, 2, 3]
        for value in (5, 255):
            with pytest.raises(BrokenPipeError):
                await device.control(0x00, SET_CONFIGURATION, value)
        await device.control(0x01, 11, 2, 2)
        assert await device.control(0x81, 10, 0, 2, 1) == b"\2"
        await device.control(0x00, SET_CONFIGURATION, 4)
        assert await device.control(0x81, 10, 0, 2, 1) == b"\0"


async def test_endpoints_are_those_of_the_configuration(lab: Lab):
    plug(lab)
    async with plugged_in(lab.path) as device:
        for value in (0, 1):
            await device.control(0x00, SET_CONFIGURATION, value)
            for request in (
                device.transfer(4, into_host=False, data=b"x"),
                device.transfer(5, into_host=True, length=512),
                device.control(0x01, 11, 0, 1),
            ):
                with pytest.raises(BrokenPipeError):
                    await request
        await device.transfer(2, into_host=False, data=b"to the camera, which has nothing to say")
        reading = asyncio.ensure_future(device.transfer(1, into_host=True, length=512))
        await device.control(0x80, 8, length=1)
        assert not reading.done()
        reading.cancel()


async def test_modes_as_newer_usbmuxd_asks_for_them(lab: Lab):
    phone = plug(lab)
    async with plugged_in(lab.path) as device:
        assert await device.control(0xC0, 0x45, length=4) == bytes([3, 3, 3, 0])
        assert await device.control(0xC0, 0x52, 0, 1, 1) == b"\0"
        for request in (device.control(0xC0, 0x52, 0, 3, 1), device.control(0xC0, 0x77, length=4)):
            with pytest.raises(OSError, match="failed") as caught:
                await request
            assert caught.value.errno == errno.EPIPE
    assert phone.mode is PhoneMode.NORMAL


async def test_a_port_reset_ends_what_was_connected(lab: Lab):
    plug(lab)
    async with mux_host(lab.path) as host:
        before = await host.connect(PORT)
        await host.usb.control(0x23, 3, 4)
        await host.greet()
        before.segment(16, b"x")
        await before.until(lambda: before.ended)
        await host.connect(PORT)


async def test_restart_and_come_back(lab: Lab):
    phone = plug(lab)
    async with lab.bus.watch() as events:
        await events.get()
        phone.restart_into(PhoneMode.RECOVERY)
        assert [type(await events.get()).__name__ for _ in range(2)] == ["UsbGone", "UsbArrived"]
    (record,) = await in_thread(lambda: list_devices(lab.path))
    assert record.product == 0x1281


async def test_the_library_looking_for_recovery_is_not_confused(lab: Lab):
    plug(lab, 1)
    phone = plug(lab, 2)
    phone.nvram["auto-boot"] = "false"
    async with lab.bus.watch() as events:
        for _ in range(2):
            await events.get()
        phone.restart_into()
        for _ in range(2):
            await events.get()
    devices = await in_thread(lambda: sorted(device.idProduct for device in usb.core.find(find_all=True)))
    assert devices == [0x1281, 0x12A8]
    recovery = await in_thread(lambda: IRecv(ecid=2, timeout=5))
    assert recovery.ecid == 2


async def pump(stream: HostStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry a TCP connection over usbmux."""

    async def outward() -> None:
        while data := await reader.read(1 << 16):
            await stream.write(data)
        stream.segment(4)

    sending = asyncio.ensure_future(outward())
    try:
        while data := await stream.read():
            writer.write(data)
    finally:
        sending.cancel()
        writer.close()


@asynccontextmanager
async def lockdown(host: MuxHost, **options) -> AsyncIterator[TcpLockdownClient]:
    """The library's client, through usbmux."""
    carried: set[asyncio.Task[object]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        carried.add(task)
        stream = await host.connect(PORT)
        await pump(stream, reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with await create_using_tcp("127.0.0.1", port=port, **options) as client:
            yield client
    finally:
        server.close()
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)


async def test_a_host_pairs_and_holds_a_session(lab: Lab, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    phone = plug(lab)
    async with mux_host(lab.path) as host:
        async with lockdown(host, pairing_records_cache_folder=tmp_path, pair_timeout=0) as client:
            assert client.paired
            assert await client.get_value(key="UniqueChipID") == 1
            await client.set_value("over usb", key="DeviceName")
        assert phone.system is not None
        assert phone.system.name == "over usb"
        async with lockdown(host, pairing_records_cache_folder=tmp_path, autopair=False) as client:
            assert client.udid == phone.identity.udid


async def test_enter_recovery_is_answered_before_it_happens(lab: Lab, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    phone = plug(lab)
    async with mux_host(lab.path) as host, lab.bus.watch() as events:
        await events.get()
        async with lockdown(host, pairing_records_cache_folder=tmp_path, pair_timeout=0) as client:
            assert await client.enter_recovery() == {"Request": "EnterRecovery"}
        async with asyncio.timeout(5):
            await host.usb.gone()
            for _ in range(2):
                await events.get()
    assert phone.mode is PhoneMode.RECOVERY


async def test_an_old_host_speaks_tls_1_0(lab: Lab, tmp_path, monkeypatch):
    """As usbmuxd 1.1.1 does when it greets a phone that it knows."""
    monkeypatch.setenv("HOME", str(tmp_path))
    create = pymobiledevice3.service_connection.create_ssl_context

    def create_old(*args, **options) -> ssl.SSLContext:
        context = create(*args, **options)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.maximum_version = ssl.TLSVersion.TLSv1
        return context

    monkeypatch.setattr(pymobiledevice3.lockdown, "create_ssl_context", create_old)
    plug(lab)
    options = {"pairing_records_cache_folder": tmp_path, "pair_timeout": 0}
    async with mux_host(lab.path) as host, lockdown(host, **options) as client:
        assert await client.get_value(key="UniqueChipID") == 1
