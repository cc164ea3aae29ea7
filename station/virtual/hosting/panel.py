"""Fingers and eyes for a panel on mock pins: presses its buttons and reads its lamps over a unix socket.

It works on the *pins*, outside everything the station does: gpiozero, debouncing and hold are the real ones.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from station.model.api import Lamp
from station.model.base import Message
from station.model.panel import Control
from station.virtual.sockets import listening


class Press(Message, frozen=True, kw_only=True, tag="press"):
    """Put a finger on a button and leave it there."""

    control: Control


class Release(Message, frozen=True, kw_only=True, tag="release"):
    """Take the finger away."""

    control: Control


class Look(Message, frozen=True, kw_only=True, tag="look"):
    """Look at the lamps at this moment."""


class Seen(Message, frozen=True, kw_only=True, tag="seen"):
    """The lamps whose pins are driven: a flashing one comes and goes."""

    lit: tuple[Lamp, ...]


_decoder: msgspec.json.Decoder[Press | Release | Look] = msgspec.json.Decoder(Press | Release | Look)
_seen_decoder = msgspec.json.Decoder(Seen)
_LIMIT = 4096


@asynccontextmanager
async def serving_panel(
    path: Path, factory: Any, *, buttons: Mapping[Control, int | str], lamps: Mapping[Lamp, int | str]
) -> AsyncGenerator[None, None]:
    """Serve `path` while the context is open. Every request is answered with what the lamps show then.

    Args:
        path: the unix socket.
        factory: the gpiozero MockFactory that the panel's devices were made with.
        buttons: the pin of each button (closed to ground when pressed).
        lamps: the pin of each lamp.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            match _decoder.decode(line):
                case Press(control=control):
                    factory.pin(buttons[control]).drive_low()
                case Release(control=control):
                    factory.pin(buttons[control]).drive_high()
                case Look():
                    pass
            lit = tuple(lamp for lamp, pin in lamps.items() if factory.pin(pin).state)
            writer.write(msgspec.json.encode(Seen(lit=lit)) + b"\n")
            await writer.drain()

    async with listening(path, serve, limit=_LIMIT):
        yield


class Hand:
    """A person in front of a virtual panel."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def press(self, control: Control, *, seconds: float) -> None:
        """Press a button for `seconds`."""
        await self._ask(Press(control=control))
        await asyncio.sleep(seconds)
        await self._ask(Release(control=control))

    async def look(self) -> tuple[Lamp, ...]:
        """The lamps that are lit at this moment."""
        return (await self._ask(Look())).lit

    async def _ask(self, request: Press | Release | Look) -> Seen:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_LIMIT)
            try:
                writer.write(msgspec.json.encode(request) + b"\n")
                return _seen_decoder.decode(await reader.readline())
            finally:
                writer.close()
