"""Somebody must do something at the phone: what, and how it looks there."""

from collections.abc import Callable

from pygame import Rect

from station.model.api import BayView
from station.model.causes import Cause
from station.screen import art, named, words
from station.screen.canvas import Canvas, Lengths
from station.screen.choices import look
from station.screen.handset import Build
from station.screen.text import Style
from station.screen.theme import TEXT
from station.screen.widgets import HEAD, Part, paragraph

Drawing = Callable[[Canvas, Rect, Build], None]


def _trust(canvas: Canvas, box: Rect, build: Build) -> None:
    art.phone(canvas, box, build, art.trust())


def _passcode(canvas: Canvas, box: Rect, build: Build) -> None:
    art.phone(canvas, box, build, art.passcode())


DRAWN: dict[Cause, Drawing] = {
    Cause.NOT_TRUSTED: _trust,
    Cause.LOCKED: _passcode,
    Cause.TYPE_PASSCODE: _passcode,
    Cause.DISCONNECTED: art.replug,
    Cause.DEADLINE: art.replug,
    Cause.PORT_REFUSED: art.replug,
    Cause.WORKER_DIED: art.replug,
}
"""What a person must do, where it can be drawn."""


def picture(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """What is to be done, drawn; or that something is."""
    drawing = None if bay.cause is None else DRAWN.get(bay.cause)
    if drawing is not None:
        drawing(canvas, box, named.build(bay))
        return
    seen = look(bay)
    art.phone(canvas, box, named.build(bay), art.state(seen.shape, seen.colour))


def parts(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    """What is said of it."""
    return [
        *named.name(canvas, px, room, bay),
        *paragraph(canvas, words.headline(bay), Style(px(HEAD), TEXT, bold=True), room, lines=4, gap=px(16)),
        *paragraph(canvas, words.advice(bay), Style(px(23), TEXT), room, lines=9, gap=px(8), rank=1),
    ]
