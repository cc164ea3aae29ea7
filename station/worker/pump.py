"""From the disk to the phone, in one thread: read, put into its wire form, send.

asyncio would copy whatever a socket does not take at once, which is most of it: half of the cost per byte.
"""

import hashlib
import os
import select
from collections.abc import Callable
from typing import TYPE_CHECKING

from station.worker.plists import file_data_frame

if TYPE_CHECKING:
    from station.worker.image4 import Reader  # heavy, and most workers send no image

Fill = Callable[[memoryview], int]
"""Puts the next bytes of the wire into a buffer and returns how many; 0 at the end."""

FILE_DATA_CHUNK = 8192
"""Bytes in one FileData message, as the library sends it (restore.py:396)."""
_FRAMES = 64
_CHECKSUM = 20


def pump(fd: int, fill: Fill, size: int, sent: Callable[[int], None]) -> None:
    """Send all that `fill` gives to a socket.

    Args:
        fd: the socket, not blocking; it is closed at the end.
        fill: where the bytes come from.
        size: of the buffer that is filled and sent, again and again.
        sent: called with the number of bytes after each buffer.

    Raises:
        OSError: the other side is gone.
    """
    buffer = memoryview(bytearray(size))
    room = select.poll()
    room.register(fd, select.POLLOUT)
    try:
        while count := fill(buffer):
            at = 0
            while at < count:
                try:
                    at += os.write(fd, buffer[at:count])
                except BlockingIOError:
                    room.poll()
            sent(count)
    finally:
        os.close(fd)


def plain(reader: "Reader") -> Fill:
    """The bytes as they are."""
    return reader.readinto


def checksummed(reader: "Reader", chunk: int) -> Fill:
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


def file_data(reader: "Reader", length: int) -> Fill:
    """`length` bytes as FileData messages: the library's, without building each of them anew."""
    head, tail = file_data_frame(FILE_DATA_CHUNK)
    frame = file_data_size(1)
    left = length

    def fill(buffer: memoryview) -> int:
        nonlocal left
        at = 0
        while left >= FILE_DATA_CHUNK and at + frame <= len(buffer):
            at = _frame(reader, buffer, at, FILE_DATA_CHUNK, head, tail)
            left -= FILE_DATA_CHUNK
        if 0 < left < FILE_DATA_CHUNK and at + frame <= len(buffer):
            at = _frame(reader, buffer, at, left, *file_data_frame(left))
            left = 0
        return at

    return fill


def file_data_size(frames: int = _FRAMES) -> int:
    """Room for so many FileData messages."""
    return frames * (FILE_DATA_CHUNK + sum(map(len, file_data_frame(FILE_DATA_CHUNK))))


def _frame(reader: "Reader", buffer: memoryview, at: int, length: int, head: bytes, tail: bytes) -> int:
    """Put one message into `buffer` at `at`; where it ends."""
    begin, end = at + len(head), at + len(head) + length
    buffer[at:begin] = head
    reader.readinto(buffer[begin:end])
    buffer[end : end + len(tail)] = tail
    return end + len(tail)
