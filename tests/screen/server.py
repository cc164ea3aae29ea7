"""A daemon's end of the socket, as real as websockets makes it, saying what a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from websockets.asyncio.server import ServerConnection, unix_serve

from station.model.api import Command, Snapshot

_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


@dataclass
class Server:
    """One served socket."""

    first: bytes
    """Said to whoever connects."""
    heard: "asyncio.Queue[Command]" = field(default_factory=asyncio.Queue)
    came: "asyncio.Queue[ServerConnection]" = field(default_factory=asyncio.Queue)

    async def serve(self, connection: ServerConnection) -> None:
        """Speak with one client until it leaves."""
        if self.first:
            await connection.send(self.first.decode())
        self.came.put_nowait(connection)
        async for frame in connection:
            self.heard.put_nowait(_decoder.decode(frame))


def frame(message: object) -> bytes:
    """A message as it goes over the socket."""
    return msgspec.json.encode(message)


@asynccontextmanager
async def serving(socket: Path, first: Snapshot | bytes) -> AsyncIterator[Server]:
    """Serve a socket that greets with a snapshot, or with anything else; b"" says nothing."""
    server = Server(first if isinstance(first, bytes) else frame(first))
    async with unix_serve(server.serve, str(socket), max_size=64 * 1024, close_timeout=1):
        yield server
