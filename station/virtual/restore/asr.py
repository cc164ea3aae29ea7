"""ASR (Apple Software Restore): takes the system image off the host, and checks every chunk of it.

Protocol: pymobiledevice3 `restore/asr.py`. Property lists without a length, each ending with `</plist>` and a
line feed; out-of-band reads of any part; then the image in chunks of 128 KiB, each followed by its SHA-1. The
image is never kept: its digest is.
"""

import asyncio
import hashlib
import plistlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from station.virtual import framing
from station.virtual.faults import StatusError

PORT = 12345
CHUNK = 128 * 1024
SUM = 20
"""Bytes of SHA-1."""
BATCH = 8
"""Chunks that are hashed at once, in a thread, while the next ones arrive."""
FAILED = 1100
"""What asr_and_invert_image ends with (idevicerestore#539)."""
SAMPLE = 64 * 1024

Progress = Callable[[int], Awaitable[None]]
"""Called with how many bytes have arrived."""


@dataclass(frozen=True)
class Received:
    """The image that came."""

    length: int
    digest: bytes
    """SHA-384."""


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
        samples.append((offset, await _exactly(reader, length)))
    return samples


async def payload(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    size: int,
    samples: list[tuple[int, bytes]],
    progress: Progress,
) -> Received:
    """Have the image sent, and check it against its sums and against what was read out of band.

    Raises:
        StatusError: a sum is wrong, the image is not the one that was sampled, or it ends early.
    """
    await _send(writer, {"Command": "Payload"})
    image = _Image(samples)
    hashing: asyncio.Task[None] | None = None
    arrived = 0
    try:
        async for batch in _batches(reader, size):
            if hashing:
                await hashing
            hashing = asyncio.create_task(asyncio.to_thread(image.take, batch))
            arrived += len(batch) - SUM * -(-len(batch) // (CHUNK + SUM))
            await progress(arrived)
        if hashing:
            await hashing
    finally:
        if hashing:
            hashing.cancel()
    return Received(length=image.length, digest=image.digest.digest())


class _Image:
    """What is known of the image so far."""

    def __init__(self, samples: list[tuple[int, bytes]]) -> None:
        self.digest = hashlib.sha384()
        self.length = 0
        self._samples = samples

    def take(self, batch: bytes) -> None:
        """Check and count in some chunks, each followed by its sum. Runs in a thread, never twice at a time."""
        view = memoryview(batch)
        while view:
            count = min(CHUNK, len(view) - SUM)
            chunk, expected = view[:count], view[count : count + SUM]
            if hashlib.sha1(chunk, usedforsecurity=False).digest() != expected:
                raise _failure(f"checksum of the chunk at {self.length} is wrong")
            self._compare(chunk)
            self.digest.update(chunk)
            self.length += count
            view = view[count + SUM :]

    def _compare(self, chunk: memoryview) -> None:
        for offset, data in self._samples:
            start = max(offset, self.length)
            end = min(offset + len(data), self.length + len(chunk))
            if start < end and chunk[start - self.length : end - self.length] != data[start - offset : end - offset]:
                raise _failure(f"the image at {start} is not what was read out of band")


async def _batches(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        taken = min(size, BATCH * CHUNK)
        yield await _exactly(reader, taken + SUM * -(-taken // CHUNK))
        size -= taken


async def _exactly(reader: asyncio.StreamReader, length: int) -> bytes:
    try:
        return await reader.readexactly(length)
    except (EOFError, OSError) as error:
        raise _failure("the image ended early") from error


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    try:
        writer.write(plistlib.dumps(message))
        await writer.drain()
    except OSError as error:
        raise _failure("the host cut the connection") from error


def _failure(why: str) -> StatusError:
    return StatusError(FAILED, f"failed to restore APFS image: {why}")
