"""Fingers and eyes for a panel on mock pins: presses its buttons and reads its lamps over a unix socket.

It works on the *pins*, outside everything the station does: gpiozero, debouncing and hold are the real ones.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from station.model.api import Lamp
from station.model.base import BayId, Message
from station.model.lights import Bulb
from station.model.panel import Button, Control, Pin
from station.virtual.sockets import listening


class Press(Message, frozen=True, kw_only=True, tag="press"):
    """Put a finger on a button and leave it there."""

    control: Control
    bay: BayId | None = None
    """Whose; None: the station's own."""


class Release(Message, frozen=True, kw_only=True, tag="release"):
    """Take the finger away."""

    control: Control
    bay: BayId | None = None


class Look(Message, frozen=True, kw_only=True, tag="look"):
    """Look at the lamps at this moment."""


class Lit(Message, frozen=True, kw_only=True):
    """A lamp whose pin is driven."""

    lamp: Lamp
    bay: BayId | None = None


class Seen(Message, frozen=True, kw_only=True, tag="seen"):
    """All the lamps that are lit at one moment: a flashing one comes and goes."""

    lit: tuple[Lit, ...]
    wrong: str = ""
    """Why the finger found nothing to press."""


_decoder: msgspec.json.Decoder[Press | Release | Look] = msgspec.json.Decoder(Press | Release | Look)
_seen_decoder = msgspec.json.Decoder(Seen)
_LIMIT = 16384


@asynccontextmanager
async def serving_panel(
    path: Path, find: Callable[[Pin], Any], *, buttons: Mapping[Button, Pin], lamps: Mapping[Bulb, Pin]
) -> AsyncGenerator[None, None]:
    """Serve `path` while the context is open. Every request is answered with what the lamps show then.

    Args:
        path: the unix socket.
        find: the gpiozero mock pin by its number or name, of those that the panel's devices were made with.
        buttons: the pin of each button (closed to ground when pressed).
        lamps: the pin of each lamp.
    """

    def touch(request: Press | Release) -> str:
        pin = buttons.get(Button(request.control, request.bay))
        if pin is None:
            return f"There is no button {request.control.value} of {request.bay or 'the station'}."
        if isinstance(request, Press):
            find(pin).drive_low()
        else:
            find(pin).drive_high()
        return ""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = _decoder.decode(line)
            wrong = "" if isinstance(request, Look) else touch(request)
            lit = tuple(Lit(lamp=bulb.lamp, bay=bulb.bay) for bulb, pin in lamps.items() if find(pin).state)
            writer.write(msgspec.json.encode(Seen(lit=lit, wrong=wrong)) + b"\n")
            await writer.drain()

    async with listening(path, serve, limit=_LIMIT):
        yield


class Hand:
    """A person in front of a virtual panel."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def press(self, control: Control, *, seconds: float, bay: BayId | None = None) -> None:
        """Press a button of the station, or of a bay, for `seconds`. Raises LookupError when there is none."""
        await self._ask(Press(control=control, bay=bay))
        await asyncio.sleep(seconds)
        await self._ask(Release(control=control, bay=bay))

    async def look(self, bay: BayId | None = None) -> tuple[Lamp, ...]:
        """The lamps of the station, or of a bay, that are lit at this moment."""
        return tuple(each.lamp for each in (await self._ask(Look())).lit if each.bay == bay)

    async def look_at_all(self) -> frozenset[Bulb]:
        """Every lamp that is lit at this moment."""
        return frozenset(Bulb(each.lamp, each.bay) for each in (await self._ask(Look())).lit)

    async def _ask(self, request: Press | Release | Look) -> Seen:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_LIMIT)
            try:
                writer.write(msgspec.json.encode(request) + b"\n")
                seen = _seen_decoder.decode(await reader.readline())
            finally:
                writer.close()
        if seen.wrong:
            raise LookupError(seen.wrong)
        return seen
