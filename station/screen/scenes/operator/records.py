"""The newest records: what was done with which phone, and whether there is a certificate."""

from pygame import Rect

from station.model.base import format_ecid
from station.model.operator import OperatorView, RecordLine
from station.model.record import Outcome
from station.model.service import SERVICES
from station.screen import facts, times
from station.screen.canvas import Canvas
from station.screen.office import Office
from station.screen.scenes.operator.furniture import entry, foot, line_height, page, pages, part, per_page, say
from station.screen.theme import GREEN, RED, Shape

LINE = 68


def draw(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    title = f"Records: {operator.record_count} in all" if operator.record_count else "Records"
    room = page(canvas, box, title, office, note)
    lines = operator.records
    if not lines:
        say(canvas, room, "Nothing has been done here yet.")
        return
    line_of = line_height(canvas, room, LINE)
    high_of_line = canvas.px(line_of)
    shown = per_page(canvas, room, line_of)
    room, below = foot(canvas, room, 60)
    open_now = part(office, len(lines), shown)
    start = open_now[0] * shown
    for number, line in enumerate(lines[start : start + shown]):
        _line(canvas, Rect(room.left, room.top + number * high_of_line, room.width, high_of_line), line)
    pages(canvas, below, office, open_now)


def _line(canvas: Canvas, box: Rect, line: RecordLine) -> None:
    good = line.outcome is Outcome.VERIFIED
    phone = f"{line.model_name or 'Phone'} · {facts.masked(format_ecid(line.ecid))} · {SERVICES[line.service].title}"
    entry(
        canvas,
        box,
        Shape.CHECK if good else Shape.CROSS,
        GREEN if good else RED,
        phone,
        line.title,
        aside=f"Record {line.number}",
        under=times.day_and_clock(line.ended),
        sealed=line.certificate,
    )
