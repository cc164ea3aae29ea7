"""What is drawn of a phone besides itself: what its screen shows, a finger on it, a cable on its way.

What moves is a function of the canvas' time, a few pictures a second: to be noticed, not to be watched.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from pygame import Rect

from station.screen import handset, text
from station.screen.canvas import Canvas
from station.screen.handset import FRAME, Build
from station.screen.text import Style
from station.screen.theme import (
    BACKGROUND,
    BLUE,
    GREEN,
    INK,
    LINE,
    MUTED,
    RAISED,
    RED,
    TEXT,
    TRACK,
    Colour,
    Shape,
    mix,
)
from station.screen.widgets import label

FRAME_SECONDS = 1 / 8
"""Between two pictures of something that moves."""
LOW_BATTERY = 20


@dataclass(frozen=True)
class Shown:
    """What a phone's screen shows.

    Attributes:
        draw: Draws it into the screen.
        lit: Whether the screen is on.
    """

    draw: Callable[[Canvas, Rect], None]
    lit: bool = True


def phone(canvas: Canvas, box: Rect, build: Build, shown: Shown) -> None:
    """A phone that shows something."""
    screen = handset.draw(canvas, box, build, lit=shown.lit).screen
    with canvas.as_it_is(box):
        shown.draw(canvas, screen)


def cycle(canvas: Canvas, seconds: float) -> float:
    """How far (0..1) what repeats itself every so many seconds is now; asks to be drawn again soon."""
    canvas.again_in(FRAME_SECONDS)
    steps = round(seconds / FRAME_SECONDS)
    return int(canvas.now / FRAME_SECONDS) % steps / steps


def eased(along: float, begin: float, end: float) -> float:
    """0 before `begin`, 1 after `end`, and gently from one to the other between."""
    share = max(0.0, min((along - begin) / (end - begin), 1.0))
    return (1 - math.cos(math.pi * share)) / 2


def _middle(screen: Rect, width: float, height: float, *, down: float = 0.5) -> Rect:
    """A box of a share of the screen's width, so high as a share of that width, with its middle so far down."""
    box = Rect(0, 0, max(1, round(screen.width * width)), max(1, round(screen.width * height)))
    box.center = (screen.centerx, screen.top + round(screen.height * down))
    return box


# -- what it shows


def nothing(*, lit: bool = True) -> Shown:
    """An empty screen."""
    return Shown(lambda _canvas, _screen: None, lit=lit)


def state(shape: Shape, colour: Colour) -> Shown:
    """A state of the station's, which no phone shows by itself."""

    def draw(canvas: Canvas, screen: Rect) -> None:
        side = round(min(screen.width * 0.62, screen.height * 0.5))
        circle = Rect(0, 0, side, side)
        circle.center = screen.center
        canvas.disc(circle, colour)
        canvas.icon(shape, circle.inflate(-round(side * 0.46), -round(side * 0.46)), INK)

    return Shown(draw)


def battery(percent: int | None) -> Shown:
    """How full its battery is."""

    def draw(canvas: Canvas, screen: Rect) -> None:
        if percent is None:
            return
        case = _middle(screen, 0.5, 0.26, down=0.44)
        line = max(2, case.height // 10)
        tip = Rect(case.right + line // 2, 0, line, case.height // 3)
        tip.centery = case.centery
        canvas.panel(tip, FRAME, line // 2)
        canvas.framed(case, BACKGROUND, case.height // 4, FRAME, line)
        room = case.inflate(-4 * line, -4 * line)
        full = Rect(room.left, room.top, max(line, round(room.width * min(max(percent, 0), 100) / 100)), room.height)
        canvas.panel(full, RED if percent < LOW_BATTERY else GREEN, line)
        style = Style(max(canvas.px(13), round(screen.width * 0.17)), TEXT, bold=True)
        if text.width(f"{percent} %", style) > screen.width:
            return
        below = Rect(screen.left, case.bottom + case.height // 3, screen.width, text.line_height(style))
        label(canvas, below, f"{percent} %", style, align=0.5)

    return Shown(draw)


def recovery() -> Shown:
    """A cable that leads to a computer: recovery mode."""

    def draw(canvas: Canvas, screen: Rect) -> None:
        lid = _middle(screen, 0.46, 0.3, down=0.3)
        line = max(2, lid.height // 9)
        canvas.framed(lid, BACKGROUND, line, TEXT, line)
        base = Rect(0, 0, round(lid.width * 1.3), 2 * line)
        base.midtop = lid.midbottom
        canvas.panel(base, TEXT, line)
        cable = Rect(0, 0, line, round(screen.height * 0.16))
        plug = Rect(0, 0, 4 * line, 5 * line)
        tip = Rect(0, 0, 2 * line, 2 * line)
        tip.midtop = (screen.centerx, base.bottom + round(screen.height * 0.1))
        plug.midtop = tip.midbottom
        cable.midtop = plug.midbottom
        canvas.fill(tip, TEXT)
        canvas.panel(plug, TEXT, line)
        canvas.fill(cable, TEXT)

    return Shown(draw)


def trust() -> Shown:
    """The phone's own question, and a finger that says yes."""

    def draw(canvas: Canvas, screen: Rect) -> None:
        along = cycle(canvas, 3)
        box = _middle(screen, 0.92, 1.12, down=0.48)
        canvas.panel(box, RAISED, max(2, box.width // 12))
        inner = box.inflate(-box.width // 8, 0)
        size = max(6, round(box.width * 0.125))
        style = text.fitting("Trust this computer?", Style(size, TEXT, bold=True), inner.width, smallest=6, lines=2)
        height = round(box.height * 0.21)
        asked = Rect(inner.left, box.top + round(box.height * 0.08), inner.width, 2 * text.line_height(style))
        legible = asked.height <= round(box.height * 0.32) and text.line_height(style) <= height
        if legible:
            canvas.words("Trust this computer?", asked, style, lines=2, align=0.5)
        line = max(2, box.height // 36)
        for number, share in enumerate((0.9, 0.6)):
            grey = Rect(0, 0, round(inner.width * share), line)
            grey.midtop = (box.centerx, box.top + round(box.height * (0.4 + 0.07 * number)))
            canvas.panel(grey, LINE, line // 2)
        yes = Rect(inner.left, box.bottom - 2 * height - round(box.height * 0.05), inner.width, height)
        no = Rect(inner.left, yes.bottom, inner.width, height)
        pressed = 0.55 <= along < 0.75
        canvas.panel(yes, mix(BLUE, TEXT, 0.3) if pressed else BLUE, max(2, height // 3))
        if legible:  # else a picture of it: words this small would lie over each other
            strong = text.fitting("Trust", Style(size, INK, bold=True), yes.width, smallest=6)
            label(canvas, yes, "Trust", strong, align=0.5)
            weak = Style(max(6, round(size * 0.8)), MUTED)
            weak = text.fitting("Don’t Trust", weak, no.width, smallest=6)
            label(canvas, no, "Don’t Trust", weak, align=0.5)
        _hand(canvas, screen, (yes.left + round(yes.width * 0.8), yes.centery), along)

    return Shown(draw)


_DIGITS = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "", "0", "")
_TYPED = (1, 4, 8, 10)
"""Which keys the finger touches: no passcode that anybody should have."""


def passcode() -> Shown:
    """The phone's pad of digits, and a passcode being typed."""

    def draw(canvas: Canvas, screen: Rect) -> None:
        along = cycle(canvas, 5)
        step = min(int(along * 6), 5)
        typed = max(0, min(step, len(_TYPED)))
        dot = max(3, screen.width // 16)
        first = screen.centerx - round(2.5 * dot * 1.5)
        padlock = _middle(screen, 0.16, 0.16, down=0.08)
        canvas.icon(Shape.PADLOCK, padlock, TEXT)
        row = screen.top + round(screen.height * 0.2)
        for number in range(len(_TYPED)):
            place = Rect(first + round(number * 2.5 * dot) - dot // 4, row, dot, dot)
            if number < typed:
                canvas.disc(place, TEXT)
            else:
                canvas.ring(place, max(1, dot // 5), MUTED)
        side = round(min(screen.width * 0.25, screen.height * 0.15))
        pitch = round(side * 1.22)
        style = Style(max(6, round(side * 0.46)), TEXT, bold=True)
        now = _TYPED[step] if step < len(_TYPED) and along * 6 % 1 > 0.4 else None
        spot = (screen.centerx, screen.bottom)
        for number, digit in enumerate(_DIGITS):
            key = Rect(0, 0, side, side)
            key.center = (
                screen.centerx + (number % 3 - 1) * pitch,
                screen.top + round(screen.height * 0.4) + number // 3 * pitch,
            )
            if not digit:
                continue
            canvas.disc(key, BLUE if number == now else RAISED)
            canvas.words(
                digit,
                Rect(key.left, key.centery - text.line_height(style) // 2, side, text.line_height(style)),
                Style(style.size, INK if number == now else TEXT, bold=True),
                align=0.5,
            )
            if number == _TYPED[min(step, len(_TYPED) - 1)]:
                spot = key.center
        if step < len(_TYPED):
            _hand(canvas, screen, (spot[0] + side // 4, spot[1] + side // 4), 0.65 if now is not None else 0.4)

    return Shown(draw)


def _hand(canvas: Canvas, screen: Rect, tip: tuple[int, int], along: float) -> None:
    """A hand whose finger comes to a place, touches it, and leaves."""
    near = eased(along, 0.1, 0.5) - eased(along, 0.8, 1.0)
    away = round(screen.width * 0.34 * (1 - near))
    side = max(8, round(screen.width * 0.44))
    hand = Rect(0, 0, side, side)
    hand.midtop = (tip[0] + side // 12, tip[1] - side // 14 + away)
    outline = hand.inflate(max(2, side // 10), max(2, side // 10))
    canvas.icon(Shape.HAND, outline, BACKGROUND)
    canvas.icon(Shape.HAND, hand, TEXT)


# -- cables


def phone_and_cable(canvas: Canvas, box: Rect, build: Build = Build.ISLAND, *, gap: float = 1.0) -> None:
    """A phone with a cable on its way to it: "plug one in". `gap` 0: it is plugged in."""
    place = Rect(box.left, box.top, box.width, round(box.height * 0.68))
    drawn = handset.draw(canvas, place, build)
    with canvas.as_it_is(box):
        unit = max(2, drawn.body.height // 48)
        _cable(canvas, box, drawn.body, unit, round(4 * unit * gap))


def replug(canvas: Canvas, box: Rect, build: Build) -> None:
    """The cable is pulled out, and plugged in again."""
    along = cycle(canvas, 3)
    phone_and_cable(canvas, box, build, gap=eased(along, 0.1, 0.35) - eased(along, 0.6, 0.85))


def _cable(canvas: Canvas, box: Rect, phone: Rect, unit: int, away: int) -> None:
    tip = Rect(0, 0, 4 * unit, 3 * unit)
    tip.midtop = (phone.centerx, phone.bottom - 2 * unit + away)
    if tip.bottom > phone.bottom:  # what is in the phone is not seen
        shown = Rect(tip.left, max(tip.top, phone.bottom), tip.width, tip.bottom - max(tip.top, phone.bottom))
        canvas.fill(shown, TEXT)
    plug = Rect(0, 0, 7 * unit, 6 * unit)
    plug.midtop = tip.midbottom
    canvas.panel(plug, TEXT, unit)
    cable = Rect(0, 0, 2 * unit, max(1, box.bottom - plug.bottom))
    cable.midtop = plug.midbottom
    canvas.fill(cable, TEXT)


# -- progress


def progress(fraction: float, colour: Colour) -> Shown:
    """The bar that a phone shows below its maker's mark while it is worked on."""

    def draw(canvas: Canvas, screen: Rect) -> None:
        circle = _middle(screen, 0.42, 0.42, down=0.4)
        canvas.disc(circle, colour)
        canvas.icon(Shape.TURN, circle.inflate(-round(circle.width * 0.46), -round(circle.width * 0.46)), INK)
        track = _middle(screen, 0.62, 0.06, down=0.66)
        canvas.panel(track, TRACK, track.height // 2)
        share = max(0.0, min(fraction, 1.0))
        done = Rect(track.left, track.top, max(track.height, round(track.width * share)), track.height)
        canvas.panel(done, colour, track.height // 2)

    return Shown(draw)
