"""How restored and its host talk in a restore: one main connection, and a data port for what would block it.

Protocol: pymobiledevice3 `restore/restored_client.py` and `restore/restore.py` (frames as lockdown's).
"""

import asyncio
import plistlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from itertools import count
from typing import Any, NoReturn, Protocol

from station.virtual import framing
from station.virtual.phones.phone import Handler

MAX_MESSAGE = 128 * 1024 * 1024
"""Bytes; a real NORData has 28 MB, a kernel cache some 20 MB, in base64."""
MAX_PIECE = 16 * 1024 * 1024
"""Bytes of one FileData message; the library sends 8 KiB at a time."""
CLOSE_SECONDS = 5.0
FIRST_DATA_PORT = 49152
"""Logs of iOS 18 show data ports from the start of the dynamic range (49172 in idevicerestore#647)."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Channel(Protocol):
    """A connection that an answer comes on: the main one, or a data port's."""

    async def receive(self) -> dict[str, Any]:
        """The next message. Raises HostGoneError."""
        ...

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message. Raises HostGoneError."""
        ...

    def file_data(self) -> AsyncIterator[bytes]:
        """The pieces of a file that comes as FileData messages, up to FileDataDone. Raises HostGoneError."""
        ...


class HostGoneError(EOFError):
    """The host hung up in the middle of the restore."""


class Link:
    """The main connection of one restore, and the data ports opened for it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listeners: dict[int, Handler]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._listeners = listeners
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=4)
        self._numbers = count(FIRST_DATA_PORT)
        self._ports: list[Port] = []

    async def listen(self) -> NoReturn:
        """Take in what the host sends on the main connection. Raises HostGoneError when it hangs up."""
        while True:
            try:
                message = await framing.read(self._reader, limit=MAX_MESSAGE)
            except (OSError, EOFError) as error:
                raise HostGoneError("the host hung up") from error
            await self._inbox.put(message)

    async def receive(self) -> dict[str, Any]:
        """The host's next message on the main connection. `listen` must be running, and ends the wait."""
        return await self._inbox.get()

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message on the main connection."""
        try:
            self._writer.write(framing.frame(message))
            await self._writer.drain()
        except OSError as error:
            raise HostGoneError("the host hung up") from error

    async def file_data(self) -> AsyncIterator[bytes]:
        """The pieces of a file that comes as FileData messages, up to FileDataDone."""
        while (piece := _piece_of(await self.receive())) is not None:
            yield piece

    async def close(self) -> None:
        """Hang up, once the host has taken what was sent; then cut what data connections are left."""
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.wait_closed()
        for port in self._ports:
            port.over.set()

    @asynccontextmanager
    async def port(self, number: int | None = None, *, refuse: bool = False) -> AsyncGenerator["Port", None]:
        """Listen on a data port for one connection, which lives as long as the context.

        When the context fails, the connection is left to `close`: the host shall learn the reason first.

        Args:
            number: the port; None: the next dynamic one.
            refuse: give the number away, but let nobody connect.
        """
        port = Port(next(self._numbers) if number is None else number)
        self._ports.append(port)
        if not refuse:
            self._listeners[port.number] = port.serve
        try:
            yield port
        finally:
            self._listeners.pop(port.number, None)
        port.over.set()
        self._ports.remove(port)


@asynccontextmanager
async def beside() -> AsyncGenerator[asyncio.TaskGroup, None]:
    """A task group whose first failure comes out as itself: what it broke in the other tasks says nothing."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


class Port:
    """A data port."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.connected: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()
        """The streams of the one connection, once it is made."""
        self.over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the first connection; a second one is cut."""
        if not self.connected.done():
            self.connected.set_result((reader, writer))
            await self.over.wait()

    async def receive(self) -> dict[str, Any]:
        """The next message on the connection. Raises HostGoneError when it is cut."""
        reader, _ = await self.connected
        try:
            return await framing.read(reader, limit=MAX_MESSAGE)
        except (OSError, EOFError) as error:
            raise HostGoneError("the host cut a data connection") from error

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message on the connection."""
        _, writer = await self.connected
        try:
            writer.write(framing.frame(message))
            await writer.drain()
        except OSError as error:
            raise HostGoneError("the host cut a data connection") from error

    async def file_data(self) -> AsyncIterator[bytes]:
        """The pieces of a file that comes as FileData messages, up to FileDataDone."""
        reader, _ = await self.connected
        while True:
            try:
                length = int.from_bytes(await reader.readexactly(4))
                if length > MAX_PIECE:
                    raise framing.BadMessageError(f"a message of {length} bytes")
                piece = _piece(await reader.readexactly(length))
            except (OSError, EOFError) as error:
                raise HostGoneError("the host cut a data connection") from error
            if piece is None:
                return
            yield piece


def _piece(body: bytes) -> bytes | None:
    """The FileData in a message; None: FileDataDone.

    A Cryptex is hundreds of thousands of messages which differ in nothing but their data, so what is around the
    data is compared instead of parsed anew; whatever looks different is parsed.
    """
    around = _around(len(body))
    if around and body.startswith(around[0]) and body.endswith(around[1]):
        return body[len(around[0]) : -len(around[1])]
    return _piece_of(framing.parse(body))


def _piece_of(message: Mapping[str, Any]) -> bytes | None:
    if message.get("FileDataDone") is True:
        return None
    piece = message.get("FileData")
    if not isinstance(piece, bytes):
        raise framing.BadMessageError("a message without FileData")
    return piece


@lru_cache(maxsize=16)
def _around(length: int) -> tuple[bytes, bytes] | None:
    """What a binary plist of `length` bytes that holds nothing but FileData has before and after the data."""
    for size in range(max(1, length - 80), length - 55):  # header, names, offsets and trailer take 56 to 70 bytes
        frame = plistlib.dumps({"FileData": b"\xa5" * size}, fmt=plistlib.FMT_BINARY)
        if len(frame) == length:
            before, _, after = frame.partition(b"\xa5" * size)
            return before, after
    return None
