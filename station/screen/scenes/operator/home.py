"""The operator's home: a tile for each of the pages, with what is worth knowing before it is opened."""

from pygame import Rect

from station.model.api import Lock, Snapshot
from station.model.face import LANGUAGE_NAMES
from station.model.operator import OperatorView
from station.screen import text
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons
from station.screen.office import NightDraft, Office, PinDraft, Room
from station.screen.pages import Turn
from station.screen.scenes.operator.kind import KINDS
from station.screen.scenes.operator.machine import ailing
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT, YELLOW, Colour, Shape
from station.screen.widgets import NEEDED, Part, card, column, grid, heading, largest, paragraph


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, operator: OperatorView, note: str) -> None:
    """Fill the box."""
    width = min(canvas.px(190), round(box.width * 0.34))
    aside = Rect(box.right - width, box.top, width, canvas.px(60))
    head = Rect(box.left, box.top, max(1, aside.left - canvas.px(12) - box.left), box.height)
    below = heading(canvas, head, "Operator", Target(Turn(None, (Lock(id=0),))), note or operator.says)
    buttons(canvas, aside, [Choice("To the phones", Target(Turn(None)))])
    room = Rect(box.left, below.top, box.width, below.height)
    tiles = _tiles(snapshot, operator)
    columns = 4 if room.width > room.height else 2
    cells = grid(canvas, room, len(tiles), columns=columns, tallest=124)
    for (shape, title, said, office, tint), cell in zip(tiles, cells, strict=True):
        _tile(canvas, cell, shape, title, said, office, tint)


def _tiles(snapshot: Snapshot, operator: OperatorView) -> list[tuple[Shape, str, str, Office, Colour]]:
    """Icon, title, what there is to know, where it leads, and the icon's colour: loud where somebody is needed."""
    loud = YELLOW if ailing(snapshot, operator) else TEXT
    bays = "1 bay" if len(operator.bays) == 1 else f"{len(operator.bays)} bays"
    images = "1 image" if len(operator.firmware) == 1 else f"{len(operator.firmware)} images"
    kind = KINDS[operator.policy].title if operator.policy in KINDS else operator.policy
    night = Office(Room.NIGHT, draft=NightDraft())
    return [
        (Shape.MOON, "Night", _night(snapshot, operator), night, TEXT),
        (Shape.SHOP, "Kind of station", kind, Office(Room.KIND), TEXT),
        (Shape.GRID, "Bays", bays, Office(Room.BAYS), TEXT),
        (Shape.FETCH, "Firmware", images, Office(Room.FIRMWARE), TEXT),
        (Shape.ROWS, "Records", f"{operator.record_count} in all", Office(Room.RECORDS), TEXT),
        (Shape.CHIP, "Machine", _machine(operator), Office(Room.MACHINE), loud),
        (Shape.TARGET, "Buttons", "And lamps", Office(Room.PANEL), TEXT),
        (Shape.GLOBE, "Language", LANGUAGE_NAMES[snapshot.face.language], Office(Room.LANGUAGE), TEXT),
        (Shape.DISPLAY, "Screen", f"Brightness {snapshot.face.brightness} %", Office(Room.SCREEN), TEXT),
        (Shape.SAVE, "Logs", "To a USB stick", Office(Room.LOGS), TEXT),
        (Shape.PADLOCK, "PIN", "Change it", Office(Room.PIN, draft=PinDraft()), TEXT),
        (Shape.POWER, "Shut down", "Or restart", Office(Room.POWER), TEXT),
    ]


def _night(snapshot: Snapshot, operator: OperatorView) -> str:
    if snapshot.order is not None:
        return f"{snapshot.order.done} done, {snapshot.order.left} left"
    return "The last report" if operator.report is not None else "Not armed"


def _machine(operator: OperatorView) -> str:
    machine = operator.machine
    if machine is not None and machine.upkeep:
        return "Look at this"
    if machine is None or machine.temperature is None:
        return "Network, clock, disk"
    return f"{machine.temperature:.0f} °C"


def _tile(canvas: Canvas, box: Rect, shape: Shape, title: str, said: str, office: Office, tint: Colour) -> None:
    inner = card(canvas, box, Target(Turn(office)))

    def build(px: Lengths) -> list[Part]:
        strong = text.fitting(title, Style(px(20), TEXT, bold=True), inner.width, smallest=px(15))
        weak = text.fitting(said, Style(px(16), MUTED), inner.width, smallest=px(13))
        side = px(32)
        return [
            Part(side, lambda place: canvas.icon(shape, Rect(place.left, place.top, side, side), tint), rank=3),
            *paragraph(canvas, title, strong, inner.width, gap=px(8)),
            *paragraph(canvas, said, weak, inner.width, rank=NEEDED, gap=px(1)),
        ]

    column(inner, largest(canvas, inner.height, build), align=0.5)
