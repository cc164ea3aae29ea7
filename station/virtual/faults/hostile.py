"""What a hostile phone says: messages that no client may choke on, and strings that mean harm."""

import plistlib
import struct
from enum import Enum
from typing import Any

from station.virtual.streams import Reader, Writer

_LENGTH = struct.Struct(">L")
_BLOCK = b" " * 65536
_NESTING = 100_000
_BOMB_LEVELS = 40
"""Each level names the one below ten times: 10⁴⁰ objects to whoever follows every reference."""

STRINGS = {
    "traversal": "../../../../etc/passwd",
    "nul": "iPhone\0.pdf",
    "rtl": "iPhone \u202egnp.exe\u202c",
    "long": "A" * 65536,
    "markup": "<script>alert(1)</script><b>&amp;[red]{0}%s$(reboot)`reboot`",
    "formula": '=HYPERLINK("http://127.0.0.1/","iPhone")',
    "lines": "iPhone\r\nERASED: yes\n\x1b[2J\x07",
    "combining": "i" + "\u0301" * 2000,
}
"""By name; what a phone calls itself that wants to harm a file name, a screen, a log, a spreadsheet or a terminal."""


class Garble(Enum):
    """What is answered in place of a message."""

    BOMB = "bomb"
    """A small plist whose objects, counted along every reference, are more than atoms are in the phone."""
    DEEP = "deep"
    """A plist of a hundred thousand arrays within each other."""
    ENTITIES = "entities"
    """An XML plist with entities that are made of entities (“billion laughs”)."""
    ENDLESS = "endless"
    """The longest message there can be, and then it does not end."""
    OVERSIZED = "oversized"
    """A length of 4 GiB, and then nothing."""
    TRUNCATED = "truncated"
    """Half of a message, and then it hangs up."""
    NONSENSE = "nonsense"
    """A message that is no plist."""
    LIST = "list"
    """A plist, but not a dictionary."""
    TYPES = "types"
    """A dictionary whose values have types that nobody expects."""


async def say(garble: Garble, reader: Reader, writer: Writer) -> None:
    """Say it; unless it ends with hanging up, keep the connection for as long as the host does."""
    if garble is Garble.ENDLESS:
        writer.write(_LENGTH.pack(0xFFFFFFFF))
        while True:
            writer.write(_BLOCK)
            await writer.drain()
    writer.write(_message(garble))
    await writer.drain()
    while garble is not Garble.TRUNCATED and await reader.read(len(_BLOCK)):
        pass


def _message(garble: Garble) -> bytes:
    body = _bodies[garble]()
    length = 0xFFFFFFFF if garble is Garble.OVERSIZED else len(body)
    return _LENGTH.pack(length) + (body[: len(body) // 2] if garble is Garble.TRUNCATED else body)


def _bomb() -> bytes:
    level: list[Any] = []
    for _ in range(_BOMB_LEVELS):
        level = [level] * 10
    return plistlib.dumps({"Result": "Success", "Value": level}, fmt=plistlib.FMT_BINARY)


def _deep() -> bytes:
    return (
        b'<plist version="1.0"><dict><key>Value</key>'
        + b"<array>" * _NESTING
        + b"</array>" * _NESTING
        + b"</dict></plist>"
    )


def _entities() -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return (
        f'<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY e0 "ha">{entities}]>'
        '<plist version="1.0"><dict><key>Type</key><string>&e11;</string></dict></plist>'
    ).encode()


def _types() -> bytes:
    values: dict[str, Any] = {name: [{}] for name in ("Type", "Value", "Error", "Result", "Request", "SessionID")}
    return plistlib.dumps({**values, "EnableSessionSSL": "maybe"})


def _answer() -> bytes:
    return plistlib.dumps({"Request": "QueryType", "Type": "com.apple.mobile.lockdown"})


_bodies = {
    Garble.BOMB: _bomb,
    Garble.DEEP: _deep,
    Garble.ENTITIES: _entities,
    Garble.OVERSIZED: lambda: b"",
    Garble.TRUNCATED: _answer,
    Garble.NONSENSE: lambda: bytes(range(256)) * 16,
    Garble.LIST: lambda: plistlib.dumps(["Type", "com.apple.mobile.lockdown"]),
    Garble.TYPES: _types,
}
