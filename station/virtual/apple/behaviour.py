"""How Apple's servers behave: each request is noted, and each service may be told to do otherwise."""

import asyncio
import hashlib
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from station.virtual.apple.signing.fields import MAX_REQUEST, not_eligible

if TYPE_CHECKING:
    from station.model.base import Ecid

_PORTAL = "<html><head><title>Guest Wi-Fi</title></head><body>Please log in to continue.</body></html>"
_GARBAGE = hashlib.shake_256(b"garbage").digest(4096)
_LOG_LENGTH = 200
"""Requests that are remembered, each of MAX_REQUEST bytes at most."""


class AppleService(Enum):
    """One of the servers."""

    SIGNING = "signing"
    ASSETS = "assets"
    FDR = "fdr"
    CATALOG = "catalog"
    CDN = "cdn"
    ACTIVATION = "activation"


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
    CUT = "cut"
    """Only files: hangs up after `cut_after` bytes of each answer."""
    STALL = "stall"
    """Only files: says no more after `cut_after` bytes of each answer, and does not hang up."""
    WHOLE = "whole"
    """Only files: sends everything, with 200, whatever range was asked for."""
    LONGER = "longer"
    """Only files: says that they are longer than they are."""
    CORRUPT = "corrupt"
    """Only files: one bit is wrong, always the same one: `corrupt_at`, or in the middle of an answer's first piece."""
    ELSEWHERE = "elsewhere"
    """Only files: says that what it sends is another part than it is."""
    CHANGING = "changing"
    """Only files: tells another ETag each time."""
    TRICKLE = "trickle"
    """Only files: says little more after `cut_after` bytes of each answer: a byte every now and then."""
    LOOP = "loop"
    """Only files: redirects to where it was asked."""
    AWAY = "away"
    """Only files: redirects to below `redirect_to`."""


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    service: AppleService
    path: str
    body: bytes = field(repr=False)
    range: str = ""
    """Of a file: the part that was asked for."""


class Conduct:
    """What the services were asked, and how each behaves."""

    def __init__(self) -> None:
        self.behaviours = dict.fromkeys(AppleService, Behaviour.OK)
        """May be changed at any time; holds from the next request on."""
        self.exceptions: dict[tuple[AppleService, Ecid], Behaviour] = {}
        """How signing and FDR behave to one phone, whatever they do to the others. Asset requests name no phone."""
        self.slow_seconds = 5.0
        self.cut_after = 1 << 20
        self.corrupt_at: int | None = None
        """Which byte of a file has the wrong bit."""
        self.redirect_to = ""
        self.requests: deque[Seen] = deque(maxlen=_LOG_LENGTH)
        self.closing = asyncio.Event()
        """Whatever hangs is let go."""
        self._arrived = asyncio.Condition()

    async def arrival(self, service: AppleService) -> Seen:
        """Wait until a request for `service` has arrived, and return the last one. The caller sets the deadline."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: any(seen.service is service for seen in self.requests))
        return next(seen for seen in reversed(self.requests) if seen.service is service)

    async def receive(self, service: AppleService, request: Request) -> tuple[bytes, Response | None]:
        """The request's body, and the answer to give in place of the right one, if the service misbehaves."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST:
                return b"", PlainTextResponse("too large", 413)
        async with self._arrived:
            self.requests.append(Seen(service, request.url.path, bytes(body), request.headers.get("range", "")))
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
                async with asyncio.timeout(limit):
                    await self.closing.wait()
                behaviour = Behaviour.UNAVAILABLE
        refusal = HTMLResponse(str(not_eligible())) if service is AppleService.SIGNING else PlainTextResponse("", 403)
        answers: dict[Behaviour, Response] = {
            Behaviour.REFUSE: refusal,
            Behaviour.UNAVAILABLE: PlainTextResponse("Service Unavailable", 503),
            Behaviour.PORTAL: HTMLResponse(_PORTAL),
            Behaviour.GARBAGE: Response(_GARBAGE, media_type="application/octet-stream"),
        }
        return answers.get(behaviour)
