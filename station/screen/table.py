"""Rows of a name and what there is to say of it."""

from collections.abc import Sequence

from pygame import Rect

from station.screen import text
from station.screen.canvas import Canvas
from station.screen.text import Style
from station.screen.theme import LINE, MUTED, TEXT
from station.screen.widgets import label

Row = tuple[str, tuple[str, ...]]
"""A name, and one or more values beside each other."""


def table(canvas: Canvas, box: Rect, rows: Sequence[Row], *, columns: int = 1, share: float = 0.38) -> None:
    """Draw rows, filling one column after the other; what has no room is left out from the end."""
    gap = canvas.px(28)
    many = -(-len(rows) // columns)
    width = (box.width - gap * (columns - 1)) // columns
    height = min(canvas.px(48), box.height // max(many, 1))
    if height < canvas.px(20):  # better fewer rows than none that can be read
        height = canvas.px(20)
        many = max(1, box.height // height)
    for number, row in enumerate(rows[: many * columns]):
        place, line = divmod(number, many)
        _row(canvas, Rect(box.left + place * (width + gap), box.top + line * height, width, height), row, share)


def _row(canvas: Canvas, box: Rect, row: Row, share: float) -> None:
    name, values = row
    size = min(canvas.px(18), round(box.height * 0.5))
    canvas.fill(Rect(box.left, box.bottom - 1, box.width, 1), LINE)
    first = round(box.width * share)
    gap = canvas.px(10)
    weak = text.fitting(name, Style(size, MUTED), first - gap, smallest=max(7, size * 2 // 3))
    label(canvas, Rect(box.left, box.top, max(1, first - gap), box.height), name, weak)
    room = (box.width - first) // len(values)
    for number, value in enumerate(values):
        place = Rect(
            box.left + first + number * room, box.top, max(1, room - (gap if len(values) > 1 else 0)), box.height
        )
        style = text.fitting(value, Style(size, TEXT, bold=True), place.width, smallest=max(7, size * 2 // 3))
        label(canvas, place, value, style)
