"""Both directions of a connection, as those see them who only talk over it: plain or under TLS."""

from typing import Protocol


class Reader(Protocol):
    """What is needed of asyncio's StreamReader."""

    async def read(self, n: int, /) -> bytes:
        """At most `n` bytes, at least one; b"": the other side hung up."""
        ...

    async def readexactly(self, n: int, /) -> bytes:
        """Exactly `n` bytes. Raises asyncio.IncompleteReadError."""
        ...


class Writer(Protocol):
    """What is needed of asyncio's StreamWriter."""

    def write(self, data: bytes, /) -> None:
        """Send, without waiting."""
        ...

    async def drain(self) -> None:
        """Wait until not too much of it is unsent. Raises OSError."""
        ...
