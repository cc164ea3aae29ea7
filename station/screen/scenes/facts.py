"""All that a phone said of itself and others may see."""

from pygame import Rect

from station.model.api import BayView
from station.screen import facts, words
from station.screen.canvas import Canvas, Target
from station.screen.pages import Page, Turn, opened
from station.screen.table import table
from station.screen.text import Style
from station.screen.theme import MUTED
from station.screen.widgets import column, heading, paragraph


def draw(canvas: Canvas, box: Rect, bay: BayView, note: str) -> None:
    """Fill the box."""
    box = heading(canvas, box, words.model(bay), Target(Turn(opened(bay, Page.PHONE))), note)
    told = None if bay.phone is None else bay.phone.facts
    if told is None:
        said = "It has not told anything yet. Unlocked and trusted, it tells more."
        column(box, paragraph(canvas, said, Style(canvas.px(22), MUTED), box.width, lines=3), align=0.5)
        return
    columns = 2 if box.width > box.height else 1
    table(canvas, box, [(name, (value,)) for name, value in facts.rows(told)], columns=columns)
