"""What was looked at after a job, and what is different since."""

from pygame import Rect

from station.model.api import BayView, ResultView
from station.model.record import Check
from station.screen import facts, text
from station.screen.canvas import Canvas, Target
from station.screen.pages import Page, Turn, opened
from station.screen.table import table
from station.screen.text import Style
from station.screen.theme import GREEN, MUTED, RED, TEXT, Shape
from station.screen.widgets import column, heading, label, paragraph

MOST = 7
"""More lines than this are no overview; the record has them all."""


def draw(canvas: Canvas, box: Rect, bay: BayView, result: ResultView, note: str) -> None:
    """Fill the box."""
    box = heading(canvas, box, "What was checked", Target(Turn(opened(bay, Page.PHONE))), note)
    changed = [] if result.before is None or result.after is None else facts.changes(result.before, result.after)
    gap = canvas.px(28)
    if not changed:
        checked = box
    elif box.width > box.height:
        checked = Rect(box.left, box.top, (box.width - gap) // 2, box.height)
        other = Rect(checked.right + gap, box.top, box.right - checked.right - gap, box.height)
        _changes(canvas, other, changed)
    else:
        checked = Rect(box.left, box.top, box.width, box.height // 2)
        other = Rect(box.left, checked.bottom + gap, box.width, box.bottom - checked.bottom - gap)
        _changes(canvas, other, changed)
    _checks(canvas, checked, result.checks)


def _checks(canvas: Canvas, box: Rect, checks: tuple[Check, ...]) -> None:
    if not checks:
        said = "Nothing could be looked at afterwards."
        column(box, paragraph(canvas, said, Style(canvas.px(20), MUTED), box.width, lines=3), align=0.3)
        return
    height = min(canvas.px(64), box.height // min(len(checks), MOST))
    for number, check in enumerate(checks[:MOST]):
        place = Rect(box.left, box.top + number * height, box.width, height)
        side = round(height * 0.5)
        mark = Rect(place.left, 0, side, side)
        mark.centery = place.centery
        canvas.icon(Shape.CHECK if check.passed else Shape.CROSS, mark, GREEN if check.passed else RED)
        left = mark.right + canvas.px(14)
        size = min(canvas.px(19), round(height * 0.36))
        room = max(1, place.right - left)
        seen = check.observed if check.passed else f"{check.observed}, expected: {check.expected}"
        strong, weak = Style(size, TEXT, bold=True), Style(max(7, size * 5 // 6), MUTED)
        half = place.height // 2
        label(canvas, Rect(left, place.top, room, half), check.what, strong)
        seen_style = text.fitting(seen, weak, room, smallest=max(7, size * 2 // 3))
        label(canvas, Rect(left, place.top + half - canvas.px(2), room, half), seen, seen_style)


def _changes(canvas: Canvas, box: Rect, changed: list[tuple[str, str, str]]) -> None:
    rows = [("", ("Before", "After")), *((name, (was, now)) for name, was, now in changed)]
    table(canvas, box, rows, share=0.3)
