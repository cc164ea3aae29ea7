"""Phones by their buttons, seen from the front, with those to press marked."""

from collections.abc import Collection
from dataclasses import dataclass

from pygame import Rect

from station.model.guide import Family, Key
from station.screen.art import FRAME, GLASS
from station.screen.canvas import Canvas
from station.screen.theme import BLUE, INK, Shape


@dataclass(frozen=True)
class Body:
    """A family's shape.

    Attributes:
        slimness: Width as a share of the height.
        home: Whether there is a home button below the glass.
        keys: Where each button is: the side, and how far along it, from the top or from the left.
    """

    slimness: float
    home: bool
    keys: dict[Key, tuple[str, float]]


_VOLUME = {Key.UP: ("left", 0.24), Key.DOWN: ("left", 0.36)}
BODIES: dict[Family, Body] = {
    Family.FACE: Body(0.5, home=False, keys=_VOLUME | {Key.SIDE: ("right", 0.3)}),
    Family.SEVEN: Body(0.5, home=True, keys=_VOLUME | {Key.SIDE: ("right", 0.26)}),
    Family.HOME: Body(0.5, home=True, keys=_VOLUME | {Key.SIDE: ("right", 0.26)}),
    Family.PAD: Body(
        0.72, home=False, keys={Key.UP: ("right", 0.14), Key.DOWN: ("right", 0.24), Key.TOP: ("top", 0.86)}
    ),
    Family.PAD_HOME: Body(
        0.72, home=True, keys={Key.UP: ("right", 0.14), Key.DOWN: ("right", 0.24), Key.TOP: ("top", 0.86)}
    ),
}
_ARROWS = {"left": Shape.RIGHT, "right": Shape.BACK, "top": Shape.DOWN}
NAMES: dict[Key, str] = {
    Key.SIDE: "Side button",
    Key.TOP: "Top button",
    Key.UP: "Volume up",
    Key.DOWN: "Volume down",
    Key.HOME: "Home button",
}


def draw(canvas: Canvas, box: Rect, family: Family, pressed: Collection[Key], *, room: bool = True) -> None:
    """A phone of this family as large as fits; `room`: with some around it to mark buttons that are `pressed`."""
    with canvas.as_it_is(box):
        _draw(canvas, box, family, pressed, room=room)


def _draw(canvas: Canvas, box: Rect, family: Family, pressed: Collection[Key], *, room: bool) -> None:
    body = BODIES[family]
    margin = min(box.width // 5, box.height // 7) if room else box.width // 12
    height = max(8, min(box.height - margin, round((box.width - 2 * margin) / body.slimness)))
    phone = Rect(0, 0, max(4, round(height * body.slimness)), height)
    phone.midtop = (box.centerx, box.top + margin + (box.height - margin - height) // 2)
    unit = max(2, phone.height // 44)
    keys = dict(body.keys)
    if Key.TOP in pressed and Key.TOP not in keys:  # the oldest iPhones have theirs at the top
        del keys[Key.SIDE]
        keys[Key.TOP] = ("top", 0.78)
    for key, (side, along) in keys.items():
        _key(canvas, phone, unit, side, along, pressed=key in pressed, mark=margin)
    canvas.framed(phone, GLASS, phone.width // (5 if not body.home else 7), FRAME, unit)
    if body.home:
        _home(canvas, phone, unit, pressed=Key.HOME in pressed)
    else:
        island = Rect(0, 0, phone.width // 4, unit * 2)
        island.midtop = (phone.centerx, phone.top + 3 * unit)
        canvas.panel(island, FRAME, unit)


def _key(canvas: Canvas, phone: Rect, unit: int, side: str, along: float, *, pressed: bool, mark: int) -> None:
    colour = BLUE if pressed else FRAME
    thick, length = unit * (3 if pressed else 2), round(phone.height * 0.1)
    spot = Rect(0, 0, max(4, round(mark * 0.8)), max(4, round(mark * 0.8)))
    if side == "top":
        key = Rect(0, 0, length, thick)
        key.midbottom = (phone.left + round(phone.width * along), phone.top + unit)
        spot.midbottom = (key.centerx, key.top - 1)
    else:
        key = Rect(0, 0, thick, length)
        middle = phone.top + round(phone.height * along)
        if side == "left":
            key.midright = (phone.left + unit, middle)
            spot.midright = (key.left - 1, middle)
        else:
            key.midleft = (phone.right - unit, middle)
            spot.midleft = (key.right + 1, middle)
    canvas.panel(key, colour, unit)
    if pressed:
        _mark(canvas, spot, _ARROWS[side])


def _home(canvas: Canvas, phone: Rect, unit: int, *, pressed: bool) -> None:
    side = round(phone.width * 0.24)
    circle = Rect(0, 0, side, side)
    circle.midbottom = (phone.centerx, phone.bottom - 2 * unit)
    if not pressed:
        canvas.ring(circle, unit, FRAME)
    else:
        canvas.disc(circle, BLUE)
        canvas.icon(Shape.DOWN, circle.inflate(-side // 2, -side // 2), INK)


def _mark(canvas: Canvas, spot: Rect, shape: Shape) -> None:
    canvas.disc(spot, BLUE)
    canvas.icon(shape, spot.inflate(-spot.width // 2, -spot.width // 2), INK)
