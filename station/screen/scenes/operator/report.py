"""What came of the night: what needs somebody first, then every phone, and how many certificates there are."""

from pygame import Rect

from station.model.base import format_ecid
from station.model.operator import OperatorView
from station.model.order import OrderReport, PassedOver, ReportLine
from station.model.service import SERVICES
from station.screen import facts, times, words
from station.screen.canvas import Canvas
from station.screen.office import NightDraft, Office, Room
from station.screen.scenes.operator.furniture import Count, counts, entry, foot, page, pages, per_page, say
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
    wide = room.width > room.height
    high = canvas.px(84) if wide else canvas.px(190)
    if not office.start:
        counts(canvas, Rect(room.left, room.top, room.width, high), _totals(report))
        under = Rect(room.left, room.top + high + canvas.px(4), room.width, canvas.px(40))
        say(canvas, under, _when(report), size=17, align=0.0)
    top = under.bottom if not office.start else room.top
    room = Rect(room.left, top, room.width, max(1, room.bottom - top))
    lines = _lines(report)
    # As many on each page as on the first, whose room is smaller: so every line has one page that it is on.
    first = Rect(room.left, 0, room.width, room.height - (0 if not office.start else high + canvas.px(44)))
    shown = per_page(canvas, first, LINE)
    room, below = foot(canvas, room, 60)
    for number, line in enumerate(lines[office.start : office.start + shown]):
        place = Rect(room.left, room.top + number * canvas.px(LINE), room.width, canvas.px(LINE))
        if isinstance(line, PassedOver):
            _passed(canvas, place, line)
        else:
            _phone(canvas, place, line)
    pages(canvas, below, office, len(lines), shown)


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
    )


def _passed(canvas: Canvas, box: Rect, line: PassedOver) -> None:
    ecid = "" if line.ecid is None else f" · {facts.masked(format_ecid(line.ecid))}"
    name = f"Bay {line.bay} · {line.model_name or 'Phone'}{ecid}"
    entry(canvas, box, Shape.PAUSE, YELLOW, name, f"It got nothing: {line.why}", aside=times.clock(line.at))
