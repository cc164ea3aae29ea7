"""Every kind of fault does to a phone, or to what it says, what its name promises."""

import asyncio
from typing import Any

import pytest
from pymobiledevice3 import exceptions, usbmux
from pymobiledevice3.service_connection import ServiceConnection

from station.errors import Refused
from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode, UsbArrived, UsbGone
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.hostile import STRINGS, Garble
from station.virtual.faults.kinds import (
    ANSWERS,
    NEEDS,
    OF_CABLE,
    Fault,
    FaultKind,
    PhoneGoneError,
    StatusError,
    StayError,
)
from station.virtual.faults.troubles import TROUBLES, find_trouble
from station.virtual.hosting import listing
from station.virtual.hosting.control import Control, DropHub, Installed, Plug, PlugGadget, Strike
from station.virtual.phones.people import PEOPLE
from station.virtual.scenarios import scenario
from station.virtual.system.lockdownd import PORT
from tests.virtual_scenarios.helpers import read

AT = "lockdown:QueryType"
BROKEN = (exceptions.PyMobileDevice3Exception, ConnectionError, EOFError, OSError, ValueError)


async def ask(phone, request="QueryType", **more):
    """One question to lockdownd, with a client of half a second's patience."""
    connection = await ServiceConnection.create_using_usbmux(phone.identity.udid, PORT)
    try:
        async with asyncio.timeout(0.5):
            return await connection.send_recv_plist({"Request": request, **more})
    finally:
        await connection.close()


async def until(bus, reached):
    """Wait for something to be true that happens with the bus."""
    async with asyncio.timeout(5), bus.watch() as events:
        while not reached():
            await events.get()


async def is_gone(plug, bus):
    phone = plug(1, Fault(at=AT, kind=FaultKind.UNPLUG))
    with pytest.raises(BROKEN):
        await ask(phone)
    await until(bus, lambda: not bus.phones)


async def is_silent(plug, bus):
    phone = plug(1, Fault(at=AT, kind=FaultKind.SILENCE))
    with pytest.raises(TimeoutError):
        await ask(phone)
    assert phone.running is not None


async def gives_a_status(plug, bus):
    phone = plug(1, Fault(at="here", kind=FaultKind.STATUS, status=27))
    with pytest.raises(StatusError) as told:
        await phone.step("here")
    assert told.value.status == 27


async def refuses(plug, bus):
    phone = plug(1, Fault(at="connect:62078", kind=FaultKind.REFUSE))
    with pytest.raises(BROKEN):
        await ask(phone)
    assert (await ask(phone))["Type"] == "com.apple.mobile.lockdown"


async def stays(plug, bus):
    phone = plug(1, Fault(at="here", kind=FaultKind.STAY))
    with pytest.raises(StayError):
        await phone.step("here")


async def is_cut(plug, bus):
    phone = plug(1, Fault(at="connect:62078", kind=FaultKind.CUT, after_bytes=50))
    with pytest.raises(BROKEN):
        await ask(phone)
    await until(bus, lambda: not bus.phones)
    assert AT not in phone.history


async def stalls(plug, bus):
    phone = plug(1, Fault(at="connect:62078", kind=FaultKind.STALL, after_bytes=50))
    with pytest.raises(TimeoutError):
        await ask(phone)
    assert bus.phones == [phone]
    assert AT not in phone.history


async def is_corrupt(plug, bus):
    phone = plug(1, Fault(at="connect:62078", kind=FaultKind.CORRUPT, after_bytes=0))
    with pytest.raises((TimeoutError, *BROKEN)):
        await ask(phone)  # its length is wrong by a quarter of a gigabyte
    assert AT not in phone.history


async def is_slow(plug, bus):
    phone = plug(1, Fault(at="connect:62078", kind=FaultKind.SLOW, rate=5000))
    before = asyncio.get_running_loop().time()
    assert (await ask(phone))["Type"] == "com.apple.mobile.lockdown"
    carried = phone.cable.into_phone + phone.cable.out_of_phone
    assert carried > 300
    assert asyncio.get_running_loop().time() - before >= 0.9 * carried / 5000


async def flaps(plug, bus):
    phone = plug(1, Fault(at=AT, kind=FaultKind.FLAP, count=3))
    seen: list[type] = []
    async with bus.watch() as events:
        with pytest.raises(BROKEN):
            await ask(phone)
        async with asyncio.timeout(5):
            while len(seen) < 7:
                seen.append(type(await events.get()))
    assert seen == [UsbArrived, *[UsbGone, UsbArrived] * 3]
    assert (await ask(phone))["Type"] == "com.apple.mobile.lockdown"


async def runs_flat(plug, bus):
    phone = plug(1, Fault(at=AT, kind=FaultKind.BATTERY, seconds=1))
    with pytest.raises(BROKEN):
        await ask(phone)
    await until(bus, lambda: phone.running is not None and phone.battery < 5)
    assert bus.phones == [phone]
    assert (await ask(phone))["Type"] == "com.apple.mobile.lockdown"


async def changes(plug, bus):
    phone = plug(1, Fault(at=AT, kind=FaultKind.CHANGE, changes={"locked": True, "passcode": True, "name": "Mine"}))
    assert (await ask(phone))["Type"] == "com.apple.mobile.lockdown"
    assert (phone.system.locked, phone.system.passcode, phone.system.name) == (True, True, "Mine")
    phone.faults.add(Fault(at="here", kind=FaultKind.CHANGE, changes={"colour": "red"}))
    with pytest.raises(ValueError, match="no setting 'colour'"):
        await phone.step("here")


async def lies(plug, bus):
    lie = Fault(at=AT, kind=FaultKind.LIE, ecid=Ecid(0xBAD), withholds=("ProductType",), says={"DeviceName": "Yours"})
    phone = plug(1, lie)
    before = phone.identity.udid
    connection = await ServiceConnection.create_using_usbmux(before, PORT)
    await connection.send_recv_plist({"Request": "QueryType"})
    values: Any = (await connection.send_recv_plist({"Request": "GetValue"}))["Value"]
    await connection.close()
    assert (values["UniqueChipID"], values["DeviceName"]) == (0xBAD, "Yours")
    assert "ProductType" not in values
    assert phone.identity.udid != before
    phone.restart_into(PhoneMode.RECOVERY, seconds=0)
    await until(bus, lambda: phone.mode is PhoneMode.RECOVERY and phone.running is not None)
    assert "ECID:0000000000000BAD " in phone.usb_serial
    phone.faults.add(Fault(at="a", kind=FaultKind.LIE, withholds=("UniqueChipID",)))
    await phone.step("a")
    assert "ECID" not in phone.usb_serial
    phone.faults.add(Fault(at="b", kind=FaultKind.LIE, serial="x:y:z"))
    await phone.step("b")
    assert phone.usb_serial == "x:y:z"


async def garbles(plug, bus):
    phone = plug(1, Fault(at=AT, kind=FaultKind.GARBLE, garble=Garble.NONSENSE))
    with pytest.raises(BROKEN):
        await ask(phone)


async def is_another(plug, bus):
    phone = plug(1, Fault(at=AT, kind=FaultKind.SWAP))
    socket = phone.socket
    with pytest.raises(BROKEN):
        await ask(phone)
    await until(bus, lambda: bus.at(socket) not in (None, phone))
    other = bus.at(socket)
    assert (other.identity.ecid, other.identity.product_type) == (2, phone.identity.product_type)
    assert other.system is not phone.system
    assert (await ask(other))["Type"] == "com.apple.mobile.lockdown"


async def test_lies_from_the_first_moment(plug, bus):
    phone = plug(1, Fault(at="plugged", kind=FaultKind.LIE, serial="nobody"))
    async with bus.watch() as events:
        arrival = await events.get()
    assert (arrival.serial, phone.usb_serial) == ("nobody", "nobody")


async def points_inward(plug, bus):
    phone = plug(1, Fault(at="here", kind=FaultKind.INWARD, url="file:///etc/shadow"))
    await phone.step("here")
    assert phone.asset_url == "file:///etc/shadow"


DOES = {
    FaultKind.UNPLUG: is_gone,
    FaultKind.SILENCE: is_silent,
    FaultKind.STATUS: gives_a_status,
    FaultKind.REFUSE: refuses,
    FaultKind.STAY: stays,
    FaultKind.CUT: is_cut,
    FaultKind.STALL: stalls,
    FaultKind.CORRUPT: is_corrupt,
    FaultKind.SLOW: is_slow,
    FaultKind.FLAP: flaps,
    FaultKind.BATTERY: runs_flat,
    FaultKind.CHANGE: changes,
    FaultKind.LIE: lies,
    FaultKind.GARBLE: garbles,
    FaultKind.SWAP: is_another,
    FaultKind.INWARD: points_inward,
}


@pytest.mark.parametrize("kind", FaultKind)
async def test_does_what_it_says(kind, plug, bus):
    await DOES[kind](plug, bus)


@pytest.mark.parametrize("garble", Garble)
async def test_a_garbled_answer_leaves_the_phone_well(garble, plug):
    phone = plug(1, Fault(at=AT, kind=FaultKind.GARBLE, garble=garble))
    try:
        answer = await ask(phone)
    except (TimeoutError, *BROKEN):
        answer = None
    if garble in (Garble.BOMB, Garble.TYPES, Garble.DEEP):  # these can be read: what they do, they do later
        assert answer is None or "Type" not in answer or answer["Type"] == [{}]
    else:
        assert not isinstance(answer, dict)
    assert (await ask(phone))["Type"] == "com.apple.mobile.lockdown"


@pytest.mark.parametrize("name", STRINGS)
async def test_a_hostile_name_arrives_whole(name, plug):
    phone = plug(1, Fault(at=AT, kind=FaultKind.LIE, hostile=name))
    await ask(phone)
    assert (await ask(phone, "GetValue", Key="DeviceName"))["Value"] == STRINGS[name]


LOCKDOWN = {trouble.name for trouble in TROUBLES if trouble.where.startswith("lockdown:")}


@pytest.mark.parametrize("name", sorted(LOCKDOWN))
async def test_a_client_sees_lockdownds_name_for_it(name, virtual_host, monkeypatch):
    trouble = find_trouble(name)
    installed = Installed(version="26.1", build="23B85")
    order = Plug(installed=installed, people=trouble.people, faults=trouble.faults)
    phone = virtual_host.hands.plug(order)
    assert await read(phone.identity.udid, seconds=10) == trouble.code


BOOT = {trouble.name for trouble in TROUBLES if trouble.where.startswith("iboot:")}


@pytest.mark.parametrize("name", sorted(BOOT))
async def test_a_boot_that_fails(name, plug, bus):
    trouble = find_trouble(name)
    phone = plug(1, *trouble.faults)
    with pytest.raises((PhoneGoneError, StayError)):
        await phone.step(trouble.where)


@pytest.mark.parametrize("person", [person.name for person in PEOPLE])
async def test_a_phone_is_somebodys(person, virtual_host):
    phone = virtual_host.hands.plug(Plug(installed=Installed(version="26.1", build="23B85"), people=(person,)))
    assert phone.mode is PhoneMode.NORMAL


async def test_the_control_socket_has_it_too(virtual_host):
    bus = virtual_host.bus
    async with Control(virtual_host.directory / "control") as control:
        installed = Installed(version="26.1", build="23B85")
        for _ in range(3):
            await control.ask(Plug(installed=installed))
        (gadget,) = await control.ask(PlugGadget(socket=SocketPath("1-2")))
        with pytest.raises(Refused, match="needs a step"):
            await control.ask(Strike(socket=SocketPath("1-1.1"), fault=Fault(at="now", kind=FaultKind.SILENCE)))
        await control.ask(
            Strike(socket=SocketPath("1-1.1"), fault=Fault(at="now", kind=FaultKind.CHANGE, changes={"name": "X"}))
        )
        assert bus.phones[0].system.name == "X"
        dropped = await control.ask(DropHub(hub=SocketPath("1-1")))
        assert len(dropped) == 3
        await until(bus, lambda: len(bus.phones) == 4)
        with pytest.raises(Refused, match="taken"):
            await control.ask(PlugGadget(socket=SocketPath("1-2")))
    assert gadget.socket == "1-2"
    assert {phone.socket for phone in bus.phones} == {"1-1.1", "1-1.2", "1-1.3", "1-2"}


async def test_a_keyboard_is_no_phone(virtual_host):
    gadget = virtual_host.hands.plug_gadget(SocketPath("1-1.1"))
    assert await usbmux.list_devices() == []
    device = gadget.running.usb
    assert (await device.control(0x80, 6, 0x100, 0, 18, b""))[8:12] == b"\xac\x05\xa8\x12"
    configuration = await device.control(0x80, 6, 0x200, 0, 255, b"")
    assert configuration[14:17] == b"\x03\x01\x01"
    assert len(await device.control(0x81, 6, 0x2200, 0, 255, b"")) == 63
    assert [await device.bulk_in(0x81, 8) for _ in range(2)] == [bytes([0, 0, 0x15, 0, 0, 0, 0, 0]), bytes(8)]


def test_a_fault_says_what_it_needs_and_nothing_else():
    assert NEEDS.keys() <= set(FaultKind)
    assert set(ANSWERS).isdisjoint(OF_CABLE)
    with pytest.raises(ValueError, match="when a phone is plugged in"):
        Fault(at="plugged", kind=FaultKind.UNPLUG)
    with pytest.raises(ValueError, match="unplug has no status"):
        Fault(at="x", kind=FaultKind.UNPLUG, status=1)
    with pytest.raises(ValueError, match="too small"):
        Fault(at="x", kind=FaultKind.CUT, after_bytes=-1)


def test_everything_that_is_listed_is_used():
    """The other half of this: the tests here are parametrised with what is listed."""
    listed = {heading: {row[0] for row in rows()} for heading, rows in listing.SECTIONS.items()}
    assert listed["faults"] == {kind.value for kind in DOES}
    assert listed["garbled answers"] == {garble.value for garble in Garble}
    assert listed["hostile strings"] == set(STRINGS)
    assert listed["people"] == {person.name for person in PEOPLE}
    assert listed["scenarios"] == set(scenario.shipped())
    assert listed["apple's servers"] == {service.value for service in AppleService}
    assert listed["apple's behaviours"] == {behaviour.value for behaviour in Behaviour}
    restores = {t.name for t in TROUBLES if t.where.startswith(("restored:", "fdr:", "asr:", "connect:12345"))}
    backups = {trouble.name for trouble in TROUBLES if trouble.where.startswith("backup:")}
    signing = {trouble.name for trouble in TROUBLES if trouble.apple}
    assert listed["troubles"] == restores | backups | signing | LOCKDOWN | BOOT
    assert all(row[1] for heading in ("faults", "garbled answers") for row in listing.SECTIONS[heading]())


def test_the_list_is_aligned():
    lines = list(listing.text())
    models = lines[lines.index("MODELS") + 1 : lines.index("PEOPLE") - 1]
    assert len({line.index("iOS") for line in models}) == 1
    assert all(len(line) == len(line.rstrip()) for line in lines)
