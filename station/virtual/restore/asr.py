"""ASR (Apple Software Restore): takes the system image off the host, and checks every chunk of it.

Protocol: pymobiledevice3 `restore/asr.py`. Property lists without a length, each ending with `</plist>` and a
line feed; out-of-band reads of any part; then the image in chunks of 128 KiB, each followed by its SHA-1. The
image is never kept: its root hash is.
"""

import asyncio
import plistlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from station.virtual import framing
from station.virtual.faults.kinds import StatusError
from station.virtual.firmware.root_hash import CHUNK, RootHash, chunk_sum

PORT = 12345
SUM = 20
"""Bytes of SHA-1."""
FAILED = 1100
"""What asr_and_invert_image ends with (idevicerestore#539)."""
SAMPLE = 64 * 1024
UNIT = CHUNK + SUM
BUFFER = 32 * UNIT
"""Bytes that are received in one turn of a thread, at most."""
TURN_SECONDS = 0.1
IDLE_SECONDS = 0.005
"""How long that thread waits for the host before it leaves the waiting to the event loop."""

Progress = Callable[[int], Awaitable[None]]
"""Called with how many bytes have arrived."""


@dataclass(frozen=True)
class Received:
    """The image that came."""

    length: int
    digest: bytes
    """Its root hash."""


async def initiate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Begin, and return the size of the image that the host announces."""
    await _send(writer, {"Command": "Initiate", "Checksum Chunks": True})
    try:
        packet = framing.parse(await reader.readuntil(b"</plist>\n"))
        size = packet["Payload"]["Size"]
    except (EOFError, OSError, asyncio.LimitOverrunError, KeyError, TypeError) as error:
        raise _failure("the host sent no packet information") from error
    if not isinstance(size, int) or size <= 0 or packet.get("Checksum Chunk Size") != CHUNK:
        raise _failure(f"unusable packet information: {packet}")
    return size


async def sample(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> list[tuple[int, bytes]]:
    """Read parts of the image out of band: its start, its end, and two places that fit no grid."""
    samples = []
    for offset in dict.fromkeys((0, max(0, size - 512), size // 3, size // 2 + 1)):
        length = min(SAMPLE, size - offset)
        await _send(writer, {"Command": "OOBData", "OOB Length": length, "OOB Offset": offset})
        try:
            samples.append((offset, await reader.readexactly(length)))
        except (EOFError, OSError) as error:
            raise _ended_early() from error
    return samples


async def payload(
    writer: asyncio.StreamWriter, size: int, samples: list[tuple[int, bytes]], progress: Progress
) -> Received:
    """Have the image sent, and check it against its sums and against what was read out of band.

    The bytes are taken from the connection's socket: a StreamReader copies each of them three times, which is more
    work than to check it. So the connection's reader must have nothing left, and gets nothing more.

    Raises:
        StatusError: a sum is wrong, the image is not the one that was sampled, or it ends early.
    """
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    await _send(writer, {"Command": "Payload"})
    with transport.get_extra_info("socket").dup() as own:
        own.settimeout(IDLE_SECONDS)
        arriving, image = _Arriving(own, size), _Image(size, samples)
        while arriving.left:
            await _readable(own)
            # What has come is checked while more comes: hashing and receiving both let go of the interpreter.
            await _in_threads(partial(image.take, arriving.whole), arriving.fill)
            arriving.turn()
            await progress(image.length)
        await _in_threads(partial(image.take, arriving.whole))
        await progress(image.length)
    return Received(length=image.length, digest=image.root.digest())


async def _in_threads(*works: Callable[[], None]) -> None:
    """Do things at once, and wait for all, whatever happens: none may outlive the socket. Each is done soon."""
    threads = [asyncio.ensure_future(asyncio.to_thread(work)) for work in works]
    try:
        await asyncio.wait(threads)
    finally:
        await asyncio.wait(threads)
        errors = [error for thread in threads if (error := thread.exception()) is not None]
    if errors:
        raise errors[0]


class _Arriving:
    """The bytes that come, chunks and sums: one buffer is filled while what is in the other is checked."""

    def __init__(self, host: socket.socket, size: int) -> None:
        self.left = size + SUM * -(-size // CHUNK)
        """Bytes that are still to come."""
        self.whole = memoryview(b"")
        """What can be checked: whole chunks, each with its sum; the image's last may be short."""
        self._host = host
        self._buffers = [memoryview(bytearray(BUFFER)) for _ in range(2)]
        self._filled = 0

    def fill(self) -> None:
        """Receive, for a turn, until the buffer is full, or until nothing comes any more. Runs in a thread."""
        buffer, deadline = self._buffers[0], time.monotonic() + TURN_SECONDS
        until = min(BUFFER, self._filled + self.left)
        try:
            while self._filled < until and time.monotonic() < deadline:
                if not (count := self._host.recv_into(buffer[self._filled : until])):
                    raise _ended_early()
                self._filled += count
                self.left -= count
        except TimeoutError:
            pass
        except OSError as error:
            raise _ended_early() from error

    def turn(self) -> None:
        """What has come can be checked; from here on the other buffer is filled."""
        buffer, other = self._buffers
        whole = self._filled // UNIT * UNIT if self.left else self._filled
        rest = self._filled - whole
        other[:rest] = buffer[whole : self._filled]
        self.whole, self._filled = buffer[:whole], rest
        self._buffers.reverse()


class _Image:
    """The image as far as it has arrived and was checked."""

    def __init__(self, size: int, samples: list[tuple[int, bytes]]) -> None:
        self.root = RootHash()
        self.length = 0
        self._size = size
        self._samples = samples

    def take(self, whole: memoryview) -> None:
        """Check the next chunks, each against the sum that follows it. Runs in a thread, one at a time."""
        at = 0
        while at < len(whole):
            end = at + min(CHUNK, self._size - self.length)
            self._check(whole[at:end], bytes(whole[end : end + SUM]))
            at = end + SUM

    def _check(self, chunk: memoryview, expected: bytes) -> None:
        if chunk_sum(chunk) != expected:
            raise _failure(f"checksum of the chunk at {self.length} is wrong")
        for offset, data in self._samples:
            start = max(offset, self.length)
            end = min(offset + len(data), self.length + len(chunk))
            if start < end and chunk[start - self.length : end - self.length] != data[start - offset : end - offset]:
                raise _failure(f"the image at {start} is not what was read out of band")
        self.root.add(expected)
        self.length += len(chunk)


async def _readable(host: socket.socket) -> None:
    """Wait until something has arrived, or the host has hung up."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(host, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(host)


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    try:
        writer.write(plistlib.dumps(message))
        await writer.drain()
    except OSError as error:
        raise _failure("the host cut the connection") from error


def _ended_early() -> StatusError:
    return _failure("the image ended early")


def _failure(why: str) -> StatusError:
    return StatusError(FAILED, f"failed to restore APFS image: {why}")
