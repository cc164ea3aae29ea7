"""The service: who asks gets a tunnel, or a reason why not. Bounded in number, in memory and in time."""

import asyncio
import logging
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from station.errors import InputRejected, Refused, StationError, Unreachable
from station.gateway.addresses import addresses
from station.gateway.asking import Asking, refusal, sought
from station.gateway.hello import Hello
from station.gateway.places import Place, Places

log = logging.getLogger(__name__)

connect_to = asyncio.open_connection
BUFFER = 64 * 1024
"""Bytes: no more than twice as many wait in each direction of a tunnel."""


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Busy(StationError):
    """There is no room for one more."""


_ANSWERS: dict[type[StationError], HTTPStatus] = {
    InputRejected: HTTPStatus.BAD_REQUEST,
    Refused: HTTPStatus.FORBIDDEN,
    Unreachable: HTTPStatus.BAD_GATEWAY,
    _Busy: HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass(frozen=True)
class Limits:
    """What nobody gets more of."""

    tunnels: int = 128
    """At once. Ten phones that are restored at once need twenty; a phone may open 32 for FDR alone."""
    ask_seconds: float = 5.0
    """Until a client has said what it wants, and until it has said its first words in the tunnel."""
    find_seconds: float = 10.0
    connect_seconds: float = 10.0
    address_seconds: float = 2.5
    """For one of several addresses: where IPv6 leads nowhere, nobody says so, and the others are to have their turn."""
    idle_seconds: float = 300.0
    """A tunnel in which nothing has been said for so long ends."""


LIMITS = Limits()


class Gateway:
    """Makes tunnels to listed places."""

    def __init__(self, listed: Places, limits: Limits = LIMITS) -> None:
        self._listed = listed
        self._limits = limits
        self._tunnels: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket) -> None:
        """Serve whoever connects to a listening unix socket, until cancelled."""
        serving = partial(asyncio.start_unix_server, self._take, sock=listening, limit=BUFFER)
        if sys.version_info >= (3, 13):
            serving = partial(serving, cleanup_socket=False)  # whoever made its path removes it
        server = await serving()
        try:
            await asyncio.get_running_loop().create_future()  # for ever
        finally:
            server.close()  # and not wait for its end: since Python 3.12 that is the end of the last tunnel
            for tunnel in self._tunnels:
                tunnel.cancel()
            await asyncio.gather(*self._tunnels, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tunnels.add(task)
        try:
            with suppress(OSError, TimeoutError):  # whoever it was has hung up, or says nothing
                await self._serve(reader, writer)
                await self._let_go(writer)
        finally:
            self._tunnels.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asking = Asking()
        try:
            if len(self._tunnels) > self._limits.tunnels:
                raise _Busy("There are too many tunnels at once.")
            async with asyncio.timeout(self._limits.ask_seconds):
                target = await asking.read(reader)
            place = sought(target, self._listed)
            there = await self._connect(place)
        except tuple(_ANSWERS) as error:
            log.warning("no tunnel: %s", error)
            status = _ANSWERS[type(error)]
            writer.write(refusal(status, str(error)))
            await writer.drain()
            return
        try:
            answer, said = asking.granted()
            writer.write(answer)
            await self._carry(place, said, (reader, writer), there)
            await self._let_go(there[1])
        except Refused as error:
            log.warning("a tunnel is cut: %s", error)
        finally:
            there[1].transport.abort()

    async def _connect(self, place: Place) -> _Ends:
        """A connection to a place. Raises Unreachable."""
        try:
            async with asyncio.timeout(self._limits.find_seconds):
                found = await addresses(place)
        except TimeoutError:
            raise Unreachable(f"{place.host} was not found: no answer from the network's name server") from None
        reason = "nobody answers"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.connect_seconds):
                for address in found:
                    try:
                        async with asyncio.timeout(self._limits.address_seconds if len(found) > 1 else None):
                            return await connect_to(address, place.port, limit=BUFFER)
                    except OSError as error:  # TimeoutError is one, and has no words
                        reason = error.strerror or str(error) or reason
        raise Unreachable(f"{place.host}:{place.port} does not answer: {reason}")

    async def _carry(self, place: Place, said: bytes, here: _Ends, there: _Ends) -> None:
        """Carry bytes both ways until both ends are done, one breaks, or nothing is said any more. Raises Refused."""
        hello = Hello(place)
        async with asyncio.timeout(self._limits.ask_seconds):
            heard = said
            while not hello.hear(heard):
                if not (heard := await here[0].read(BUFFER)):
                    return
                said += heard
        there[1].write(said)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.idle_seconds) as silence:
                try:
                    async with asyncio.TaskGroup() as ways:
                        for source, sink in ((here[0], there[1]), (there[0], here[1])):
                            ways.create_task(self._one_way(source, sink, silence))
                except* OSError:  # one of them is gone without a word
                    pass

    async def _let_go(self, writer: asyncio.StreamWriter) -> None:
        """Have an end take what waits for it still. Raises OSError, and TimeoutError when it does not."""
        writer.close()
        async with asyncio.timeout(self._limits.idle_seconds):
            await writer.wait_closed()

    async def _one_way(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, silence: asyncio.Timeout
    ) -> None:
        clock = asyncio.get_running_loop().time
        while data := await source.read(BUFFER):
            if silence.expired():  # in this very moment: the tunnel ends
                return
            silence.reschedule(clock() + self._limits.idle_seconds)
            sink.write(data)
            await sink.drain()
        sink.write_eof()
