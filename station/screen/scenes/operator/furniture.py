"""What the operator's pages are made of besides the usual: a hold to mean it, steps up and down, pages of a list."""

from collections.abc import Sequence
from dataclasses import replace

from pygame import Rect

from station.screen import text
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.office import HOME, Key, Office, leaving
from station.screen.pages import Turn
from station.screen.text import Style
from station.screen.theme import BLUE, CARD, GREEN, INK, LINE, MUTED, RAISED, TEXT, Colour, Shape, mix
from station.screen.widgets import NEEDED, Part, card, column, grid, heading, label, largest, paragraph

HOLD_SECONDS = 1.5
"""How long a finger stays on what must not happen in passing."""
SMOOTH = 1 / 60


def page(canvas: Canvas, box: Rect, title: str, office: Office, note: str, *, back: Office = HOME) -> Rect:
    """A page's first row, with the way back to another of the operator's. Returns the room below."""
    return heading(canvas, box, title, Target(Turn(back, leaving(office))), note)


def foot(canvas: Canvas, box: Rect, height: float = 64) -> tuple[Rect, Rect]:
    """The room above, and a row of this height (of 480) at the bottom."""
    row = Rect(box.left, box.bottom - canvas.px(height), box.width, canvas.px(height))
    return Rect(box.left, box.top, box.width, max(1, row.top - canvas.px(12) - box.top)), row


def hold_button(canvas: Canvas, box: Rect, words: str, target: Target, colour: Colour = BLUE) -> None:
    """Something to hold: it fills while a finger stays. `target.hold` says for how long."""
    radius = canvas.px(16)
    canvas.framed(box, RAISED, radius, colour, canvas.px(3))
    held = canvas.pressed == target
    if held:
        share = max(0.0, min(1.0, (canvas.now - canvas.pressed_since) / target.hold))
        inner = box.inflate(-2 * canvas.px(3), -2 * canvas.px(3))
        filled = Rect(
            inner.left, inner.top, max(min(2 * radius, inner.width), round(inner.width * share)), inner.height
        )
        canvas.panel(filled, mix(RAISED, colour, 0.45), radius - canvas.px(3))
        canvas.again_in(SMOOTH)
    room = box.inflate(-2 * canvas.px(16), 0)
    said = "Keep holding" if held else words
    style = text.fitting(said, Style(canvas.px(24), TEXT, bold=True), room.width, smallest=canvas.px(14), lines=2)
    column(room, paragraph(canvas, said, style, room.width, lines=2, align=0.5), align=0.5)
    canvas.touch(box, target)


def stepper(
    canvas: Canvas,
    box: Rect,
    name: str,
    value: str,
    less: Target | None,
    more: Target | None,
    *,
    shapes: tuple[Shape, Shape] = (Shape.MINUS, Shape.PLUS),
) -> None:
    """A value with a key on each side; a key without a target is quiet."""
    canvas.framed(box, mix(RAISED, INK, 0.5), canvas.px(16), LINE, canvas.px(2))
    side = max(canvas.px(60), min(canvas.px(76), box.width // 4))
    for shape, target, left in ((shapes[0], less, box.left), (shapes[1], more, box.right - side)):
        place = Rect(left, box.top, side, box.height)
        if target is not None:
            pressed = canvas.pressed == target
            ground = mix(RAISED, TEXT, 0.25) if pressed else RAISED
            canvas.framed(place, ground, canvas.px(16), LINE, canvas.px(2))
            canvas.touch(place, target)
        mark = Rect(0, 0, canvas.px(26), canvas.px(26))
        mark.center = place.center
        canvas.icon(shape, mark, TEXT if target is not None else LINE)
    room = Rect(box.left + side + canvas.px(6), box.top, box.width - 2 * (side + canvas.px(6)), box.height)

    def build(px: Lengths) -> list[Part]:
        big = text.fitting(value, Style(px(26), TEXT, bold=True), room.width, smallest=px(14))
        small = text.fitting(name, Style(px(15), MUTED), room.width, smallest=px(11))
        return [
            *paragraph(canvas, name, small, room.width, align=0.5, rank=NEEDED),
            *paragraph(canvas, value, big, room.width, align=0.5),
        ]

    column(room, largest(canvas, room.height - canvas.px(8), build), align=0.5)


def option(
    canvas: Canvas,
    box: Rect,
    title: str,
    said: str,
    target: Target,
    *,
    chosen: bool = False,
    shape: Shape | None = None,
    tint: Colour = TEXT,
) -> None:
    """A card with an icon before a title, and a line or two below it.

    Without an icon of its own it is one of several to choose: a ring, with a check mark in it where it is chosen.
    """
    inner = card(canvas, box, target, chosen=chosen)
    side = min(canvas.px(34), inner.height, inner.width // 3)
    place = Rect(inner.left, inner.centery - side // 2, side, side)
    if shape is not None:
        canvas.icon(shape, place, BLUE if chosen else tint)
    elif chosen:
        canvas.disc(place, BLUE)
        canvas.icon(Shape.CHECK, place.inflate(-side // 2, -side // 2), INK)
    else:
        canvas.ring(place, max(2, side // 12), MUTED)
    gap = side + canvas.px(14)
    inner = Rect(inner.left + gap, inner.top, max(1, inner.width - gap), inner.height)
    two_lines(canvas, inner, title, said, lines=3)


def two_lines(canvas: Canvas, box: Rect, title: str, said: str, *, size: float = 21, lines: int = 2) -> None:
    """A title, and what there is to say of it."""
    many = 1 if said else 2

    def build(px: Lengths) -> list[Part]:
        strong = text.fitting(title, Style(px(size), TEXT, bold=True), box.width, smallest=px(13), lines=many)
        weak = text.fitting(said, Style(px(16), MUTED), box.width, smallest=px(13), lines=lines)
        return [
            *paragraph(canvas, title, strong, box.width, lines=many),
            *paragraph(canvas, said, weak, box.width, lines=lines, rank=NEEDED, gap=px(2)),
        ]

    column(box, largest(canvas, box.height, build), align=0.5)


def say(canvas: Canvas, box: Rect, words: str, *, size: float = 22, colour: Colour = MUTED, align: float = 0.5) -> None:
    """A few sentences in the middle of a box."""

    def build(px: Lengths) -> list[Part]:
        return paragraph(canvas, words, Style(px(size), colour), box.width, lines=8, align=align, rank=NEEDED)

    column(box, largest(canvas, box.height, build), align=0.5)


def per_page(canvas: Canvas, box: Rect, line: float) -> int:
    """How many lines of this height (of 480) a box has room for, when there is a foot below them."""
    return max(1, (box.height - canvas.px(72)) // canvas.px(line))


def part(office: Office, count: int, shown: int, first: int | None = None) -> tuple[int, int]:
    """Which page of a list is open, counted from 0, and how many there are.

    Args:
        office: The open page.
        count: How many lines there are.
        shown: How many are on a page.
        first: How many are on the first one; None: as many.
    """
    first = shown if first is None else first
    many = 1 + max(0, -(-(count - first) // shown))
    return min(office.part, many - 1), many


def pages(canvas: Canvas, box: Rect, office: Office, open_now: tuple[int, int], *, middle: bool = False) -> Rect:
    """The way through a list that is longer than a page. Returns the room in the middle.

    Args:
        canvas: What is drawn on.
        box: A row.
        office: The open page.
        open_now: What `part` said.
        middle: Whether something else is drawn there; otherwise it says which page this is.
    """
    number, many = open_now
    if many == 1:
        return box
    side = canvas.px(100)
    for shape, other, left in ((Shape.BACK, number - 1, box.left), (Shape.RIGHT, number + 1, box.right - side)):
        if not 0 <= other < many:
            continue
        target = Target(Turn(replace(office, part=other)))
        place = Rect(left, box.top, side, box.height)
        pressed = canvas.pressed == target
        ground = mix(RAISED, TEXT, 0.25) if pressed else RAISED
        canvas.framed(place, ground, canvas.px(16), LINE, canvas.px(2))
        canvas.icon(shape, place.inflate(-canvas.px(30), -canvas.px(34)), TEXT)
        canvas.touch(place, target)
    rest = box.inflate(-2 * (side + canvas.px(12)), 0)
    if not middle:
        label(canvas, rest, f"Page {number + 1} of {many}", Style(canvas.px(18), MUTED), align=0.5)
    return rest


def key(canvas: Canvas, box: Rect, words: str, does: Key, *, shape: Shape | None = None, main: bool = False) -> None:
    """A key of a pad."""
    target = Target(does)
    pressed = canvas.pressed == target
    base, ink = (BLUE, INK) if main else (RAISED, TEXT)
    ground = mix(base, ink, 0.25) if pressed else base
    canvas.framed(box, ground, canvas.px(16), base if main else LINE, canvas.px(2))
    canvas.touch(box, target)
    if shape is not None:
        side = min(canvas.px(36), box.height // 2)
        mark = Rect(0, 0, side, side)
        mark.center = box.center
        canvas.icon(shape, mark, ink)
        return
    style = Style(min(canvas.px(34), round(box.height * 0.5)), ink, bold=True)
    label(canvas, box, words, style, align=0.5)


def entry(
    canvas: Canvas,
    box: Rect,
    shape: Shape,
    tint: Colour,
    title: str,
    said: str,
    *,
    aside: str = "",
    under: str = "",
    sealed: bool = False,
    lines: int = 1,
) -> None:
    """A line of a list: an icon, a title above what there is to say, and at the right two short facts.

    `sealed`: there is a certificate.
    """
    canvas.fill(Rect(box.left, box.bottom - 1, box.width, 1), LINE)
    side = canvas.px(30)
    canvas.icon(shape, Rect(box.left, box.centery - side // 2, side, side), tint)
    left = box.left + side + canvas.px(14)
    strong, weak = Style(canvas.px(17), TEXT, bold=True), Style(canvas.px(15), MUTED)
    narrow = slim(canvas, box)
    width = 0 if narrow else min(max(text.width(aside, weak), text.width(under, weak)), box.width // 3)
    right = box.right
    if sealed:
        canvas.icon(Shape.SEAL, Rect(right - side, box.centery - side // 2, side, side), GREEN)
    right -= side + canvas.px(8) if sealed else 0
    if width:
        facts = Rect(right - width, box.top, width, box.height)
        parts = [
            *paragraph(canvas, aside, weak, width, align=1),
            *paragraph(canvas, under, weak, width, align=1, rank=1),
        ]
        column(facts, parts, align=0.5)
        right = facts.left - canvas.px(14)
    room = Rect(left, box.top, max(1, right - left), box.height)
    lines += 1 if narrow else 0
    many = 2 if narrow else 1
    strong = text.fitting(title, strong, room.width, smallest=canvas.px(12), lines=many)
    fitted = text.fitting(said, weak, room.width, smallest=canvas.px(13), lines=lines)
    parts = [
        *paragraph(canvas, title, strong, room.width, lines=many),
        *paragraph(canvas, said, fitted, room.width, lines=lines, rank=1),
    ]
    if narrow:
        facts_line = " · ".join(part for part in (aside, under) if part)
        parts += paragraph(
            canvas, facts_line, text.fitting(facts_line, weak, room.width, smallest=1), room.width, rank=2
        )
    column(room, parts, align=0.5)


def slim(canvas: Canvas, box: Rect) -> bool:
    """Whether a list has more height than width to spare: what else stands at the right goes below."""
    return box.width < canvas.px(560)


def line_height(canvas: Canvas, box: Rect, usual: float) -> float:
    """How high a line of a list is, in a picture of 480."""
    return usual + 34 if slim(canvas, box) else usual


Count = tuple[Shape, Colour, int, str]
"""An icon, its colour, a number, and what is counted."""


def counts(canvas: Canvas, box: Rect, told: Sequence[Count]) -> None:
    """Numbers that can be read from afar, each with its icon and its word."""
    columns = len(told) if box.width > 4 * box.height or len(told) < 4 else 2
    for (shape, colour, number, word), cell in zip(
        told, grid(canvas, box, len(told), columns=columns, tallest=130), strict=True
    ):
        canvas.panel(cell, mix(CARD, colour, 0.08 if number else 0.0), canvas.px(14))
        inner = cell.inflate(-2 * canvas.px(10), -2 * canvas.px(6))
        tint = colour if number else MUTED
        side = min(canvas.px(28), inner.height // 2)
        big = Style(min(canvas.px(34), inner.height // 2), TEXT if number else MUTED, bold=True)
        high = text.line_height(big)
        room = text.width(str(number), big) + side + canvas.px(10)
        top = inner.top + max(0, (inner.height - high - canvas.px(22)) // 2)
        left = inner.centerx - room // 2
        canvas.icon(shape, Rect(left, top + (high - side) // 2, side, side), tint)
        label(canvas, Rect(left + side + canvas.px(10), top, inner.right - left - side, high), str(number), big)
        small = text.fitting(word, Style(canvas.px(16), MUTED), inner.width, smallest=canvas.px(12))
        canvas.words(word, Rect(inner.left, top + high, inner.width, canvas.px(24)), small, align=0.5)
