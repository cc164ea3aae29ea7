"""usbmuxd, asked by the unmodified library and, where that is too well-behaved, by hand."""

import asyncio
import hashlib
import plistlib
import struct

import pytest
from pymobiledevice3.exceptions import BadDevError, ConnectionFailedError, NotPairedError
from pymobiledevice3.usbmux import MuxDevice, PlistMuxConnection, create_mux, list_devices, select_device

from station.model.phone import PhoneMode
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.system.lockdownd import PORT

UDID = "00008101-0000000000000001"


@pytest.fixture
async def opened(bus, mux_path):
    """Opens connections to usbmuxd, closed when the test ends."""
    writers = []

    async def connect():
        reader, writer = await asyncio.open_unix_connection(mux_path)
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.close()


async def the_device(udid=UDID):
    device = await select_device(udid)
    assert device is not None
    return device


async def ask(streams, message, *, version=1, kind=8):
    """One request by hand. Returns (version, kind, body) of the answer."""
    reader, writer = streams
    body = plistlib.dumps(message) if isinstance(message, dict) else message
    writer.write(struct.pack("<4L", 16 + len(body), version, kind, 7) + body)
    length, version, kind, tag = struct.unpack("<4L", await reader.readexactly(16))
    assert tag == 7
    body = await reader.readexactly(length - 16)
    return version, kind, plistlib.loads(body) if kind == 8 else body


async def told(mux, count):
    """The library's view after `count` more notifications."""
    for _ in range(count):
        await mux.receive_device_state_update()
    return [device.devid for device in mux.devices]


async def test_lists_phones_as_usbmuxd_does(plug, opened):
    plug(1)
    plug(2, model="iPhone 8")
    first, second = await list_devices()
    assert (first.serial, first.connection_type) == (UDID, "USB")
    assert len(second.serial) == 40
    _, _, answer = await ask(await opened(), {"MessageType": "ListDevices"})
    here, there = (device["Properties"] for device in answer["DeviceList"])
    assert (here["ProductID"], there["ProductID"]) == (0x12A8, 0x12A8)
    assert here["LocationID"] >> 16 == 1
    assert here["LocationID"] != there["LocationID"]


async def test_an_ipad_has_a_product_id_of_its_own(plug, opened):
    plug(1, model="iPad (10th generation)")
    _, _, answer = await ask(await opened(), {"MessageType": "ListDevices"})
    assert [device["Properties"]["ProductID"] for device in answer["DeviceList"]] == [0x12AB]


async def test_a_mode_change_is_another_device(plug):
    phone = plug(1)
    async with await create_mux() as mux:
        await mux.listen()
        (before,) = await told(mux, 1)
        phone.restart_into(PhoneMode.RESTORE)
        assert await told(mux, 1) == []
        (after,) = await told(mux, 1)
        assert after > before
        phone.restart_into(PhoneMode.RECOVERY)
        assert await told(mux, 1) == []
    assert await list_devices() == []


async def test_a_phone_in_recovery_is_not_listed_when_plugged_in(plug, bus):
    plug(1)
    phone = await bus.unplug("1-1.1")
    phone.nvram["auto-boot"] = "false"
    bus.plug(phone, "1-1.1")
    plug(2)
    async with await create_mux() as mux:
        await mux.listen()
        await told(mux, 1)
        assert [device.serial for device in mux.devices] == ["00008101-0000000000000002"]


async def test_refuses_ports_nobody_listens_on_and_goes_on(plug):
    plug(1)
    async with await create_mux() as mux:
        await mux.get_device_list()
        (device,) = mux.devices
        with pytest.raises(ConnectionFailedError):
            await mux.connect(device, 4711)
        with pytest.raises(BadDevError):
            await mux.connect(MuxDevice(999, UDID, "USB"), PORT)
        await mux.connect(device, PORT)


async def test_faults_strike_at_connect(plug, bus):
    phone = plug(1, Fault(at=f"connect:{PORT}", kind=FaultKind.REFUSE))
    device = await the_device()
    with pytest.raises(ConnectionFailedError):
        await device.connect(PORT)
    phone.faults.add(Fault(at=f"connect:{PORT}", kind=FaultKind.UNPLUG))
    with pytest.raises(BadDevError):
        await device.connect(PORT)
    assert bus.phones == []


async def test_a_silent_phone_answers_no_connect_until_it_leaves(plug, bus):
    phone = plug(1, Fault(at="connect:*", kind=FaultKind.SILENCE))
    device = await the_device()
    connecting = asyncio.create_task(device.connect(PORT))
    async with await create_mux() as mux:  # meanwhile others are served
        await mux.listen()
        await told(mux, 1)
        assert phone.history == [f"connect:{PORT}"]
        assert not connecting.done()
        await bus.unplug(phone.socket)
        with pytest.raises(BadDevError):
            await connecting


async def test_leaving_the_bus_breaks_connections(plug, bus):
    phone = plug(1)
    with await (await the_device()).connect(PORT) as sock:
        await bus.unplug(phone.socket)
        assert await asyncio.get_running_loop().sock_recv(sock, 1) == b""


async def test_hands_a_stream_through_both_ways(plug):
    size, got = 24 << 20, hashlib.sha1()

    async def sink(reader, writer):
        left = size
        while left:
            data = await reader.read(1 << 20)
            got.update(data)
            left -= len(data)
        writer.write(got.digest())
        await writer.drain()

    plug(1, listeners={1234: sink})
    reader, writer = await asyncio.open_connection(sock=await (await the_device()).connect(1234))
    block = bytes(range(256)) * 4096
    for _ in range(size // len(block)):
        writer.write(block)
        await writer.drain()
    assert await reader.readexactly(20) == hashlib.sha1(block * (size // len(block))).digest()
    assert await reader.read() == b""
    writer.close()


async def test_keeps_pair_records(plug):
    plug(1)
    async with await create_mux() as listener, await create_mux() as mux:
        assert isinstance(mux, PlistMuxConnection)
        with pytest.raises(NotPairedError):
            await mux.get_pair_record(UDID)
        await listener.listen()
        (device,) = await told(listener, 1)
        await mux.save_pair_record(UDID, device, plistlib.dumps({"HostID": "me"}))
        assert await mux.get_pair_record(UDID) == {"HostID": "me"}
        await told(listener, 1)  # "Paired"; another kind would raise
        await mux._send_receive({"MessageType": "DeletePairRecord", "PairRecordID": UDID})
        with pytest.raises(NotPairedError):
            await mux.get_pair_record(UDID)


async def test_answers_what_is_not_understood(plug, opened):
    plug(1)
    streams = await opened()
    assert await ask(streams, b"", version=0, kind=3) == (0, 1, struct.pack("<L", 6))
    for request, number in [
        ({"MessageType": "Dance"}, 1),
        ({"MessageType": "Connect", "DeviceID": 1}, 1),
        ({"MessageType": "Connect", "DeviceID": [1]}, 2),
        ({"MessageType": "SavePairRecord", "PairRecordID": "x"}, 22),
        ({"MessageType": "DeletePairRecord", "PairRecordID": "../x"}, 2),
    ]:
        assert await ask(streams, request) == (1, 8, {"MessageType": "Result", "Number": number})
    _, _, buid = await ask(streams, {"MessageType": "ReadBUID"})
    assert await ask(await opened(), {"MessageType": "ReadBUID"}) == (1, 8, buid)


async def test_lists_listeners(opened, bus):
    listener = await opened()
    await ask(listener, {"MessageType": "Listen", "ProgName": "somebody"})
    _, _, answer = await ask(await opened(), {"MessageType": "ListListeners"})
    assert [entry["ProgName"] for entry in answer["ListenerList"]] == ["somebody"]
    assert (await ask(listener, {"MessageType": "ReadBUID"}))[2]["Number"] == 1
    assert await listener[0].read() == b""


async def test_a_listener_that_reads_nothing_is_cut_off(plug, bus, opened, monkeypatch):
    monkeypatch.setattr("station.virtual.usb.usbmuxd.MAX_BACKLOG", 10_000)
    phone = plug()
    reader, _ = streams = await opened()
    await ask(streams, {"MessageType": "Listen"})
    for _ in range(2000):  # more than the kernel keeps for a socket
        bus.announce(phone)
    async with asyncio.timeout(10):
        while await reader.read(1 << 16):
            pass
    assert len(await list_devices()) > 2000


async def test_what_one_listener_says_of_itself_does_no_harm_to_another(opened):
    evil = {"MessageType": "Listen", "ProgName": "bell \a", "kLibUSBMuxVersion": plistlib.UID(3)}
    await ask(await opened(), plistlib.dumps(evil, fmt=plistlib.FMT_BINARY))
    await ask(await opened(), plistlib.dumps({"MessageType": "Listen", "kLibUSBMuxVersion": 3}))
    _, _, answer = await ask(await opened(), {"MessageType": "ListListeners"})
    told = [(entry["ProgName"], entry["kLibUSBMuxVersion"]) for entry in answer["ListenerList"]]
    assert told == [("bell \a", 0), ("unknown", 3)]


@pytest.mark.parametrize(
    "noise",
    [
        struct.pack("<4L", 1 << 30, 1, 8, 1),
        struct.pack("<4L", 15, 1, 8, 1),
        struct.pack("<4L", 20, 1, 8, 1) + b"junk",
        struct.pack("<4L", 16 + 9, 1, 8, 1) + b"<plist/>\n",
    ],
    ids=["too long", "too short", "no plist", "empty plist"],
)
async def test_hangs_up_on_noise_and_serves_the_others(plug, opened, noise):
    plug(1)
    reader, writer = await opened()
    writer.write(noise)
    assert await reader.read() == b""
    writer.close()
    assert len(await list_devices()) == 1
