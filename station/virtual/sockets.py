"""Unix sockets for whoever serves one here: no connection outlives the server, and no file either."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

MAX_PATH = 107
"""What fits into sockaddr_un with its NUL (unix(7))."""


@asynccontextmanager
async def listening(
    path: Path, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], *, limit: int
) -> AsyncGenerator[None, None]:
    """Listen on `path` while the context is open, and run `serve` for each connection.

    Args:
        path: the socket; a stale one is replaced.
        serve: serves a connection; when it returns, or the context closes, the connection is broken.
        limit: bytes a connection's reader buffers, and the longest line it reads.

    Raises:
        ValueError: the path is too long for a unix socket.
    """
    if len(str(path).encode()) > MAX_PATH:
        raise ValueError(f"{path} is too long for a socket: {MAX_PATH} bytes at most")
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
            log.exception("a connection failed", socket=path.name)
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if closing:  # it was accepted just before the server closed
            writer.transport.abort()
            return
        task = loop.create_task(run(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_unix_server(connected, path, limit=limit)
    try:
        yield
    finally:
        closing = True
        await asyncio.sleep(0)  # asyncio loses, open, what it accepted in this turn if the server closes in the same
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.to_thread(path.unlink, missing_ok=True)
