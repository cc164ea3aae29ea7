"""A host that speaks usbmux to a virtual phone over USB/IP, written from what public usbmuxd does (`src/device.c`).

Like usbmuxd it keeps three reads of 16 KiB under way, gathers packets from them, ends what it sends with a short or
an empty transfer, and keeps to the phone's window.
"""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

MRU = 16384
READS = 3
WINDOW = 131072
FIN, SYN, RST, ACK = 1, 2, 4, 16
MUX_OUT, MUX_IN = 4, 5
LIMIT = 1 << 20


class Usb:
    """One imported device. Transfers are awaited; a device that leaves ends them with ConnectionError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, devid: int) -> None:
        self._reader = reader
        self._writer = writer
        self._devid = devid
        self._seqnum = 0
        self._under_way: dict[int, tuple[bool, asyncio.Future[tuple[int, int, bytes]]]] = {}
        self._receiver = asyncio.create_task(self._receive())

    async def control(self, request_type: int, request: int, value: int = 0, index: int = 0, length: int = 0) -> bytes:
        """A control transfer without data that goes out. Raises OSError with the device's errno."""
        setup = struct.pack("<BBHHH", request_type, request, value, index, length)
        return await self.transfer(0, into_host=bool(request_type & 0x80), length=length, setup=setup)

    async def transfer(
        self, endpoint: int, *, into_host: bool, length: int = 0, setup: bytes = bytes(8), data: bytes = b""
    ) -> bytes:
        """Any transfer; what came in. Raises OSError."""
        self._seqnum += 1
        fields = (1, self._seqnum, self._devid, int(into_host), endpoint, 0, len(data) or length, 0, 0xFFFFFFFF, 0)
        answer: asyncio.Future[tuple[int, int, bytes]] = asyncio.get_running_loop().create_future()
        self._under_way[self._seqnum] = into_host, answer
        self._writer.write(struct.pack(">10I", *fields) + setup + data)
        status, _, received = await answer
        if status:
            raise OSError(-status, "transfer failed")
        return received

    async def close(self) -> None:
        """Let go of the device."""
        self._receiver.cancel()
        self._writer.close()
        await asyncio.gather(self._receiver, return_exceptions=True)

    async def gone(self) -> None:
        """Wait until the device has left."""
        await asyncio.wait({self._receiver})

    async def _receive(self) -> None:
        try:
            while True:
                header = await self._reader.readexactly(48)
                _, seqnum, _, _, _, status, length = struct.unpack(">5IiI", header[:28])
                into_host, answer = self._under_way.pop(seqnum)
                data = await self._reader.readexactly(length) if into_host else b""
                if not answer.cancelled():
                    answer.set_result((status, length, data))
        finally:
            for _, answer in self._under_way.values():
                if not answer.done():
                    answer.set_exception(ConnectionError("the device is gone"))
                    answer.exception()  # whether anybody still waits or not


class HostStream:
    """One connection to a port of the phone."""

    def __init__(self, host: "MuxHost", sport: int, dport: int) -> None:
        self.host, self.sport, self.dport = host, sport, dport
        self.sent, self.acknowledged, self.window = 0, 0, 0
        self.received = 0
        """What the phone sent; `consumed` of it were read, and are acknowledged."""
        self.consumed = 0
        self.reason = b""
        """What the phone's RST said."""
        self.ended = False
        self._input: deque[bytes] = deque()
        self._changed = asyncio.Event()

    @property
    def room(self) -> int:
        """Bytes the phone's window still allows."""
        return self.window - (self.sent - self.acknowledged)

    def segment(self, flags: int, payload: bytes = b"", *, sequence: int | None = None) -> None:
        """Send one, whatever it is."""
        sequence = self.sent if sequence is None else sequence
        header = (self.sport, self.dport, sequence & 0xFFFFFFFF, self.consumed, 5 << 4, flags, WINDOW >> 8, 0, 0)
        self.host.packet(6, struct.pack(">HHIIBBHHH", *header) + payload)

    def take(self, flags: int, sequence: int, acknowledgement: int, window: int, payload: bytes) -> None:
        """A segment came."""
        if not flags & RST:
            assert sequence == self.received
            assert len(payload) <= WINDOW - (self.received - self.consumed)
        self.acknowledged, self.window = acknowledgement, window
        if flags & SYN:
            self.received = self.consumed = sequence + 1
            self.sent += 1
            self.segment(ACK)
        elif flags != ACK:
            self.ended, self.reason = True, payload
        elif payload:
            self.received += len(payload)
            self._input.append(payload)
        self._changed.set()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something that a segment brings."""
        async with asyncio.timeout(10):
            while not done():
                self._changed.clear()
                await self._changed.wait()

    async def read(self) -> bytes:
        """The next bytes; b"": the connection has ended."""
        await self.until(lambda: bool(self._input) or self.ended)
        if not self._input:
            return b""
        data = self._input.popleft()
        self.consumed += len(data)
        if not self.ended:
            self.segment(ACK)
        return data

    async def write(self, data: bytes) -> None:
        """Send all of it, as the window allows."""
        while data:
            await self.until(lambda: self.room > 0 or self.ended)
            if self.ended:
                raise ConnectionError("reset by the phone")
            part, data = data[: min(self.room, 40000)], data[min(self.room, 40000) :]
            self.segment(ACK, part)
            self.sent += len(part)


class MuxHost:
    """The host's end of usbmux."""

    def __init__(self, usb: Usb, *, reading: bool = True) -> None:
        self.usb = usb
        self.version = 0
        self.errors: list[bytes] = []
        """What CONTROL packets said."""
        self._numbers = [0, 0xFFFF]
        self._streams: dict[tuple[int, int], HostStream] = {}
        self._gathered = b""
        self._news = asyncio.Event()
        self._last_port = 0
        self._jobs: set[asyncio.Task[None]] = set()
        self.sizes: list[int] = []
        """Bytes of every IN transfer."""
        if reading:
            self.read()

    def read(self) -> None:
        """Begin to read."""
        for _ in range(READS):
            self._spawn(self._read())

    async def greet(self, major: int = 2) -> None:
        """Agree on a version."""
        self.version = 0
        self.packet(0, struct.pack(">III", major, 0, 0))
        await self.until(lambda: self.version > 0)
        if self.version >= 2:
            self._numbers = [0, 0xFFFF]
            self.packet(2, b"\x07")

    def open(self, port: int) -> HostStream:
        """Send a SYN."""
        self._last_port += 1
        stream = HostStream(self, self._last_port, port)
        self._streams[stream.sport, port] = stream
        stream.segment(SYN)
        return stream

    async def connect(self, port: int) -> HostStream:
        """Open a connection. Raises ConnectionRefusedError."""
        stream = self.open(port)
        await stream.until(lambda: stream.received > 0 or stream.ended)
        if stream.ended:
            raise ConnectionRefusedError
        return stream

    def packet(self, protocol: int, body: bytes) -> None:
        """Send a packet, ended as usbmuxd ends it."""
        if self.version >= 2:
            body = struct.pack(">IHH", 0xFEEDFACE, *self._numbers) + body
            self._numbers[0] = self._numbers[0] + 1 & 0xFFFF
        packet = struct.pack(">II", protocol, 8 + len(body)) + body
        self.raw(packet)
        if len(packet) % 512 == 0:
            self.raw(b"")

    def raw(self, data: bytes) -> None:
        """Send bytes in one transfer."""
        self._spawn(self._write(data))

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something that a packet brings."""
        async with asyncio.timeout(10):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _write(self, data: bytes) -> None:
        try:
            await self.usb.transfer(MUX_OUT, into_host=False, data=data)
        except OSError:
            self._end()

    async def _read(self) -> None:
        try:
            while True:
                data = await self.usb.transfer(MUX_IN, into_host=True, length=MRU)
                self.sizes.append(len(data))
                self._gather(data)
        except OSError:
            self._end()

    def _end(self) -> None:
        for stream in self._streams.values():
            stream.ended = True
            stream._changed.set()
        self._news.set()

    def _gather(self, data: bytes) -> None:
        if not data:
            return
        self._gathered += data
        length = int.from_bytes(self._gathered[4:8])
        if len(data) == MRU and len(self._gathered) < length:
            return
        assert len(self._gathered) == length  # else usbmuxd drops it
        packet, self._gathered = self._gathered, b""
        protocol = int.from_bytes(packet[:4])
        body = packet[16 if self.version >= 2 else 8 :]
        match protocol:
            case 0:
                self.version = struct.unpack(">III", body)[0]
            case 1:
                self.errors.append(body)
            case 6:
                source, destination, sequence, acknowledgement, offset, flags, window, _, _ = struct.unpack(
                    ">HHIIBBHHH", body[:20]
                )
                assert offset == 5 << 4
                stream = self._streams.get((destination, source))
                if stream is not None:
                    stream.take(flags, sequence, acknowledgement, window << 8, body[20:])
            case _:
                raise AssertionError(f"protocol {protocol}")
        self._news.set()


@asynccontextmanager
async def plugged_in(path: Path, busid: str = "1-1.1") -> AsyncIterator[Usb]:
    """Import a device, and configure it as usbmuxd does: the last configuration."""
    reader, writer = await asyncio.open_unix_connection(path, limit=LIMIT)
    writer.write(bytes.fromhex("0111 8003 00000000") + busid.encode().ljust(32, b"\0"))
    answer = await reader.readexactly(8 + 0x138)
    assert answer[:8] == bytes.fromhex("0111 0003 00000000")
    busnum, devnum = struct.unpack(">II", answer[0x128:0x130])
    usb = Usb(reader, writer, busnum << 16 | devnum)
    try:
        yield usb
    finally:
        await usb.close()


@asynccontextmanager
async def mux_host(path: Path, busid: str = "1-1.1", *, version: int = 2) -> AsyncIterator[MuxHost]:
    """A host that has agreed on a version with a phone."""
    async with plugged_in(path, busid) as usb:
        await usb.control(0x00, 9, 4)
        host = MuxHost(usb)
        try:
            await host.greet(version)
            yield host
        finally:
            await host.close()
