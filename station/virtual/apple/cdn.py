"""The CDN: firmware files with ranges (RFC 9110, 14), and all the ways in which a download goes wrong.

GET, HEAD /ipsw/NAME
"""

import asyncio
import logging
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from station.virtual.apple.behaviour import AppleService, Behaviour, Conduct

_TRICKLE_SECONDS = 0.05
_PART = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class HangUpError(Exception):
    """The server closes the connection in the middle of its answer, as it was told to."""


class Cdn:
    """Serves files by name."""

    def __init__(self, conduct: Conduct) -> None:
        self._conduct = conduct
        self._files: dict[str, Path] = {}
        self.routes = [Route("/ipsw/{name}", self._file, methods=["GET", "HEAD"])]
        logging.getLogger("uvicorn.error").addFilter(_unless_it_was_told_to)

    def offer(self, file: Path) -> str:
        """Serve a file from now on; its path on the server."""
        self._files[file.name] = file
        return f"/ipsw/{file.name}"

    async def _file(self, request: Request) -> Response:
        _, instead = await self._conduct.receive(AppleService.CDN, request)
        if instead is not None:
            return instead
        file = self._files.get(request.path_params["name"])
        if file is None:
            return PlainTextResponse("Not Found", 404)
        behaviour = self._conduct.behaviours[AppleService.CDN]
        if behaviour is Behaviour.LOOP:
            return RedirectResponse(request.url)
        if behaviour is Behaviour.AWAY:
            return RedirectResponse(f"{self._conduct.redirect_to}/{file.name}")
        return _Download(file, behaviour, self._conduct)


class _Download(FileResponse):
    """A file, or part of it, as a CDN sends it that behaves so."""

    def __init__(self, file: Path, behaviour: Behaviour, conduct: Conduct) -> None:
        super().__init__(file, media_type="application/octet-stream")
        self._behaviour = behaviour
        self._conduct = conduct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._behaviour is Behaviour.WHOLE:
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}
        await super().__call__(scope, receive, _Tampering(self._behaviour, self._conduct, send))


@dataclass
class _Tampering:
    """Passes an answer on, and spoils it on the way."""

    behaviour: Behaviour
    conduct: Conduct
    send: Send
    sent: int = 0
    offset: int = 0
    """Where in the file the answer begins."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start(MutableHeaders(scope=message))
        body = bytearray(message.get("body", b""))
        if body and self.behaviour is Behaviour.CORRUPT:
            self._corrupt(body)
        if self.behaviour is Behaviour.TRICKLE and self.sent + len(body) > self.conduct.cut_after:
            await self._trickle(bytes(body))
        if self.behaviour in (Behaviour.CUT, Behaviour.STALL) and self.sent + len(body) > self.conduct.cut_after:
            del body[self.conduct.cut_after - self.sent :]
            await self.send({"type": "http.response.body", "body": bytes(body), "more_body": True})
            if self.behaviour is Behaviour.STALL:
                await self.conduct.closing.wait()
            raise HangUpError
        self.sent += len(body)
        over = message["type"] == "http.response.body" and not message.get("more_body", False)
        if over and self.behaviour is Behaviour.LONGER:
            await self.send({**message, "body": bytes(body), "more_body": True})
            raise HangUpError
        await self.send({**message, "body": bytes(body)} if "body" in message else message)

    def _start(self, headers: MutableHeaders) -> None:
        part = _PART.fullmatch(headers.get("content-range", ""))
        self.offset = int(part[1]) if part else 0
        if self.behaviour is Behaviour.LONGER:
            headers["content-length"] = str(int(headers["content-length"]) + 1000)
        if self.behaviour is Behaviour.CHANGING:
            headers["etag"] = f'"{secrets.token_hex(8)}"'
        if self.behaviour is Behaviour.ELSEWHERE and part:
            headers["content-range"] = f"bytes {max(0, int(part[1]) - 1)}-{int(part[2]) - 1}/{part[3]}"

    def _corrupt(self, body: bytearray) -> None:
        at = self.conduct.corrupt_at
        at = len(body) // 2 - self.sent if at is None else at - self.offset - self.sent
        if 0 <= at < len(body):
            body[at] ^= 1

    async def _trickle(self, body: bytes) -> None:
        for byte in body:
            await self.send({"type": "http.response.body", "body": bytes((byte,)), "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(_TRICKLE_SECONDS):
                    await self.conduct.closing.wait()
                raise HangUpError
        raise HangUpError


def _unless_it_was_told_to(record: logging.LogRecord) -> bool:
    """Keeps uvicorn from reporting as a failure what is asked for here."""
    return not (record.exc_info and isinstance(record.exc_info[1], HangUpError))
