"""What a phone may have the station fetch during a restore: from listed hosts, and nothing else."""

import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from station.errors import InputRejected
from station.model.causes import Cause
from station.worker.failures import JobFailed, printable
from station.worker.fetch import Answer, NotAllowed, TooLarge, Unreachable, fetch
from station.worker.patience import tries

MAX_ASSET = 1 << 20
"""Bytes of one answer; keys have a few hundred."""
MAX_CACHED = 16
FETCH_SECONDS = 30.0

_PLAIN = re.compile(r"[!-~]{1,2048}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[ -~]{0,1024}")
_OURS = {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "proxy-authorization"}
"""Headers that shape the request itself; a phone has no say in them."""


log = logging.getLogger(__name__)


def allowed(hosts: Sequence[str], host: str, port: int) -> bool:
    """Whether HOST, or HOST:PORT, is on a list. HOST alone stands for HTTPS."""
    return ":" not in host and (f"{host}:{port}" in hosts or (port == 443 and host in hosts))


class Assets:
    """Fetches for the phone."""

    def __init__(self, hosts: Sequence[str], gateway: str, patience: float = FETCH_SECONDS) -> None:
        self._hosts = hosts
        self._gateway = gateway
        self._patience = patience
        self._cache: dict[str, Answer] = {}

    async def get(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer an URLAsset request, in the words of its reply."""
        if arguments.get("RequestMethod") != "GET":
            raise InputRejected("The phone wants something fetched by another method than GET.")
        url = self._permitted(arguments.get("RequestURL"))
        answer = self._cache.get(url) or await self._fetch("GET", url, {}, None)
        if answer.status == 200 and len(self._cache) < MAX_CACHED:
            self._cache[url] = answer
        return _reply(answer)

    async def post(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer a StreamedImageDecryptionKey request, in the words of its reply."""
        body = arguments.get("RequestBody")
        if arguments.get("RequestMethod") != "POST" or not isinstance(body, bytes) or len(body) > MAX_ASSET:
            raise InputRejected("The phone wants something posted that is not acceptable.")
        url = self._permitted(arguments.get("RequestURL"))
        return _reply(await self._fetch("POST", url, _headers(arguments.get("RequestAdditionalHeaders")), body))

    def _permitted(self, url: object) -> str:
        if not isinstance(url, str) or not _PLAIN.fullmatch(url) or "\\" in url:
            raise JobFailed(Cause.ASSET_REFUSED, "the phone asked for something that is no address")
        try:
            parts = urlsplit(url)
            host, port = _place(parts)
        except ValueError:
            raise JobFailed(Cause.ASSET_REFUSED, "the phone asked for something that is no address") from None
        known = allowed(self._hosts, host, port) and (parts.scheme == "https" or f"{host}:{port}" in self._hosts)
        if parts.scheme not in ("http", "https") or parts.username is not None or not known:
            raise JobFailed(Cause.ASSET_REFUSED, f"the phone asked for {printable(url, 200)}")
        return url

    async def _fetch(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        """The answer, or what a gateway says when there is none: the phone has other ways to try then."""
        async for _ in tries(self._patience):
            try:
                return await fetch(
                    *(method, url),
                    gateway=self._gateway,
                    headers=headers,
                    body=body,
                    seconds=self._patience,
                    limit=MAX_ASSET,
                )
            except NotAllowed as error:
                raise JobFailed(Cause.ASSET_REFUSED, f"{printable(url, 200)}: {error}") from error
            except Unreachable as error:
                log.warning("nothing came from %s: %s", printable(url, 200), error)
            except TooLarge as error:
                raise JobFailed(Cause.ASSET_REFUSED, f"{printable(url, 200)}: {error}") from error
        return Answer(504, {}, b"")


def _place(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _headers(wanted: object) -> dict[str, str]:
    if wanted is None:
        return {}
    if not isinstance(wanted, dict) or len(wanted) > 16:
        raise InputRejected("The phone wants something posted with headers that are not acceptable.")
    for name, value in wanted.items():
        if not isinstance(value, str) or not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise InputRejected("The phone wants something posted with headers that are not acceptable.")
    return {name: value for name, value in wanted.items() if name.lower() not in _OURS}


def _reply(answer: Answer) -> dict[str, Any]:
    return {
        "ResponseBody": answer.body,
        "ResponseBodyDone": True,
        "ResponseHeaders": answer.headers,
        "ResponseStatus": answer.status,
    }
