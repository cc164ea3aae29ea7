"""Recovery mode: one phone, found by its socket and its ECID, and no other touched."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import usb.core
from usb.core import USBError

from station.errors import ConsentVoid
from station.model.base import Ecid, SocketPath
from station.model.causes import Cause
from station.model.consent import Act
from station.model.phone import identity_of_serial
from station.virtual.hosting.control import Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import VirtualPhone
from station.virtual.usb.backend import UsbIpBackend
from station.worker.failures import JobFailed
from station.worker.iboot import Iboot, RecoverySocket, _read_serial
from tests.worker.station_host import OLD


@dataclass
class Door:
    """A guard that writes down who asked, and lets through whom it is told to."""

    open: bool = True
    asked: list[tuple[Act, int | None]] = field(default_factory=list)

    def authorise(self, act: Act, observed: int | None) -> None:
        self.asked.append((act, observed))
        if not self.open:
            raise ConsentVoid("no")


@pytest.fixture
async def host(short_path: Path) -> AsyncIterator[VirtualHost]:
    async with VirtualHost(short_path / "v") as host:
        yield host


def plug(host: VirtualHost) -> VirtualPhone:
    return host.hands.plug(Plug(installed=OLD, auto_boot=False))


def test_a_serial_number_that_looks_like_an_identity_is_none():
    serial = "CPID:8101 BDID:0C ECID:0000000000000005 IBFL:3D SRNM:[X] ECID:0000000000000007 SRNM:[Y]"
    info = _read_serial(Odd(serial))
    assert (info["ECID"], info["SRNM"]) == ("0000000000000005", "X")
    assert identity_of_serial(serial) == (5, None)


def socket_of(host: VirtualHost, phone: VirtualPhone, door: Door | None = None) -> RecoverySocket:
    assert host.reach.usbip is not None
    assert phone.socket is not None
    door = door or Door()
    return RecoverySocket(UsbIpBackend(Path(host.reach.usbip)), phone.socket, phone.identity.ecid, door)  # type: ignore[arg-type]  # the guard's one method is all it uses


async def opened(host: VirtualHost, phone: VirtualPhone, door: Door | None = None) -> Iboot:
    iboot = await socket_of(host, phone, door).look()
    assert iboot is not None
    return iboot


async def test_only_the_phone_in_the_socket_is_opened(host, monkeypatch):
    ours, neighbour = plug(host), plug(host)
    opened_devices = []
    open_device = UsbIpBackend.open_device

    def watched(self: UsbIpBackend, device: Any) -> Any:
        opened_devices.append((device.descriptor.bus, tuple(device.descriptor.port_numbers)))
        return open_device(self, device)

    monkeypatch.setattr(UsbIpBackend, "open_device", watched)
    iboot = await opened(host, ours)
    assert (iboot.ecid, iboot.hardware_model) == (ours.identity.ecid, "d53gap")
    nonces: Any = iboot
    assert (nonces.ap_nonce, nonces.sep_nonce) == (ours.ap_nonce, ours.sep_nonce)
    assert set(opened_devices) == {(1, (1, 1))}
    assert neighbour.history == []
    await asyncio.to_thread(iboot.close)


async def test_another_phone_in_the_socket_is_the_wrong_one(host):
    phone = plug(host)
    socket = socket_of(host, phone)
    socket._ecid = 1
    with pytest.raises(JobFailed) as failed:
        await socket.look()
    assert failed.value.cause is Cause.WRONG_PHONE


async def test_nobody_there(host):
    phone = plug(host)
    socket = socket_of(host, phone)
    assert phone.socket is not None
    await host.bus.unplug(phone.socket)
    assert await socket.look() is None
    assert await socket.present() is None
    with pytest.raises(JobFailed) as failed:
        await socket.find(0.2)
    assert failed.value.cause is Cause.DISCONNECTED


async def test_no_bus_at_all(tmp_path):
    socket = RecoverySocket(UsbIpBackend(tmp_path / "nowhere"), SocketPath("1-1"), Ecid(1), Door())  # type: ignore[arg-type]  # the guard's one method is all it uses
    assert await socket.look() is None


async def test_every_enumeration_is_another_place(host):
    phone = plug(host)
    socket = socket_of(host, phone)
    before = await socket.present()
    assert before is not None
    assert not await socket.left(before, 0)
    await phone.disappear()
    phone.appear(phone.mode)
    assert await socket.left(before, 0)
    assert await socket.present() not in (None, before)


@pytest.mark.parametrize(
    ("command", "act"),
    [
        ("go", Act.BOOT_RESTORE_SYSTEM),
        ("bootx", Act.BOOT_RESTORE_SYSTEM),
        ("saveenv", Act.SET_AUTO_BOOT),
        ("reboot", Act.SET_AUTO_BOOT),
    ],
)
async def test_what_lasts_needs_a_consent(host, command, act):
    phone, door = plug(host), Door(open=False)
    iboot = await opened(host, phone, door)
    with pytest.raises(ConsentVoid):
        await asyncio.to_thread(iboot.send_command, command)
    assert door.asked == [(act, phone.identity.ecid)]
    assert phone.history == []
    await asyncio.to_thread(iboot.close)


async def test_what_ends_with_the_power_needs_none(host):
    phone, door = plug(host), Door(open=False)
    iboot = await opened(host, phone, door)
    await asyncio.to_thread(iboot.send_command, "bgcolor 0 0 0")
    assert await asyncio.to_thread(iboot.getenv, "auto-boot") == bytearray(b"false")
    assert await asyncio.to_thread(iboot.getenv, "never-heard-of") is None
    assert door.asked == []
    await asyncio.to_thread(iboot.close)


async def test_a_phone_that_left_has_no_environment(host):
    phone = plug(host)
    iboot = await opened(host, phone)
    await phone.disappear()
    assert await asyncio.to_thread(iboot.getenv, "build-version") is None


class Odd:
    """A device as pyusb shows it, on a backend that does not tell where it is."""

    idVendor, idProduct = 0x05AC, 0x1281  # noqa: N815 (pyusb's names)
    bus = address = port_numbers = None

    def __init__(self, serial: object) -> None:
        self._serial = serial

    @property
    def serial_number(self) -> object:
        if isinstance(self._serial, Exception):
            raise self._serial
        return self._serial


async def test_neighbours_that_make_no_sense_disturb_nobody(monkeypatch):
    """Each of these ends the library's search, and with it somebody else's restore."""
    serials = [
        None,
        "",
        "no colons",
        "CPID:8101 BDID:0C",
        "CPID:8101 ECID:xyz",
        "a:b:c ECID:",
        USBError("gone", errno=errno.ENODEV),
        NotImplementedError(),
        ValueError("no langid"),
        "CPID:8101 ECID:0000000000000002 IBFL:3D",
    ]

    def find(**_: object) -> Iterator[Odd]:
        return iter([Odd(serial) for serial in serials])

    monkeypatch.setattr(usb.core, "find", find)
    assert await RecoverySocket(None, SocketPath("1-1"), Ecid(1), Door()).look() is None  # type: ignore[arg-type]  # the guard's one method is all it uses
