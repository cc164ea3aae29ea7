"""The phone, drawn: what a person sees from across the room."""

from pygame import Rect

from station.screen import text
from station.screen.canvas import Canvas
from station.screen.text import Style
from station.screen.theme import BACKGROUND, INK, LINE, TEXT, TRACK, Colour, Shape, mix
from station.screen.widgets import label

SLIMNESS = 0.52
"""A phone's width as a share of its height."""


def phone_in(box: Rect) -> Rect:
    """The largest phone that fits into the middle of a box."""
    height = min(box.height, round(box.width / SLIMNESS))
    phone = Rect(0, 0, round(height * SLIMNESS), height)
    phone.center = box.center
    return phone


FRAME = mix(LINE, TEXT, 0.3)
GLASS = mix(BACKGROUND, TEXT, 0.04)


def _body(canvas: Canvas, phone: Rect) -> Rect:
    """A phone; returns its glass."""
    thickness = max(2, phone.width // 24)
    radius = phone.width // 6
    canvas.framed(phone, GLASS, radius, FRAME, thickness)
    island = Rect(0, 0, phone.width // 4, max(3, phone.width // 18))
    island.midtop = (phone.centerx, phone.top + thickness + phone.width // 16)
    canvas.panel(island, FRAME, island.height // 2)
    return phone.inflate(-2 * thickness, -2 * thickness)


def phone_with(canvas: Canvas, box: Rect, shape: Shape, colour: Colour) -> None:
    """A phone whose glass shows a state."""
    phone = phone_in(box)
    glass = _body(canvas, phone)
    side = round(glass.width * 0.64)
    circle = Rect(0, 0, side, side)
    circle.center = glass.center
    canvas.disc(circle, colour)
    canvas.icon(shape, circle.inflate(-round(side * 0.44), -round(side * 0.44)), INK)


def phone_filling(canvas: Canvas, box: Rect, fraction: float, words: str, colour: Colour) -> None:
    """A phone with a ring on its glass, as far round as the job is, and the share in the middle."""
    phone = phone_in(box)
    glass = _body(canvas, phone)
    side = round(glass.width * 0.8)
    circle = Rect(0, 0, side, side)
    circle.center = glass.center
    thickness = max(3, side // 11)
    canvas.ring(circle, thickness, TRACK)
    if fraction > 0:
        canvas.ring(circle, thickness, colour, fraction)
    room = side - 3 * thickness
    style = text.fitting("100%", Style(round(side * 0.34), TEXT, bold=True), room, smallest=8)  # not `words`: no jumps
    label(canvas, circle.inflate(-3 * thickness, 0), words, style, align=0.5)


def phone_and_cable(canvas: Canvas, box: Rect) -> None:
    """A phone with a cable on its way to it: "plug one in"."""
    phone = phone_in(Rect(box.left, box.top, box.width, round(box.height * 0.66)))
    phone.top = box.top
    _body(canvas, phone)
    unit = max(2, phone.width // 24)
    tip = Rect(0, 0, 4 * unit, 3 * unit)
    tip.midtop = (phone.centerx, phone.bottom + 4 * unit)
    canvas.fill(tip, TEXT)
    plug = Rect(0, 0, 7 * unit, 6 * unit)
    plug.midtop = tip.midbottom
    canvas.panel(plug, TEXT, unit)
    cable = Rect(0, 0, 2 * unit, max(1, box.bottom - plug.bottom))
    cable.midtop = plug.midbottom
    canvas.fill(cable, TEXT)
