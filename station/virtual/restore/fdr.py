"""FDR (factory data restore): restored reaches Apple through the host.

Protocol: pymobiledevice3 `restore/fdr.py`, the host's side. The host keeps a control connection; each time the
phone sends a sync message on it, the host opens another connection, which then carries either property lists
(Ping) or one proxied connection (a SOCKS-like request that names host and port). Little-endian throughout.
"""

import asyncio
import hashlib
import plistlib
import struct
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from station.model.phone import PhoneMode
from station.virtual import framing
from station.virtual.faults.kinds import StatusError, StayError
from station.virtual.phones.phone import Handler, VirtualPhone
from station.virtual.restore.link import Streams

CONTROL_PORT = 1082
CONNECTION_PORT = 49151
"""The phone names it in its answer; any would do."""
BEGIN = b"BeginCtrl\0"
HELLO = b"HelloConn\0"
PROTOCOL_VERSION = 2
SYNC_MESSAGE = 0x1
PROXY_MESSAGE = 0x105
PLIST_MESSAGE = 0xBBAA
ACKNOWLEDGED = 5
MAX_MESSAGE = 1 << 20
FAILED = 53
"""Failed to recover FDR data."""

T = TypeVar("T")


class Fdr:
    """The phone's side of FDR."""

    def __init__(self, phone: VirtualPhone, listeners: dict[int, Handler], *, host: str, patience: float) -> None:
        """Begin to listen.

        Args:
            phone: whose factory data it is.
            listeners: the phone's open ports; FDR's are added.
            host: HOST:PORT of Apple's FDR server, as the host of the restore reaches it.
            patience: seconds it waits for the host in each exchange.
        """
        self._phone = phone
        self._server = host
        self._patience = patience
        self._control: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
        self._connections: asyncio.Queue[tuple[Streams, asyncio.Event]] = asyncio.Queue()
        listeners[CONTROL_PORT] = self._serve_control
        listeners[CONNECTION_PORT] = self._serve_connection

    async def ping(self) -> None:
        """Try the way to the host and back. Raises StatusError when there is none."""
        async with self._connection() as (reader, writer):
            await self._phone.step("fdr:ping")
            writer.write(struct.pack("<H", PLIST_MESSAGE) + _frame({"Command": "Ping"}))
            if (await self._soon(_read(reader))).get("Pong") is not True:
                raise StatusError(FAILED, "no Pong")

    async def recover(self) -> None:
        """Ask Apple's FDR server something through the host. Raises StatusError when the answer is not right."""
        host, _, port = self._server.rpartition(":")
        target = bytes([0, 3, len(host)]) + host.encode() + int(port).to_bytes(2)
        acknowledged = struct.pack("<H", ACKNOWLEDGED) + target
        question = plistlib.dumps({"ECID": self._phone.identity.ecid})
        request = f"POST /fdr HTTP/1.1\r\nHost: {self._server}\r\nConnection: close\r\nContent-Length: {len(question)}"
        async with self._connection() as (reader, writer):
            await self._phone.step("fdr:proxy")
            writer.write(struct.pack("<H", PROXY_MESSAGE) + target)
            if await self._soon(reader.readexactly(len(acknowledged))) != acknowledged:
                raise StatusError(FAILED, "the proxy was not acknowledged")
            writer.write(request.encode() + b"\r\n\r\n" + question)
            answer = await self._soon(_to_end(reader))
        status, _, body = answer.partition(b"\r\n")
        if b" 200 " not in status or not body.endswith(hashlib.sha256(question).hexdigest().encode()):
            raise StatusError(FAILED, f"FDR server answered {status[:80]!r}")

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Streams, None]:
        """One more connection from the host. Whatever goes wrong with it becomes a StatusError."""
        await self._phone.step("fdr:sync")
        try:
            writer = await self._soon(asyncio.shield(self._control))
            writer.write(struct.pack("<HH", SYNC_MESSAGE, 1))
            streams, over = await self._soon(self._connections.get())
            try:
                await self._greet(*streams)
                yield streams
            finally:
                over.set()
        except (TimeoutError, OSError, EOFError) as error:
            raise StatusError(FAILED, f"FDR through the host failed: {error!r}") from error

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._phone.step("fdr:hello")
        if await self._soon(reader.readexactly(len(HELLO))) != HELLO:
            raise StatusError(FAILED, "no HelloConn")
        writer.write(_frame({"Command": "HelloConn", "Identifier": self._phone.identity.udid}))

    async def _soon(self, answer: Awaitable[T]) -> T:
        """Wait for the host, but not for ever: it may have no way to Apple."""
        async with asyncio.timeout(self._patience):  # wait_for loses a cancellation that comes with the answer
            return await answer

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._control.done():  # a host that comes back, as hosts do when the phone was just restarting
            self._control = asyncio.get_running_loop().create_future()
        try:
            await self._phone.step("fdr:ctrl")
        except StatusError as failure:
            self._control.set_exception(failure)
            self._control.exception()  # now asyncio does not log it should the restore never get that far
            return
        except StayError:
            self._phone.restart_into(PhoneMode.RECOVERY)
            return
        if await reader.readexactly(len(BEGIN)) != BEGIN:
            return
        if (await _read(reader)).get("CtrlProtoVersion") != PROTOCOL_VERSION:
            return
        begun = {"Command": "BeginCtrl", "CtrlProtoVersion": PROTOCOL_VERSION, "ConnPort": CONNECTION_PORT}
        writer.write(_frame(begun))
        self._control.set_result(writer)
        await reader.read(1)  # the host says no more here: this is where it hangs up

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over = asyncio.Event()
        self._connections.put_nowait(((reader, writer), over))
        await over.wait()


async def _to_end(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side closes, within reason."""
    answer = b""
    while not reader.at_eof() and len(answer) < MAX_MESSAGE:
        answer += await reader.read(MAX_MESSAGE)
    return answer


async def _read(reader: asyncio.StreamReader) -> dict[str, Any]:
    length = int.from_bytes(await reader.readexactly(4), "little")
    if length > MAX_MESSAGE:
        raise framing.BadMessageError(f"a message of {length} bytes")
    return framing.parse(await reader.readexactly(length))


def _frame(message: Mapping[str, Any]) -> bytes:
    body = plistlib.dumps(message, fmt=plistlib.FMT_BINARY)  # idevicerestore 1.0.0 can read no other
    return struct.pack("<L", len(body)) + body
