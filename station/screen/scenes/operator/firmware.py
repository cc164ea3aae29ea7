"""What can be installed, what is on its way, and what else there is to be had."""

from pygame import Rect

from station.model.api import FetchNewest, RemoveFirmware, Snapshot, StopFetch
from station.model.catalog import Arrival, ArrivalState
from station.model.operator import FirmwareLine, OperatorView
from station.screen import facts, text, widgets, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons
from station.screen.office import ImageDraft, Office, Room
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import (
    HOLD_SECONDS,
    entry,
    foot,
    hold_button,
    line_height,
    page,
    pages,
    part,
    per_page,
    say,
)
from station.screen.text import Style
from station.screen.theme import BLUE, CARD, GREEN, MUTED, RED, TEXT, YELLOW, Colour, Shape, mix
from station.screen.widgets import NEEDED, Part, column, largest, paragraph

LINE = 62
MOST_NEWS = 2
"""Sentences about what there is to be had: the page is a list."""
BACK = Office(Room.FIRMWARE)
COLOURS = {
    ArrivalState.WAITING: MUTED,
    ArrivalState.FETCHING: YELLOW,
    ArrivalState.CHECKING: YELLOW,
    ArrivalState.FAILED: RED,
}


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Firmware", office, note or operator.says)
    room = _news(canvas, room, operator.news)
    lines: list[Arrival | FirmwareLine] = [*snapshot.arrivals, *operator.firmware]
    line_of = line_height(canvas, room, LINE)
    shown = per_page(canvas, room, line_of)
    room, below = foot(canvas, room, 60)
    open_now = part(office, len(lines), shown)
    start = open_now[0] * shown
    high = canvas.px(line_of)
    for number, line in enumerate(lines[start : start + shown]):
        place = Rect(room.left, room.top + number * high, room.width, high)
        if isinstance(line, Arrival):
            _on_its_way(canvas, place, line)
        else:
            _here(canvas, place, line)
    if not lines:
        say(canvas, room, NONE_YET if operator.fetches else NONE_HERE)
    middle = pages(canvas, below, office, open_now, middle=operator.fetches)
    if operator.fetches:
        buttons(canvas, middle, [Choice("Fetch the newest", Target(FetchNewest(id=0)))])


NONE_YET = "There is no firmware here yet. It is fetched when a phone needs it, or imported with “station firmware”."
NONE_HERE = "There is no firmware here yet. It is imported with “station firmware”."


def image(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """One that is here, and the way to remove it."""
    name = office.draft.name if isinstance(office.draft, ImageDraft) else ""
    line = next((line for line in operator.firmware if line.name == name), None)
    room = page(canvas, box, "Firmware" if line is None else words_of(line), office, note, back=BACK)
    if line is None:
        say(canvas, room, "It is not here any more.")
        return
    room, below = foot(canvas, room, 72)
    about = f"{models(line)} · {facts.size(line.size)}"
    if line.pinned or line.in_use:
        _sentences(canvas, room, about, "A job uses it. It stays until that is done." if line.in_use else PINNED)
        return
    _sentences(canvas, room, about, "A phone that needs it afterwards has to wait until it is here again.")
    remove = RemoveFirmware(id=0, name=line.name)
    hold_button(canvas, below, "Hold to remove", Target(Turn(BACK, (remove,)), hold=HOLD_SECONDS), RED)


PINNED = "The settings name it for this station, so it stays."


def arrival(canvas: Canvas, box: Rect, snapshot: Snapshot, office: Office, note: str) -> None:
    """One that is on its way, and the way to stop that."""
    build = office.draft.name if isinstance(office.draft, ImageDraft) else ""
    coming = next((each for each in snapshot.arrivals if each.build == build), None)
    title = "Firmware" if coming is None else f"iOS {coming.version} ({coming.build})"
    room = page(canvas, box, title, office, note, back=BACK)
    if coming is None:
        say(canvas, room, "It is here, or nobody needs it any more.")
        return
    room, below = foot(canvas, room, 72)
    if coming.state is ArrivalState.FAILED:
        _sentences(canvas, room, words.coming(coming), coming.remedy)
        return
    _sentences(
        canvas, room, _how_far(coming), words.whence(coming), share=words.fetched(coming), colour=COLOURS[coming.state]
    )
    stop = Turn(BACK, (StopFetch(id=0, build=coming.build),), "The download is stopped.")
    hold_button(canvas, below, "Hold to stop it", Target(stop, hold=HOLD_SECONDS))


def words_of(line: FirmwareLine) -> str:
    """An image's name."""
    return f"iOS {line.version} ({line.build})"


def models(line: FirmwareLine) -> str:
    """For how many models it is."""
    return "For 1 model" if line.models == 1 else f"For {line.models} models"


def _news(canvas: Canvas, room: Rect, news: tuple[str, ...]) -> Rect:
    """The first things to know about what there is to be had. Returns the room below."""
    said = " ".join(news[:MOST_NEWS])
    if not said:
        return room
    style = text.fitting(said, Style(canvas.px(18), BLUE), room.width, smallest=canvas.px(14), lines=2)
    parts = paragraph(canvas, said, style, room.width, lines=2)
    high = sum(each.height + each.gap for each in parts)
    column(Rect(room.left, room.top, room.width, high), parts)
    top = high + canvas.px(8)
    return Rect(room.left, room.top + top, room.width, max(1, room.height - top))


def _on_its_way(canvas: Canvas, place: Rect, coming: Arrival) -> None:
    """A line about one, over a bar of how much of it is here."""
    colour = COLOURS[coming.state]
    target = Target(Turn(Office(Room.ARRIVAL, draft=ImageDraft(coming.build))))
    _touchable(canvas, place, target)
    title, failed = f"iOS {coming.version} ({coming.build})", coming.state is ArrivalState.FAILED
    shape = Shape.CROSS if failed else Shape.FETCH
    aside = "" if failed else words.percent(words.fetched(coming))
    entry(canvas, place, shape, colour, title, words.coming(coming), aside=aside, under=words.time_to_come(coming))
    if not failed:
        high = canvas.px(6)
        bar = Rect(place.left, place.bottom - high, place.width, high)
        widgets.bar(canvas, bar, words.fetched(coming), colour)


def _here(canvas: Canvas, place: Rect, line: FirmwareLine) -> None:
    _touchable(canvas, place, Target(Turn(Office(Room.IMAGE, draft=ImageDraft(line.name)))))
    under = "In use" if line.in_use else "Pinned" if line.pinned else ""
    colour = GREEN if line.in_use or line.pinned else TEXT
    entry(canvas, place, Shape.CHECK, colour, words_of(line), models(line), aside=facts.size(line.size), under=under)


def _touchable(canvas: Canvas, place: Rect, target: Target) -> None:
    if canvas.pressed == target:
        canvas.panel(place, mix(CARD, TEXT, 0.12), canvas.px(10))
    canvas.touch(place, target)


def _how_far(coming: Arrival) -> str:
    left = words.time_to_come(coming)
    said = words.coming(coming)
    return f"{said} · {left}" if left else said


def _sentences(
    canvas: Canvas, room: Rect, strong: str, weak: str, *, share: float | None = None, colour: Colour = YELLOW
) -> None:
    """Two things to say, with a bar between them where there is a share."""

    def build(px: Lengths) -> list[Part]:
        parts = paragraph(canvas, strong, Style(px(24), TEXT, bold=True), room.width, lines=4, align=0.5, rank=NEEDED)
        if share is not None:
            parts.append(Part(px(18), lambda place: widgets.bar(canvas, place, share, colour), gap=px(14)))
        return parts + paragraph(canvas, weak, Style(px(20), MUTED), room.width, lines=5, align=0.5, gap=px(12))

    column(room, largest(canvas, room.height, build), align=0.5)
