"""The screen's end of the daemon's socket: the last snapshot, and whether there is a daemon at all."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import WebSocketException

from station.model.api import Answer, Command, Reply, Snapshot

MAX_FRAME = 256 * 1024
FIRST_PAUSE = 0.2
"""Seconds before the first new attempt; each failure doubles it."""
LONGEST_PAUSE = 2.0
PATIENCE = 5.0
"""Seconds for a connection, and for its first snapshot."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Snapshot | Answer] = msgspec.json.Decoder(Reply)


class Link:
    """Keeps a connection to the daemon in a thread of its own, and calls `changed` from there.

    Whatever is wrong with the daemon (not there, silent, talking nonsense) looks the same from here: `snapshot`
    is None until a new connection has brought a good one. Nothing stale is ever shown, and no command given
    to one connection is sent through another.
    """

    def __init__(self, socket: Path, changed: Callable[[], None]) -> None:
        self.snapshot: Snapshot | None = None
        self.answers: deque[Answer] = deque(maxlen=8)
        self._socket = socket
        self._changed = changed
        self._outbox: asyncio.Queue[Command] | None = None
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to connect, and go on connecting."""
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._keep_connected())
        self._thread = threading.Thread(target=self._run, args=(self._loop, self._task), name="link", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the connection and end the thread."""
        if self._loop is not None and self._task is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._close, self._task)
            self._thread.join(PATIENCE)
            self._loop = None

    def send(self, command: Command) -> None:
        """Send a command, if there is a daemon to hear it."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._put, command)

    def _close(self, task: "asyncio.Task[None]") -> None:
        self._closing = True
        task.cancel()

    def _put(self, command: Command) -> None:
        if self._outbox is not None:
            self._outbox.put_nowait(command)

    def _run(self, loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
        with contextlib.closing(loop), contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    async def _keep_connected(self) -> None:
        pause = FIRST_PAUSE
        while not self._closing:
            try:
                async with unix_connect(
                    str(self._socket),
                    max_size=MAX_FRAME,
                    compression=None,
                    open_timeout=PATIENCE,
                    close_timeout=1,
                ) as connection:
                    # A goodbye, not an error, is what the daemon shall see when this ends on purpose.
                    with contextlib.suppress(asyncio.CancelledError):
                        await self._listen(connection)
            except (OSError, TimeoutError, WebSocketException, ValueError, RecursionError):
                pass
            if self.snapshot is not None:
                pause = FIRST_PAUSE
                self.snapshot = None
                self._changed()
            if not self._closing:
                await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _listen(self, connection: ClientConnection) -> None:
        """Take what the daemon says until it stops or talks nonsense (ValueError, RecursionError)."""
        outbox: asyncio.Queue[Command] = asyncio.Queue()
        speaking = asyncio.create_task(self._speak(connection, outbox))
        try:
            async with asyncio.timeout(PATIENCE) as patience:
                async for frame in connection:
                    reply = _decoder.decode(frame)
                    match reply:
                        case Snapshot():
                            patience.reschedule(None)
                            self._outbox = outbox
                            self.snapshot = reply
                        case Answer():
                            self.answers.append(reply)
                    self._changed()
        finally:
            self._outbox = None
            speaking.cancel()

    async def _speak(self, connection: ClientConnection, outbox: "asyncio.Queue[Command]") -> None:
        while True:
            await connection.send(_encoder.encode(await outbox.get()).decode())
