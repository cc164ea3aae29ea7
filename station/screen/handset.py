"""Phones seen from the front, by what tells one from another: the home button, the notch, the island, the buttons."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from pygame import Rect

from station.model.guide import Family, Key
from station.screen.canvas import Canvas
from station.screen.theme import BACKGROUND, BLUE, CARD, INK, LINE, TEXT, Shape, mix

FRAME = mix(LINE, TEXT, 0.3)
GLASS = mix(BACKGROUND, TEXT, 0.05)
"""A screen that is on. One that is off is BACKGROUND."""


class Build(Enum):
    """How a phone looks from the front."""

    HOME = "home"
    HOME_TOP = "home, and the other button at the top"
    NOTCH = "notch"
    ISLAND = "island"
    PAD = "pad"
    PAD_HOME = "pad with a home button"


@dataclass(frozen=True)
class Body:
    """A build's shape.

    Attributes:
        slimness: Width as a share of the height.
        corner: Radius of the corners, as a share of the width.
        bezel: Above and below the screen, as a share of the height; at the sides it is a third of that.
        home: Whether there is a home button below the screen.
        cut: What is cut out of the screen at its top: width and height as shares of the width, and how far down.
        keys: Where each button is: the side, and how far along it, from the top or from the left.
    """

    slimness: float
    corner: float
    bezel: float
    home: bool
    cut: tuple[float, float, float]
    keys: dict[Key, tuple[str, float]]


_VOLUME = {Key.UP: ("left", 0.25), Key.DOWN: ("left", 0.37)}
_PAD_KEYS = {Key.UP: ("right", 0.14), Key.DOWN: ("right", 0.25), Key.TOP: ("top", 0.86)}
_NO_CUT = (0.0, 0.0, 0.0)
BODIES: dict[Build, Body] = {
    Build.ISLAND: Body(0.49, 0.19, 0.016, False, (0.26, 0.07, 0.035), _VOLUME | {Key.SIDE: ("right", 0.3)}),
    Build.NOTCH: Body(0.49, 0.17, 0.02, False, (0.44, 0.075, 0.0), _VOLUME | {Key.SIDE: ("right", 0.3)}),
    Build.HOME: Body(0.49, 0.15, 0.12, True, _NO_CUT, _VOLUME | {Key.SIDE: ("right", 0.26)}),
    Build.HOME_TOP: Body(0.49, 0.14, 0.13, True, _NO_CUT, _VOLUME | {Key.TOP: ("top", 0.78)}),
    Build.PAD: Body(0.72, 0.07, 0.035, False, _NO_CUT, _PAD_KEYS),
    Build.PAD_HOME: Body(0.72, 0.07, 0.085, True, _NO_CUT, _PAD_KEYS),
}
USUAL: dict[Family, Build] = {
    Family.FACE: Build.ISLAND,
    Family.SEVEN: Build.HOME,
    Family.HOME: Build.HOME,
    Family.PAD: Build.PAD,
    Family.PAD_HOME: Build.PAD_HOME,
}
"""Of a family whose model is not known."""

_TYPE = re.compile(r"(iPhone|iPad|iPod)(\d+),(\d+)")
_WITH_HOME = frozenset({(10, 1), (10, 2), (10, 4), (10, 5), (12, 8), (14, 6)})
"""iPhone 8 and 8 Plus, and the second and third SE."""
_NOTCHED_LATE = frozenset({(17, 5)})
"""iPhone 16e."""
_FIRST_ISLAND = (15, 2)
_PRO_OF_2018 = 8
_PADS_WITHOUT_HOME = 13
_SIDE_BUTTON_SINCE = 7
_SMALL = frozenset({(8, 4)})
"""The first SE: as small as a 5s, with its button at the top."""


def build_of(product_type: str, family: Family | None = None) -> Build:
    """How a model looks, by Apple's identifier ("iPhone13,2"); of one that is not known, as its family does."""
    match = _TYPE.fullmatch(product_type)
    if match is None:
        return Build.NOTCH if family is None else USUAL[family]
    kind, number = match[1], (int(match[2]), int(match[3]))
    if kind == "iPad":
        pad = number[0] == _PRO_OF_2018 or number[0] >= _PADS_WITHOUT_HOME
        return Build.PAD if pad else Build.PAD_HOME
    if kind == "iPod" or number in _SMALL or number < (_SIDE_BUTTON_SINCE, 0):
        return Build.HOME_TOP
    if number in _WITH_HOME or number < (10, 0):
        return Build.HOME
    return Build.NOTCH if number < _FIRST_ISLAND or number in _NOTCHED_LATE else Build.ISLAND


@dataclass(frozen=True)
class Drawn:
    """Where a phone was drawn.

    Attributes:
        body: All of it.
        screen: Its screen, below a notch or an island: for what it shows.
    """

    body: Rect
    screen: Rect


def draw(
    canvas: Canvas,
    box: Rect,
    build: Build,
    pressed: Collection[Key] = (),
    *,
    marked: bool = False,
    push: float = 1.0,
    lit: bool = True,
) -> Drawn:
    """A phone as large as fits.

    Args:
        canvas: What is drawn on.
        box: Where; what is drawn of it stays as it is where the rest is mirrored.
        build: Which.
        pressed: The buttons to press.
        marked: Leave room around it, the same for every step, to mark these buttons.
        push: How far they are pressed (0..1).
        lit: Whether its screen is on.
    """
    with canvas.as_it_is(box):
        return _draw(canvas, box, build, pressed, marked=marked, push=push, lit=lit)


def _draw(
    canvas: Canvas, box: Rect, build: Build, pressed: Collection[Key], *, marked: bool, push: float, lit: bool
) -> Drawn:
    body = BODIES[build]
    keys = dict(body.keys)
    if Key.TOP in pressed and Key.TOP not in keys:  # a guide for the oldest ones, on a model that nobody told
        keys.pop(Key.SIDE, None)
        keys[Key.TOP] = ("top", 0.78)
    if Key.SIDE in pressed and Key.SIDE not in keys:
        pressed = {Key.TOP if key is Key.SIDE else key for key in pressed}
    mark = max(4, min(box.width // 8, box.height // 8)) if marked else 0
    sides = {side for side, _ in keys.values()}
    out = box.height // 40 + 2  # how far a button stands out
    left, right, top = (out + mark + mark // 2 if side in sides else 2 for side in ("left", "right", "top"))
    foot = max(2, box.height // 60)
    room = Rect(box.left + left, box.top + top, max(4, box.width - left - right), max(8, box.height - top - foot))
    height = max(8, min(room.height, round(room.width / body.slimness)))
    phone = Rect(0, 0, max(4, round(height * body.slimness)), height)
    phone.center = room.center
    unit = max(1, height // 80)
    for key, place in keys.items():
        _key(
            canvas, phone, unit, place, down=key in pressed and push > 0, mark=mark if key in pressed else 0, push=push
        )
    radius = round(phone.width * body.corner)
    canvas.framed(phone, GLASS if lit and not body.home else BACKGROUND, radius, FRAME, max(2, 2 * unit))
    edge = max(2, 2 * unit)
    bezel = round(height * body.bezel)
    screen = phone.inflate(-2 * (edge + bezel // 3), -2 * (edge + bezel))
    if body.home:
        canvas.panel(screen, GLASS if lit else BACKGROUND, unit)
        _home(canvas, phone, Rect(screen.left, screen.bottom, screen.width, phone.bottom - edge - screen.bottom), unit)
        if Key.HOME in pressed:
            _pressed_home(canvas, phone, screen, edge, push)
    return Drawn(phone, _below_cut(canvas, phone, screen, body, edge))


def _below_cut(canvas: Canvas, phone: Rect, screen: Rect, body: Body, edge: int) -> Rect:
    """Draw the notch or the island; returns the screen below it."""
    wide, high, down = (round(share * phone.width) for share in body.cut)
    if not wide:
        return screen
    cut = Rect(0, 0, wide, max(3, high))
    if down:
        cut.midtop = (phone.centerx, phone.top + edge + down)
        canvas.panel(cut, FRAME, cut.height // 2)
    else:
        cut.midtop = (phone.centerx, phone.top)
        canvas.panel(cut, FRAME, cut.height // 2)
        canvas.fill(Rect(cut.left, cut.top, cut.width, min(edge, cut.height)), FRAME)
    top = cut.bottom + cut.height // 2
    return Rect(screen.left, top, screen.width, max(1, screen.bottom - top - edge))


def _key(
    canvas: Canvas, phone: Rect, unit: int, place: tuple[str, float], *, down: bool, mark: int, push: float
) -> None:
    """A button at an edge, and a mark beside it that moves towards it."""
    side, along = place
    colour = BLUE if mark else FRAME
    out, length = unit * (1 if down else 2), round(phone.height * 0.1)
    away = round(mark * 0.12 + mark * 0.3 * (1 - push))
    spot = Rect(0, 0, mark, mark)
    if side == "top":
        key = Rect(0, 0, length, out + 2 * unit)
        key.midbottom = (phone.left + round(phone.width * along), phone.top + 2 * unit)
        spot.midbottom = (key.centerx, key.top - away)
        arrow = Shape.DOWN
    else:
        key = Rect(0, 0, out + 2 * unit, length)
        middle = phone.top + round(phone.height * along)
        if side == "left":
            key.midright = (phone.left + 2 * unit, middle)
            spot.midright = (key.left - away, middle)
            arrow = Shape.RIGHT
        else:
            key.midleft = (phone.right - 2 * unit, middle)
            spot.midleft = (key.right + away, middle)
            arrow = Shape.BACK
    canvas.panel(key, colour, unit)
    if mark:
        canvas.disc(spot, BLUE)
        canvas.icon(arrow, spot.inflate(-round(mark * 0.44), -round(mark * 0.44)), INK)


def _button_in(phone: Rect, below: Rect) -> Rect:
    side = max(4, round(min(below.height * 0.74, phone.width * 0.22)))
    circle = Rect(0, 0, side, side)
    circle.center = below.center
    return circle


def _home(canvas: Canvas, phone: Rect, below: Rect, unit: int) -> None:
    canvas.ring(_button_in(phone, below), max(1, 2 * unit), FRAME)


def _pressed_home(canvas: Canvas, phone: Rect, screen: Rect, edge: int, push: float) -> None:
    below = Rect(screen.left, screen.bottom, screen.width, phone.bottom - edge - screen.bottom)
    circle = _button_in(phone, below)
    grown = max(4, round(circle.width * (1.5 - 0.25 * push)))
    spot = Rect(0, 0, grown, grown)
    spot.center = circle.center
    canvas.disc(spot, mix(BLUE, CARD, 0.65))
    canvas.disc(circle, BLUE)
    canvas.icon(Shape.DOWN, circle.inflate(-round(circle.width * 0.44), -round(circle.width * 0.44)), INK)
