"""Property lists in frames, as lockdown and restored speak them: a big-endian 32-bit length, then a plist."""

import math
import plistlib
import struct
from typing import Any

from station.virtual.streams import Reader

UNFOLDS, ROOM = 16, 1 << 20
"""How many times its size a message may unfold to, and how many bytes at least."""
_LENGTH = struct.Struct(">L")


class BadMessageError(ConnectionError):
    """What came is not a message; there is nothing to do but to hang up."""


def load(data: bytes) -> Any:
    """Read one plist, whatever its root is. Raises BadMessageError for everything else, and for a bomb."""
    try:
        content = plistlib.loads(data)
        unfolded = _unfolded(content, {})
    except Exception as error:  # plistlib lets a dozen kinds escape, RecursionError and AttributeError among them
        raise BadMessageError(f"not a plist: {type(error).__name__}") from error
    if unfolded > ROOM + UNFOLDS * len(data):
        raise BadMessageError("a plist that unfolds to far more than it is")
    return content


def parse(data: bytes) -> dict[str, Any]:
    """Read one plist whose root is a dictionary. Raises BadMessageError for everything else."""
    message = load(data)
    if not isinstance(message, dict):
        raise BadMessageError("a plist, but not a dictionary")
    return message


def encode(message: Any, *, binary: bool = False) -> bytes:
    """The message as a plist; one that XML has no characters for is binary all the same."""
    try:
        return plistlib.dumps(message, fmt=plistlib.FMT_BINARY if binary else plistlib.FMT_XML)
    except ValueError:
        return plistlib.dumps(message, fmt=plistlib.FMT_BINARY)


def frame(message: Any, *, binary: bool = False) -> bytes:
    """The message as it goes over the wire. `binary`: see `encode`."""
    body = encode(message, binary=binary)
    return _LENGTH.pack(len(body)) + body


async def read(reader: Reader, *, limit: int) -> dict[str, Any]:
    """Read one message.

    Args:
        reader: where it comes from.
        limit: bytes of plist that are accepted.

    Raises:
        BadMessageError: it is too long, or no dictionary.
        asyncio.IncompleteReadError: the other side hung up.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > limit:
        raise BadMessageError(f"a message of {length} bytes")
    return parse(await reader.readexactly(length))


def _unfolded(value: object, known: dict[int, float]) -> float:
    """About how many bytes a value stands for, if every place that refers to it had a copy; endless ones: infinity.

    In a binary plist many places may refer to one array. Whoever writes it as XML, or counts it, meets it each time:
    thirty arrays of two references to the next are a billion.
    """
    if isinstance(value, str | bytes):
        return 1 + len(value)
    if not isinstance(value, list | dict):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf  # until it is known: what contains itself
        parts = value if isinstance(value, list) else (*value.keys(), *value.values())
        known[id(value)] = 1 + sum(_unfolded(part, known) for part in parts)
    return known[id(value)]
