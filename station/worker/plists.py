"""Property lists to and from a phone: what comes in is bounded, what goes out can be streamed."""

import plistlib
import struct
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from pymobiledevice3.service_connection import parse_plist

from station.errors import InputRejected

MAX_MESSAGE = 8 << 20
"""Bytes of one message from a phone. The largest known are logs of about 650 kB."""
MAX_NODES = 100_000
MAX_DEPTH = 32
MAX_EXPANDED = 2 * MAX_MESSAGE
"""Bytes of text and data, counted as often as they are referred to."""

LENGTH = struct.Struct(">L")
"""What precedes a message on the wire."""


def parse(payload: bytes) -> dict[str, Any]:
    """A message from a phone, which is a dictionary. Raises InputRejected as `parse_any`, or when it is none."""
    message = parse_any(payload)
    if not isinstance(message, dict):
        raise InputRejected("The phone sent a message that is no dictionary.")
    return message


def parse_any(payload: bytes) -> dict[str, Any] | list[Any]:
    """A message from a phone; those of the device link, which carries backups, are lists.

    A binary plist of 200 bytes can refer to the same list so often that printing it never ends; the library
    prints nearly everything. So the tree is walked, as a printer would, and must end soon.

    Raises:
        InputRejected: it is no plist, neither dictionary nor list, or it grows beyond all measure.
    """
    try:
        message = parse_plist(payload)
    except Exception as error:  # plistlib lets ten kinds of exceptions out of itself, RecursionError among them
        raise InputRejected(f"The phone sent something that is no message ({type(error).__name__}).") from error
    if not isinstance(message, dict | list):
        raise InputRejected("The phone sent a message that is no dictionary.")
    _walk(message)
    return message


def _walk(root: object) -> None:
    nodes = size = 0
    left = [(root, 0)]
    while left:
        node, depth = left.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH or size > MAX_EXPANDED:
            raise InputRejected("The phone sent a message that unfolds beyond all measure.")
        if isinstance(node, dict):
            left += [(value, depth + 1) for value in node.values()]
            if not all(isinstance(key, str) for key in node):
                raise InputRejected("The phone sent a message with keys that are no text.")
            size += sum(map(len, node))
        elif isinstance(node, list):
            left += [(value, depth + 1) for value in node]
        elif isinstance(node, str | bytes):
            size += len(node)
        elif not isinstance(node, int | float | datetime):
            raise InputRejected("The phone sent a message with a value of an unknown kind.")


def weight(message: object) -> int:
    """Bytes of memory that a message from `parse` takes, at most: what is referred to twice counts twice."""
    total = 0
    left = [message]
    while left:
        node = left.pop()
        total += sys.getsizeof(node)
        if isinstance(node, dict):
            left += [*node, *node.values()]
        elif isinstance(node, list):
            left += node
    return total


class Blob(bytes):
    """Data by type and length, but not in memory: it is read when it is sent.

    For plistlib and the library, which pass data along from the firmware into messages. Whoever tries to look
    inside is told that there is nothing to see.
    """

    def __len__(self) -> int:
        """How many bytes will be sent."""
        raise NotImplementedError

    def chunks(self, size: int = 1 << 18) -> Iterator[bytes | memoryview]:
        """The content in chunks of `size`; each is only good until the next one is asked for."""
        raise NotImplementedError

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __bool__(self) -> bool:
        return len(self) > 0

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("this data is streamed, not held in memory")

    __getitem__ = __iter__ = __add__ = __radd__ = __contains__ = _refuse


def has_blob(message: object) -> bool:
    """Whether something in a message of our own must be streamed."""
    if isinstance(message, dict):
        return any(map(has_blob, message.values()))
    if isinstance(message, list):
        return any(map(has_blob, message))
    return isinstance(message, Blob)


class _Collector:
    """A file for plistlib that keeps blobs apart instead of reading them."""

    def __init__(self) -> None:
        self.pieces: list[bytes | Blob] = []
        self._length = 0

    def write(self, data: bytes) -> None:
        self.pieces.append(data)
        self._length += len(data)

    def tell(self) -> int:
        return self._length


def frame(message: dict[str, Any]) -> Iterator[bytes | Blob]:
    """A message as a binary plist with its length before it, byte for byte as plistlib writes it, in pieces."""
    collector = _Collector()
    plistlib.dump(message, collector, fmt=plistlib.FMT_BINARY)  # type: ignore[arg-type]  # write and tell are all it uses
    yield LENGTH.pack(collector.tell())
    yield from collector.pieces


class _Room(Blob):
    """Room for data that somebody else puts there."""

    length = 0

    def __len__(self) -> int:
        return self.length


@lru_cache
def file_data_frame(length: int) -> tuple[bytes, bytes]:
    """What comes before and after `length` bytes in a framed `{"FileData": …}` message."""
    room = _Room()
    room.length = length
    pieces = list(frame({"FileData": room}))
    at = pieces.index(room)
    return b"".join(pieces[:at]), b"".join(pieces[at + 1 :])
