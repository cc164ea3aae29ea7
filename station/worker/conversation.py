"""The conversation with the restore system: the library's handlers, in a loop that ends.

The library reads a message, handles it and reads the next: what the phone says while the image is sent waits,
what a handler raises is logged and forgotten, and so is every status but 0. Here one task listens all the time
and others serve; the first thing that goes wrong ends them all.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any, NoReturn

from pymobiledevice3.exceptions import ConnectionTerminatedError, MuxException
from pymobiledevice3.restore.restore import Restore

from station.errors import InputRejected
from station.worker import plists
from station.worker.connection import PhoneConnection, connect
from station.worker.failures import printable
from station.worker.reporter import Reporter
from station.worker.restored import Restored

log = logging.getLogger(__name__)

MAX_OPEN = 64
"""Requests a phone may have open at once, waiting or being served."""
MAX_OPEN_BYTES = 32 << 20
"""Memory that they take together. The largest known messages, logs, have 650 kB."""
_REFUSED_SECONDS = 10.0
_LAST_WORDS_SECONDS = 3.0
"""How long a broken connection waits for the status that may explain it."""
_BESIDE = {"SystemImageData"}
"""Requests that take minutes, while the phone goes on asking for other things."""
_KNOWN = {
    # What the library's handle_data_request_msg tells apart by itself (restore.py:1623).
    "BasebandUpdaterOutputData",
    "BootabilityBundle",
    "BootabilityBundleV2",
    "EANData",
    "FUDData",
    "HostSystemTime",
    "PersonalizedData",
    "ReceiptManifest",
    "SystemImageCanonicalMetadata",
    "SystemImageRootHash",
}
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError)
"""What the library's handlers raise when a phone leaves out or mixes up what they look for."""


class Conversation(Restore):
    """Listens and serves, side by side."""

    _restored: Restored
    _reporter: Reporter
    _group: asyncio.TaskGroup

    def prepare(self, reporter: Reporter) -> None:
        """Before the first message."""
        self._reporter = reporter
        self._requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._serving: set[asyncio.Task[None]] = set()
        self._open: dict[int, int] = {}
        """The weight of each open request, by the request's id()."""
        self._ports: dict[int, PhoneConnection] = {}
        """Connections to the ports that requests named, by the request's id()."""

    async def converse(self) -> None:
        """Listen and serve until Status 0 has come and everything that was asked for is sent; then acknowledge it.

        Raises:
            whatever went wrong first, in the listener or in a server.
        """
        server = self._group.create_task(self._serve())
        while not self._restore_finished:
            await self._hear(await self._restored.recv())
        await self._requests.join()
        await asyncio.gather(*self._serving)
        server.cancel()
        with suppress(ConnectionTerminatedError):  # the phone may be restarting already
            await self._restored.send({"MsgType": "ReceivedFinalStatusMsg"})

    async def handle_data_request_msg(self, message: dict[str, Any]) -> None:
        """Serve one request. Raises InputRejected when there is nobody to serve it; the phone would wait for ever."""
        kind = message.get("DataType")
        known = {*_KNOWN, *self._data_request_handlers, *self._data_request_components}
        if not isinstance(kind, str) or kind not in known:
            raise InputRejected(f"The phone asks for {printable(kind, 60)}, which is not known.")
        log.info("serving %s", kind)
        await super().handle_data_request_msg(message)
        log.info("served %s", kind)

    @property
    def _patience(self) -> float:
        """Seconds for which a port that the phone named may stay closed."""
        return min(_REFUSED_SECONDS, self._reporter.deadline.share(0.5))

    async def _hear(self, message: dict[str, Any]) -> None:
        kind = message.get("MsgType")
        match kind:
            case "DataRequestMsg":
                self._requests.put_nowait(self._admitted(message))
            case "AsyncDataRequestMsg":
                self._beside(self._admitted(message))
            case "BasebandUpdaterOutputData":
                self._beside(self._admitted(message | {"DataType": kind}))
            case str() if kind in self._handlers:
                try:
                    await self._handlers[kind](message)
                except _MALFORMED as error:
                    _malformed(kind, error)
            case _:
                log.warning("unknown message %s", printable(kind, 60))

    async def _serve(self) -> None:
        """Serve requests in their order."""
        while True:
            message = await self._requests.get()
            if message.get("DataType") in _BESIDE:
                self._beside(message)
            else:
                await self._answer(message)
            self._requests.task_done()

    async def _answer(self, message: dict[str, Any]) -> None:
        try:
            await self.handle_data_request_msg(message)
        except _MALFORMED as error:
            _malformed(message.get("DataType"), error)
        except (ConnectionTerminatedError, MuxException):
            # Perhaps because the restore failed on the phone; then the listener is about to hear of it.
            await asyncio.sleep(_LAST_WORDS_SECONDS)
            raise
        await self._hang_up(message)
        del self._open[id(message)]

    def _admitted(self, message: dict[str, Any]) -> dict[str, Any]:
        weight = plists.weight(message)
        if len(self._open) >= MAX_OPEN or sum(self._open.values()) + weight > MAX_OPEN_BYTES:
            raise InputRejected("The phone asks for too much at once.")
        self._open[id(message)] = weight
        return message

    def _beside(self, message: dict[str, Any]) -> None:
        task = self._group.create_task(self._answer(message))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _get_service_for_data_request(self, message: dict[str, Any]) -> PhoneConnection:
        """The connection on which a request wants its answer: to the port it names, or the one it came from."""
        port = message.get("DataPort")
        if port is None:
            return self._restored.service
        if not isinstance(port, int) or not 0 < port < 1 << 16:
            raise InputRejected("The phone names a port that is none.")
        connection = await connect(self._restored.udid, port, self._patience)
        self._ports[id(message)] = connection
        return connection

    async def _hang_up(self, message: dict[str, Any]) -> None:
        connection = self._ports.pop(id(message), None)
        if connection is not None:
            await connection.close()


def _malformed(kind: object, error: Exception) -> NoReturn:
    raise InputRejected(f"The phone says {printable(kind, 60)} in a way that makes no sense.") from error
