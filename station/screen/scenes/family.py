"""No cable tells which phone it is: what does it look like? Its buttons are pressed accordingly."""

from pygame import Rect

from station.model.api import BayView, Guide
from station.model.guide import FAMILY_WORDS
from station.model.guide import Target as Goal
from station.screen import handset, text
from station.screen.canvas import Canvas, Target
from station.screen.pages import Page, Turn, opened
from station.screen.text import Style
from station.screen.theme import TEXT
from station.screen.widgets import card, column, grid, heading, paragraph


def draw(canvas: Canvas, box: Rect, bay: BayView, goal: Goal, note: str) -> None:
    """Fill the box."""
    asking = opened(bay, Page.ASK)
    box = heading(canvas, box, "Which one looks like it?", Target(Turn(asking)), note)
    wide = box.width > box.height
    places = grid(canvas, box, len(FAMILY_WORDS), columns=5 if wide else 2, tallest=400 if wide else 240)
    for (family, said), cell in zip(FAMILY_WORDS.items(), places, strict=True):
        begin = Guide(id=0, bay=bay.bay, target=goal, family=family)
        inner = card(canvas, cell, Target(Turn(asking, (begin,))))
        style = text.fitting(said, Style(canvas.px(18), TEXT, bold=True), inner.width, smallest=canvas.px(13), lines=3)
        height = 3 * text.line_height(style)
        speech = Rect(inner.left, inner.bottom - height, inner.width, height)
        column(speech, paragraph(canvas, said, style, inner.width, lines=3, align=0.5), align=0.5)
        room = max(1, speech.top - inner.top - canvas.px(8))
        handset.draw(canvas, Rect(inner.left, inner.top + canvas.px(4), inner.width, room), handset.USUAL[family])
