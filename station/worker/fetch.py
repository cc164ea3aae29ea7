"""HTTP as the worker speaks it: verified, bounded in time and size, without redirects, proxies or cookies.

All of it goes through the gateway (`adapters.gateway`), and so does FDR (`fdr`): a worker has no other way out.
"""

import asyncio
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from station import errors
from station.adapters.gateway import dial

CONNECT_SECONDS = 20.0
"""Within them the gateway finds a host and connects to it, or says why not."""
READ_SECONDS = 20.0
"""The longest silence within an answer."""
_BLOCK = 64 * 1024


class Unreachable(Exception):
    """There was no whole answer in time."""


class NotAllowed(Unreachable):
    """The gateway lets nobody there, and will not later."""


class TooLarge(Exception):
    """The answer is larger than it may be."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


async def reach(gateway: str, host: str, port: int) -> socket.socket:
    """A connection to a host, for who speaks something else than HTTP. Raises Unreachable, NotAllowed."""
    return await asyncio.to_thread(_reach, gateway, host, port, CONNECT_SECONDS)


async def fetch(
    method: str, url: str, *, gateway: str, headers: Mapping[str, str], body: bytes | None, seconds: float, limit: int
) -> Answer:
    """One request and its whole answer, within `seconds` and `limit` bytes. Raises Unreachable, TooLarge."""
    return await asyncio.to_thread(
        fetch_blocking, method, url, gateway=gateway, headers=headers, body=body, seconds=seconds, limit=limit
    )


def fetch_blocking(
    method: str, url: str, *, gateway: str, headers: Mapping[str, str], body: bytes | None, seconds: float, limit: int
) -> Answer:
    """The same, for who cannot wait otherwise."""
    end = time.monotonic() + seconds
    content = bytearray()
    with requests.Session() as session:
        session.trust_env = False  # how Apple is reached stands in the job's spec, nowhere else
        for scheme in ("http://", "https://"):
            session.mount(scheme, _ThroughGateway(gateway))
        try:
            with session.request(
                method,
                url,
                headers=dict(headers),
                data=body,
                timeout=(min(CONNECT_SECONDS, seconds), min(READ_SECONDS, seconds)),
                allow_redirects=False,
                stream=True,
            ) as response:
                for block in response.iter_content(_BLOCK):
                    content += block
                    if len(content) > limit:
                        raise TooLarge(f"more than {limit} bytes")
                    if time.monotonic() > end:
                        raise Unreachable(f"no whole answer within {seconds:.0f} s")
                return Answer(response.status_code, dict(response.headers), bytes(content))
        except requests.RequestException as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error


def _reach(gateway: str, host: str, port: int, seconds: float) -> socket.socket:
    try:
        return dial(gateway, host, port, seconds)
    except errors.Refused as error:
        raise NotAllowed(str(error)) from error
    except errors.Unreachable as error:
        raise Unreachable(str(error)) from error


class _ThroughGateway(HTTPAdapter):
    """Has urllib3 take its connections from the gateway. TLS is its own, with the host itself."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        gateway = self._gateway

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _reach(gateway, self.host, self.port, _seconds(self.timeout))

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _reach(gateway, self.host, self.port, _seconds(self.timeout))

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def _seconds(timeout: object) -> float:
    return float(timeout) if isinstance(timeout, int | float) else CONNECT_SECONDS
