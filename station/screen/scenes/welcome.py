"""No phone anywhere: what to do, drawn."""

from pygame import Rect

from station.model.api import Snapshot
from station.screen import art
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons
from station.screen.pages import unseen
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT
from station.screen.widgets import HUGE, Part, above_keys, column, largest, paragraph


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot) -> None:
    """Fill the box."""
    gap = canvas.px(28)
    wide = box.width > box.height
    if wide:
        picture = Rect(box.left, box.top + canvas.px(12), round(box.width * 0.38), canvas.area.bottom - box.top)
        picture.height -= canvas.px(12)
        speech = Rect(picture.right + gap, box.top, box.right - picture.right - gap, box.height)
    else:
        picture = Rect(box.left, box.top, box.width, round(box.height * 0.58))
        speech = Rect(box.left, picture.bottom + gap, box.width, box.bottom - picture.bottom - gap)
    align = 0.0 if wide else 0.5
    art.phone_and_cable(canvas, picture)
    bay = next((bay for bay in snapshot.bays if bay.selected), snapshot.bays[0] if snapshot.bays else None)
    if bay is not None:
        speech, keys = above_keys(canvas, speech)
        buttons(canvas, keys, [Choice("It is plugged in, and nothing shows", Target(unseen(bay)))])
    names = ", ".join(bay.bay for bay in snapshot.bays)
    hint = f"Any bay is free: {names}." if len(snapshot.bays) > 1 else "The station finds out what it is by itself."

    def build(px: Lengths) -> list[Part]:
        title, small = Style(px(HUGE), TEXT, bold=True), Style(px(24), MUTED)
        return [
            *paragraph(canvas, "Plug in a phone", title, speech.width, lines=3, align=align),
            *paragraph(canvas, hint, small, speech.width, lines=3, align=align, gap=px(14), rank=2),
        ]

    column(speech, largest(canvas, speech.height, build), align=0.5 if wide else 0.0)
