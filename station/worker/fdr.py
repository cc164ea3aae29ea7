"""FDR: the phone reaches its factory data at Apple's through this proxy, and reaches nothing else through it."""

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from pymobiledevice3.exceptions import ConnectionTerminatedError, ProtocolError
from pymobiledevice3.restore import fdr
from pymobiledevice3.restore.fdr import CHUNK_SIZE, CTRL_PORT, FDRClient

from station.errors import InputRejected
from station.model.causes import Cause
from station.worker.assets import allowed
from station.worker.connection import PhoneConnection, connect
from station.worker.failures import JobFailed, printable
from station.worker.fetch import Unreachable, reach

MAX_CHANNELS = 32
_BLOCK = 1 << 16
_DOMAIN_NAME = 3
"""The kind of address in a proxy request, as in SOCKS 5 (RFC 1928)."""

log = logging.getLogger(__name__)


class FdrProxy:
    """All FDR connections of one restore."""

    def __init__(
        self, udid: str, hosts: Sequence[str], gateway: str, group: asyncio.TaskGroup, patience: float
    ) -> None:
        self._udid = udid
        self._hosts = hosts
        self._gateway = gateway
        self._group = group
        self._patience = patience
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the control connection; from then on the phone asks for more. Ends with the group, or `close`."""
        channel = Channel(await connect(self._udid, CTRL_PORT, self._patience), self)
        await channel.greet(channel.ctrl_handshake)
        self._start(channel.serve())

    def another(self) -> None:
        """The phone wants one more connection. Raises InputRejected when it wants too many."""
        port: Any = fdr.conn_port  # the library keeps what the phone named in its module
        if len(self._tasks) > MAX_CHANNELS or not isinstance(port, int) or not 0 < port < 1 << 16:
            raise InputRejected("The phone opens FDR connections that make no sense.")
        self._start(self._connection(port))

    def allowed(self, host: str, port: int) -> bool:
        """Whether the phone may reach a host."""
        return allowed(self._hosts, host, port)

    async def reach(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to an allowed host. Raises Unreachable."""
        return await asyncio.open_connection(sock=await reach(self._gateway, host, port))

    def close(self) -> None:
        """The restore is over."""
        for task in self._tasks:
            task.cancel()

    async def _connection(self, port: int) -> None:
        channel = Channel(await connect(self._udid, port, self._patience), self)
        with suppress(ConnectionTerminatedError):
            await channel.greet(channel.sync_handshake)
            await channel.serve()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Channel(FDRClient):
    """One FDR connection, as the library speaks it."""

    def __init__(self, service: PhoneConnection, proxy: FdrProxy) -> None:
        assert service.mux_device is not None
        super().__init__(service, service.mux_device.serial)
        self._proxy = proxy

    async def greet(self, handshake: Callable[[], Awaitable[None]]) -> None:
        """Shake hands. Raises InputRejected, ConnectionTerminatedError."""
        try:
            await handshake()
        except (KeyError, ProtocolError) as error:
            raise InputRejected("FDR does not greet as it should.") from error

    async def serve(self) -> None:
        """Answer until the phone hangs up."""
        try:
            while True:
                await self.poll_and_handle_message()
        except ConnectionTerminatedError:
            await self.service.close()
        except KeyError as error:
            raise InputRejected("FDR says something incomplete.") from error

    async def handle_sync_cmd(self) -> None:
        """The phone wants one more connection."""
        await self.service.recvall(2)
        self._proxy.another()

    async def handle_proxy_cmd(self) -> None:
        """The phone wants to reach a host: 0, 3, length, name, port."""
        request = await self.service.recv_any(CHUNK_SIZE)
        await self.service.sendall(struct.pack("<H", 5))
        if len(request) < 3:
            return
        await self.service.sendall(request)
        if request[0] != 0 or request[1] != _DOMAIN_NAME:
            return
        host = request[3 : 3 + request[2]].decode("ascii", "replace")
        (port,) = struct.unpack(">H", request[-2:])
        if not self._proxy.allowed(host, port):
            raise JobFailed(Cause.ASSET_REFUSED, f"the phone wanted to reach {printable(host, 100)}:{port}")
        await self._carry(host, port)
        await self.service.close()

    async def _carry(self, host: str, port: int) -> None:
        """Carry bytes between the phone and a host until one of them ends; unreachable: the phone is hung up on."""
        try:
            reader, writer = await self._proxy.reach(host, port)
        except Unreachable as error:
            log.warning("the phone does not get through to %s: %s", printable(host, 100), error)
            return
        ways = {
            asyncio.create_task(self._outwards(writer)),
            asyncio.create_task(self._inwards(reader)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _outwards(self, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ConnectionTerminatedError):
            while data := await self.service.recv_any(_BLOCK):
                writer.write(data)
                await writer.drain()

    async def _inwards(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, ConnectionTerminatedError):
            while data := await reader.read(_BLOCK):
                await self.service.sendall(data)
