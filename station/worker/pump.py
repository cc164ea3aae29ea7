"""From the disk to the phone: while one buffer is sent, a thread fills the other."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from station.worker.image4 import Reader
from station.worker.plists import file_data_frame

Fill = Callable[[memoryview], int]
"""Puts the next bytes of the wire into a buffer and returns how many; 0 at the end. Runs in a thread."""
Send = Callable[[memoryview], Awaitable[None]]
"""Sends a buffer; it is used again when this returns."""

FILE_DATA_CHUNK = 8192
"""Bytes in one FileData message, as the library sends it (restore.py:396)."""
_FRAMES = 64
_CHECKSUM = 20


async def pump(fill: Fill, send: Send, size: int) -> None:
    """Send all that `fill` gives, through two buffers of `size` bytes."""
    now, ahead = memoryview(bytearray(size)), memoryview(bytearray(size))
    count = await asyncio.to_thread(fill, now)
    while count:
        filling = asyncio.create_task(asyncio.to_thread(fill, ahead))
        try:
            await send(now[:count])
        finally:  # the thread writes into the buffer until it is done, whatever became of the sending
            count = await filling
        now, ahead = ahead, now


def plain(reader: Reader) -> Fill:
    """The bytes as they are."""
    return reader.readinto


def checksummed(reader: Reader, chunk: int) -> Fill:
    """Chunks of `chunk` bytes, each followed by its SHA-1, as ASR wants them."""

    def fill(buffer: memoryview) -> int:
        at = 0
        while at + chunk + _CHECKSUM <= len(buffer) and (count := reader.readinto(buffer[at : at + chunk])):
            end = at + count
            digest = hashlib.sha1(buffer[at:end], usedforsecurity=False).digest()
            buffer[end : end + _CHECKSUM] = digest
            at = end + _CHECKSUM
        return at

    return fill


def checksummed_size(chunk: int, chunks: int) -> int:
    """Room for so many chunks with their checksums."""
    return chunks * (chunk + _CHECKSUM)


def file_data(reader: Reader, length: int) -> Fill:
    """`length` bytes as FileData messages: the library's, without building each of them anew."""
    head, tail = file_data_frame(FILE_DATA_CHUNK)
    left = length

    def fill(buffer: memoryview) -> int:
        nonlocal left
        at = 0
        while left >= FILE_DATA_CHUNK and at + _frame_size() <= len(buffer):
            at = _frame(reader, buffer, at, FILE_DATA_CHUNK, head, tail)
            left -= FILE_DATA_CHUNK
        if 0 < left < FILE_DATA_CHUNK and at + _frame_size() <= len(buffer):
            at = _frame(reader, buffer, at, left, *file_data_frame(left))
            left = 0
        return at

    return fill


def _frame(reader: Reader, buffer: memoryview, at: int, length: int, head: bytes, tail: bytes) -> int:
    buffer[at : at + len(head)] = head
    at += len(head)
    reader.readinto(buffer[at : at + length])
    at += length
    buffer[at : at + len(tail)] = tail
    return at + len(tail)


def _frame_size() -> int:
    return FILE_DATA_CHUNK + sum(map(len, file_data_frame(FILE_DATA_CHUNK)))


def file_data_size(frames: int = _FRAMES) -> int:
    """Room for so many FileData messages."""
    return frames * _frame_size()
