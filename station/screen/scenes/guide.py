"""Led through presses of buttons: the phone with the buttons to press, how long still, and what USB saw."""

import math

from pygame import Rect

from station.model.api import BayView, Guide, GuideNext, GuideView
from station.model.guide import FAMILY_WORDS, Press, Seen
from station.model.guide import Target as Goal
from station.screen import art, handset, text, widgets, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons
from station.screen.handset import build_of
from station.screen.scenes.ask import GOALS
from station.screen.text import Style
from station.screen.theme import BLUE, CARD, GREEN, INK, MUTED, TEXT, YELLOW, Colour, Shape, mix
from station.screen.widgets import BODY, SMALL, Part, above_keys, column, label, largest, paragraph, stage

SMOOTH = 1 / 15
"""Seconds between two pictures of a ring that takes seconds."""
TAP = 3.0
"""A button that is to be down for less than so many seconds is pressed and let go; else it is held."""
SEEN: dict[Seen, tuple[Shape, Colour, str]] = {
    Seen.NOTHING: (Shape.DOTS, MUTED, "USB: nothing there"),
    Seen.ARRIVED: (Shape.CHECK, GREEN, "USB: it is there"),
    Seen.OTHER_MODE: (Shape.BANG, YELLOW, "USB: another mode"),
    Seen.RESTARTED: (Shape.BANG, YELLOW, "USB: it restarted"),
    Seen.UNMOVED: (Shape.PLUG, TEXT, "USB: connected"),
}
"""What the station sees at this moment, whatever is being pressed."""


def draw(canvas: Canvas, box: Rect, bay: BayView, guide: GuideView, note: str) -> None:
    """Fill the box."""
    left, speech = stage(canvas, box, mix(CARD, BLUE, 0.05), share=0.38, high=0.42)
    press = None if guide.step >= len(guide.steps) or guide.seen is Seen.ARRIVED else guide.steps[guide.step]
    high = canvas.px(34)
    _picture(canvas, Rect(left.left, left.top, left.width, left.height - high - canvas.px(10)), bay, guide, press)
    _usb(canvas, Rect(left.left, left.bottom - high, left.width, high), guide.seen)
    room, keys = above_keys(canvas, speech)
    buttons(canvas, keys, _choices(bay, guide))
    over = press is None
    ring = min(canvas.px(84 if over else 132), room.height // 2, room.width // 3)
    place = Rect(room.right - ring, room.top, ring, ring)
    if press is not None:
        _ring(canvas, place, guide, press)
    else:
        arrived = guide.seen is Seen.ARRIVED
        canvas.disc(place, GREEN if arrived else YELLOW)
        canvas.icon(Shape.CHECK if arrived else Shape.BANG, place.inflate(-ring // 2, -ring // 2), INK)
    _says(canvas, room, ring, bay, guide, press, note)


def _picture(canvas: Canvas, box: Rect, bay: BayView, guide: GuideView, press: Press | None) -> None:
    """The phone: the buttons to press, moving as fingers do; at the end what it shows by then."""
    build = build_of("" if bay.phone is None else bay.phone.product_type, guide.family)
    keys = () if press is None else press.keys
    push = 1.0
    if press is not None and keys and press.seconds < TAP:
        along = art.cycle(canvas, 1)
        push = art.eased(along, 0.0, 0.35) - art.eased(along, 0.55, 0.9)
    elif keys:
        push = 1 - 0.35 * (1 - abs(2 * art.cycle(canvas, 1.5) - 1))
    arrived = guide.seen is Seen.ARRIVED
    lit = guide.seen is not Seen.NOTHING and not (arrived and guide.target is Goal.DFU)
    drawn = handset.draw(canvas, box, build, keys, marked=True, push=push, lit=lit)
    if arrived and guide.target is Goal.RECOVERY:
        with canvas.as_it_is(box):
            art.recovery().draw(canvas, drawn.screen)


def _usb(canvas: Canvas, box: Rect, seen: Seen) -> None:
    """What USB shows, live: a person sees at once that the phone went off, or came."""
    shape, colour, said = SEEN[seen]
    side = round(box.height * 0.5)
    style = text.fitting(said, Style(canvas.px(SMALL), colour, bold=True), box.width - 4 * side, smallest=canvas.px(12))
    width = min(box.width, text.width(said, style) + round(3.2 * side))
    pill = Rect(0, 0, width, box.height)
    pill.center = box.center
    canvas.panel(pill, mix(CARD, colour, 0.16), pill.height // 2)
    mark = Rect(pill.left + round(side * 0.8), pill.centery - side // 2, side, side)
    canvas.icon(shape, mark, colour)
    start = mark.right + round(side * 0.5)
    label(canvas, Rect(start, pill.top, max(1, pill.right - start - side // 2), pill.height), said, style)


def _says(canvas: Canvas, box: Rect, ring: int, bay: BayView, guide: GuideView, press: Press | None, note: str) -> None:
    """What to do beside the ring; what was seen and what can go wrong below both."""
    height = (
        round(box.height * 0.8) if press is None else max(ring, box.height * (3 if guide.warning or note else 4) // 5)
    )
    beside = Rect(box.left, box.top, max(1, box.width - ring - canvas.px(18)), height)
    column(beside, largest(canvas, beside.height, lambda px: _doing(canvas, px, beside.width, bay, guide, press)))
    below = Rect(box.left, beside.bottom + canvas.px(8), box.width, max(1, box.bottom - beside.bottom - canvas.px(8)))

    def build(px: Lengths) -> list[Part]:
        said = note or ("" if press is None else guide.says)
        warning = "" if guide.seen is Seen.ARRIVED else guide.warning
        return [
            *paragraph(canvas, said, Style(px(20), BLUE, bold=True), below.width, lines=5),
            *paragraph(canvas, warning, Style(px(SMALL), YELLOW), below.width, lines=6, gap=px(8)),
        ]

    column(below, largest(canvas, below.height, build), align=1.0)


def _doing(canvas: Canvas, px: Lengths, room: int, bay: BayView, guide: GuideView, press: Press | None) -> list[Part]:
    title = f"{GOALS[guide.target]} · {words.model(bay) or FAMILY_WORDS[guide.family]}"
    many = len(guide.steps) - 1
    if press is None:
        where, said = ("It worked" if guide.seen is Seen.ARRIVED else "Not yet"), guide.says
    else:
        where, said = ("Get ready" if guide.step == 0 else f"Step {guide.step} of {many}"), press.says
    return [
        *paragraph(canvas, title, Style(px(SMALL), MUTED), room, lines=2),
        *paragraph(canvas, where, Style(px(BODY), BLUE, bold=True), room, gap=px(6)),
        *paragraph(canvas, said, Style(px(30), TEXT, bold=True), room, lines=7 if press else 9, gap=px(4)),
    ]


def _choices(bay: BayView, guide: GuideView) -> list[Choice]:
    about = (guide.target, guide.family, guide.step)
    onward = Choice("Next", Target(GuideNext(id=0, bay=bay.bay), about=about), main=True)
    stop = Choice("Stop", Target(Guide(id=0, bay=bay.bay, target=None), about=(guide.target, guide.family)))
    if guide.seen is Seen.ARRIVED and guide.step >= len(guide.steps):
        return [Choice("Done", stop.target, main=True)]
    return [stop, onward]


def _ring(canvas: Canvas, box: Rect, guide: GuideView, press: Press) -> None:
    """How much of a step is left."""
    seconds = max(press.seconds, 0.1)
    gone = max(0.0, canvas.now - guide.began)
    left = max(0.0, seconds - gone)
    if left > 0:
        canvas.again_in(SMOOTH)
    widgets.hold_ring(canvas, box, min(1.0, gone / seconds), BLUE)
    style = Style(round(box.height * 0.4), TEXT, bold=True)
    label_height = text.line_height(style)
    place = Rect(box.left, box.centery - label_height // 2, box.width, label_height)
    canvas.words(str(math.ceil(left)), place, style, align=0.5)
