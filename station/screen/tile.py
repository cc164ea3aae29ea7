"""A bay among others: from a card that tells everything to a stamp that tells its number and its state."""

from dataclasses import replace

from pygame import Rect

from station.model.api import BayState, BayView, JobView, Select
from station.model.job import PHASE_WORDS
from station.screen import text, widgets, words
from station.screen.canvas import Canvas, Target
from station.screen.choices import ground, look, obstacle
from station.screen.text import Style
from station.screen.theme import INK, LINE, LOOKS, MUTED, NOT_YET, RED, SET_ASIDE, TEXT, mix
from station.screen.widgets import Part, column, label, paragraph

CARD_SIZE = (215, 152)
"""A tile of this size has room for the bay, its state, the phone, and what there is to say, in the sizes below."""
STAMP_SIZE = (176, 66)
"""A tile of this size has room for the bay, its state, and the phone or the progress."""
SMALLEST_CARD = 0.8
"""A card drawn smaller than this is hard to read: a stamp then says less, but larger."""


def fit(canvas: Canvas, width: float, height: float) -> tuple[bool, float]:
    """Whether a tile of a size is a card, and how large things in it are; the same whatever is in it."""
    card, stamp = (min(width / wide, height / high) for wide, high in (CARD_SIZE, STAMP_SIZE))
    is_card = card >= SMALLEST_CARD * canvas.px(100) / 100
    return is_card, max(0.3, min(card if is_card else stamp, canvas.px(100) / 50))


def tile(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """Draw a bay into its box, and make it touchable."""
    is_card, scale = fit(canvas, box.width, box.height)
    seen, behind = look(bay), ground(bay)
    target = Target(Select(id=0, bay=bay.bay), about=bay.bay)
    if canvas.pressed == target:
        behind = mix(behind, TEXT, 0.08)
    line, thickness = mix(LINE, behind, 0.4), canvas.px(2)
    if bay.selected:
        line, thickness = TEXT, canvas.px(4)
    elif seen.colour is RED:  # among many it must be found at once
        line, thickness = RED, canvas.px(3)
    canvas.framed(box, behind, round(16 * min(scale, canvas.px(100) / 100)), line, thickness)
    canvas.touch(box, target)
    if not is_card:
        _stamp(canvas, box.inflate(-2 * round(9 * scale), -2 * round(9 * scale)), bay, scale)
        return
    inner = box.inflate(-2 * round(14 * scale), -2 * round(12 * scale))
    lines = 2 if inner.width > inner.height else 4
    column(inner, _parts(canvas, inner.width, bay, scale, lines))


def _stamp(canvas: Canvas, box: Rect, bay: BayView, scale: float) -> None:
    """The bay's number, large, on its state's colour; beside it the state, and one line more."""
    seen = look(bay)
    number = Rect(box.left, box.top, min(box.height, box.width // 3), box.height)
    canvas.panel(number, seen.colour, number.width // 5)
    style = text.fitting(
        bay.bay, Style(round(number.width * 0.56), INK, bold=True), max(1, number.width - 4), smallest=6
    )
    label(canvas, number, bay.bay, style, align=0.5)
    gap = round(9 * scale)
    room = Rect(number.right + gap, box.top, max(1, box.right - number.right - gap), box.height)
    upper = Rect(room.left, room.top, room.width, room.height // 2)
    lower = Rect(room.left, upper.bottom, room.width, room.bottom - upper.bottom)
    side = round(17 * scale)
    mark = Rect(upper.left, upper.centery - side // 2, side, side)
    canvas.icon(seen.shape, mark, seen.colour)
    word = Rect(mark.right + gap * 2 // 3, upper.top, max(1, upper.right - mark.right - gap * 2 // 3), upper.height)
    if bay.phone is not None and bay.phone.emulated:
        width = widgets.tag_width(widgets.EMULATED[0], side)
        widgets.emulated(canvas, Rect(upper.right - width, mark.top, width, side), widgets.EMULATED[0])
        word.width = max(1, word.width - width - gap // 2)
    strong, weak = Style(round(18 * scale), TEXT, bold=True), Style(round(15 * scale), MUTED)
    label(canvas, word, seen.word, _equal(strong, word.width))
    if bay.job is not None and (bay.state is BayState.WORKING or bay.job.awaits is not None):
        _share(canvas, lower, _done(bay.job), replace(weak, bold=True, colour=TEXT))
        return
    said = words.model(bay)
    label(canvas, lower, said, text.fitting(said, weak, lower.width, smallest=max(6, weak.size * 4 // 5)))


def _equal(style: Style, room: int) -> Style:
    """The style in which the word of every state has room: so they are all equally large."""
    smallest = max(6, style.size // 2)
    sizes = (
        text.fitting(seen.word, style, room, smallest=smallest).size for seen in (*LOOKS.values(), NOT_YET, SET_ASIDE)
    )
    return replace(style, size=min(sizes))


def _done(job: JobView) -> float:
    """How much of it is done: of the job, or of what it waits for."""
    return job.fraction if job.awaits is None else words.fetched(job.awaits)


def _share(canvas: Canvas, box: Rect, done: float, style: Style) -> None:
    """How far it is: the bar, and in numbers."""
    width = min(box.width // 2, text.width("100%", style))
    label(canvas, Rect(box.right - width, box.top, width, box.height), words.percent(done), style, align=1)
    high = max(4, box.height // 3)
    room = max(high, box.width - width - box.height // 4)
    widgets.bar(canvas, Rect(box.left, box.centery - high // 2, room, high), done, LOOKS[BayState.WORKING].colour)


def _parts(canvas: Canvas, room: int, bay: BayView, scale: float, lines: int) -> list[Part]:
    def px(length: float) -> int:
        return max(1, round(length * scale))

    parts = [Part(px(34), lambda place: _head(canvas, place, bay))]
    parts += paragraph(canvas, words.model(bay), Style(px(22), TEXT, bold=True), room, gap=px(8), rank=3)
    if bay.phone is not None:
        parts += _whole(canvas, words.version(bay.phone), Style(px(15), MUTED), room, 1, gap=0, rank=6)
    if bay.job is not None and bay.state is BayState.WORKING:
        return parts + _progress(canvas, room, bay.job, scale, PHASE_WORDS[bay.job.phase])
    if bay.job is not None and bay.job.awaits is not None:
        return parts + _progress(canvas, room, bay.job, scale, words.headline(bay))
    found = obstacle(bay) if bay.state is BayState.READY else None
    headline, advice = (words.headline(bay), words.advice(bay)) if found is None else (found.title, found.remedy)
    if bay.dropped is not None:
        headline, advice = bay.title, bay.dropped.title
    parts += _whole(canvas, headline, Style(px(17), TEXT), room, lines, gap=px(6), rank=3)
    return parts + _whole(canvas, advice, Style(px(15), MUTED), room, lines, gap=px(4), rank=5)


def _whole(canvas: Canvas, said: str, style: Style, room: int, lines: int, *, gap: int, rank: int) -> list[Part]:
    """A sentence, whole or not at all: the badge says what it is about, and a touch the rest."""
    style = text.fitting(said, style, room, smallest=style.size * 5 // 6, lines=lines)
    if any(line.endswith("…") for line in text.wrap(said, style, room, lines)):
        return []
    return paragraph(canvas, said, style, room, lines=lines, gap=gap, rank=rank)


def _head(canvas: Canvas, place: Rect, bay: BayView) -> None:
    """The bay's number on its state's colour, the badge, and the mark of an emulated phone."""
    seen = look(bay)
    style = text.fitting(bay.bay, Style(round(place.height * 0.62), INK, bold=True), place.height, smallest=6)
    number = Rect(place.left, place.top, place.height, place.height)
    canvas.panel(number, seen.colour, place.height // 4)
    label(canvas, number, bay.bay, style, align=0.5)
    gap = place.height // 4
    height = round(place.height * 0.76)
    pill = Rect(number.right + gap, 0, place.right - number.right - gap, height)
    pill.centery = place.centery
    if bay.phone is not None and bay.phone.emulated:
        spelled = widgets.badge_width(seen, height) + gap + widgets.tag_width(widgets.EMULATED, height) <= pill.width
        mark = widgets.EMULATED if spelled else widgets.EMULATED[0]
        width = min(widgets.tag_width(mark, height), pill.width // 2)
        widgets.emulated(canvas, Rect(pill.right - width, pill.top, width, height), mark)
        pill.width -= width + gap
    widgets.badge(canvas, pill, seen)


def _progress(canvas: Canvas, room: int, job: JobView, scale: float, said: str) -> list[Part]:
    def px(length: float) -> int:
        return max(1, round(length * scale))

    if job.eta is not None:
        canvas.again_in(1)

    strong, weak = Style(px(16), TEXT, bold=True), Style(px(15), MUTED)

    done = _done(job)
    left = None if job.eta is None else job.eta - canvas.now
    if job.awaits is not None:
        left = job.awaits.seconds_left

    def numbers(place: Rect) -> None:
        share = min(place.width, text.width(words.percent(done), strong))
        label(canvas, Rect(place.left, place.top, share, place.height), words.percent(done), strong)
        rest = Rect(place.left + share + px(8), place.top, max(0, place.width - share - px(8)), place.height)
        if left is not None:
            long = words.time_left(left)
            fits = text.width(long, weak) <= rest.width
            label(canvas, rest, long if fits else words.time_left_short(left), weak, align=1)

    def draw_bar(place: Rect) -> None:
        widgets.bar(canvas, place, done, LOOKS[BayState.WORKING].colour)

    return [
        Part(px(8), draw_bar, gap=px(8), rank=1),
        Part(max(px(20), text.line_height(strong)), numbers, gap=px(2), rank=2),
        *paragraph(canvas, said, Style(px(15), MUTED), room, rank=4),
    ]
