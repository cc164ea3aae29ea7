"""Asks a server for a list: how long it may take, how much it may be and whom it may come from is bounded.

A deadline is for a whole answer, from the search for its address to the last byte: a server that sends a byte now and
then would keep whoever waits for each read only. What is packed is unpacked here, because a few packed bytes can
become gigabytes before anybody counts.
"""

import asyncio
import ssl
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from station import __version__
from station.errors import ConfigError, InputRejected, Unreachable

MAX_HOPS = 3
"""Redirects that are followed, on the server's own host."""
CONNECT_SECONDS = 15.0

LATER = "Look at the network, or try again later."


@dataclass(frozen=True)
class Validators:
    """What a server said of its answer, so that it need not give it again (RFC 9110, 13)."""

    etag: str = ""
    modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """To be sent along when asking again."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True)
class Answer:
    """What came."""

    body: bytes | None
    """None: nothing has changed."""
    validators: Validators


class NotThereError(Unreachable):
    """The server is there, and has nothing of the kind."""


def tls(authorities: str, *, plain: bool) -> ssl.SSLContext:
    """Whose certificates count: those of a file (PEM), or of the machine. Raises ConfigError.

    Args:
        authorities: the file; empty: the machine's.
        plain: only HTTP is spoken, and nobody's count. To read the machine's takes a tenth of a second and more.
    """
    if plain:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=authorities or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"The authorities in {Path(authorities).name} cannot be used: {error.strerror or error}.",
            remedy="Name a readable PEM file, or none.",
        ) from error


def client(authorities: str, *, plain: bool) -> httpx.AsyncClient:
    """Something to ask with, for as long as it is entered. Raises ConfigError as `tls`, which has its arguments."""
    return httpx.AsyncClient(
        verify=tls(authorities, plain=plain),
        headers={"User-Agent": f"restore-station/{__version__}", "Accept-Encoding": "gzip"},
        timeout=None,  # noqa: S113 (`ask` has one for the whole)
        follow_redirects=False,
        trust_env=False,  # how the lists are reached stands in the settings, as for what is in them
    )


async def ask(
    asker: httpx.AsyncClient,
    address: str,
    known: Validators,
    *,
    who: str,
    most: int,
    seconds: float,
    also: tuple[str, ...] = (),
) -> Answer:
    """Ask for `address`.

    Args:
        asker: made by `client`.
        address: what to ask for.
        known: of the answer that is here already.
        who: the server's name, for people.
        most: bytes of an answer, unpacked.
        seconds: for all of it.
        also: SCHEME://HOST that it may send us to, besides its own.

    Raises:
        Unreachable: it cannot be reached, or does not answer as it should. NotThereError: it has nothing there.
        InputRejected: its answer is too long, or comes from elsewhere.
    """
    try:
        async with asyncio.timeout(seconds):
            for _ in range(MAX_HOPS + 1):
                async with asker.stream("GET", address, headers=known.headers) as response:
                    if not response.has_redirect_location:
                        return await _receive(response, known, who, most)
                    address = _next(address, response.headers["location"], who, also)
    except TimeoutError:
        raise Unreachable(f"{who} did not answer within {seconds:g} seconds.", remedy=LATER) from None
    except httpx.HTTPError as error:
        raise Unreachable(f"{who} cannot be reached: {_why(error)}.", remedy=LATER) from error
    except (httpx.InvalidURL, ValueError) as error:
        raise Unreachable(f"{who} cannot be reached: its address makes no sense.", remedy=LATER) from error
    raise Unreachable(f"{who} sends us from one place to another without end.", remedy=LATER)


async def _receive(response: httpx.Response, known: Validators, who: str, most: int) -> Answer:
    if response.status_code == httpx.codes.NOT_MODIFIED and known.headers:
        return Answer(None, known)
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NotThereError(f"{who} has nothing there (HTTP 404).", remedy=LATER)
    if response.status_code != httpx.codes.OK:
        raise Unreachable(f"{who} does not answer as it should (HTTP {response.status_code}).", remedy=LATER)
    packing = response.headers.get("content-encoding", "identity").lower()
    if packing not in ("identity", "gzip"):
        raise Unreachable(f"{who} packs its answer in a way that nobody asked for.", remedy=LATER)
    unpack = zlib.decompressobj(31) if packing == "gzip" else None
    spoilt = Unreachable(f"{who} sends what cannot be unpacked.", remedy=LATER)
    body = bytearray()
    try:
        async for piece in response.aiter_raw():
            if unpack and unpack.eof:  # zlib would keep whatever follows
                raise spoilt
            # One byte more than it may be is enough to know.
            body += unpack.decompress(piece, most + 1 - len(body)) if unpack else piece
            if len(body) > most:
                raise InputRejected(f"{who} sends more than {most >> 20} MiB. It is not read.", remedy=LATER)
    except zlib.error:
        raise spoilt from None
    if unpack and not unpack.eof:
        raise Unreachable(f"{who} broke off in the middle of its answer.", remedy=LATER)
    headers = response.headers
    return Answer(bytes(body), Validators(_header(headers, "etag"), _header(headers, "last-modified")))


def _header(headers: httpx.Headers, name: str) -> str:
    value = headers.get(name, "")
    return value if value.isascii() and value.isprintable() and len(value) <= 200 else ""


def _next(address: str, location: str, who: str, also: tuple[str, ...]) -> str:
    """Where it sends us, if that is the same host, and no less safe."""
    target = urljoin(address, location)
    here, there = urlsplit(address), urlsplit(target)
    same = (here.hostname, here.port) == (there.hostname, there.port) and there.scheme == here.scheme
    safer = here.hostname == there.hostname and (here.scheme, there.scheme) == ("http", "https") and not here.port
    if not same and not safer and f"{there.scheme}://{there.netloc}" not in also:
        host = (there.hostname or "nowhere")[:80]
        raise InputRejected(
            f"{who} sends us to another server ({host}). Nobody goes there.",
            remedy="Look whether this network asks for a login first, in a browser.",
        )
    return target


def _why(error: httpx.HTTPError) -> str:
    """What went wrong with a connection, for people."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}). Is the station's clock right?"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return "nothing answers at its address"
    if isinstance(error, httpx.RemoteProtocolError):
        return "it broke off in the middle of its answer"
    return "the connection broke"
