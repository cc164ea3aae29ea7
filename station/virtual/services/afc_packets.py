"""The packets of AFC (Apple File Conduit): what goes over the wire, without what it means.

Header, operations and status codes as libimobiledevice (`src/afc.h`, `include/libimobiledevice/afc.h`) and
pymobiledevice3 (`services/afc.py`) have them. Everything is little-endian.
"""

import asyncio
import struct
from dataclasses import dataclass
from enum import IntEnum

from station.virtual.framing import BadMessageError
from station.virtual.streams import Reader, Writer

MAGIC = b"CFA6LPAA"
_HEADER = struct.Struct("<8s4Q")
"""Magic; bytes of the packet; bytes of it that are header and parameters; packet number; operation."""
BLOCK = 1 << 18
"""Bytes that are read or written at once."""
MAX_PARAMETERS = 1 << 14
"""Bytes of parameters that a request may have: two paths and some numbers."""


class Operation(IntEnum):
    """What is asked for or answered."""

    STATUS = 0x01
    DATA = 0x02
    READ_DIR = 0x03
    TRUNCATE = 0x07
    REMOVE_PATH = 0x08
    MAKE_DIR = 0x09
    GET_FILE_INFO = 0x0A
    GET_DEVICE_INFO = 0x0B
    FILE_OPEN = 0x0D
    FILE_OPEN_RESULT = 0x0E
    FILE_READ = 0x0F
    FILE_WRITE = 0x10
    FILE_SEEK = 0x11
    FILE_TELL = 0x12
    FILE_TELL_RESULT = 0x13
    FILE_CLOSE = 0x14
    FILE_SET_SIZE = 0x15
    RENAME_PATH = 0x18
    SET_FS_BLOCK_SIZE = 0x19
    SET_SOCKET_BLOCK_SIZE = 0x1A
    FILE_LOCK = 0x1B
    MAKE_LINK = 0x1C
    GET_FILE_HASH = 0x1D
    SET_FILE_MOD_TIME = 0x1E
    REMOVE_PATH_AND_CONTENTS = 0x22


class Status(IntEnum):
    """How an operation ended."""

    SUCCESS = 0
    UNKNOWN_ERROR = 1
    READ_ERROR = 4
    UNKNOWN_PACKET_TYPE = 6
    INVALID_ARG = 7
    OBJECT_NOT_FOUND = 8
    OBJECT_IS_DIR = 9
    PERM_DENIED = 10
    OBJECT_EXISTS = 16
    NO_SPACE_LEFT = 18
    OP_WOULD_BLOCK = 19
    DIR_NOT_EMPTY = 33


class Request:
    """One packet of a host's, whose body is read as it is needed: what is written to a file may be large."""

    def __init__(self, reader: Reader, *, number: int, operation: int, left: int) -> None:
        self.number = number
        self.operation = operation
        self.left = left
        """Bytes of its body that have not been read."""
        self._reader = reader

    async def take(self, size: int) -> bytes:
        """The next `size` bytes of its body. Raises ValueError when it has less."""
        if size > self.left:
            raise ValueError(f"{self.left} bytes of {size}")
        data = await self._reader.readexactly(size)
        self.left -= size
        return data

    async def block(self) -> bytes:
        """The next bytes of its body, BLOCK at most; b"": that was all."""
        return await self.take(min(BLOCK, self.left))

    async def numbers(self, layout: str) -> tuple[int, ...]:
        """The next fields of its body, by the letters of `struct`."""
        fields = struct.Struct(f"<{layout}")
        return fields.unpack(await self.take(fields.size))

    async def paths(self, count: int) -> list[str]:
        """The rest of its body: so many paths, each ended by a zero. Raises ValueError."""
        if self.left > MAX_PARAMETERS:
            raise ValueError("too long")
        paths = (await self.take(self.left)).removesuffix(b"\0").decode().split("\0")
        if len(paths) != count:
            raise ValueError(f"{len(paths)} paths")
        return paths

    async def discard(self) -> None:
        """Read the rest of its body and forget it."""
        while await self.block():
            pass


async def read(reader: Reader) -> Request | None:
    """Read the header of the next packet; None: the host hung up.

    Raises:
        BadMessageError: that is not AFC.
        asyncio.IncompleteReadError: the host hung up in the middle of it.
    """
    try:
        header = await reader.readexactly(_HEADER.size)
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    magic, entire, this, number, operation = _HEADER.unpack(header)
    if magic != MAGIC or not _HEADER.size <= this <= entire:
        raise BadMessageError("not an AFC packet")
    return Request(reader, number=number, operation=operation, left=entire - _HEADER.size)


@dataclass(frozen=True)
class Answer:
    """What is answered: an operation of the phone's, with parameters, or with data that follow the header."""

    operation: Operation
    parameters: bytes = b""
    data: bytes = b""

    @classmethod
    def status(cls, status: int) -> "Answer":
        """How it ended, when there is nothing else to say."""
        return cls(Operation.STATUS, struct.pack("<Q", status))

    @classmethod
    def strings(cls, strings: list[str]) -> "Answer":
        """Strings, each ended by a zero: names, or keys and values by turns."""
        return cls(Operation.DATA, data=b"".join(string.encode() + b"\0" for string in strings))

    async def write(self, writer: Writer, number: int) -> None:
        """Send it, as the answer to the packet with that number."""
        this = _HEADER.size + len(self.parameters)
        writer.write(_HEADER.pack(MAGIC, this + len(self.data), this, number, self.operation) + self.parameters)
        for start in range(0, len(self.data), BLOCK):
            writer.write(self.data[start : start + BLOCK])
            await writer.drain()
        await writer.drain()
