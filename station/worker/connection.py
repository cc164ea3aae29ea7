"""Connections to a phone's ports: bounded in what they accept, patient for a while, streaming what is large."""

import asyncio
import os
import plistlib
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

from pymobiledevice3.exceptions import (
    ConnectionFailedError,
    ConnectionFailedToUsbmuxdError,
    ConnectionTerminatedError,
)
from pymobiledevice3.service_connection import ServiceConnection, build_plist
from pymobiledevice3.usbmux import MuxDevice

from station.errors import InputRejected
from station.model.causes import Cause
from station.worker import plists
from station.worker.failures import JobFailed
from station.worker.patience import tries
from station.worker.pump import Fill, pump

ANSWER_SECONDS = 10.0
"""How long usbmuxd may take for a connection, and a phone for the answer to a question that needs no thought."""


class PhoneConnection(ServiceConnection):
    """The library's connection, for phones that cannot be trusted and components that do not fit into memory."""

    max_frame_size = plists.MAX_MESSAGE
    max_read = sys.maxsize
    """Bytes that are read at once, for services whose messages say themselves how long they are."""
    answer_seconds = ANSWER_SECONDS
    """How long the answer to a question may take."""
    lists = False
    """Whether messages are lists: those of the device link (mobilebackup2)."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mux_device: MuxDevice | None = None
    ) -> None:
        super().__init__(reader, writer, mux_device)
        # What has arrived is read to its end, however the connection breaks: it may be the phone's last words.
        reader.set_exception = self._end_of_reading  # type: ignore[method-assign]  # the library made it
        self._sending = asyncio.Lock()
        self._outlet: socket.socket | None = None

    def _end_of_reading(self, exc: Exception) -> None:
        del exc
        self.reader.feed_eof()

    async def close(self) -> None:
        """Hang up. A cancellation meanwhile is not lost, as `wait_for` loses it before Python 3.12 (cpython#86296)."""
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        if self._outlet is not None:
            self._outlet.close()
        await super().close()
        if task.cancelling() > before:
            raise asyncio.CancelledError

    async def recvall(self, size: int) -> bytes:
        """Receive so many bytes. Raises InputRejected: they are too many."""
        if size > self.max_read:
            raise InputRejected(f"The phone announced {size} bytes where {self.max_read} are many.")
        return await super().recvall(size)

    async def recv_plist(self, endianity: str = ">") -> Any:
        """Receive a message. Raises InputRejected when it is not acceptable."""
        payload = await self.recv_prefixed(endianity)
        return plists.parse_any(payload) if self.lists else plists.parse(payload)

    async def send_recv_plist(
        self, data: Any, endianity: str = ">", fmt: plistlib.PlistFormat = plistlib.FMT_XML
    ) -> dict[str, Any]:
        """Ask, and receive the answer within `answer_seconds`. Raises InputRejected, TimeoutError."""
        async with asyncio.timeout(self.answer_seconds):
            return plists.parse(await self.send_recv_prefixed(build_plist(data, endianity, fmt), endianity))

    async def send_plist(self, d: Any, endianity: str = ">", fmt: plistlib.PlistFormat = plistlib.FMT_XML) -> None:
        """Send a message, whole before the next; one that holds blobs goes out as a binary plist, streamed."""
        async with self._sending:
            if not plists.has_blob(d):
                await self.sendall(build_plist(d, endianity, fmt))
                return
            for piece in plists.frame(d):
                for chunk in piece.chunks() if isinstance(piece, plists.Blob) else (piece,):
                    await self.sendall(chunk)

    async def sendall(self, payload: bytes | memoryview) -> None:
        """Send; without TLS, through a descriptor of its own: a write that fails makes asyncio stop reading."""
        if self.writer.get_extra_info("sslcontext") is not None:
            await super().sendall(bytes(payload))
            return
        try:
            if self._outlet is None:
                self._outlet = socket.socket(fileno=os.dup(self._checked_writer().get_extra_info("socket").fileno()))
                self._outlet.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(self._outlet, payload)
        except OSError as error:
            raise ConnectionTerminatedError from error

    async def stream(self, fill: Fill, size: int, sent: Callable[[int], None]) -> None:
        """Send all that `fill` gives, from a thread; see `pump`. `sent` is called here, on the loop."""
        loop = asyncio.get_running_loop()

        def tell(count: int) -> None:
            loop.call_soon_threadsafe(sent, count)

        fd = os.dup(self.writer.get_extra_info("socket").fileno())
        try:
            await asyncio.to_thread(pump, fd, fill, size, tell)
        except OSError as error:
            raise ConnectionTerminatedError from error


async def connect_once(udid: str, port: int, *, tls: ssl.SSLContext | None = None) -> PhoneConnection:
    """Connect to a port of the phone with `udid` on USB. Raises TimeoutError, and what the library raises."""
    async with asyncio.timeout(ANSWER_SECONDS):
        connection = await PhoneConnection.create_using_usbmux(udid, port, connection_type="USB", ssl_context=tls)
    assert isinstance(connection, PhoneConnection)
    return connection


async def connect(udid: str, port: int, patience: float) -> PhoneConnection:
    """Connect to a port; try again for `patience` seconds while it is refused: what listens may still be starting.

    Raises:
        JobFailed: PORT_REFUSED, the port stays closed.
        MuxException, DeviceNotFoundError: the phone is gone.
    """
    async for _ in tries(patience):
        try:
            return await connect_once(udid, port)
        except ConnectionFailedToUsbmuxdError:
            raise
        except ConnectionFailedError:
            continue
    raise JobFailed(Cause.PORT_REFUSED, f"port {port} stayed closed for {patience:.0f} s")
