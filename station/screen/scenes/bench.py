"""A station with several bays: a tile for each, and what can be done with the one that is selected."""

import math

from msgspec.structs import replace
from pygame import Rect

from station.model.api import BayState, BayView, Snapshot
from station.screen import text, words
from station.screen.canvas import Canvas, Target
from station.screen.choices import Choice, buttons, choices, obstacle
from station.screen.pages import Page, Turn, opened, unseen
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT
from station.screen.tile import fit, tile
from station.screen.widgets import KEY, SMALL, SMALLEST_TARGET, column, paragraph


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot) -> None:
    """Fill the box."""
    selected = next((bay for bay in snapshot.bays if bay.selected), None)
    wide = box.width > box.height
    foot = Rect(box.left, 0, box.width, canvas.px(76 if wide else 128))
    foot.bottom = box.bottom
    gap = canvas.px(12)
    _foot(canvas, foot, selected)
    grid = Rect(box.left, box.top, box.width, foot.top - gap - box.top)
    columns = best_columns(canvas, grid, len(snapshot.bays), gap)
    rows = math.ceil(len(snapshot.bays) / columns)
    for number, bay in enumerate(snapshot.bays):
        row, place = divmod(number, columns)
        left, right = _share(grid.left, grid.width, place, columns, gap)
        top, bottom = _share(grid.top, grid.height, row, rows, gap)
        _tile(canvas, Rect(left, top, right - left, bottom - top), bay)


def _tile(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """A bay's tile. One that tells the same as it did is not laid out again: with sixteen, that is most of the work."""
    told: BayView | tuple[BayView, str, str] = bay
    if bay.job is not None and bay.job.eta is not None:
        left = bay.job.eta - canvas.now
        timeless = replace(bay, job=replace(bay.job, eta=0.0))
        told = (timeless, words.time_left(left), words.time_left_short(left))
    canvas.part((told, *box), lambda: tile(canvas, box, bay))


def _more(bay: BayView) -> list[Choice]:
    """The way to all that there is about a bay."""
    if bay.state is BayState.EMPTY:
        return [Choice("Nothing shows?", Target(unseen(bay)))]
    return [Choice("More", Target(Turn(opened(bay, Page.PHONE))))]


def best_columns(canvas: Canvas, grid: Rect, count: int, gap: int) -> int:
    """How many columns make the most readable tiles."""

    def readable(columns: int) -> tuple[bool, bool, float]:
        rows = math.ceil(count / columns)
        width = (grid.width - gap * (columns - 1)) / columns
        height = (grid.height - gap * (rows - 1)) / rows
        return min(width, height) >= canvas.px(SMALLEST_TARGET), *fit(canvas, width, height)

    return max(range(1, count + 1), key=readable)


def _share(start: int, length: int, number: int, count: int, gap: int) -> tuple[int, int]:
    """Begin and end of one of `count` equal shares of a length, with gaps between them."""
    size = (length - gap * (count - 1)) / count
    begin = start + number * (size + gap)
    return round(begin), round(begin + size)


def _foot(canvas: Canvas, box: Rect, bay: BayView | None) -> None:
    """Who is selected and what is to be done, and the buttons for it."""
    if bay is None:
        column(box, paragraph(canvas, "Touch a bay.", Style(canvas.px(22), MUTED), box.width, align=0.5), align=0.5)
        return
    offered = [*choices(bay)[:1], *_more(bay)]
    width = round(min(canvas.px(190), box.width * 0.27) * len(offered))
    buttons(canvas, Rect(box.right - width, box.centery - canvas.px(KEY) // 2, width, canvas.px(KEY)), offered)
    speech = Rect(box.left, box.top, max(1, box.width - width - canvas.px(16)), box.height)
    name = words.model(bay)
    title = f"Bay {bay.bay}: {name}" if name else f"Bay {bay.bay}"
    found = obstacle(bay) if bay.state is BayState.READY else None
    said = [words.headline(bay), words.advice(bay)] if found is None else [found.title, found.remedy]
    whole = " ".join(words.sentence(part) for part in said if part)
    strong, weak = Style(canvas.px(22), TEXT, bold=True), Style(canvas.px(SMALL), MUTED)
    strong = text.fitting(title, strong, speech.width, smallest=canvas.px(SMALL))
    lines = max(1, (speech.height - text.line_height(strong)) // text.line_height(weak))
    cut = any(line.endswith("…") for line in text.wrap(whole, weak, speech.width, lines))
    told = said[0] if cut else whole  # “More” tells the rest
    weak = text.fitting(told, weak, speech.width, smallest=canvas.px(13), lines=lines)
    parts = [
        *paragraph(canvas, title, strong, speech.width),
        *paragraph(canvas, told, weak, speech.width, lines=lines),
    ]
    column(speech, parts, align=0.5)
