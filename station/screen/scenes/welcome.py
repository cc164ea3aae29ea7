"""No phone anywhere: what to do, drawn."""

from pygame import Rect

from station.model.api import Snapshot
from station.screen import art
from station.screen.canvas import Canvas, Target
from station.screen.choices import Choice, buttons
from station.screen.pages import unseen
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT
from station.screen.widgets import column, paragraph


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot) -> None:
    """Fill the box."""
    gap = canvas.px(28)
    if box.width > box.height:
        picture = Rect(box.left, box.top + gap, round(box.width * 0.36), canvas.area.bottom - box.top - gap)
        speech = Rect(picture.right + gap, box.top, box.right - picture.right - gap, box.height)
        align = 0.0
    else:
        picture = Rect(box.left, box.top, box.width, round(box.height * 0.55))
        speech = Rect(box.left, picture.bottom + gap, box.width, box.bottom - picture.bottom - gap)
        align = 0.5
    art.phone_and_cable(canvas, picture)
    bay = next((bay for bay in snapshot.bays if bay.selected), snapshot.bays[0] if snapshot.bays else None)
    if bay is not None:
        height = canvas.px(64)
        keys = Rect(speech.left, speech.bottom - height, speech.width, height)
        buttons(canvas, keys, [Choice("It is plugged in, and nothing shows", Target(unseen(bay)))])
        speech.height = max(1, keys.top - canvas.px(12) - speech.top)
    names = ", ".join(bay.bay for bay in snapshot.bays)
    hint = f"Any bay is free: {names}." if len(snapshot.bays) > 1 else "The station finds out what it is by itself."
    column(
        speech,
        [
            *paragraph(
                canvas, "Plug in a phone", Style(canvas.px(54), TEXT, bold=True), speech.width, lines=3, align=align
            ),
            *paragraph(
                canvas,
                hint,
                Style(canvas.px(24), MUTED),
                speech.width,
                lines=3,
                align=align,
                gap=canvas.px(14),
                rank=1,
            ),
        ],
        align=0.5 if box.width > box.height else 0.0,
    )
