"""The few things that scenes are made of, and the column that stacks them and leaves out what has no room."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pygame import Rect

from station.screen import text
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.text import Style
from station.screen.theme import (
    BLUE,
    CARD,
    INK,
    LINE,
    RAISED,
    TEXT,
    TRACK,
    VIOLET,
    VIOLET_DEEP,
    Colour,
    Look,
    Shape,
    mix,
)

NEEDED = 1
"""Parts up to this rank are what a person must know."""

HUGE, TITLE, HEAD, BODY, SMALL = 54, 38, 27, 21, 17
"""The sizes of print, in pixels of a screen of 480: one number, one name, what it is about, what there is to say of
it, and what may be overlooked."""
KEY = 64
"""The height of what can be pressed."""
SMALLEST_TARGET = 60
"""Nothing that can be touched is smaller: wet thumbs are not exact."""


@dataclass(frozen=True)
class Part:
    """Something in a column.

    Attributes:
        height: In pixels.
        draw: Draws it into a box of the column's width and this height.
        rank: What has the highest rank is left out first when the column is too short.
        gap: Room above it, in pixels; none above the first.
    """

    height: int
    draw: Callable[[Rect], None]
    rank: int = 0
    gap: int = 0


def column(box: Rect, parts: Iterable[Part], *, align: float = 0.0) -> None:
    """Draw parts below each other; those that do not fit are left out by rank. `align` 0.5 centres the whole."""
    kept = list(parts)
    while kept and _height(kept) > box.height:
        kept.remove(max(reversed(kept), key=lambda part: part.rank))
    top = box.top + round((box.height - _height(kept)) * align)
    for number, part in enumerate(kept):
        top += part.gap if number else 0
        part.draw(Rect(box.left, top, box.width, part.height))
        top += part.height


def largest(canvas: Canvas, height: int, build: Callable[[Lengths], list[Part]]) -> list[Part]:
    """The parts in the largest of a few sizes in which the NEEDED ones fit: what matters is made smaller, not left out.

    Args:
        canvas: Whose lengths `build` gets, made smaller.
        height: The column's, in pixels.
        build: Makes the parts, with all lengths through the function it is given.
    """
    parts: list[Part] = []
    for scale in (1.0, 0.92, 0.84, 0.76, 0.68):
        parts = build(canvas.lengths(scale))
        if _height([part for part in parts if part.rank <= NEEDED]) <= height:
            break
    return parts


def _height(parts: list[Part]) -> int:
    return sum(part.height for part in parts) + sum(part.gap for part in parts[1:])


def paragraph(
    canvas: Canvas,
    words: str,
    style: Style,
    room: int,
    *,
    lines: int = 1,
    align: float = 0.0,
    rank: int = 0,
    gap: int = 0,
) -> list[Part]:
    """Text as a part of a column `room` pixels wide; no part at all when there is nothing to say."""
    count = len(text.wrap(words, style, room, lines))

    def draw(box: Rect) -> None:
        canvas.words(words, box, style, lines=count, align=align)

    return [Part(count * text.line_height(style), draw, rank, gap)] if count else []


def label(canvas: Canvas, box: Rect, words: str, style: Style, *, align: float = 0.0) -> None:
    """One line, in the middle of the box's height."""
    height = text.line_height(style)
    canvas.words(words, Rect(box.left, box.centery - height // 2, box.width, height), style, align=align)


def badge_width(look: Look, height: int) -> int:
    """How wide a state's badge is when it is `height` high."""
    return round(height * 1.45) + text.width(look.word, _badge_style(height))


def _badge_style(height: int, colour: Colour = INK) -> Style:
    return Style(round(height * 0.56), colour, bold=True)


LEAST_BADGE = 0.8
"""The share of its width that a badge's word can still be read in."""


def badge(canvas: Canvas, box: Rect, look: Look) -> None:
    """A state as shape, word and colour, at the left of the box; the shape alone where the word has no room."""
    height = box.height
    width = min(badge_width(look, height), box.width)
    spelled = width >= LEAST_BADGE * badge_width(look, height)
    pill = Rect(box.left, box.top, width if spelled else height, height)
    canvas.panel(pill, look.colour, height // 2)
    inset = round(height * 0.24)
    side = height - 2 * inset
    left = pill.left + (round(height * 0.36) if spelled else inset)
    canvas.icon(look.shape, Rect(left, pill.top + inset, side, side), INK)
    if spelled:
        start = left + side + round(height * 0.2)
        room = pill.right - start - (round(height * 0.2))
        style = text.fitting(look.word, _badge_style(height), room, smallest=1)
        label(canvas, Rect(start, pill.top, room, height), look.word, style)


def tag_width(words: str, height: int) -> int:
    """How wide a tag is when it is `height` high."""
    return round(height * 0.9) + text.width(words, Style(round(height * 0.54), bold=True))


def tag(canvas: Canvas, box: Rect, words: str, colour: Colour = TEXT, ground: Colour = RAISED) -> None:
    """A quiet pill with a word, at the left of the box."""
    width = min(tag_width(words, box.height), box.width)
    pill = Rect(box.left, box.top, width, box.height)
    canvas.panel(pill, ground, box.height // 2)
    inset = min(round(box.height * 0.4), width // 4)
    label(canvas, pill.inflate(-2 * inset, 0), words, Style(round(box.height * 0.54), colour, bold=True), align=0.5)


EMULATED = "EMULATED"


def emulated(canvas: Canvas, box: Rect, mark: str = EMULATED) -> None:
    """The mark of a phone that is none."""
    tag(canvas, box, mark, VIOLET, VIOLET_DEEP)


def bar(canvas: Canvas, box: Rect, fraction: float, colour: Colour) -> None:
    """How far something is. Never empty, so that it can be seen to be a bar."""
    canvas.panel(box, TRACK, box.height // 2)
    fraction = max(0.0, min(fraction, 1.0))
    done = Rect(box.left, box.top, max(min(box.height, box.width), round(box.width * fraction)), box.height)
    canvas.panel(done, colour, box.height // 2)


def button(
    canvas: Canvas, box: Rect, words: str, target: Target, *, main: bool = False, size: int | None = None
) -> None:
    """Something to tap. The `main` one is what a person most likely wants.

    `size` is that of its print, where several buttons stand in a row; None: as large as fits.
    """
    radius = canvas.px(16)
    ink = INK if main else TEXT
    ground = _ground(BLUE if main else RAISED, ink, canvas.pressed == target)
    if main:
        canvas.panel(box, ground, radius)
    else:
        canvas.framed(box, ground, radius, LINE, canvas.px(2))
    style = Style(size or button_size(canvas, box, words), ink, bold=True)
    inner = _inside_button(canvas, box)
    column(inner, paragraph(canvas, words, style, inner.width, lines=_button_lines(inner, style), align=0.5), align=0.5)
    canvas.touch(box, target)


def button_size(canvas: Canvas, box: Rect, words: str) -> int:
    """How large the print on a button can be: on one line if it can be read well, else on two."""
    inner = _inside_button(canvas, box)
    usual = Style(canvas.px(23), bold=True)
    style = text.fitting(words, usual, inner.width, smallest=canvas.px(19))
    if any(line.endswith("…") for line in text.wrap(words, style, inner.width, 1)):
        lines = _button_lines(inner, Style(canvas.px(SMALL), bold=True))
        style = text.fitting(words, usual, inner.width, smallest=canvas.px(13), lines=lines)
        while lines > 1 and style.size > canvas.px(13) and 2 * text.line_height(style) > inner.height:
            style = Style(style.size - 1, bold=True)
    return style.size


def _inside_button(canvas: Canvas, box: Rect) -> Rect:
    return box.inflate(-2 * canvas.px(12), -2 * canvas.px(4))


def _button_lines(inner: Rect, style: Style) -> int:
    return 2 if inner.height >= 2 * text.line_height(style) else 1


def heading(canvas: Canvas, box: Rect, title: str, back: Target, note: str = "") -> Rect:
    """A page's first row: the way back, and its title, or what the last touch was answered. Returns the room below."""
    side = canvas.px(60)
    place = Rect(box.left, box.top, canvas.px(84), side)
    canvas.framed(place, _ground(RAISED, TEXT, canvas.pressed == back), canvas.px(16), LINE, canvas.px(2))
    canvas.icon(Shape.BACK, place.inflate(-canvas.px(28), -canvas.px(28)), TEXT)
    canvas.touch(place, back)
    left = place.right + canvas.px(18)
    speech = Rect(left, box.top, max(1, box.right - left), side)
    if note:

        def build(px: Lengths) -> list[Part]:
            return paragraph(canvas, note, Style(px(18), BLUE, bold=True), speech.width, lines=3)

        column(speech, largest(canvas, side, build), align=0.5)
    else:
        style = text.fitting(title, Style(canvas.px(30), TEXT, bold=True), speech.width, smallest=canvas.px(18))
        label(canvas, speech, title, style)
    top = place.bottom + canvas.px(12)
    return Rect(box.left, top, box.width, max(1, box.bottom - top))


def stage(canvas: Canvas, box: Rect, ground: Colour, *, share: float = 0.3, high: float = 0.38) -> tuple[Rect, Rect]:
    """The card that a whole scene is drawn on. Returns the room for a picture, and the room for what is said.

    `share` is the picture's part of the width; on a high screen it is above, and `high` its part of the height.
    """
    canvas.panel(box, ground, canvas.px(24))
    inner = box.inflate(-2 * canvas.px(24), -2 * canvas.px(20))
    gap = canvas.px(28)
    if inner.width > inner.height:
        picture = Rect(inner.left, inner.top, round(inner.width * share), inner.height)
        return picture, Rect(picture.right + gap, inner.top, inner.right - picture.right - gap, inner.height)
    picture = Rect(inner.left, inner.top, inner.width, round(inner.height * high))
    return picture, Rect(inner.left, picture.bottom + gap, inner.width, inner.bottom - picture.bottom - gap)


def above_keys(canvas: Canvas, box: Rect) -> tuple[Rect, Rect]:
    """A box cut in two: what is above its row of keys, and the keys."""
    keys = Rect(box.left, box.bottom - canvas.px(KEY), box.width, canvas.px(KEY))
    return Rect(box.left, box.top, box.width, max(1, keys.top - canvas.px(12) - box.top)), keys


def strip(canvas: Canvas, words: str, room: int, shape: Shape, colour: Colour, *, gap: int = 0, lines: int = 2) -> Part:
    """A sentence that must not be overlooked, as a part of a column: on a breath of its colour, with a shape."""
    style = Style(canvas.px(BODY), TEXT, bold=True)
    side, pad = canvas.px(24), canvas.px(12)
    inner = room - side - 3 * pad
    style = text.fitting(words, style, inner, smallest=canvas.px(15), lines=lines)
    high = max(side, len(text.wrap(words, style, inner, lines)) * text.line_height(style))

    def draw(box: Rect) -> None:
        canvas.panel(box, mix(CARD, colour, 0.16), canvas.px(14))
        canvas.icon(shape, Rect(box.left + pad, box.centery - side // 2, side, side), colour)
        place = Rect(box.left + side + 2 * pad, box.top + pad, inner, high)
        column(place, paragraph(canvas, words, style, inner, lines=lines), align=0.5)

    return Part(high + 2 * pad, draw, gap=gap)


def grid(canvas: Canvas, box: Rect, count: int, *, columns: int, tallest: float = 120) -> list[Rect]:
    """`count` equal places, row by row, at most `tallest` (of 480) high."""
    gap = canvas.px(8)
    rows = -(-count // columns)
    width = (box.width - gap * (columns - 1)) // columns
    height = min(canvas.px(tallest), (box.height - gap * (rows - 1)) // max(rows, 1))
    return [
        Rect(box.left + number % columns * (width + gap), box.top + number // columns * (height + gap), width, height)
        for number in range(count)
    ]


def card(canvas: Canvas, box: Rect, target: Target, *, chosen: bool = False, quiet: bool = False) -> Rect:
    """Something to tap that says more than a button. Returns the room inside."""
    ground = _ground(CARD if quiet else RAISED, TEXT, canvas.pressed == target)
    line, thickness = (BLUE, canvas.px(3)) if chosen else (LINE, canvas.px(2))
    canvas.framed(box, ground, canvas.px(14), line, thickness)
    canvas.touch(box, target)
    return box.inflate(-2 * canvas.px(14), -2 * canvas.px(8))


def _ground(colour: Colour, light: Colour, pressed: bool) -> Colour:
    return mix(colour, light, 0.25) if pressed else colour


def hold_ring(canvas: Canvas, box: Rect, fraction: float, colour: Colour) -> None:
    """The ring that fills while CONFIRM is held, as large as fits in the box."""
    diameter = min(box.size)
    square = Rect(0, 0, diameter, diameter)
    square.center = box.center
    thickness = max(4, diameter // 12)
    canvas.ring(square, thickness, TRACK)
    if fraction > 0:
        canvas.ring(square, thickness, colour, fraction)
