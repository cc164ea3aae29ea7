"""How every scene about one phone begins: the badge, the marks, the phone's name, and what it runs."""

from pygame import Rect

from station.model.api import BayView
from station.screen import handset, text, widgets, words
from station.screen.canvas import Canvas, Lengths
from station.screen.choices import look
from station.screen.handset import Build
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT
from station.screen.widgets import SMALL, TITLE, Part, paragraph


def build(bay: BayView) -> Build:
    """How the phone in a bay looks."""
    return Build.NOTCH if bay.phone is None else handset.build_of(bay.phone.product_type)


def name(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    """Badge, name and version."""
    said = words.model(bay)
    style = text.fitting(said, Style(px(TITLE), TEXT, bold=True), room, smallest=px(27))
    parts = [
        Part(px(34), lambda place: tags(canvas, place, bay)),
        *paragraph(canvas, said, style, room, lines=2, gap=px(8), rank=1),
    ]
    if bay.phone is not None:
        runs = words.version(bay.phone)
        weak = text.fitting(runs, Style(px(SMALL), MUTED), room, smallest=px(13))
        parts += paragraph(canvas, runs, weak, room, rank=4)
    return parts


def tags(canvas: Canvas, place: Rect, bay: BayView) -> None:
    """The state's badge, what a failure means for the data, and the mark of an emulated phone."""
    seen = look(bay)
    gap = canvas.px(10)
    widgets.badge(canvas, place, seen)
    left = place.left + widgets.badge_width(seen, place.height) + gap
    outcome = words.OUTCOME_TAGS[bay.result.outcome] if bay.result is not None else ""
    if outcome and left < place.right:
        widgets.tag(canvas, Rect(left, place.top, place.right - left, place.height), outcome)
        left += widgets.tag_width(outcome, place.height) + gap
    if bay.phone is not None and bay.phone.emulated and left < place.right:
        widgets.emulated(canvas, Rect(left, place.top, place.right - left, place.height))
