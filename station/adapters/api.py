"""The daemon's socket: websockets over a unix socket, as model/api.py says."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from station.errors import ConfigError, Refused
from station.model.api import Answer, Command, HoldBegan, HoldEnded, HoldGoesOn, Reply, Snapshot

MAX_FRAME = 256 * 1024
MAX_CLIENTS = 32
SEND_SECONDS = 5.0
"""A client that has not taken a message after this long is dropped."""
PAUSE = 0.1
"""Between two snapshots to one client: what changes meanwhile is sent in one."""
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
END_SECONDS = 3.0
"""How long the end of a client, or of all of them, may take."""

_encoder = msgspec.json.Encoder()
_command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_reply_decoder: msgspec.json.Decoder[Snapshot | Answer] = msgspec.json.Decoder(Reply)

CarryOut = Callable[[Command], Awaitable[Answer]]

log = structlog.get_logger(__name__)


class ApiServer:
    """Sends every client the newest snapshot, and carries out what they command. An async context manager."""

    def __init__(self, path: Path, carry_out: CarryOut) -> None:
        self._path = path
        self._carry_out = carry_out
        self._clients: set[_Client] = set()
        self._latest: str | None = None
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        """Listen. Raises ConfigError when the socket cannot be made."""
        try:
            await asyncio.to_thread(self._make_room)
            self._server = await unix_serve(
                self._serve,
                str(self._path),
                max_size=MAX_FRAME,
                max_queue=8,
                compression=None,
                ping_interval=None,  # a unix socket tells at once when its other end is gone
                close_timeout=1,
            )
            await asyncio.to_thread(self._path.chmod, 0o660)
        except OSError as error:
            raise ConfigError(f"The socket {self._path} cannot be made: {error.strerror}.") from error
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the socket and every connection."""
        assert self._server is not None
        self._server.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._server.wait_closed()
        except TimeoutError:
            log.warning("clients were left behind")
        with suppress(FileNotFoundError):
            await asyncio.to_thread(self._path.unlink)

    def publish(self, snapshot: Snapshot) -> None:
        """Have every client know this soon."""
        self._latest = _encoder.encode(snapshot).decode()
        for client in self._clients:
            client.news.set()

    def _make_room(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)  # a dead daemon's; a living one holds the lock on the state directory

    async def _serve(self, connection: ServerConnection) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            await connection.close(1013, "too many clients")
            return
        client = _Client(connection, self._carry_out)
        self._clients.add(client)
        try:
            await client.serve(lambda: self._latest)
        finally:
            self._clients.discard(client)


class _Client:
    """One connection."""

    def __init__(self, connection: ServerConnection, carry_out: CarryOut) -> None:
        self.news = asyncio.Event()
        self.news.set()
        self._connection = connection
        self._carry_out = carry_out
        self._holding: HoldBegan | None = None
        self._log = log.bind(**_peer(connection))

    async def serve(self, latest: Callable[[], str | None]) -> None:
        """Talk until either side has had enough."""
        self._log.info("client came")
        sending = asyncio.create_task(self._send_snapshots(latest))
        try:
            async for frame in self._connection:
                await self._obey(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._log.warning("client talks nonsense", error=str(error))
            await self._connection.close(1007, "not a command")
        except (ConnectionClosed, TimeoutError):
            pass
        finally:
            sending.cancel()
            if self._holding is not None:  # nobody can say any more that the finger left
                with suppress(TimeoutError):  # it is in the loop's queue all the same
                    async with asyncio.timeout(END_SECONDS):
                        await self._carry_out(HoldEnded(id=0, bay=self._holding.bay))
            self._log.info("client left")

    async def _obey(self, frame: str | bytes) -> None:
        command = _command_decoder.decode(frame)
        if isinstance(command, HoldBegan):
            self._holding = command
        elif isinstance(command, HoldEnded):
            self._holding = None
        elif isinstance(command, HoldGoesOn):
            await self._go_on(command)
            return
        answer = await self._carry_out(command)
        self._log.info(
            "command", command=type(command).__name__, bay=getattr(command, "bay", None), refused=answer.refused
        )
        await self._send(_encoder.encode(answer).decode())

    async def _go_on(self, command: HoldGoesOn) -> None:
        """A hold goes on by the word of whoever began it, and nobody else's. Too often to be logged."""
        answer = Answer(id=command.id)
        if self._holding is not None and self._holding.bay == command.bay:
            answer = await self._carry_out(command)
        await self._send(_encoder.encode(answer).decode())

    async def _send_snapshots(self, latest: Callable[[], str | None]) -> None:
        try:
            while True:
                await self.news.wait()
                self.news.clear()
                if (text := latest()) is not None:
                    await self._send(text)
                await asyncio.sleep(PAUSE)
        except ConnectionClosed:
            self._connection.transport.abort()
        except TimeoutError:  # it reads too slowly, or not at all
            self._log.warning("client does not read: dropped")
            self._connection.transport.abort()

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self._connection.send(text)


def _peer(connection: ServerConnection) -> dict[str, int]:
    """Who is at the other end, as the kernel knows it (SO_PEERCRED, unix(7))."""
    peer: socket.socket = connection.transport.get_extra_info("socket")
    pid, uid, gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return {"peer_pid": pid, "peer_uid": uid, "peer_gid": gid}


class ApiClient:
    """A connection to the daemon, for programs that live on an event loop."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.latest: Snapshot | None = None
        """The newest snapshot received."""

    async def snapshot(self) -> Snapshot:
        """Wait for the next snapshot; the first comes at once. Raises Refused when the daemon is gone."""
        while True:
            reply = await self._receive()
            if isinstance(reply, Snapshot):
                self.latest = reply
                return reply

    async def command(self, command: Command) -> Answer:
        """Have a command carried out. Raises Refused when the daemon is gone or does not answer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._connection.send(_encoder.encode(command).decode())
                while True:
                    reply = await self._receive()
                    if isinstance(reply, Answer) and reply.id == command.id:
                        return reply
                    if isinstance(reply, Snapshot):
                        self.latest = reply
        except (ConnectionClosed, TimeoutError) as error:
            raise Refused("The station does not answer.", remedy="See “systemctl status station”.") from error

    async def _receive(self) -> Snapshot | Answer:
        try:
            return _reply_decoder.decode(await self._connection.recv())
        except ConnectionClosed as error:
            raise Refused("The station has closed the connection.") from error


@asynccontextmanager
async def connect(path: Path) -> AsyncGenerator[ApiClient, None]:
    """Connect to the daemon. Raises Refused when there is none."""
    try:
        connection = await unix_connect(
            str(path), max_size=MAX_FRAME, compression=None, open_timeout=CONNECT_SECONDS, close_timeout=1
        )
    except (OSError, TimeoutError, WebSocketException) as error:
        if isinstance(error, PermissionError):
            raise Refused(f"You may not talk to the station at {path}.", remedy="Try it as root (sudo).") from error
        remedy = "Start it (systemctl start station, or by hand: station daemon), or name its socket: --socket."
        raise Refused(f"No station answers at {path}.", remedy=remedy) from error
    async with connection:
        yield ApiClient(connection)
