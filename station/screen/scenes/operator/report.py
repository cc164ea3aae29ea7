"""What came of the night: what needs somebody first, then every phone, and how many certificates there are."""

from pygame import Rect

from station.model.base import format_ecid
from station.model.operator import OperatorView
from station.model.order import OrderReport, PassedOver, ReportLine
from station.model.service import SERVICES
from station.screen import facts, times, words
from station.screen.canvas import Canvas
from station.screen.office import NightDraft, Office, Room
from station.screen.scenes.operator.furniture import (
    Count,
    counts,
    entry,
    foot,
    line_height,
    page,
    pages,
    part,
    per_page,
    say,
)
from station.screen.theme import GREEN, RED, WHITE, YELLOW, Shape

LINE = 66


def draw(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    back = Office(Room.NIGHT, draft=NightDraft())
    report = operator.report
    if report is None:
        say(canvas, page(canvas, box, "Report", office, note, back=back), "There was no night yet.")
        return
    room = page(canvas, box, "Morning report" if report.ended else "The night so far", office, note, back=back)
    high = canvas.px(84 if room.width > room.height else 190)
    head = Rect(room.left, room.top, room.width, high + canvas.px(44))
    under_head = Rect(room.left, head.bottom, room.width, max(1, room.bottom - head.bottom))
    lines = _lines(report)
    line_of = line_height(canvas, room, LINE)
    high_of_line = canvas.px(line_of)
    shown, first = per_page(canvas, room, line_of), per_page(canvas, under_head, line_of)
    open_now = part(office, len(lines), shown, first)
    if open_now[0] == 0:
        counts(canvas, Rect(head.left, head.top, head.width, high), _totals(report))
        said = Rect(head.left, head.top + high + canvas.px(4), head.width, canvas.px(36))
        say(canvas, said, _when(report), size=17, align=0.0)
        room, start, end = under_head, 0, first
    else:
        start = first + (open_now[0] - 1) * shown
        end = start + shown
    room, below = foot(canvas, room, 60)
    for number, line in enumerate(lines[start:end]):
        place = Rect(room.left, room.top + number * high_of_line, room.width, high_of_line)
        if isinstance(line, PassedOver):
            _passed(canvas, place, line)
        else:
            _phone(canvas, place, line)
    pages(canvas, below, office, open_now)


def _lines(report: OrderReport) -> list[ReportLine | PassedOver]:
    """What needs somebody, what was left out, and what is done."""
    failed = [line for line in report.phones if not line.certified]
    done = [line for line in report.phones if line.certified]
    return [*failed, *report.passed, *done]


def _totals(report: OrderReport) -> list[Count]:
    """Counted by the daemon: the lists may be cut."""
    return [
        (Shape.BANG, RED, report.failed, "Need somebody"),
        (Shape.PAUSE, YELLOW, len(report.passed), "Got nothing"),
        (Shape.SEAL, GREEN, report.done, "Certificates"),
        (Shape.PLUG, WHITE, report.left, "Did not come"),
    ]


def _when(report: OrderReport) -> str:
    title, given = SERVICES[report.service].title, times.day_and_clock(report.given)
    if not report.ended and report.why_ended:
        return f"“{title}”, armed {given}. It ends with what has begun: {report.why_ended}."
    if not report.ended:
        return f"“{title}”, armed {given}. It still holds."
    return f"“{title}”, armed {given}, over {times.clock(report.ended)}: {report.why_ended}."


def _phone(canvas: Canvas, box: Rect, line: ReportLine) -> None:
    shape, colour = (Shape.CHECK, GREEN) if line.certified else (Shape.CROSS, RED)
    name = f"Bay {line.bay} · {line.model_name or 'Phone'} · {facts.masked(format_ecid(line.ecid))}"
    said = line.title if line.certified else f"{words.sentence(line.title)} {line.remedy}".strip()
    entry(
        canvas,
        box,
        shape,
        colour,
        f"{name} · {line.tries} tries" if line.tries > 1 else name,
        said,
        aside=f"Record {line.record}" if line.record else "No record",
        under=words.duration(line.seconds) if line.certified else "",
        sealed=line.certified,
        lines=2,
    )


def _passed(canvas: Canvas, box: Rect, line: PassedOver) -> None:
    ecid = "" if line.ecid is None else f" · {facts.masked(format_ecid(line.ecid))}"
    name = f"Bay {line.bay} · {line.model_name or 'Phone'}{ecid}"
    entry(canvas, box, Shape.PAUSE, YELLOW, name, f"It got nothing: {line.why}", aside=times.clock(line.at), lines=2)
