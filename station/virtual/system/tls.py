"""TLS within a connection, begun and ended while the connection goes on, as lockdownd does with a session.

asyncio's `start_tls` loses what the host sent before it was called, and cannot go back to plain text. Here the
bytes go through an `ssl.SSLObject`; nothing is read from the connection before somebody asks for it.
"""

import asyncio
import ssl

from station.virtual.streams import Reader, Writer

BLOCK = 1 << 16
MAX_READ = 1 << 20


class Resumed:
    """A `Reader` that begins with what somebody else has read of the stream already."""

    def __init__(self, ahead: bytes, reader: Reader) -> None:
        self._ahead = ahead
        self._reader = reader

    async def read(self, n: int, /) -> bytes:
        """See `Reader`."""
        if not self._ahead:
            return await self._reader.read(n)
        data, self._ahead = self._ahead[:n], self._ahead[n:]
        return data

    async def readexactly(self, n: int, /) -> bytes:
        """See `Reader`."""
        data, self._ahead = self._ahead[:n], self._ahead[n:]
        return data + (await self._reader.readexactly(n - len(data)) if len(data) < n else b"")


class TlsStream:
    """The phone's side of TLS over a connection; both `Reader` and `Writer`."""

    def __init__(self, reader: Reader, writer: Writer, context: ssl.SSLContext) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._plain = bytearray()

    async def handshake(self, *, seconds: float) -> None:
        """Do the handshake. Raises TimeoutError, ConnectionError, asyncio.IncompleteReadError."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    self._tls.do_handshake()
                except ssl.SSLWantReadError:
                    await self._exchange()
                except ssl.SSLError as error:
                    self._flush()  # the alert that says why
                    raise ConnectionError(f"no TLS: {error.reason}") from error
                else:
                    break
            self._flush()
            await self._writer.drain()

    async def read(self, n: int, /) -> bytes:
        """At most `n` bytes; b"": the host ended TLS or hung up."""
        while not self._plain:
            try:
                if not (piece := self._tls.read(MAX_READ)):  # the host said that it ends TLS
                    return b""
                self._plain += piece
            except ssl.SSLWantReadError:
                try:
                    await self._exchange()
                except asyncio.IncompleteReadError:
                    return b""
            except ssl.SSLError as error:
                raise ConnectionError(f"broken TLS: {error.reason}") from error
        data = bytes(self._plain[:n])
        del self._plain[:n]
        return data

    async def readexactly(self, n: int, /) -> bytes:
        """Exactly `n` bytes. Raises asyncio.IncompleteReadError."""
        data = bytearray()
        while len(data) < n:
            if not (piece := await self.read(n - len(data))):
                raise asyncio.IncompleteReadError(bytes(data), n)
            data += piece
        return bytes(data)

    def write(self, data: bytes, /) -> None:
        """Send, without waiting."""
        if data:
            self._tls.write(data)
            self._flush()

    async def drain(self) -> None:
        """See `Writer`."""
        await self._writer.drain()

    async def unwrap(self, *, seconds: float) -> bytes:
        """End TLS; the connection goes on in plain text. Returns what the host has sent of that already.

        Raises:
            TimeoutError, ConnectionError, asyncio.IncompleteReadError: the host did not agree to it.
        """
        async with asyncio.timeout(seconds):
            while True:
                try:
                    self._tls.unwrap()
                except ssl.SSLWantReadError:
                    await self._exchange()
                except ssl.SSLError as error:
                    raise ConnectionError(f"TLS not ended: {error.reason}") from error
                else:
                    break
        self._flush()
        return self._incoming.read()

    async def _exchange(self) -> None:
        """Send what TLS has to send, and wait for something from the host."""
        self._flush()
        await self._writer.drain()
        data = await self._reader.read(BLOCK)
        if not data:
            raise asyncio.IncompleteReadError(b"", None)
        self._incoming.write(data)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._writer.write(self._outgoing.read())
