"""What usbmuxd itself is asked; phones are spoken to through the library.

The protocol, as its own sources and libusbmuxd have it: a header of four little-endian words (length, version 1,
message 8, tag), then a property list.
"""

import plistlib
import socket
import struct
import time
from typing import Any
from xml.parsers.expat import ExpatError

from station.errors import StationError

MAX_ANSWER = 1 << 20
_HEADER = struct.Struct("<LLLL")
_PLIST_VERSION, _PLIST_MESSAGE = 1, 8


class UsbmuxdSilent(StationError):
    """usbmuxd cannot be reached, or does not do what it is asked."""


def ask(address: str, message: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Ask one thing; the answer. Blocks.

    Args:
        address: usbmuxd's: a path, or HOST:PORT.
        message: with its MessageType.
        seconds: how long it may take until all of the answer is here.

    Raises:
        UsbmuxdSilent: there is no answer that can be read.
    """
    body = plistlib.dumps(message | {"ClientVersionString": "restore-station", "ProgName": "restore-station"})
    deadline = time.monotonic() + seconds
    try:
        with _connected(address, seconds) as stream:
            stream.sendall(_HEADER.pack(_HEADER.size + len(body), _PLIST_VERSION, _PLIST_MESSAGE, 1) + body)
            length, *_ = _HEADER.unpack(_receive(stream, _HEADER.size, deadline))
            if not _HEADER.size <= length <= MAX_ANSWER:
                raise UsbmuxdSilent("usbmuxd answers something else.")
            answer = plistlib.loads(_receive(stream, length - _HEADER.size, deadline))
    except OSError as error:
        raise UsbmuxdSilent(f"usbmuxd does not answer at {address}: {error}.") from error
    except (ValueError, EOFError, ExpatError) as error:
        raise UsbmuxdSilent("usbmuxd answers something else.") from error
    if not isinstance(answer, dict):
        raise UsbmuxdSilent("usbmuxd answers something else.")
    return answer


def _connected(address: str, seconds: float) -> socket.socket:
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in address:
        return socket.create_connection((host, int(port)), seconds)
    stream = socket.socket(socket.AF_UNIX)
    try:
        stream.settimeout(seconds)
        stream.connect(address.removeprefix("UNIX:"))
    except BaseException:
        stream.close()
        raise
    return stream


def _receive(stream: socket.socket, size: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        if (left := deadline - time.monotonic()) <= 0:
            raise TimeoutError("it takes too long")
        stream.settimeout(left)
        if not (chunk := stream.recv(size - len(data))):
            raise EOFError
        data += chunk
    return bytes(data)
