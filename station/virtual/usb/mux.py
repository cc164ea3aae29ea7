"""The phone's end of usbmux: many connections to its ports over one pair of endpoints.

Nothing is buffered beyond each connection's window in one direction and OUTPUT_LIMIT in the other: a host that
reads nothing is not listened to either.
"""

import asyncio
from collections import deque

import structlog

from station.virtual.phones.phone import VirtualPhone
from station.virtual.usb.mux_packets import (
    SEQUENCE,
    SHORT_HEADER,
    VERSION,
    Control,
    Flag,
    Framing,
    MuxError,
    Protocol,
    Segment,
)
from station.virtual.usb.mux_stream import Key, Stream

log = structlog.get_logger(__name__)

VERSIONS = (1, 2)
"""Major versions that there are."""
MAX_STREAMS = 1024
"""Connections; a phone has 65535 ports, but not the memory."""
MAX_INPUT = 64 * 1024
"""Bytes of a packet from the host."""
OUTPUT_LIMIT = 256 * 1024
"""Bytes that may wait for the host to read; while there are more, the phone takes nothing and says nothing."""


class Mux:
    """All connections of one enumeration, and the packets between them and the endpoints."""

    def __init__(self, phone: VirtualPhone) -> None:
        self.phone = phone
        self._framing = Framing()
        self._input = bytearray()
        self._output: deque[bytes] = deque()
        self._output_size = 0
        self._some = asyncio.Event()
        """Set while there is output."""
        self._room = asyncio.Event()
        """Set while there is not too much of it."""
        self._room.set()
        self._changed = asyncio.Event()
        """Set whenever the host takes something."""
        self._streams: dict[Key, Stream] = {}

    def reset(self) -> None:
        """Forget everything: a host begins anew. Connections break, and it is not told."""
        for stream in list(self._streams.values()):
            stream.drop()
        self._framing = Framing()
        self._input.clear()
        self._output.clear()
        self._output_size = 0
        self._some.clear()
        self._room.set()

    async def receive(self, data: bytes, *, last: bool) -> None:
        """Take what came from the host, once there is room for the answers.

        Args:
            data: bytes of packets, in any pieces.
            last: a transfer ends with them, and with it a packet.
        """
        self._input += data
        try:
            await self._room.wait()
            while packet := self._next_input(last=last):
                self._take(packet)
                await self._room.wait()
        except MuxError as error:
            self._give_up(error)

    async def transmit(self) -> bytes:
        """The next packet for the host, once there is one."""
        await self._some.wait()
        packet = self._output.popleft()
        self._output_size -= len(packet)
        self._changed.set()
        if not self._output:
            self._some.clear()
        if self._output_size <= OUTPUT_LIMIT:
            self._room.set()
        return packet

    async def settle(self) -> None:
        """Wait until the host has read and acknowledged everything that was said."""
        while self._output or any(stream.unsettled for stream in self._streams.values()):
            self._changed.clear()
            await self._changed.wait()

    async def room(self) -> None:
        """Wait until the host has read enough to be told more."""
        await self._room.wait()

    def send(self, protocol: Protocol, body: bytes) -> None:
        """Queue a packet for the host."""
        packet = self._framing.pack(protocol, body)
        self._output.append(packet)
        self._output_size += len(packet)
        self._some.set()
        if self._output_size > OUTPUT_LIMIT:
            self._room.clear()

    def forget(self, stream: "Stream") -> None:
        """A connection has ended."""
        if self._streams.get(stream.key) is stream:
            del self._streams[stream.key]

    def _next_input(self, *, last: bool) -> bytes:
        """The next whole packet; b"": more must come first. Raises MuxError, also when `last` says that it will not."""
        length = SHORT_HEADER.size
        if len(self._input) >= length:
            _, length = SHORT_HEADER.unpack_from(self._input)
            if not SHORT_HEADER.size <= length <= MAX_INPUT:
                raise MuxError(f"a packet of {length} bytes")
        if len(self._input) < length:
            if last and self._input:
                raise MuxError("a packet that is cut off")
            return b""
        packet = bytes(self._input[:length])
        del self._input[:length]
        return packet

    def _take(self, packet: bytes) -> None:
        protocol, body = self._framing.unpack(packet)
        if protocol is Protocol.VERSION:
            self._agree(body)
        elif not self._framing.version:
            raise MuxError("a packet before the version is agreed on")
        elif protocol is Protocol.TCP:
            self._route(Segment.parse(body))
        self._changed.set()

    def _agree(self, body: bytes) -> None:
        major, _, _ = VERSION.unpack(body)
        if major < min(VERSIONS):
            raise MuxError(f"version {major}")
        self.reset()
        version = min(major, max(VERSIONS))
        self.send(Protocol.VERSION, VERSION.pack(version, 0, 0))
        self._framing.version = version

    def _route(self, segment: Segment) -> None:
        key = segment.source, segment.destination
        stream = self._streams.get(key)
        if stream is not None:
            stream.take(segment)
        elif segment.flags == Flag.SYN and len(self._streams) < MAX_STREAMS:
            self._streams[key] = Stream(self, self.phone, segment)
        elif not segment.flags & Flag.RST:
            acknowledgement = (segment.sequence + len(segment.payload) + bool(segment.flags & Flag.SYN)) & SEQUENCE
            refusal = Segment(segment.destination, segment.source, 0, acknowledgement, Flag.RST | Flag.ACK, 0)
            self.send(Protocol.TCP, refusal.pack())

    def _give_up(self, error: MuxError) -> None:
        """There is no telling where the next packet begins, or whose it was: break what there is, and say so."""
        log.warning("a host does not speak usbmux", error=str(error))
        self._input.clear()
        for stream in list(self._streams.values()):
            stream.abort(str(error))
        self.send(Protocol.CONTROL, bytes([Control.ERROR]) + str(error).encode())
