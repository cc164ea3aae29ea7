"""usbmux, over USB/IP, from a host that behaves as usbmuxd does."""

import asyncio
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.model.base import SocketPath
from station.model.phone import PhoneMode
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.usb.mux import OUTPUT_LIMIT
from station.virtual.usb.mux_packets import MTU, Framing, MuxError, Segment
from station.virtual.usb.mux_stream import WINDOW
from tests.virtual_usb.helpers import Lab
from tests.virtual_usb.mux_host import ACK, FIN, MRU, RST, SYN, HostStream, MuxHost, mux_host, plugged_in
from tests.virtual_usb.muxed import AMOUNT, COUNT, DEAF, ECHO, ONCE, SOURCE, pattern, plug

NOBODY = 7


async def read_all(stream: HostStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = await stream.read()
        assert chunk
        data += chunk
    return data


async def ask(stream: HostStream, text: bytes) -> bytes:
    await stream.write(text)
    return await read_all(stream, len(text))


@pytest.mark.parametrize(("asked", "agreed"), [(1, 1), (2, 2), (3, 2)])
async def test_versions(lab: Lab, asked: int, agreed: int):
    plug(lab)
    async with mux_host(lab.path, version=asked) as host:
        assert host.version == agreed
        assert await ask(await host.connect(ECHO), b"hello") == b"hello"


async def test_refuses_where_nothing_listens(lab: Lab):
    phone = plug(lab, 1, Fault(at=f"connect:{ECHO}", kind=FaultKind.REFUSE))
    async with mux_host(lab.path) as host:
        for port in (NOBODY, ECHO):
            with pytest.raises(ConnectionRefusedError):
                await host.connect(port)
        assert await ask(await host.connect(ECHO), b"again") == b"again"
    assert phone.history == [f"connect:{NOBODY}", f"connect:{ECHO}", f"connect:{ECHO}"]


async def test_a_big_transfer_to_the_phone(lab: Lab):
    plug(lab)
    async with mux_host(lab.path) as host:
        stream = await host.connect(COUNT)
        data = pattern(AMOUNT)
        await stream.write(struct.pack(">L", AMOUNT) + data)
        assert int.from_bytes(await read_all(stream, 8)) == sum(data)


async def test_a_big_transfer_from_the_phone(lab: Lab):
    plug(lab)
    async with mux_host(lab.path) as host:
        stream = await host.connect(SOURCE)
        received = b""
        while chunk := await stream.read():
            received += chunk
        assert received == pattern(AMOUNT)
        assert max(host.sizes) == MRU  # so packets were longer than a transfer


async def test_many_connections_at_once(lab: Lab):
    plug(lab)
    async with mux_host(lab.path) as host:
        streams = [await host.connect(ECHO) for _ in range(40)]
        texts = [pattern(1000 + number) for number in range(40)]
        assert await asyncio.gather(*(ask(*each) for each in zip(streams, texts, strict=True))) == texts


@pytest.mark.parametrize("payload", [476, 988, MRU - 36, 2 * MRU - 36, MTU - 36])
async def test_packets_that_fill_their_transfers(lab: Lab, payload: int):
    """In both directions a packet whose length is a multiple of 512 is followed by an empty one."""
    plug(lab)
    async with mux_host(lab.path) as host:
        stream = await host.connect(ONCE)
        text = pattern(payload)
        stream.segment(ACK, text)
        stream.sent += payload
        stream.segment(FIN | ACK)
        stream.sent += 1
        assert await read_all(stream, payload) == text
        await stream.until(lambda: stream.ended)
        assert (0 in host.sizes) == ((payload + 36) % MRU == 0)


async def test_a_host_that_ends_its_half_gets_its_answer(lab: Lab):
    plug(lab)
    async with mux_host(lab.path) as host:
        stream = await host.connect(ONCE)
        await stream.write(b"that was all")
        stream.segment(FIN | ACK)
        assert await read_all(stream, 12) == b"that was all"
        assert await stream.read() == b""


async def test_the_window_is_what_the_phone_has_room_for(lab: Lab):
    plug(lab)
    async with mux_host(lab.path) as host:
        stream, neighbour = await host.connect(DEAF), await host.connect(ECHO)
        assert stream.window == WINDOW
        sent = 0
        while await _has_room(host, neighbour, stream):
            part = bytes(min(stream.room, 40000))
            stream.segment(ACK, part)
            stream.sent += len(part)
            sent += len(part)
        assert WINDOW < sent < 4 << 20  # a window, and what sockets hold
        assert await ask(neighbour, b"not held up") == b"not held up"
        stream.segment(ACK, b"one more byte than there is room for" * 10)
        await stream.until(lambda: stream.ended)
        assert stream.reason == b"more than the window allows"


async def _has_room(host: MuxHost, neighbour: HostStream, stream: HostStream) -> bool:
    """Whether the phone still takes something, once it has had every chance to: three turns of another connection."""
    for _ in range(3):
        await ask(neighbour, b"?")
        if stream.room > 0:
            return True
    assert host.errors == []
    return False


async def test_a_full_window_opens_again(lab: Lab):
    taken = asyncio.Event()

    async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken.wait()
        writer.write(len(await reader.readexactly(AMOUNT)).to_bytes(4))
        await writer.drain()

    plug(lab, more=lambda _: {NOBODY: later})
    async with mux_host(lab.path) as host:
        stream = await host.connect(NOBODY)
        writing = asyncio.ensure_future(stream.write(bytes(AMOUNT)))
        neighbour = await host.connect(ECHO)
        while stream.room:
            await ask(neighbour, b"?")
        taken.set()
        await writing
        assert int.from_bytes(await read_all(stream, 4)) == AMOUNT


async def test_a_host_that_reads_nothing_holds_back_the_phone(lab: Lab):
    phone = plug(lab)
    async with plugged_in(lab.path) as usb:
        await usb.control(0x00, 9, 4)
        host = MuxHost(usb, reading=False)
        host.raw(struct.pack(">5L", 0, 20, 1, 0, 0))
        packet = struct.pack(">LLHHLLBBHHH", 6, 28, 1, NOBODY, 0, 0, 5 << 4, ACK, 512, 0, 0)
        sent = 0
        while sent < 60 * OUTPUT_LIMIT:
            transfer = asyncio.ensure_future(usb.transfer(4, into_host=False, data=packet * 2000))
            answer = asyncio.ensure_future(usb.control(0x80, 6, 0x0100, 0, 18))
            await answer
            await usb.control(0x80, 6, 0x0100, 0, 18)
            if not transfer.done():
                break
            sent += 2000 * len(packet)
        assert OUTPUT_LIMIT // 2 < sent < 4 * OUTPUT_LIMIT
        transfer.cancel()
        await host.close()
    assert phone.running is not None


async def test_a_connection_the_host_resets(lab: Lab):
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reader.read()
        ended.set()

    plug(lab, more=lambda _: {NOBODY: handler})
    async with mux_host(lab.path) as host:
        stream, neighbour = await host.connect(NOBODY), await host.connect(ECHO)
        assert await stream.read() == b"x"
        stream.segment(RST)
        async with asyncio.timeout(5):
            await ended.wait()
        assert await ask(neighbour, b"still here") == b"still here"
        stream.ended = False
        stream.segment(ACK, b"to nobody")
        await stream.until(lambda: stream.ended)


async def test_what_a_host_said_before_it_reset_arrives(lab: Lab):
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    go = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await go.wait()
        heard.set_result(await reader.read())

    plug(lab, more=lambda _: {NOBODY: handler})
    async with mux_host(lab.path) as host:
        stream, other = await host.connect(NOBODY), await host.connect(ECHO)
        said = b""
        while stream.room:  # until nothing more goes into the pipe between the cable and who should listen
            said += (part := random.randbytes(stream.room))
            await stream.write(part)
            assert await ask(other, b"did it move on?") == b"did it move on?"
        stream.segment(RST)
        assert await ask(other, b"it has the reset by now") == b"it has the reset by now"
        go.set()
        async with asyncio.timeout(5):
            assert await heard == said


async def test_a_phone_that_only_speaks_notices_a_reset(lab: Lab):
    ended = asyncio.Event()

    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(bytes(10_000))
                await writer.drain()
        finally:
            ended.set()

    plug(lab, more=lambda _: {NOBODY: handler})
    async with mux_host(lab.path) as host:
        stream = await host.connect(NOBODY)
        assert await stream.read()
        stream.segment(RST)
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_host_that_gives_up_while_the_phone_is_silent(lab: Lab):
    plug(lab, 1, Fault(at=f"connect:{ECHO}", kind=FaultKind.SILENCE))
    async with mux_host(lab.path) as host:
        stream = host.open(ECHO)
        await host.connect(COUNT)  # by then the phone is at it
        stream.segment(RST)
        assert await ask(await host.connect(ECHO), b"next") == b"next"
        assert stream.received == 0


async def test_the_phone_hangs_up(lab: Lab):
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"goodbye")

    plug(lab, more=lambda _: {NOBODY: handler})
    async with mux_host(lab.path) as host:
        stream = await host.connect(NOBODY)
        stream.segment(ACK, b"nobody reads this")
        assert await stream.read() == b"goodbye"
        assert await stream.read() == b""


async def test_unplugged_in_the_middle(lab: Lab):
    phone = plug(lab)
    async with mux_host(lab.path) as host:
        stream, idle = await host.connect(SOURCE), await host.connect(DEAF)
        await stream.read()
        await lab.bus.unplug(SocketPath("1-1.1"))
        async with asyncio.timeout(5):
            await host.usb.gone()
        await idle.until(lambda: idle.ended)
    assert phone.running is None


async def test_a_host_that_begins_anew_finds_nothing_of_before(lab: Lab):
    plug(lab)
    async with mux_host(lab.path) as host:
        before = await host.connect(ECHO)
        await ask(before, b"one")
        await host.greet()
        before.segment(ACK, b"two")
        await before.until(lambda: before.ended)
        assert await ask(await host.connect(ECHO), b"three") == b"three"


@pytest.mark.parametrize(
    ("flags", "payload", "sequence", "reason"),
    [
        (SYN, b"", 0, b"flags 0x2 out of place"),
        (ACK, b"x", 5, b"sequence number 5 instead of 1"),
        (ACK | 8, b"x", 1, b"flags 0x18 out of place"),
        (0, b"x", 1, b"flags 0x0 out of place"),
    ],
)
async def test_a_segment_that_breaks_the_rules_ends_its_connection(
    lab: Lab, flags: int, payload: bytes, sequence: int, reason: bytes
):
    plug(lab)
    async with mux_host(lab.path) as host:
        stream, neighbour = await host.connect(ECHO), await host.connect(ECHO)
        stream.segment(flags, payload, sequence=sequence)
        await stream.until(lambda: stream.ended)
        assert stream.reason == reason
        assert await ask(neighbour, b"not me") == b"not me"


async def test_what_was_never_sent_cannot_be_acknowledged(lab: Lab):
    plug(lab)
    async with mux_host(lab.path) as host:
        stream = await host.connect(ECHO)
        stream.consumed += 1
        stream.segment(ACK)
        await stream.until(lambda: stream.ended)
        assert stream.reason == b"acknowledges what was never sent"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (struct.pack(">LL", 6, 7), b"a packet of 7 bytes"),
        (struct.pack(">LL", 6, 1 << 20), b"a packet of 1048576 bytes"),
        (struct.pack(">LL", 6, 500) + b"cut off", b"a packet that is cut off"),
        (b"?", b"a packet that is cut off"),
        (struct.pack(">LL", 9, 16) + bytes(8), b"a packet of the unknown protocol 9"),
        (struct.pack(">LLLL", 6, 16, 0xDEADBEEF, 0), b"a packet without its magic number"),
        (struct.pack(">LL", 6, 10) + bytes(2), b"a packet that is too short"),
        (struct.pack(">LLLL", 6, 16, 0xFEEDFACE, 0), b"a TCP packet that is too short"),
        (struct.pack(">LLLL", 6, 36, 0xFEEDFACE, 0) + bytes(20), b"a TCP header of a length that cannot be"),
        (struct.pack(">5L", 0, 20, 0, 0, 0), b"version 0"),
    ],
)
async def test_nonsense_ends_every_connection_and_nothing_else(lab: Lab, raw: bytes, error: bytes):
    phone = plug(lab)
    async with mux_host(lab.path) as host:
        stream = await host.connect(ECHO)
        host.raw(raw)
        await host.until(lambda: bool(host.errors))
        assert host.errors == [b"\x03" + error]
        await stream.until(lambda: stream.ended)
        assert await ask(await host.connect(ECHO), b"on we go") == b"on we go"
    assert phone.mode is PhoneMode.NORMAL


async def test_nothing_is_said_before_the_version(lab: Lab):
    plug(lab)
    async with plugged_in(lab.path) as usb:
        await usb.control(0x00, 9, 4)
        host = MuxHost(usb)
        host.open(ECHO)
        await host.until(lambda: bool(host.errors))
        assert host.errors == [b"\x03a packet before the version is agreed on"]
        await host.close()


async def test_a_phone_that_restarts_answers_first(lab: Lab):
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        phone.restart_into(PhoneMode.RECOVERY)
        writer.write(pattern(500_000))
        await asyncio.Event().wait()

    phone = plug(lab, more=lambda _: {NOBODY: handler})
    async with mux_host(lab.path) as host:
        stream = await host.connect(NOBODY)
        assert await read_all(stream, 500_000) == pattern(500_000)
        async with asyncio.timeout(5):
            await host.usb.gone()


@given(st.binary(max_size=80))
def test_no_segment_is_anything_but_read_or_refused(data: bytes):
    try:
        segment = Segment.parse(data)
    except MuxError:
        return
    assert Segment.parse(segment.pack()) == segment


@given(st.binary(min_size=8, max_size=80), st.sampled_from([0, 1, 2]))
def test_no_packet_is_anything_but_read_or_refused(packet: bytes, version: int):
    framing = Framing()
    framing.version = version
    try:
        protocol, body = framing.unpack(packet)
    except MuxError:
        return
    assert int(protocol) == int.from_bytes(packet[:4])
    assert packet.endswith(body)
