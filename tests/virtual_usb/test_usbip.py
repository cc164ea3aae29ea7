"""The USB/IP server, spoken to in raw bytes as Linux's Documentation/usb/usbip_protocol.rst lays them out."""

import asyncio
import errno
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.model.base import SocketPath
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.usb.usbip import MAX_URBS
from station.virtual.usb.usbip_messages import (
    MAX_TRANSFER,
    DeviceRecord,
    Submit,
    Unlink,
    UsbIpError,
    parse_command,
    parse_reply,
)
from tests.virtual_usb.helpers import Lab

DEVLIST = bytes.fromhex("0111 8005 00000000")
IMPORT = bytes.fromhex("0111 8003 00000000")
GET_DEVICE_DESCRIPTOR = bytes.fromhex("80 06 0001 0000 1200")
GET_NO_STRING = bytes.fromhex("80 06 6303 0904 ff00")
GETENV = bytes.fromhex("40 00 0000 0000 1100")
SET_ALTERNATE_1_1 = bytes.fromhex("01 0b 0100 0100 0000")


@dataclass
class Wire:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    devid: int = 0

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readexactly(size)

    async def closed(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True  # closed with something of ours unread

    def submit(
        self,
        seqnum: int,
        *,
        into_host: bool,
        endpoint: int = 0,
        length: int = 0,
        setup: bytes = bytes(8),
        data: bytes = b"",
        packets: int = 0xFFFFFFFF,
    ) -> None:
        length = len(data) or length
        fields = (1, seqnum, self.devid, int(into_host), endpoint, 0, length, 0, packets, 0)
        self.send(struct.pack(">10I", *fields) + setup + data)

    def unlink(self, seqnum: int, victim: int) -> None:
        self.send(struct.pack(">6I", 2, seqnum, self.devid, 0, 0, victim) + bytes(24))

    async def reply(self) -> tuple[int, int, int, int]:
        """Command, seqnum, status, actual length."""
        header = await self.read(48)
        assert header[8:20] == bytes(12)
        if header[3] == 3:
            assert header[28:] == bytes.fromhex("00000000 ffffffff 00000000 0000000000000000")
        else:
            assert header[24:] == bytes(24)
        command, seqnum, _, _, _, status, length = struct.unpack(">5IiI", header[:28])
        return command, seqnum, status, length


@asynccontextmanager
async def connected(lab: Lab) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_unix_connection(lab.path)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def imported(lab: Lab, busid: str = "1-1.1") -> AsyncIterator[Wire]:
    async with connected(lab) as wire:
        wire.send(IMPORT + busid.encode().ljust(32, b"\0"))
        assert await wire.read(8) == bytes.fromhex("0111 0003 00000000")
        record = await wire.read(0x138)
        busnum, devnum = struct.unpack(">II", record[0x120:0x128])
        wire.devid = busnum << 16 | devnum
        yield wire


async def test_lists_devices(lab: Lab):
    lab.plug(1)
    lab.plug(4)
    async with connected(lab) as wire:
        wire.send(DEVLIST)
        assert await wire.read(12) == bytes.fromhex("0111 0005 00000000 00000002")
        for number, devnum in ((1, 1), (4, 2)):
            record = await wire.read(0x138)
            path, busid = record[:0x100], record[0x100:0x120]
            assert path.rstrip(b"\0") == f"/sys/devices/virtual/usb1/1-1.{number}".encode()
            assert busid == f"1-1.{number}".encode().ljust(32, b"\0")
            assert record[0x120:].hex(" ", 4) == (
                f"00000001 {devnum:08x} 00000003 05ac1281 00000000 00010102"  # … 0 0 0, config 1 of 1, 2 interfaces
            )
            assert await wire.read(8) == bytes.fromhex("fe010200 ffff0000")
        assert await wire.closed()


async def test_list_of_nothing(lab: Lab):
    async with connected(lab) as wire:
        wire.send(DEVLIST)
        assert await wire.read(12) == bytes.fromhex("0111 0005 00000000 00000000")
        assert await wire.closed()


async def test_import_of_nothing(lab: Lab):
    async with connected(lab) as wire:
        wire.send(IMPORT + b"1-1.1".ljust(32, b"\0"))
        assert await wire.read(8) == bytes.fromhex("0111 0003 00000001")
        assert await wire.closed()


async def test_control_in(lab: Lab):
    lab.plug()
    async with imported(lab) as wire:
        wire.submit(7, into_host=True, length=64, setup=GET_DEVICE_DESCRIPTOR)
        assert await wire.reply() == (3, 7, 0, 18)
        assert (await wire.read(18)).hex() == "1201000200000040" + "ac0581120000" + "02030401"
        wire.submit(8, into_host=True, length=8, setup=GET_DEVICE_DESCRIPTOR)
        assert await wire.reply() == (3, 8, 0, 8)


async def test_stall_is_a_broken_pipe(lab: Lab):
    lab.plug()
    async with imported(lab) as wire:
        wire.submit(1, into_host=True, length=255, setup=GET_NO_STRING)
        assert await wire.reply() == (3, 1, -errno.EPIPE, 0)
        wire.submit(2, into_host=False, endpoint=4, data=b"no upload has begun")
        assert await wire.reply() == (3, 2, -errno.EPIPE, 0)
        wire.submit(3, into_host=True, endpoint=9, length=512)
        assert await wire.reply() == (3, 3, -errno.EPIPE, 0)


async def test_control_out(lab: Lab):
    phone = lab.plug()
    async with imported(lab) as wire:
        wire.submit(1, into_host=False, setup=GETENV, data=b"getenv auto-boot\0")
        assert await wire.reply() == (3, 1, 0, 17)
    assert phone.history == ["iboot:getenv"]


async def greeted(wire: Wire) -> None:
    """Read what iBoot says when it starts: then its console is silent."""
    wire.submit(99, into_host=True, endpoint=1, length=4096)
    await wire.read((await wire.reply())[3])


async def test_unlinked_transfers_are_never_answered(lab: Lab):
    lab.plug()
    async with imported(lab) as wire:
        wire.submit(1, into_host=False, setup=SET_ALTERNATE_1_1)
        assert await wire.reply() == (3, 1, 0, 0)
        await greeted(wire)
        wire.submit(2, into_host=True, endpoint=1, length=512)
        wire.submit(3, into_host=True, endpoint=1, length=512)
        wire.submit(4, into_host=True, length=64, setup=GET_DEVICE_DESCRIPTOR)
        assert await wire.reply() == (3, 4, 0, 18)  # endpoints do not wait for one another
        await wire.read(18)
        wire.unlink(5, 2)
        assert await wire.reply() == (4, 5, -errno.ECONNRESET, 0)
        wire.unlink(6, 4)
        assert await wire.reply() == (4, 6, 0, 0)
        wire.unlink(7, 3)
        assert await wire.reply() == (4, 7, -errno.ECONNRESET, 0)


async def test_many_clients_share_a_device(lab: Lab):
    lab.plug()
    async with imported(lab) as one, imported(lab) as two:
        assert one.devid == two.devid
        for wire in (one, two, one):
            wire.submit(1, into_host=True, length=64, setup=GET_DEVICE_DESCRIPTOR)
            assert await wire.reply() == (3, 1, 0, 18)
            await wire.read(18)


async def test_transfers_on_an_endpoint_keep_their_order(lab: Lab):
    lab.plug(1, Fault(at="iboot:getenv", kind=FaultKind.SILENCE))
    async with imported(lab) as one, imported(lab) as two:
        one.submit(1, into_host=False, setup=GETENV, data=b"getenv auto-boot\0")
        one.unlink(2, 99)
        assert await one.reply() == (4, 2, 0, 0)  # so 1 has arrived
        two.submit(1, into_host=True, length=64, setup=GET_DEVICE_DESCRIPTOR)
        two.submit(2, into_host=False, endpoint=4, data=b"no upload has begun")
        assert await two.reply() == (3, 2, -errno.EPIPE, 0)
        one.unlink(3, 1)
        assert await one.reply() == (4, 3, -errno.ECONNRESET, 0)
        assert await two.reply() == (3, 1, 0, 18)


async def test_every_connection_ends_when_the_phone_leaves(lab: Lab):
    phone = lab.plug()
    other = lab.plug(2)
    async with imported(lab) as one, imported(lab) as two, imported(lab, "1-1.2") as neighbour:
        one.submit(1, into_host=False, setup=SET_ALTERNATE_1_1)
        await one.reply()
        one.submit(2, into_host=True, endpoint=1, length=512)
        await lab.bus.unplug(SocketPath("1-1.1"))
        assert await one.closed()
        assert await two.closed()
        neighbour.submit(1, into_host=True, length=64, setup=GET_DEVICE_DESCRIPTOR)
        assert await neighbour.reply() == (3, 1, 0, 18)
    assert (phone.running, other.running is None) == (None, False)


async def test_another_enumeration_is_another_device(lab: Lab):
    phone = lab.plug()
    async with imported(lab) as wire:
        before = wire.devid
    await lab.bus.unplug(SocketPath("1-1.1"))
    lab.bus.plug(phone, SocketPath("1-1.1"))
    async with imported(lab) as wire:
        assert wire.devid != before


async def test_too_much_at_once_is_refused(lab: Lab):
    lab.plug(1, Fault(at="iboot:getenv", kind=FaultKind.SILENCE))
    async with imported(lab) as wire:
        for seqnum in range(MAX_URBS):
            wire.submit(seqnum, into_host=False, setup=GETENV, data=b"getenv auto-boot\0")
        wire.submit(MAX_URBS, into_host=False, setup=GETENV, data=b"getenv auto-boot\0")
        assert await wire.reply() == (3, MAX_URBS, -errno.ENOMEM, 0)


async def test_too_many_bytes_at_once_are_refused(lab: Lab):
    lab.plug()
    async with imported(lab) as wire:
        wire.submit(1, into_host=False, setup=SET_ALTERNATE_1_1)
        await wire.reply()
        await greeted(wire)
        wire.submit(2, into_host=True, endpoint=1, length=MAX_TRANSFER)
        wire.submit(3, into_host=True, endpoint=1, length=1)
        assert await wire.reply() == (3, 3, -errno.ENOMEM, 0)
        wire.unlink(4, 2)
        assert await wire.reply() == (4, 4, -errno.ECONNRESET, 0)
        wire.submit(5, into_host=True, length=64, setup=GET_DEVICE_DESCRIPTOR)
        assert await wire.reply() == (3, 5, 0, 18)


@pytest.mark.parametrize(
    "first", [bytes.fromhex("0100 8005 00000000"), bytes.fromhex("0111 1234 00000000"), b"GET / HTTP/1.1\r\n"]
)
async def test_hangs_up_on_strangers(lab: Lab, first: bytes):
    async with connected(lab) as wire:
        wire.send(first)
        assert await wire.closed()


@pytest.mark.parametrize("how", ["devid", "length", "isochronous", "command", "twice"])
async def test_hangs_up_on_nonsense(lab: Lab, how: str):
    lab.plug(1, Fault(at="iboot:getenv", kind=FaultKind.SILENCE))
    async with imported(lab) as wire:
        match how:
            case "devid":
                wire.devid += 1
                wire.submit(1, into_host=True, length=64, setup=GET_DEVICE_DESCRIPTOR)
            case "length":
                wire.submit(1, into_host=True, length=MAX_TRANSFER + 1)
            case "isochronous":
                wire.submit(1, into_host=True, endpoint=1, length=512, packets=8)
            case "command":
                wire.send(struct.pack(">I", 9) + bytes(44))
            case _:
                for _ in range(2):
                    wire.submit(1, into_host=False, setup=GETENV, data=b"getenv auto-boot\0")
        assert await wire.closed()


def test_example_from_the_document():
    header = (
        "00000001 00000d05 0001000f 00000001 00000001 00000200 00000040 ffffffff 00000000 00000004 00000000 00000000"
    )
    command = parse_command(bytes.fromhex(header))
    assert command == Submit(0x0D05, 0x0001000F, into_host=True, endpoint=1, length=64)
    assert command.address == 0x81


@given(st.binary(min_size=48, max_size=48), st.integers(0, 5))
def test_hostile_headers_fail_in_one_way(data, command):
    header = struct.pack(">I", command) + data[4:]
    for parse in (parse_command, parse_reply):
        try:
            parse(header)
        except UsbIpError:
            continue


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 15))
def test_commands_are_read_as_they_were_made(seqnum, devid, into_host, endpoint):
    submit = Submit(seqnum, devid, into_host, endpoint, 512, b"\x80\x06\x00\x01\x00\x00\x12\x00")
    assert parse_command(submit.pack()) == submit
    assert parse_command(Unlink(seqnum, devid, 7).pack()) == Unlink(seqnum, devid, 7)


@pytest.mark.parametrize("busid", ["", "usb1", "1-", "x-1", "1-1.4.4.4.4.4.4.4.4"])
def test_records_of_impossible_devices_are_refused(busid):
    record = DeviceRecord("1-1.4", 1, 5, 0x05AC, 0x1281, 0, (0, 0, 0), 1, 1, 2)
    assert DeviceRecord.parse(record.pack()) == record
    assert record.ports == (1, 4)
    with pytest.raises(UsbIpError):
        DeviceRecord.parse(record.pack().replace(b"1-1.4\0".ljust(32, b"\0"), busid.encode().ljust(32, b"\0")))
