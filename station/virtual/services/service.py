"""What a service is, and what it is given when a host has started and reached it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from station.virtual import framing
from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.streams import Reader, Writer

MAX_MESSAGE = 16 << 20
"""Bytes of one property list that a service reads, unless it says otherwise."""


@dataclass(frozen=True)
class Call:
    """One connection of a trusted host to a service; TLS is done with already."""

    phone: VirtualPhone
    system: System
    apple: ec.EllipticCurvePublicKey
    """The key whose signatures the system takes for Apple's."""
    reader: Reader
    writer: Writer

    async def receive(self, *, limit: int = MAX_MESSAGE) -> dict[str, Any]:
        """Read a framed property list. Errors: `framing.read`."""
        return await framing.read(self.reader, limit=limit)

    async def send(self, message: Any, *, binary: bool = False) -> None:
        """Send a property list in a frame; most services write XML."""
        self.writer.write(framing.frame(message, binary=binary))
        await self.writer.drain()


@dataclass(frozen=True)
class Service:
    """A service by its name."""

    name: str
    serve: Callable[[Call], Awaitable[None]]
    """Serves one connection, until it returns; an EOFError or OSError means that the host hung up."""
    while_locked: bool = False
    """Whether it is started for a host while the phone is locked."""
