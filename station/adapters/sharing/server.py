"""Serves it: to few at a time, none of whom is waited for without end.

uvicorn waits as long as a client likes for the rest of a request, and for it to take the answer. So each connection is
watched here: it has one request, which is here soon, and an answer that is taken as it comes.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import h11
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from station.adapters.sharing.stock import VERSION, Stock
from station.errors import ConfigError

MOST_CONNECTIONS = 16
MOST_OF_ONE = 4
"""Connections of one address."""
REQUEST_SECONDS = 20.0
"""In which a request is here."""
IDLE_SECONDS = 120.0
"""For which a client may take nothing of what is to be sent."""
_MOST_HEADERS = 16 << 10

_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Content(FileResponse):
    """A content. The larger the pieces, the fewer the ways through the loop."""

    chunk_size = 256 << 10


class _Connection(H11Protocol):
    """One client, for one request."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Serve it, unless there are too many."""
        super().connection_made(transport)
        ours = sum(_host(other) == _host(self) for other in self.connections)
        if len(self.connections) > MOST_CONNECTIONS or ours > MOST_OF_ONE:
            transport.abort()
            return
        self._wait_for(REQUEST_SECONDS, self._unless_asked)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._wait_no_more()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """It does not take what is sent."""
        self._wait_for(IDLE_SECONDS, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It does."""
        self._wait_no_more()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """All was handed over, and most of it taken."""
        self._wait_for(IDLE_SECONDS, self.transport.abort)
        super().on_response_complete()

    def _unless_asked(self) -> None:
        if self.conn.their_state is h11.IDLE:
            self.transport.abort()

    def _wait_for(self, seconds: float, act: Callable[[], None]) -> None:
        self._wait_no_more()
        self._patience = self.loop.call_later(seconds, act)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _host(connection: object) -> str:
    client = getattr(connection, "client", None)
    return client[0] if client else ""


def application(store: Path) -> Starlette:
    """What answers."""
    stock = Stock(store)
    encoder = msgspec.json.Encoder()

    def said(value: object) -> Response:
        return Response(encoder.encode(value), media_type="application/json", headers=_CLOSE)

    async def firmware(_: Request) -> Response:
        return said(await asyncio.to_thread(stock.list))

    async def digests(request: Request) -> Response:
        found = await asyncio.to_thread(stock.digests, request.path_params["name"])
        return _NOTHING if found is None else said(found)

    async def content(request: Request) -> Response:
        sha256 = request.path_params["sha256"]
        if not _SHA256.fullmatch(sha256):
            return _NOTHING
        found = await asyncio.to_thread(stock.content, sha256)
        if found is None:
            return _NOTHING
        place, now = found
        headers = {**_CLOSE, "ETag": f'"{sha256}"'}
        return _Content(place, stat_result=now, media_type="application/octet-stream", headers=headers)

    return Starlette(
        routes=[
            Route(f"/{VERSION}/firmware", firmware),
            Route(f"/{VERSION}/firmware/{{name}}", digests),
            Route(f"/{VERSION}/objects/{{sha256}}", content),
        ]
    )


_CLOSE = {"Connection": "close"}
_NOTHING = PlainTextResponse("Not Found", HTTPStatus.NOT_FOUND, headers=_CLOSE)


@asynccontextmanager
async def serving(store: Path, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Share a store while it is entered; yields the address and port.

    Args:
        store: the firmware store; it need not be there yet.
        host: an address or name of this machine; empty: all of its addresses.
        port: 0: any that is free.

    Raises:
        ConfigError: this cannot be listened at.
    """
    try:
        listener = await asyncio.to_thread(_listen, host, port)
    except (OSError, UnicodeError, OverflowError) as error:
        raise ConfigError(
            f"Firmware cannot be shared at {host or 'all addresses'}, port {port}: "
            f"{getattr(error, 'strerror', None) or error}.",
            remedy="Name an address of this machine and a port that nobody uses.",
        ) from error
    config = uvicorn.Config(
        application(store),
        http=_Connection,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_MOST_HEADERS,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    # `serve` would take over the process's signals and wake up ten times a second; start and stop are enough.
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield listener.getsockname()[:2]
    finally:
        await server.shutdown(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    if not host:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("0.0.0.0", port))  # noqa: S104 (all addresses are meant)
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address, family=family)
