"""Where a file can be fetched, and what a server's answer is worth before its first byte counts."""

import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from socket import SHUT_RDWR, socket
from typing import Any, Self

import httpx

from station.adapters.fetch.limits import FetchRules, Limits
from station.errors import ConfigError, InputRejected
from station.model.catalog import Offer

REDIRECTS = 5

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_TAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
"""A strong one (RFC 9110, 8.8.3) that can be sent back; with bytes beyond ASCII none can."""
_PORTS = {"http": 80, "https": 443}


class SourceFailed(Exception):
    """A server does not give what it should; another may, or this one later. The message is a clause."""

    def __init__(self, why: str, *, reached: bool = True) -> None:
        super().__init__(why)
        self.reached = reached
        """Whether anybody answered at all: what answers wrongly is there."""


class FileChanged(Exception):
    """A server has another file now than the one it began to send."""


@dataclass
class Answer:
    """A file, or the end of one, as it arrives. Read it from one thread."""

    total: int
    """Bytes of the whole file."""
    offset: int
    """Where in the file the next byte belongs."""
    end: int
    """And where the answer ends."""
    tag: str
    """Strong ETag; empty: there is none."""
    url: str
    """Who sent it, after redirects."""
    _first: bytes
    _socket: socket
    _pieces: Iterator[bytes]
    """Held, because the connection would be closed with it."""

    def read_into(self, buffer: memoryview, seconds: float) -> int:
        """Receive some bytes, at most as many as fit.

        Raises:
            TimeoutError: nothing came in that time.
            SourceFailed: the server hung up.
        """
        buffer = buffer[: self.end - self.offset]
        if self._first:
            count = min(len(buffer), len(self._first))
            buffer[:count], self._first = self._first[:count], self._first[count:]
        else:
            # httpcore would hand out 64 KiB at a time, each through a dozen calls: twice the time of the transfer.
            self._socket.settimeout(seconds)
            try:
                count = self._socket.recv_into(buffer)
            except TimeoutError:
                raise
            except OSError as error:
                raise SourceFailed("the connection broke") from error
        if not count:
            raise SourceFailed("it hung up before the end")
        self.offset += count
        return count


class Sources:
    """The addresses of one file, the preferred first, and which is in use."""

    def __init__(self, offer: Offer, rules: FetchRules, limits: Limits) -> None:
        """Addresses that firmware may come from.

        Raises:
            InputRejected: there are none.
            ConfigError: the file with authorities cannot be read.
        """
        self._allowed = {_origin(each) for each in (*rules.hosts.origins, *rules.mirrors)} - {None}
        name = offer.url.rsplit("/", 1)[-1]
        wanted = [*(f"{mirror.rstrip('/')}/{name}" for mirror in rules.mirrors), offer.url]
        self._urls = [url for url in wanted if name and _origin(url) in self._allowed]
        if not self._urls:
            raise InputRejected(
                f"The list of firmware names a server that firmware may not come from: {offer.url[:100]}",
                remedy="Import the firmware from a USB stick, or name a mirror in the settings.",
            )
        self._now = 0
        self._asker = Asker(limits, rules.hosts.authorities)

    def __len__(self) -> int:
        return len(self._urls)

    @property
    def current(self) -> str:
        """The address to ask now."""
        return self._urls[self._now]

    def turn(self) -> None:
        """Ask the next one from now on."""
        self._now = (self._now + 1) % len(self._urls)

    def use(self, url: str) -> None:
        """Ask this one of them from now on."""
        self._now = self._urls.index(url)

    def close(self) -> None:
        """Let go of all connections."""
        self._asker.close()

    @contextmanager
    def open(self, start: int | None, end: int | None, *, total: int, tag: str = "") -> Iterator[Answer]:
        """Ask for a part of the file; a server may answer with more (`Answer.offset`).

        Args:
            start: the first byte; None: `end` bytes at the end.
            end: where it ends; None: at the end of the file.
            total: bytes the file has; 0: nobody knows.
            tag: the ETag that it had.

        Raises:
            SourceFailed: there is no usable answer.
            FileChanged: it is another file by now.
        """
        with self._follow(self.current, _headers(start, end, tag)) as response:
            yield _answer(response, start, end, total=total, tag=tag)

    @contextmanager
    def _follow(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        for _ in range(REDIRECTS + 1):
            if _origin(url) not in self._allowed:
                raise SourceFailed(f"it points to a server that firmware may not come from ({url[:100]})")
            with self._asker.ask(url, headers) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                url = str(response.url.join(response.headers["Location"]))
        raise SourceFailed("it points from one address to the next without an end")


class Asker:
    """Sends requests, one at a time, each over a connection of its own. For one thread.

    Nobody is waited for longer than `Limits` says until an answer begins, a server that drips its headers included:
    httpx waits that long for each piece of them, and would wait for ever.
    """

    def __init__(self, limits: Limits, authorities: str = "") -> None:
        """One that has asked nothing yet.

        Args:
            limits: how long it waits.
            authorities: a file (PEM) with the authorities whose certificates count; empty: those of the machine.

        Raises:
            ConfigError: that file cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=authorities or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"The authorities that firmware's servers are known by cannot be read: {authorities}",
                remedy="Correct the setting.",
            ) from error
        self._seconds = limits.connect_seconds + limits.stall_seconds
        timeout = httpx.Timeout(limits.stall_seconds, connect=limits.connect_seconds)
        # trust_env: how firmware is reached stands in the settings, nowhere else. No connection is used twice: an
        # answer is taken from its socket, and mostly not to its end.
        kept = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(verify=context, timeout=timeout, trust_env=False, limits=kept)

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    @contextmanager
    def ask(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """An answer, whose body is still to come. Raises SourceFailed, also for what goes wrong while it is open."""
        try:
            with ExitStack() as stack:
                with _Deadline(self._seconds) as deadline:
                    request = self._client.stream("GET", url, headers=headers, extensions={"trace": deadline.watch})
                    response = stack.enter_context(request)
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:  # the last: of a host
            raise _failed(error, late=deadline.over) from error

    @contextmanager
    def open(self, url: str, start: int, *, total: int) -> Iterator[Answer]:
        """All of a file from one byte on, from just there and nowhere else. Raises SourceFailed.

        Args:
            url: its address.
            start: the first byte.
            total: bytes it has; 0: nobody knows.
        """
        with self.ask(url, _headers(start, None, "") if start else _headers(None, None, "")) as response:
            yield _answer(response, start, None, total=total, tag="")


class _Deadline:
    """Until when an answer has to begin: then its connection is shut, whatever it waits for."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._socket: socket | None = None
        self.over = False
        """Whether it was too late."""

    def watch(self, event: str, about: Mapping[str, Any]) -> None:
        """Told by httpcore what it does: a connection that is made is the one to shut."""
        if event == "connection.connect_tcp.complete":
            # A second handle on it: TLS takes the first one away.
            made = about["return_value"].get_extra_info("socket").dup()
            with self._lock:
                self._drop()
                self._socket = made
                if self.over:
                    self._shut()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._drop()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the other side was faster
                self._socket.shutdown(SHUT_RDWR)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _headers(start: int | None, end: int | None, tag: str) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "restore-station"}
    if start is not None:
        headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
    elif end is not None:
        headers["Range"] = f"bytes=-{end}"
    if tag:
        headers["If-Range"] = tag
    return headers


def _answer(response: httpx.Response, start: int | None, end: int | None, *, total: int, tag: str) -> Answer:
    headers = response.headers
    if response.status_code not in (200, 206):
        raise SourceFailed(f"it answers {response.status_code}")
    encoded = headers.get("Content-Encoding", "identity") != "identity" or "Transfer-Encoding" in headers
    length = headers.get("Content-Length", "")
    if encoded or not _LENGTH.fullmatch(length):
        raise SourceFailed("it does not say how much it sends")
    if response.status_code == 206:
        said = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if said is None:
            raise SourceFailed("it does not say what part it sends")
        begins, ends, whole = int(said[1]), int(said[2]) + 1, int(said[3])
        wanted_start = max(0, whole - (end or 0)) if start is None else start
        wanted_end = whole if start is None or end is None else min(end, whole)
        if (begins, ends) != (wanted_start, wanted_end) or ends - begins != int(length):
            raise SourceFailed("it sends another part than it was asked for")
    else:
        begins, ends, whole = 0, int(length), int(length)
    now = headers.get("ETag", "")
    now = now if _TAG.fullmatch(now) else ""
    if tag and now and now != tag:
        raise FileChanged
    if total and whole != total:
        raise SourceFailed(f"its file has {whole} bytes, and should have {total}")
    pieces = response.iter_raw()
    first = next(pieces, b"")  # what came with the headers; all that follows is in the socket
    if not first and ends > begins:
        raise SourceFailed("it hung up before the end")
    carrier = response.extensions["network_stream"].get_extra_info("socket")
    return Answer(whole, begins, ends, now, str(response.url), first, carrier, pieces)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None: it is no address that could be fetched from."""
    try:
        parsed = httpx.URL(url)
        host = parsed.host
    except (httpx.InvalidURL, TypeError, UnicodeError):  # the last: a host that only looks like an international one
        return None
    if parsed.scheme not in _PORTS or not host or parsed.userinfo:
        return None
    return parsed.scheme, host, parsed.port or _PORTS[parsed.scheme]


def _failed(error: Exception, *, late: bool) -> SourceFailed:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SourceFailed(f"its certificate is not valid ({cause.verify_message})")
        cause = cause.__cause__ or cause.__context__
    if late or isinstance(error, httpx.TimeoutException):
        return SourceFailed("it does not answer", reached=False)
    if isinstance(error, httpx.ConnectError):
        return SourceFailed("it cannot be reached", reached=False)
    return SourceFailed("the connection broke", reached=not isinstance(error, httpx.TransportError))
