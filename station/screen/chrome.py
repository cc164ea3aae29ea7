"""What frames every scene: the emulation ribbon, the station's name, and what somebody should know."""

from pygame import Rect

from station.model.api import Snapshot
from station.screen import text, totals, words
from station.screen.canvas import Canvas, Target
from station.screen.office import HOME, Office, Room
from station.screen.pages import Turn
from station.screen.text import Style
from station.screen.theme import BLUE, CARD, INK, MUTED, TEXT, VIOLET, VIOLET_DEEP, YELLOW, Colour, Shape, mix
from station.screen.widgets import label

DOOR = 60
"""The operator's way in: the side of its place in the upper right corner, the smallest that every finger hits."""


def chrome(canvas: Canvas, snapshot: Snapshot, note: str, *, door: bool = True) -> Rect:
    """Draw the frame; returns the room left for the scene.

    Args:
        canvas: What is drawn on.
        snapshot: The station.
        note: An answer to the last touch, such as why a command was refused.
        door: Whether the operator's way in is there.
    """
    room = canvas.area.copy()
    if snapshot.emulated:
        room = _ribbon(canvas, room)
    margin = canvas.px(20)
    head = Rect(room.left + margin, room.top, room.width - 2 * margin, canvas.px(44))
    style = Style(canvas.px(19), MUTED, bold=True)
    if door:
        head.width -= _door(canvas, room, opened=snapshot.operator is not None) + canvas.px(6) - margin
    if canvas.time:
        room_for_it = text.width(canvas.time, style) + canvas.px(14)
        label(canvas, Rect(head.right - room_for_it, head.top, room_for_it, head.height), canvas.time, style, align=1)
        head.width -= room_for_it + canvas.px(14)
    many = totals.of(snapshot)
    ordered, aside = "", False
    if snapshot.order is not None:
        ordered = words.ordered(snapshot.order, canvas.now)
        width = text.width(ordered, style)
        aside = width <= head.width * (3 if many else 4) // 6
        if aside:
            label(canvas, Rect(head.right - width, head.top, width, head.height), ordered, style, align=1)
            head.width -= width + margin
        canvas.again_in(60)
    if many:
        totals.draw(canvas, head, many)
    else:
        label(canvas, head, snapshot.station, style)
    room = Rect(room.left, head.bottom, room.width, room.bottom - head.bottom)
    if ordered and not aside:
        room = _strip(canvas, room, ordered, Shape.PLAY, TEXT)
    if snapshot.notice:
        room = _strip(canvas, room, snapshot.notice, Shape.BANG, YELLOW)
    if note:
        room = _strip(canvas, room, note, Shape.BANG, BLUE)
    return Rect(room.left + margin, room.top, room.width - 2 * margin, room.height - margin)


def _door(canvas: Canvas, room: Rect, *, opened: bool) -> int:
    """The operator's way in, or back in: a small gear in the corner. Returns its width.

    It is to be found by who looks for it, and to mean nothing to who does not: behind it is a PIN.
    """
    margin, side, high = canvas.px(20), canvas.px(24), canvas.px(44)
    gear = Rect(room.right - margin - side, room.top + (high - side) // 2, side, side)
    width = canvas.px(DOOR)
    if opened:
        style = Style(canvas.px(17), INK, bold=True)
        inset, gap = canvas.px(14), canvas.px(8)
        pill = Rect(0, room.top + canvas.px(6), 2 * inset + side + gap + text.width("Operator", style), canvas.px(32))
        pill.right = room.right - margin
        canvas.panel(pill, BLUE, pill.height // 2)
        gear.midleft = (pill.left + inset, pill.centery)
        label(
            canvas,
            Rect(gear.right + gap, pill.top, pill.right - inset - gear.right - gap, pill.height),
            "Operator",
            style,
        )
        width = pill.width + margin
    canvas.icon(Shape.GEAR, gear, INK if opened else MUTED)
    box = Rect(room.right - width, room.top, width, canvas.px(DOOR))
    canvas.touch(box, Target(Turn(HOME if opened else Office(Room.DOOR))))
    return width


def below_door(canvas: Canvas, box: Rect) -> Rect:
    """The room for a scene with something to touch at its very top: it begins below the operator's way in."""
    door = canvas.targets[0][0]
    top = max(box.top, door.bottom + canvas.px(2))
    return Rect(box.left, top, box.width, max(1, box.bottom - top))


def slim(canvas: Canvas, snapshot: Snapshot) -> Rect:
    """The frame of a page: nothing but the ribbon. Returns the room left."""
    room = _ribbon(canvas, canvas.area.copy()) if snapshot.emulated else canvas.area.copy()
    margin = canvas.px(20)
    return Rect(room.left + margin, room.top + margin // 2, room.width - 2 * margin, room.height - margin // 2 - margin)


def _ribbon(canvas: Canvas, room: Rect) -> Rect:
    ribbon = Rect(room.left, room.top, room.width, canvas.px(26))
    canvas.fill(ribbon, VIOLET_DEEP)
    said = "EMULATED  ·  virtual phones, no real data"
    style = Style(canvas.px(15), VIOLET, bold=True)
    label(canvas, ribbon.inflate(-2 * canvas.px(20), 0), said, style, align=0.5)
    return Rect(room.left, ribbon.bottom, room.width, room.height - ribbon.height)


def _strip(canvas: Canvas, room: Rect, said: str, shape: Shape, colour: Colour) -> Rect:
    """A message across the top of `room`, three lines at most; returns the room below it."""
    margin = canvas.px(20)
    pad = canvas.px(10)
    style = Style(canvas.px(18), TEXT)
    side = canvas.px(18)
    width = room.width - 2 * margin - side - 3 * pad
    height = len(text.wrap(said, style, width, 3)) * text.line_height(style)
    strip = Rect(room.left + margin, room.top, room.width - 2 * margin, height + 2 * pad)
    canvas.panel(strip, mix(CARD, colour, 0.16), canvas.px(12))
    canvas.icon(shape, Rect(strip.left + pad, strip.centery - side // 2, side, side), colour)
    canvas.words(said, Rect(strip.left + side + 2 * pad, strip.top + pad, width, height), style, lines=3)
    below = strip.bottom + canvas.px(12)
    return Rect(room.left, below, room.width, room.bottom - below)
