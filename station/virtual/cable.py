"""The cable between a phone and its host: it can be slow, be cut at any byte, stall, and flip bits.

It is above both ways in which a phone is reached, usbmuxd's socket and USB, and lies where a connection's bytes go
in and out of the phone. As long as nothing is asked of it a connection's streams are handed on as they are: system
images pass at a gigabyte a second.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum

from station.virtual.faults.kinds import PhoneGoneError

USB2 = 40_000_000
"""Bytes a second that bulk transfers get out of USB 2.0's 480 Mbit/s (USB 2.0, 5.8.4: 13 packets in a microframe are
53 MB/s; controllers and phones reach about 40)."""
BLOCK = 64 * 1024
"""Bytes carried at once; on a slow cable connections take turns by it."""
CLOSE_SECONDS = 5.0
"""How long a host may take for the last of what the phone said."""
FLUSH_SECONDS = 1.0
"""How long a cable that is about to be cut waits for the host's kernel to take what is before the cut."""
_TICK = 0.002
"""Seconds of delay that are worth a sleep."""
_LATE = 0.05
"""Seconds that a busy machine may oversleep and still make up for, so that the rate is what it is told to be."""

WRONG_BIT = 0x10
LIMIT = 1 << 20
"""Bytes that a phone's end buffers."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Mishap(Enum):
    """What happens to a cable after so many bytes."""

    CUT = "cut"
    """It is pulled: the phone leaves."""
    STALL = "stall"
    """Nothing passes any more, and nobody leaves."""
    CORRUPT = "corrupt"
    """One bit of the next byte is wrong."""


@dataclass
class _Due:
    """A mishap to come."""

    what: Mishap
    left: int
    """Bytes until then, of both directions together."""
    port: int | None
    """Of the connections that count and suffer; None: all of them."""


class Cable:
    """One cable, from plug to unplug."""

    def __init__(self, pull: Callable[[], None]) -> None:
        """Lay a cable.

        Args:
            pull: unplugs it; returns at once.
        """
        self.rate: float | None = None
        """Bytes a second, both directions and all connections together; None: as fast as can be."""
        self.into_phone = 0
        """Bytes that went to the phone. Connections are counted that began while something was asked of the cable."""
        self.out_of_phone = 0
        """Bytes that came from it."""
        self.metered = False
        """Whether bytes are counted though nothing is asked of it yet."""
        self._pull = pull
        self._mishaps: list[_Due] = []
        self._free_at = 0.0
        """When everything that was let in will have passed a slow cable, in the loop's time."""
        self._cut = False
        self._hosts: set[asyncio.StreamWriter] = set()

    @property
    def plain(self) -> bool:
        """Whether nothing is asked of it."""
        return not (self.metered or self._mishaps or self._cut or self.rate is not None)

    def have(self, what: Mishap, after: int, *, port: int | None = None) -> None:
        """Have something happen once `after` more bytes have passed; 0: before the next one.

        Args:
            what: happens.
            after: bytes, of both directions together.
            port: of the connections that count and suffer; None: all of them.
        """
        self._mishaps.append(_Due(what, after, port))

    @asynccontextmanager
    async def between(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> AsyncGenerator[Streams, None]:
        """Lay a connection through the cable: yields the phone's end of it.

        Args:
            port: the phone's.
            reader: what the host sends.
            writer: to the host.
        """
        if self.plain:
            yield reader, writer
            return
        ours, theirs = socket.socketpair()
        inner_reader, inner_writer = await asyncio.open_unix_connection(sock=ours, limit=LIMIT)
        phone_reader, phone_writer = await asyncio.open_unix_connection(sock=theirs, limit=LIMIT)
        writer.transport.set_write_buffer_limits(high=0)  # what is drained has left this process
        self._hosts.add(writer)
        inward = asyncio.create_task(self._pump(port, reader, inner_writer, inward=True))
        outward = asyncio.create_task(self._pump(port, inner_reader, writer, inward=False))
        try:
            yield phone_reader, phone_writer
            phone_writer.close()
            await asyncio.wait({outward}, timeout=CLOSE_SECONDS)
        finally:
            for pump in (inward, outward):
                pump.cancel()
            await asyncio.gather(inward, outward, return_exceptions=True)
            for end in (inner_writer, phone_writer):
                end.transport.abort()
            self._hosts.discard(writer)

    async def carry(self, data: bytes, *, inward: bool) -> bytes:
        """Let a USB transfer pass that belongs to no port. Returns what arrives.

        Raises:
            PhoneGoneError: the cable was cut before all of it had passed.
        """
        if self.plain:
            return data
        arrived = bytearray()
        for start in range(0, len(data), BLOCK):
            await self._pass(None, data[start : start + BLOCK], arrived.extend, inward=inward)
        return bytes(arrived)

    async def _pump(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, inward: bool
    ) -> None:
        with suppress(OSError, PhoneGoneError):
            while data := await reader.read(BLOCK):
                await writer.drain()
                await self._pass(port, data, writer.write, inward=inward)
            await writer.drain()
            if inward:  # the host has nothing more to say; what the phone hangs up, `between` hangs up
                writer.write_eof()

    async def _pass(self, port: int | None, data: bytes, deliver: Callable[[bytes], object], *, inward: bool) -> None:
        """Let data pass, as far as it may. Raises PhoneGoneError when the cable is cut before its end.

        What is counted is delivered in the same turn of the loop, so that no other connection comes between.
        """
        await self._take_turn(len(data))
        while data:
            if self._cut:
                raise PhoneGoneError("the cable")
            mishaps = [mishap for mishap in self._mishaps if mishap.port in (None, port)]
            if (due := next((mishap for mishap in mishaps if mishap.left == 0), None)) is not None:
                data = await self._suffer(due, data)
                continue
            size = min([len(data), *(mishap.left for mishap in mishaps)])
            for mishap in mishaps:
                mishap.left -= size
            if inward:
                self.into_phone += size
            else:
                self.out_of_phone += size
            deliver(data[:size])
            data = data[size:]
            if any(mishap.left == 0 and mishap.what is Mishap.CUT for mishap in mishaps):
                await self._break()

    async def _suffer(self, due: "_Due", data: bytes) -> bytes:
        """Have what is due happen to what comes now; returns what is left of that."""
        match due.what:
            case Mishap.CUT:
                await self._break()
            case Mishap.STALL:
                await asyncio.Event().wait()  # until the phone leaves, or the host hangs up
            case Mishap.CORRUPT:
                self._mishaps.remove(due)
                return bytes([data[0] ^ WRONG_BIT]) + data[1:]
        return data

    async def _break(self) -> None:
        """Be cut, once what has passed is in the hands of the host's kernel."""
        self._cut = True
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await asyncio.gather(*(writer.drain() for writer in self._hosts), return_exceptions=True)
        self._pull()

    async def _take_turn(self, size: int) -> None:
        """Wait as long as `size` bytes take."""
        if self.rate is None:
            return
        now = asyncio.get_running_loop().time()
        began = self._free_at if now - self._free_at < _LATE else now
        self._free_at = began + size / self.rate
        if self._free_at - now > _TICK:
            await asyncio.sleep(self._free_at - now)
