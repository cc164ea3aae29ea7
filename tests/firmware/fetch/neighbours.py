"""Stations that share firmware over real HTTP, and such as lie about it."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from station.adapters.sharing.server import application
from station.virtual.apple.behaviour import Behaviour, Conduct
from station.virtual.apple.cdn import _Tampering
from station.virtual.apple.servers import LOOPBACK

OBJECTS = "/v1/objects/"


@dataclass
class Neighbour:
    """A station that shares a store, and may behave otherwise."""

    store: Path
    conduct: Conduct = field(default_factory=Conduct)
    behaviour: Behaviour = Behaviour.OK
    """Of contents."""
    only: str = ""
    """The one content that it holds for; empty: for each."""
    answers: dict[str, Callable[[bytes], Response]] = field(default_factory=dict)
    """What is answered instead, by path: made of the true answer."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and range of every request."""
    host: str = ""
    after: Callable[[str], None] = lambda _: None
    """Told of every request before it is answered."""

    def __post_init__(self) -> None:
        self._inner: ASGIApp = application(self.store)

    @property
    def address(self) -> str:
        """What others name it by in their settings."""
        return f"http://{self.host}"

    @property
    def contents(self) -> list[str]:
        """The SHA-256 of every content that was asked for."""
        return [path.removeprefix(OBJECTS) for path, _ in self.asked if path.startswith(OBJECTS)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path, headers = scope["path"], dict(scope["headers"])
        self.asked.append((path, headers.get(b"range", b"").decode()))
        self.after(path)
        if path in self.answers:
            send = _Instead(self.answers[path], scope, receive, send)
        elif path.startswith(OBJECTS) and self.only in path:
            if self.behaviour is Behaviour.UNAVAILABLE:
                return await Response(status_code=503)(scope, receive, send)
            if self.behaviour is Behaviour.AWAY:
                return await RedirectResponse(self.conduct.redirect_to)(scope, receive, send)
            if self.behaviour is Behaviour.HANG:
                await self.conduct.closing.wait()
            if self.behaviour is Behaviour.WHOLE:
                scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != b"range"]}
            send = _Tampering(self.behaviour, self.conduct, send)
        return await self._inner(scope, receive, send)


class _Instead:
    """Takes the true answer, and sends another."""

    def __init__(self, make: Callable[[bytes], Response], scope: Scope, receive: Receive, send: Send) -> None:
        self._make, self._scope, self._receive, self._send = make, scope, receive, send
        self._body = b""

    async def __call__(self, message) -> None:
        self._body += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await self._make(self._body)(self._scope, self._receive, self._send)


@asynccontextmanager
async def sharing(neighbour: Neighbour) -> AsyncGenerator[Neighbour]:
    """Have it serve."""
    config = uvicorn.Config(
        neighbour, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = socket.create_server((LOOPBACK, 0))
    neighbour.host = f"{LOOPBACK}:{listener.getsockname()[1]}"
    await server.startup(sockets=[listener])
    try:
        yield neighbour
    finally:
        neighbour.conduct.closing.set()
        await server.shutdown(sockets=[listener])
        await asyncio.sleep(0)
