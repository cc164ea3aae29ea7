"""Apple's servers on loopback. Each can be told to misbehave (`behaviour`).

POST /TSS/controller?action=2   a ticket, or the reason why not (`signing.server`)
GET  /fcs-keys/NAME             the key of an encrypted image, as the phone has the host fetch it (URLAsset)
POST /fcs-keys/NAME             the same, by a phone's second way to it (StreamedImageDecryptionKey)
POST /fdr                       what a phone asks through the host's FDR proxy; answered with its SHA-256
Firmware files: `cdn`. Lists of them: `catalog`. Activation: `activation`.
"""

import hashlib
import plistlib
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from station.model.base import Udid
from station.virtual.apple.activation import ActivationServer
from station.virtual.apple.behaviour import AppleService, Conduct
from station.virtual.apple.catalog import Catalog
from station.virtual.apple.cdn import Cdn
from station.virtual.apple.signing.server import SigningServer
from station.virtual.phones.phone import VirtualPhone

LOOPBACK = "127.0.0.1"


class AppleServers(Conduct):
    """All of them behind one port, and how each behaves. An async context manager; serves while it is entered."""

    def __init__(
        self,
        find: Callable[[Udid], VirtualPhone | None] = lambda _: None,
        *,
        name: str = LOOPBACK,
        certificate: Path | None = None,
    ) -> None:
        """Servers that have signed nothing yet.

        Args:
            find: the phone with a UDID, for activation; None: there is none.
            name: what those who are to reach them call this machine's 127.0.0.1. Every address that is told, by a
                phone to its host too, has it.
            certificate: a file (PEM) with one and its key, to speak TLS with (`certificates`); None: speak plainly.
        """
        super().__init__()
        self._name = name
        self._certificate = certificate
        self.signing = SigningServer()
        self.public_key = self.signing.public_key
        """The authority's; phones have it burnt in."""
        self.asset_key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        """What `/fcs-keys/…` answers."""
        self.host = ""
        """HOST:PORT, once entered."""
        self.cdn = Cdn(self)
        self.activation = ActivationServer(self, self.signing.key, find)
        self.catalog = Catalog(self, self.signing.signs, lambda: self.origin)

    @property
    def origin(self) -> str:
        """Scheme and host of them all."""
        return f"{'https' if self._certificate else 'http'}://{self.host}"

    @property
    def signing_url(self) -> str:
        """Where to ask for tickets."""
        return f"{self.origin}/TSS/controller?action=2"

    @property
    def activation_url(self) -> str:
        """Below which phones are activated."""
        return f"{self.origin}/deviceservices"

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
        return f"{self.origin}/fcs-keys/{name}"

    def register(self, ipsw: Path) -> None:
        """Sign the builds of this unpacked IPSW."""
        self.signing.sign_build(ipsw)

    def offer(self, file: Path) -> None:
        """Offer a zipped IPSW: the CDN has it, the catalogs list it. Reads all of it."""
        self.catalog.add(file, self.cdn.offer(file))

    def release(self, file: Path) -> None:
        """Sign the builds of a zipped IPSW, and offer it. Reads all of it."""
        with zipfile.ZipFile(file) as archive:
            self.signing.sign(plistlib.loads(archive.read("BuildManifest.plist"))["BuildIdentities"])
        self.offer(file)

    async def __aenter__(self) -> Self:
        """Start to serve on a free port of loopback."""
        app = Starlette(
            routes=[
                Route("/TSS/controller", self._sign, methods=["POST"]),
                Route("/fcs-keys/{name}", self._asset, methods=["GET", "POST"]),
                Route("/fdr", self._fdr, methods=["POST"]),
                *self.cdn.routes,
                *self.catalog.routes,
                *self.activation.routes,
            ]
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
            ssl_certfile=self._certificate,
        )
        config.load()
        self._server = uvicorn.Server(config)
        # `serve` would take over the process's signals and wake up ten times a second; start and stop are enough.
        self._server.lifespan = config.lifespan_class(config)
        self._socket = socket.create_server((LOOPBACK, 0))
        self.host = f"{self._name}:{self._socket.getsockname()[1]}"
        await self._server.startup(sockets=[self._socket])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop: requests that hang are let go."""
        self.closing.set()
        await self._server.shutdown(sockets=[self._socket])

    async def _sign(self, request: Request) -> Response:
        body, instead = await self.receive(AppleService.SIGNING, request)
        return instead or HTMLResponse(self.signing.answer(body))

    async def _asset(self, request: Request) -> Response:
        _, instead = await self.receive(AppleService.ASSETS, request)
        return instead or Response(self.asset_key, media_type="application/x-pem-file")

    async def _fdr(self, request: Request) -> Response:
        body, instead = await self.receive(AppleService.FDR, request)
        return instead or PlainTextResponse(hashlib.sha256(body).hexdigest())
