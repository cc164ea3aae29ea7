"""Sockets for whoever serves one here: no connection outlives the server, and no file either.

They are unix sockets. What a virtual machine's guest must reach, which a unix socket does not, listens on TCP too.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

MAX_PATH = 107
"""What fits into sockaddr_un with its NUL (unix(7))."""


@dataclass(frozen=True)
class TcpAddress:
    """Where TCP reaches a server."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: to be chosen by whoever listens."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


Address = Path | TcpAddress
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def parse_address(text: str) -> Address:
    """Read HOST:PORT, or the path of a unix socket."""
    host, colon, port = text.rpartition(":")
    return TcpAddress(host, int(port)) if colon and port.isdecimal() and "/" not in host else Path(text)


async def connect(address: Address, *, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a server. Raises OSError."""
    if isinstance(address, TcpAddress):
        return await asyncio.open_connection(address.host, address.port, limit=limit)
    return await asyncio.open_unix_connection(address, limit=limit)


@asynccontextmanager
async def listening_on_all(
    addresses: Sequence[Address], serve: Serve, *, limit: int
) -> AsyncGenerator[list[Address], None]:
    """Listen on each of `addresses`. See `listening`."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(listening(address, serve, limit=limit)) for address in addresses]


@asynccontextmanager
async def listening(at: Address, serve: Serve, *, limit: int) -> AsyncGenerator[Address, None]:
    """Listen while the context is open, and run `serve` for each connection. Yields the address with its true port.

    Args:
        at: where; a stale unix socket is replaced.
        serve: serves a connection; when it returns, or the context closes, the connection is broken.
        limit: bytes a connection's reader buffers, and the longest line it reads.

    Raises:
        ValueError: the path is too long for a unix socket.
    """
    loop = asyncio.get_running_loop()
    connections: set[asyncio.Task[None]] = set()
    closing = False

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # whatever is still to be sent
            raise
        except (OSError, EOFError):
            pass  # the other side is gone: the ordinary end
        except Exception:
            log.exception("a connection failed", socket=str(at))
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if closing:  # it was accepted just before the server closed
            writer.transport.abort()
            return
        task = loop.create_task(run(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await _start(at, connected, limit=limit)
    try:
        yield at if isinstance(at, Path) else TcpAddress(at.host, server.sockets[0].getsockname()[1])
    finally:
        closing = True
        # asyncio loses, open, what it has accepted and not yet begun to serve when the server closes. So it accepts
        # no more from here on; and two turns later it has begun to serve the last, whichever ran first in the next.
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        if isinstance(at, Path):
            await asyncio.to_thread(at.unlink, missing_ok=True)


async def _start(
    at: Address, connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None], *, limit: int
) -> asyncio.Server:
    if isinstance(at, TcpAddress):
        return await asyncio.start_server(connected, at.host, at.port, limit=limit)
    if len(str(at).encode()) > MAX_PATH:
        raise ValueError(f"{at} is too long for a socket: {MAX_PATH} bytes at most")
    return await asyncio.start_unix_server(connected, at, limit=limit)
