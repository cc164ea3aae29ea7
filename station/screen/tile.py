"""A bay among others: from a card that tells everything to a stamp that tells its number and its state."""

from pygame import Rect

from station.model.api import BayState, BayView, JobView, Select
from station.model.job import PHASE_WORDS
from station.screen import text, widgets, words
from station.screen.canvas import Canvas, Target
from station.screen.choices import look
from station.screen.text import Style
from station.screen.theme import INK, LINE, LOOKS, MUTED, TEXT, mix, tinted
from station.screen.widgets import Part, column, label, paragraph

CARD_SIZE = (215, 152)
"""A tile of this size has room for the bay, its state, the phone, and what there is to say, in the sizes below."""
STAMP_SIZE = (190, 100)
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
    _, scale = fit(canvas, box.width, box.height)
    ground = tinted(bay.state)
    target = Target(Select(id=0, bay=bay.bay), about=bay.bay)
    if canvas.pressed == target:
        ground = mix(ground, TEXT, 0.08)
    line, thickness = (TEXT, canvas.px(4)) if bay.selected else (mix(LINE, ground, 0.4), canvas.px(2))
    canvas.framed(box, ground, round(16 * scale), line, thickness)
    canvas.touch(box, target)
    inner = box.inflate(-2 * round(14 * scale), -2 * round(12 * scale))
    lines = 2 if inner.width > inner.height else 4
    column(inner, _parts(canvas, inner.width, bay, scale, lines))


def _parts(canvas: Canvas, room: int, bay: BayView, scale: float, lines: int) -> list[Part]:
    def px(length: float) -> int:
        return max(1, round(length * scale))

    parts = [Part(px(34), lambda place: _head(canvas, place, bay))]
    parts += paragraph(canvas, words.model(bay), Style(px(22), TEXT, bold=True), room, gap=px(8), rank=3)
    if bay.phone is not None:
        parts += paragraph(canvas, words.version(bay.phone), Style(px(15), MUTED), room, rank=6)
    working = bay.job is not None and bay.state is BayState.WORKING
    if bay.job is not None and working:
        parts += _progress(canvas, room, bay.job, scale)
    else:
        parts += paragraph(canvas, words.headline(bay), Style(px(17), TEXT), room, lines=lines, gap=px(6), rank=3)
        parts += paragraph(canvas, words.advice(bay), Style(px(15), MUTED), room, lines=lines, gap=px(4), rank=5)
    return parts


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


def _progress(canvas: Canvas, room: int, job: JobView, scale: float) -> list[Part]:
    def px(length: float) -> int:
        return max(1, round(length * scale))

    if job.eta is not None:
        canvas.again_in(1)

    strong, weak = Style(px(16), TEXT, bold=True), Style(px(15), MUTED)

    def numbers(place: Rect) -> None:
        share = min(place.width, text.width(words.percent(job.fraction), strong))
        label(canvas, Rect(place.left, place.top, share, place.height), words.percent(job.fraction), strong)
        rest = Rect(place.left + share + px(8), place.top, max(0, place.width - share - px(8)), place.height)
        if job.eta is not None:
            left = words.time_left(job.eta - canvas.now)
            fits = text.width(left, weak) <= rest.width
            label(canvas, rest, left if fits else words.time_left_short(job.eta - canvas.now), weak, align=1)

    def draw_bar(place: Rect) -> None:
        widgets.bar(canvas, place, job.fraction, LOOKS[BayState.WORKING].colour)

    return [
        Part(px(8), draw_bar, gap=px(8), rank=1),
        Part(max(px(20), text.line_height(strong)), numbers, gap=px(2), rank=2),
        *paragraph(canvas, PHASE_WORDS[job.phase], Style(px(15), MUTED), room, rank=4),
    ]
