"""Apple's signature for this build on this phone: asked for over HTTPS, and understood before it is used."""

import asyncio
import plistlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from pyimg4 import IM4M
from pymobiledevice3.restore.tss import TSSRequest, TSSResponse

from station.model.base import format_ecid
from station.model.causes import Cause
from station.worker.failures import JobFailed
from station.worker.fetch import Answer, NotAllowed, TooLarge, Unreachable, fetch
from station.worker.patience import tries

MAX_ANSWER = 4 << 20
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Type": 'text/xml; charset="utf-8"',
    "User-Agent": "InetURL/1.0",
}


class SigningServer:
    """The one way to a ticket: every TSSRequest of the library goes through here once it is in place."""

    def __init__(self, url: str, gateway: str, patience: Callable[[], float]) -> None:
        """Ask at `url` through the gateway, each time for at most `patience()` seconds."""
        self._url = url
        self._gateway = gateway
        self._patience = patience

    def serve(self) -> None:
        """Take the place of the library's own sending, which verifies nothing and waits for ever (tss.py:1123)."""

        async def send_receive(request: TSSRequest) -> TSSResponse:
            return await self.sign(request.tags())

        TSSRequest.send_receive = send_receive  # type: ignore[assignment,method-assign]  # requests are made all over the library

    async def sign(self, request: dict[str, Any]) -> TSSResponse:
        """The answer to a request that was granted.

        Raises:
            JobFailed: SIGNING_REFUSED with the server's words; SIGNING_UNREACHABLE; SIGNING_GARBLED when
                something else answered.
        """
        body = plistlib.dumps(request)
        patience = self._patience()
        end = asyncio.get_running_loop().time() + patience
        reason = ""
        async for _ in tries(patience):
            left = max(end - asyncio.get_running_loop().time(), 0.1)
            try:
                answer = await fetch(
                    *("POST", self._url),
                    gateway=self._gateway,
                    headers=_HEADERS,
                    body=body,
                    seconds=left,
                    limit=MAX_ANSWER,
                )
            except NotAllowed as error:
                reason = str(error)
                break
            except Unreachable as error:
                reason = str(error)
                continue
            except TooLarge as error:
                raise JobFailed(Cause.SIGNING_GARBLED, f"signing server: {error}") from error
            if answer.status < 500 or answer.status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
                return _granted(answer)
            reason = f"HTTP {answer.status}"
        raise JobFailed(Cause.SIGNING_UNREACHABLE, f"signing server: {reason}")


def _granted(answer: Answer) -> TSSResponse:
    """Take an answer apart: STATUS=0&MESSAGE=SUCCESS&REQUEST_STRING=<plist>, or another message and no plist."""
    _, found, rest = answer.body.partition(b"MESSAGE=")
    if answer.status != 200 or not found or not answer.body.startswith(b"STATUS="):
        raise JobFailed(Cause.SIGNING_GARBLED, f"signing server: HTTP {answer.status}, and not its kind of answer")
    message = rest.partition(b"&")[0].decode("utf-8", "replace")
    if message != "SUCCESS":
        raise JobFailed(Cause.SIGNING_REFUSED, f"signing server: {message}")
    try:
        granted = plistlib.loads(rest.partition(b"REQUEST_STRING=")[2])
    except Exception as error:  # plistlib lets ten kinds of exceptions out of itself
        raise JobFailed(Cause.SIGNING_GARBLED, "signing server: success without a ticket") from error
    if not isinstance(granted, dict):
        raise JobFailed(Cause.SIGNING_GARBLED, "signing server: success without a ticket")
    return TSSResponse(granted)


def check_ticket(response: TSSResponse, *, ecid: int, ap_nonce: bytes | None) -> None:
    """Raise JobFailed unless the response holds a ticket for this very phone and boot (IM4M: ECID, BNCH)."""
    try:
        manifest = IM4M(response["ApImg4Ticket"])
        for_ecid, for_nonce = manifest.ecid, manifest.apnonce
    except Exception as error:  # pyimg4 and asn1 let many kinds of exceptions out of themselves
        raise JobFailed(Cause.SIGNING_GARBLED, "the ticket cannot be read") from error
    if for_ecid != ecid:
        raise JobFailed(Cause.SIGNING_GARBLED, f"the ticket is not for {format_ecid(ecid)}")
    if ap_nonce is not None and for_nonce != ap_nonce:
        raise JobFailed(Cause.SIGNING_GARBLED, "the ticket is not for this boot of the phone")
