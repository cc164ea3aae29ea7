"""The cable: cut at any byte, slow, deaf, wrong; and not there at all for whoever asks nothing of it."""

import asyncio
import random

import pytest
from pymobiledevice3 import exceptions, usbmux
from pymobiledevice3.lockdown import create_using_usbmux

from station.model.base import SocketPath
from station.model.phone import PhoneMode
from station.virtual.cable import WRONG_BIT, Cable, Mishap
from station.virtual.faults.kinds import Fault, FaultKind, PhoneGoneError

ECHO, TALK = 7, 19
GONE = (exceptions.PyMobileDevice3Exception,)
PATTERN = bytes(range(256)) * 1024


async def echo(reader, writer):
    """Say back what is said."""
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()


async def talk(reader, writer):
    """Say the pattern, and hang up."""
    writer.write(PATTERN)
    await writer.drain()


LISTENERS = {ECHO: echo, TALK: talk}


async def connect(port):
    """Streams to a port of the one phone there is."""
    (device,) = await usbmux.list_devices()
    sock = await device.connect(port)
    return await asyncio.open_connection(sock=sock)


async def everything(reader):
    """What comes until the other side hangs up, whether politely or not."""
    data = bytearray()
    try:
        while piece := await reader.read(1 << 16):
            data += piece
    except ConnectionError:
        pass
    return bytes(data)


def cut(after, at="*", kind=FaultKind.CUT):
    return Fault(at=at, kind=kind, after_bytes=after)


async def test_hands_streams_on_as_long_as_nothing_is_asked(plug):
    phone = plug()
    cable = phone.cable
    reader, writer = asyncio.StreamReader(), object()
    async with cable.between(ECHO, reader, writer) as streams:
        assert streams == (reader, writer)
    data = b"x" * 10
    assert await cable.carry(data, inward=True) is data
    assert (cable.into_phone, cable.out_of_phone) == (0, 0)


@pytest.mark.parametrize("after", [1, 2, 65_535, 65_536, 65_537, len(PATTERN)])
async def test_is_cut_after_exactly_so_many_bytes(plug, bus, after):
    phone = plug(1, cut(after, f"connect:{TALK}"), listeners=LISTENERS)
    reader, writer = await connect(TALK)
    async with asyncio.timeout(5):
        assert await everything(reader) == PATTERN[:after]
    writer.close()
    assert phone.cable.out_of_phone == after
    assert bus.phones == []


async def test_counts_both_directions_of_all_connections(plug, bus):
    phone = plug(1, cut(1000), listeners=LISTENERS)
    rng = random.Random(1)
    sent = got = 0
    pairs = [await connect(ECHO) for _ in range(3)]
    async with asyncio.timeout(5):
        while bus.phones:
            reader, writer = rng.choice(pairs)
            piece = bytes(rng.randrange(1, 200))
            writer.write(piece)
            sent += len(piece)
            got += len(await reader.read(len(piece)))
    assert phone.cable.into_phone + phone.cable.out_of_phone == 1000
    assert got == phone.cable.out_of_phone
    assert sent >= phone.cable.into_phone
    for _, writer in pairs:
        writer.close()


async def test_a_port_is_cut_for_what_passes_through_it_only(plug, bus):
    phone = plug(1, cut(10, f"connect:{TALK}"), listeners=LISTENERS)
    reader, writer = await connect(ECHO)
    writer.write(bytes(5000))
    assert await reader.readexactly(5000) == bytes(5000)
    assert bus.phones == [phone]
    other, other_writer = await connect(TALK)
    assert await everything(other) == PATTERN[:10]
    assert bus.phones == []
    assert await everything(reader) == b""
    for one in (writer, other_writer):
        one.close()


async def test_a_bit_is_wrong(plug):
    plug(1, cut(100, f"connect:{TALK}", FaultKind.CORRUPT), listeners=LISTENERS)
    reader, writer = await connect(TALK)
    data = await everything(reader)
    writer.close()
    assert [n for n, (a, b) in enumerate(zip(data, PATTERN, strict=True)) if a != b] == [100]
    assert data[100] ^ PATTERN[100] == WRONG_BIT


async def test_stalls_and_stays(plug, bus):
    phone = plug(1, cut(100, f"connect:{TALK}", FaultKind.STALL), listeners=LISTENERS)
    reader, writer = await connect(TALK)
    assert await reader.readexactly(100) == PATTERN[:100]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.05)
    assert bus.phones == [phone]
    writer.close()


async def test_a_slow_cable_is_shared(plug):
    """It may take longer on a busy machine, but not less."""
    phone = plug(1, Fault(at="*", kind=FaultKind.SLOW, rate=2_000_000), listeners=LISTENERS)
    began = asyncio.get_running_loop().time()
    pairs = [await connect(TALK) for _ in range(2)]
    async with asyncio.timeout(10):
        received = await asyncio.gather(*(everything(reader) for reader, _ in pairs))
    assert received == [PATTERN, PATTERN]
    assert asyncio.get_running_loop().time() - began >= 0.95 * 2 * len(PATTERN) / 2_000_000
    assert phone.cable.out_of_phone == 2 * len(PATTERN)
    for _, writer in pairs:
        writer.close()


async def test_what_the_phone_said_last_arrives_though_it_hangs_up(plug):
    phone = plug(1, listeners=LISTENERS)
    phone.cable.metered = True
    reader, writer = await connect(TALK)
    assert await everything(reader) == PATTERN
    writer.close()
    assert phone.cable.out_of_phone == len(PATTERN)


async def test_a_usb_transfer_passes_or_does_not():
    pulled = []
    cable = Cable(lambda: pulled.append(True))
    cable.have(Mishap.CORRUPT, 3)
    cable.have(Mishap.CUT, 8)
    assert await cable.carry(bytes(6), inward=True) == bytes([0, 0, 0, WRONG_BIT, 0, 0])
    with pytest.raises(PhoneGoneError):
        await cable.carry(bytes(6), inward=False)
    with pytest.raises(PhoneGoneError):
        await cable.carry(b"x", inward=False)
    assert pulled == [True]
    assert (cable.into_phone, cable.out_of_phone) == (6, 2)


async def test_another_plug_is_another_cable(plug, bus):
    phone = plug(1, listeners=LISTENERS)
    phone.cable.have(Mishap.CUT, 5)
    reader, writer = await connect(TALK)
    await everything(reader)
    writer.close()
    bus.plug(phone, SocketPath("1-1.9"))
    assert phone.cable.plain
    reader, writer = await connect(TALK)
    assert await reader.readexactly(1000) == PATTERN[:1000]
    writer.close()


async def paired(udid):
    async with await create_using_usbmux(udid, pair_timeout=0) as client:
        return client.ecid


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 16))])
async def test_a_pairing_that_is_cut_anywhere_leaves_everybody_well(plug, bus, seed):
    """The client gets an error that it can tell from any other; the phone pairs when it is plugged in again."""
    phone = plug(1)
    phone.cable.metered = True
    assert await paired(phone.identity.udid) == 1
    whole = phone.cable.into_phone + phone.cable.out_of_phone
    other = plug(2)
    socket = other.socket
    after = random.Random(seed).randrange(whole * 98 // 100)
    other.cable.have(Mishap.CUT, after)
    async with asyncio.timeout(10):
        with pytest.raises((ConnectionError, EOFError, OSError, *GONE)):
            await paired(other.identity.udid)
        assert bus.at(socket) is None
        bus.plug(other, socket)
        assert await paired(other.identity.udid) == 2
    assert other.mode is PhoneMode.NORMAL
    assert other.destructions == []
