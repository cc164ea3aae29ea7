"""The operator's door: a pad of digits. The first who opens it chooses the PIN, twice; later it is changed here.

Typed digits are dots. They are in no picture that is kept, and leave the screen only for the daemon.
"""

import math

from pygame import Rect

from station.model.api import Snapshot
from station.model.operator import PIN_DIGITS, PinState
from station.screen import text
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.office import DELETE, ENTER, HOME, Key, Office, PinDraft, Room
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import key
from station.screen.text import Style
from station.screen.theme import BLUE, LINE, MUTED, TEXT, YELLOW, Colour, Shape
from station.screen.widgets import NEEDED, Part, column, heading, label, largest, paragraph

ROWS = (("1", "2", "3"), ("4", "5", "6"), ("7", "8", "9"), ("", "0", ""))


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, office: Office, note: str) -> None:
    """Fill the box."""
    changing = office.room is Room.PIN
    draft = office.draft if isinstance(office.draft, PinDraft) else PinDraft()
    title = "Change the PIN" if changing else "Operator"
    room = heading(canvas, box, title, Target(Turn(HOME if changing else None)))
    gap = canvas.px(24)
    if room.width > room.height:
        pad = Rect(0, box.top, min(round(room.width * 0.52), canvas.px(420)), box.height)
        pad.right = room.right
        speech = Rect(room.left, room.top, pad.left - gap - room.left, room.height)
    else:
        speech = Rect(room.left, room.top, room.width, round(room.height * 0.3))
        pad = Rect(room.left, speech.bottom + gap, room.width, room.bottom - speech.bottom - gap)
    waits = snapshot.pin is PinState.WAIT and not changing
    _speech(canvas, speech, *_words(canvas, snapshot, draft, note, changing=changing), None if waits else draft)
    if waits:
        _countdown(canvas, pad, math.ceil(max(0.0, snapshot.pin_until - canvas.now)))
    else:
        with canvas.as_it_is(pad):  # digits have their places, in whichever direction words are read
            _pad(canvas, pad, draft)


def _words(  # noqa: PLR0911 one answer a state
    canvas: Canvas, snapshot: Snapshot, draft: PinDraft, note: str, *, changing: bool
) -> tuple[str, str, Colour]:
    """What to do, what there is to say of it, and how loudly."""
    least, most = PIN_DIGITS
    if snapshot.pin is PinState.WAIT and not changing:
        left = max(0, math.ceil(snapshot.pin_until - canvas.now))
        canvas.again_in(1)
        return "Too many were wrong", f"Wait {left} seconds, then try again.", YELLOW
    if note:
        return "Type the PIN", note, YELLOW
    if draft.differs:
        return "Choose a PIN", "The two were not the same. Choose one again.", YELLOW
    if draft.first:
        return "Type it once more", "To be sure that it is what you meant.", MUTED
    if changing:
        return "Choose the new PIN", f"{least} to {most} digits.", MUTED
    if snapshot.pin is PinState.UNSET:
        said = f"Nobody has chosen one yet. {least} to {most} digits; whoever knows them runs this station."
        return "Choose a PIN", said, MUTED
    return "Type the PIN", "These pages are for whoever runs this station.", MUTED


def _speech(canvas: Canvas, box: Rect, title: str, said: str, loud: Colour, draft: PinDraft | None) -> None:
    def build(px: Lengths) -> list[Part]:
        dots = [] if draft is None else [Part(px(44), lambda place: _dots(canvas, place, len(draft.typed)), gap=px(18))]
        return [
            *paragraph(canvas, title, Style(px(32), TEXT, bold=True), box.width, lines=2, rank=NEEDED),
            *dots,
            *paragraph(canvas, said, Style(px(20), loud), box.width, lines=5, gap=px(14), rank=NEEDED),
        ]

    column(box, largest(canvas, box.height, build), align=0.3)


def _dots(canvas: Canvas, box: Rect, count: int) -> None:
    """One for each digit, and rings for those that are missing still."""
    least, _ = PIN_DIGITS
    many = max(least, count)
    side = min(canvas.px(22), box.width * 2 // (3 * many))
    step = side * 3 // 2
    for number in range(many):
        place = Rect(box.left + number * step, box.centery - side // 2, side, side)
        if number < count:
            canvas.disc(place, BLUE)
        else:
            canvas.ring(place, max(2, side // 8), LINE)


def _countdown(canvas: Canvas, box: Rect, seconds: int) -> None:
    """How long nothing can be typed, in place of the keys."""
    side = min(box.width, box.height, canvas.px(260))
    circle = Rect(0, 0, side, side)
    circle.center = box.center
    canvas.ring(circle, max(3, side // 24), LINE)
    style = text.fitting(str(seconds), Style(side // 3, TEXT, bold=True), side * 2 // 3, smallest=8)
    label(canvas, circle, str(seconds), style, align=0.5)


def _pad(canvas: Canvas, box: Rect, draft: PinDraft) -> None:
    gap = canvas.px(10)
    width, height = (box.width - 2 * gap) // 3, min((box.height - 3 * gap) // 4, canvas.px(130))
    for line, names in enumerate(ROWS):
        for place, name in enumerate(names):
            cell = Rect(box.left + place * (width + gap), box.top + line * (height + gap), width, height)
            if name:
                key(canvas, cell, name, Key(name))
            elif place == 0:
                if draft.typed:
                    key(canvas, cell, "", DELETE, shape=Shape.DELETE)
            elif len(draft.typed) >= PIN_DIGITS[0]:
                key(canvas, cell, "", ENTER, shape=Shape.CHECK, main=True)
