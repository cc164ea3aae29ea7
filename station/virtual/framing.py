"""Property lists in frames, as lockdown and restored speak them: a big-endian 32-bit length, then a plist."""

import plistlib
import struct
from collections.abc import Mapping
from typing import Any

from station.virtual.streams import Reader

_LENGTH = struct.Struct(">L")


class BadMessageError(ConnectionError):
    """What came is not a message; there is nothing to do but to hang up."""


def parse(data: bytes) -> dict[str, Any]:
    """Read one plist whose root is a dictionary. Raises BadMessageError for everything else."""
    try:
        message = plistlib.loads(data)
    except Exception as error:  # plistlib lets a dozen kinds escape, RecursionError and AttributeError among them
        raise BadMessageError(f"not a plist: {type(error).__name__}") from error
    if not isinstance(message, dict):
        raise BadMessageError("a plist, but not a dictionary")
    return message


def frame(message: Mapping[str, Any]) -> bytes:
    """The message as it goes over the wire."""
    try:
        body = plistlib.dumps(message)
    except ValueError:  # characters that XML cannot have
        body = plistlib.dumps(message, fmt=plistlib.FMT_BINARY)
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
