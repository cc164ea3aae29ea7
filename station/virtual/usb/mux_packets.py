"""The packets of usbmux, as the phone's and the host's end exchange them. Everything is big-endian.

A packet is a header and what its protocol says. The host begins with VERSION, in the short header of version 1, and
the phone answers it so. If both have version 2, every packet after that has the long header; the host sends SETUP,
and from then on TCP carries the connections: real TCP headers, with a window in units of 256 bytes.

Source: public usbmuxd 1.1.1, `src/device.c`, which is the other end.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Self

MAGIC = 0xFEEDFACE
MTU = 3 * 16384
"""Bytes of the largest packet; usbmuxd sends no larger one, and takes up to 65536."""
WINDOW_UNIT = 256
MAX_WINDOW = 0xFFFF * WINDOW_UNIT
SEQUENCE = 0xFFFFFFFF
"""Sequence numbers are taken modulo 2^32."""

SHORT_HEADER = struct.Struct(">II")
"""Protocol, length of the whole packet."""
LONG_HEADER = struct.Struct(">IIIHH")
"""Those, then magic, the sender's number for this packet, the number of the packet it last received."""
VERSION = struct.Struct(">III")
"""Major, minor, padding."""
_TCP = struct.Struct(">HHIIBBHHH")
"""Source and destination port, sequence and acknowledgement, offset, flags, window, checksum, urgent pointer."""
_MIN_OFFSET = _TCP.size // 4
MAX_PAYLOAD = MTU - LONG_HEADER.size - _TCP.size
"""Bytes that one TCP packet carries."""


class MuxError(Exception):
    """What the other end sent is no usbmux."""


class Protocol(IntEnum):
    """What a packet is."""

    VERSION = 0
    CONTROL = 1
    SETUP = 2
    TCP = 6


class Flag(IntFlag):
    """TCP's flags (RFC 9293, 3.1)."""

    FIN = 1
    SYN = 2
    RST = 4
    ACK = 16


class Control(IntEnum):
    """The first byte of a CONTROL packet: how serious the text is that follows."""

    ERROR = 3
    WARNING = 5
    INFO = 7


@dataclass(frozen=True)
class Segment:
    """A TCP packet without the usbmux header."""

    source: int
    destination: int
    sequence: int
    acknowledgement: int
    flags: Flag
    window: int
    """Bytes its sender has room for; the wire rounds it down to a multiple of 256."""
    payload: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read one. Raises MuxError."""
        if len(data) < _TCP.size:
            raise MuxError("a TCP packet that is too short")
        source, destination, sequence, acknowledgement, offset, flags, window, _, _ = _TCP.unpack_from(data)
        start = (offset >> 4) * 4
        if not _TCP.size <= start <= len(data):
            raise MuxError("a TCP header of a length that cannot be")
        window *= WINDOW_UNIT
        return cls(source, destination, sequence, acknowledgement, Flag(flags), window, data[start:])

    def pack(self) -> bytes:
        """It on the wire."""
        return (
            _TCP.pack(
                self.source,
                self.destination,
                self.sequence,
                self.acknowledgement,
                _MIN_OFFSET << 4,
                self.flags,
                min(self.window, MAX_WINDOW) // WINDOW_UNIT,
                0,
                0,
            )
            + self.payload
        )


class Framing:
    """One end's headers: which kind it writes and reads, and the numbers of the packets."""

    def __init__(self) -> None:
        self.version = 0
        """What both ends agreed on; 0 before they did."""
        self._sent = 0
        self._received = 0xFFFF

    @property
    def header(self) -> struct.Struct:
        """The header of packets now."""
        return LONG_HEADER if self.version >= 2 else SHORT_HEADER

    def pack(self, protocol: Protocol, body: bytes) -> bytes:
        """A packet to send."""
        length = self.header.size + len(body)
        if self.version < 2:
            return SHORT_HEADER.pack(protocol, length) + body
        packet = LONG_HEADER.pack(protocol, length, MAGIC, self._sent, self._received) + body
        self._sent = (self._sent + 1) & 0xFFFF
        return packet

    def unpack(self, packet: bytes) -> tuple[Protocol, bytes]:
        """Protocol and body of a whole packet that was received. Raises MuxError."""
        number, _ = SHORT_HEADER.unpack_from(packet)
        try:
            protocol = Protocol(number)
        except ValueError:
            raise MuxError(f"a packet of the unknown protocol {number}") from None
        if protocol is Protocol.VERSION and len(packet) == SHORT_HEADER.size + VERSION.size:
            return protocol, packet[SHORT_HEADER.size :]  # a host that begins anew knows of no version yet
        if len(packet) < self.header.size:
            raise MuxError("a packet that is too short")
        if self.version >= 2:
            _, _, magic, sequence, _ = LONG_HEADER.unpack_from(packet)
            if magic != MAGIC:
                raise MuxError("a packet without its magic number")
            self._received = sequence
            if protocol is Protocol.SETUP:
                self._sent = 0
        return protocol, packet[self.header.size :]
