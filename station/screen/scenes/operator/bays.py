"""The bays and their USB sockets. A bay is taught its socket by plugging a phone into it."""

from pygame import Rect

from station.model.api import ForgetBay, LearnBay
from station.model.base import BayId
from station.model.operator import BayLine, OperatorView
from station.screen import art
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons
from station.screen.office import LearnDraft, Office, Room
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import HOLD_SECONDS, foot, hold_button, option, page, pages, part, say
from station.screen.table import table
from station.screen.text import Style
from station.screen.theme import GREEN, RED, TEXT, Shape
from station.screen.widgets import Part, column, grid, largest, paragraph


def draw(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """All of them."""
    room = page(canvas, box, "Bays", office, note)
    room, below = foot(canvas, room)
    wide = (4 if len(operator.bays) > 8 else 2) if room.width > room.height else 2
    columns = max(1, min(wide, room.width // canvas.px(160)))
    shown = max(1, columns * ((room.height + canvas.px(8)) // canvas.px(68)))
    open_now = part(office, len(operator.bays), shown)
    lines = operator.bays[open_now[0] * shown : (open_now[0] + 1) * shown]
    for line, cell in zip(lines, grid(canvas, room, len(lines), columns=columns, tallest=92), strict=True):
        _bay(canvas, cell, line)
    if not lines:
        say(canvas, room, "No socket is a bay yet.")
    new = _unused(operator)
    learn = Turn(Office(Room.BAY, draft=LearnDraft(new, "")), (LearnBay(id=0, bay=new),))
    middle = pages(canvas, below, office, open_now, middle=True)
    buttons(canvas, middle, [Choice("Add a bay", Target(learn), main=True)])


def _bay(canvas: Canvas, box: Rect, line: BayLine) -> None:
    said = "In use" if line.occupied else "Empty"
    target = Target(Turn(Office(Room.BAY, draft=LearnDraft(line.bay, line.socket))))
    option(canvas, box, f"Bay {line.bay}", said, target, shape=Shape.HANDSET if line.occupied else Shape.PLUG)


def _unused(operator: OperatorView) -> BayId:
    """The first number that no bay has."""
    names = {line.bay for line in operator.bays}
    return next(BayId(str(n)) for n in range(1, len(names) + 2) if BayId(str(n)) not in names)


def one(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """One of them: which socket it is, and how it is taught another."""
    draft = office.draft if isinstance(office.draft, LearnDraft) else LearnDraft(_unused(operator), "")
    line = next((line for line in operator.bays if line.bay == draft.bay), None)
    note = note or (operator.says if operator.learning == draft.bay else "")
    room = page(canvas, box, f"Bay {draft.bay}", office, note, back=Office(Room.BAYS))
    room, below = foot(canvas, room, 72)
    learned = line is not None and line.socket != draft.socket
    learn = Target(LearnBay(id=0, bay=draft.bay))
    if operator.learning == draft.bay:
        _learning(canvas, room, draft.bay)
        buttons(canvas, below, [Choice("Stop", Target(LearnBay(id=0, bay=None)))])
    elif learned and line is not None:
        _mark(canvas, room, f"This socket is bay {line.bay} now.")
        buttons(canvas, below, [Choice("Done", Target(Turn(Office(Room.BAYS))), main=True)])
    elif line is None:
        say(canvas, room, f"No socket is bay {draft.bay} yet.", size=26, colour=TEXT)
        buttons(canvas, below, [Choice("Teach it its socket", learn, main=True)])
    else:
        _known(canvas, room, line)
        half = (below.width - canvas.px(12)) // 2
        if not line.occupied:
            buttons(canvas, Rect(below.left, below.top, half, below.height), [Choice("Another socket", learn)])
            forget = Turn(Office(Room.BAYS), (ForgetBay(id=0, bay=line.bay),), f"Bay {line.bay} is no more.")
            place = Rect(below.right - half, below.top, half, below.height)
            hold_button(canvas, place, "Hold to remove it", Target(forget, hold=HOLD_SECONDS), RED)


def _known(canvas: Canvas, box: Rect, line: BayLine) -> None:
    rows = [("Socket", (line.socket,)), ("Now", ("In use" if line.occupied else "Empty",))]
    table(canvas, Rect(box.left, box.top, box.width, min(box.height, canvas.px(104))), rows, share=0.25)
    rest = Rect(box.left, box.top + canvas.px(104), box.width, max(1, box.height - canvas.px(104)))
    said = "It is in use: unplug its phone, and touch OK under its last result." if line.occupied else ""
    if said and rest.height > canvas.px(30):
        say(canvas, rest, said, size=19)


def _learning(canvas: Canvas, box: Rect, bay: BayId) -> None:
    wide = box.width > box.height
    share = Rect(box.left, box.top, round(box.width * 0.3), box.height)
    speech = Rect(share.right, box.top, box.right - share.right, box.height)
    if not wide:
        share = Rect(box.left, box.top, box.width, round(box.height * 0.5))
        speech = Rect(box.left, share.bottom, box.width, box.bottom - share.bottom)
    art.phone_and_cable(canvas, share)
    said = f"Plug a phone into the socket that shall be bay {bay}. It must not be one of another bay."
    say(canvas, speech, said, size=28, colour=TEXT, align=0.0 if wide else 0.5)


def _mark(canvas: Canvas, box: Rect, said: str) -> None:
    def build(px: Lengths) -> list[Part]:
        return [
            Part(px(96), lambda place: canvas.icon(Shape.CHECK, place, GREEN), rank=2),
            *paragraph(canvas, said, Style(px(30), TEXT, bold=True), box.width, lines=3, align=0.5, gap=px(16)),
        ]

    column(box, largest(canvas, box.height, build), align=0.5)
