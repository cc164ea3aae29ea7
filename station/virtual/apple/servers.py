"""Apple's servers on loopback: signing (TSS), asset keys, factory data (FDR). Each can be told to misbehave.

POST /TSS/controller?action=2   a ticket, or the reason why not (`tss`)
GET  /fcs-keys/NAME             the key of an encrypted image, as the phone has the host fetch it (URLAsset)
POST /fcs-keys/NAME             the same, by a phone's second way to it (StreamedImageDecryptionKey)
POST /fdr                       what a phone asks through the host's FDR proxy; answered with its SHA-256
"""

import asyncio
import hashlib
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Self

import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from station.virtual.apple.tss import MAX_REQUEST, SigningServer, not_eligible

if TYPE_CHECKING:
    from station.model.base import Ecid

_PORTAL = "<html><head><title>Guest Wi-Fi</title></head><body>Please log in to continue.</body></html>"
_GARBAGE = hashlib.shake_256(b"garbage").digest(4096)
_LOG_LENGTH = 1000


class AppleService(Enum):
    """One of the servers."""

    SIGNING = "signing"
    ASSETS = "assets"
    FDR = "fdr"


class Behaviour(Enum):
    """How a server behaves."""

    OK = "ok"
    REFUSE = "refuse"
    """Signing: STATUS=94. The others: 403."""
    UNAVAILABLE = "unavailable"
    """HTTP 503."""
    PORTAL = "portal"
    """A captive portal's page, with 200."""
    HANG = "hang"
    """Accepts the request and never answers."""
    SLOW = "slow"
    """Answers rightly, after `slow_seconds`."""
    GARBAGE = "garbage"
    """Bytes that mean nothing, with 200."""


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    service: AppleService
    path: str
    body: bytes = field(repr=False)


class AppleServers:
    """All of them behind one port. An async context manager; serves while it is entered."""

    def __init__(self) -> None:
        self.behaviours = dict.fromkeys(AppleService, Behaviour.OK)
        """May be changed at any time; holds from the next request on."""
        self.exceptions: dict[tuple[AppleService, Ecid], Behaviour] = {}
        """How signing and FDR behave to one phone, whatever they do to the others. Asset requests name no phone."""
        self.slow_seconds = 5.0
        self.requests: deque[Seen] = deque(maxlen=_LOG_LENGTH)
        self.signing = SigningServer()
        self.public_key = self.signing.public_key
        """The authority's; phones have it burnt in."""
        self.asset_key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        """What `/fcs-keys/…` answers."""
        self.host = ""
        """HOST:PORT, once entered."""
        self._arrived = asyncio.Condition()
        self._closing = asyncio.Event()

    @property
    def signing_url(self) -> str:
        """Where to ask for tickets."""
        return f"http://{self.host}/TSS/controller?action=2"

    @property
    def asset_hosts(self) -> tuple[str, ...]:
        """HOST:PORT that phones have assets fetched from."""
        return (self.host,)

    @property
    def fdr_host(self) -> str:
        """HOST:PORT that phones reach through the FDR proxy."""
        return self.host

    def asset_url(self, name: str) -> str:
        """The address of an asset key."""
        return f"http://{self.host}/fcs-keys/{name}"

    def register(self, ipsw: Path) -> None:
        """Sign the builds of this unpacked IPSW."""
        self.signing.sign_build(ipsw)

    async def arrival(self, service: AppleService) -> Seen:
        """Wait until a request for `service` has arrived, and return the last one. The caller sets the deadline."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: any(seen.service is service for seen in self.requests))
        return next(seen for seen in reversed(self.requests) if seen.service is service)

    async def __aenter__(self) -> Self:
        """Start to serve on a free port of loopback."""
        app = Starlette(
            routes=[
                Route("/TSS/controller", self._sign, methods=["POST"]),
                Route("/fcs-keys/{name}", self._asset, methods=["GET", "POST"]),
                Route("/fdr", self._fdr, methods=["POST"]),
            ]
        )
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        config.load()
        self._server = uvicorn.Server(config)
        # `serve` would take over the process's signals and wake up ten times a second; start and stop are enough.
        self._server.lifespan = config.lifespan_class(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        await self._server.startup(sockets=[self._socket])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop: requests that hang are let go."""
        self._closing.set()
        await self._server.shutdown(sockets=[self._socket])

    async def _sign(self, request: Request) -> Response:
        body, instead = await self._receive(AppleService.SIGNING, request)
        return instead or HTMLResponse(self.signing.answer(body))

    async def _asset(self, request: Request) -> Response:
        _, instead = await self._receive(AppleService.ASSETS, request)
        return instead or Response(self.asset_key, media_type="application/x-pem-file")

    async def _fdr(self, request: Request) -> Response:
        body, instead = await self._receive(AppleService.FDR, request)
        return instead or PlainTextResponse(hashlib.sha256(body).hexdigest())

    async def _receive(self, service: AppleService, request: Request) -> tuple[bytes, Response | None]:
        """The request's body, and the answer to give in place of the right one, if the service misbehaves."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST:
                return b"", PlainTextResponse("too large", 413)
        async with self._arrived:
            self.requests.append(Seen(service, request.url.path, bytes(body)))
            self._arrived.notify_all()
        return bytes(body), await self._instead(service, self._behaviour(service, bytes(body)))

    def _behaviour(self, service: AppleService, body: bytes) -> Behaviour:
        for (misbehaving, ecid), behaviour in self.exceptions.items():
            if misbehaving is service and f"<integer>{ecid}</integer>".encode() in body:
                return behaviour
        return self.behaviours[service]

    async def _instead(self, service: AppleService, behaviour: Behaviour) -> Response | None:
        if behaviour in (Behaviour.HANG, Behaviour.SLOW):
            limit = self.slow_seconds if behaviour is Behaviour.SLOW else None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), limit)
                behaviour = Behaviour.UNAVAILABLE
        refusal = HTMLResponse(str(not_eligible())) if service is AppleService.SIGNING else PlainTextResponse("", 403)
        answers: dict[Behaviour, Response] = {
            Behaviour.REFUSE: refusal,
            Behaviour.UNAVAILABLE: PlainTextResponse("Service Unavailable", 503),
            Behaviour.PORTAL: HTMLResponse(_PORTAL),
            Behaviour.GARBAGE: Response(_GARBAGE, media_type="application/octet-stream"),
        }
        return answers.get(behaviour)
