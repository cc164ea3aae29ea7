"""HTTP as the worker speaks it: verified, bounded in time and size, without redirects, proxies or cookies."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
"""The longest silence within an answer."""
_BLOCK = 64 * 1024


class Unreachable(Exception):
    """There was no whole answer in time."""


class TooLarge(Exception):
    """The answer is larger than it may be."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


async def fetch(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, seconds: float, limit: int
) -> Answer:
    """One request and its whole answer, within `seconds` and `limit` bytes. Raises Unreachable, TooLarge."""
    return await asyncio.to_thread(
        fetch_blocking, method, url, headers=headers, body=body, seconds=seconds, limit=limit
    )


def fetch_blocking(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, seconds: float, limit: int
) -> Answer:
    """The same, for who cannot wait otherwise."""
    end = time.monotonic() + seconds
    content = bytearray()
    with requests.Session() as session:
        session.trust_env = False  # how Apple is reached stands in the job's spec, nowhere else
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
