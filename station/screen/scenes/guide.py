"""Led through presses of buttons: the phone with the buttons to press, how long still, and what USB saw."""

import math

from pygame import Rect

from station.model.api import BayView, Guide, GuideNext, GuideView
from station.model.guide import FAMILY_WORDS, Press, Seen
from station.screen import handset, text, widgets, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons
from station.screen.scenes.ask import GOALS
from station.screen.text import Style
from station.screen.theme import BLUE, CARD, GREEN, MUTED, TEXT, YELLOW, Shape, mix
from station.screen.widgets import Part, column, largest, paragraph

SMOOTH = 1 / 15
"""Seconds between two pictures of a ring that takes seconds."""


def draw(canvas: Canvas, box: Rect, bay: BayView, guide: GuideView, note: str) -> None:
    """Fill the box."""
    canvas.panel(box, mix(CARD, BLUE, 0.05), canvas.px(24))
    inner = box.inflate(-2 * canvas.px(22), -2 * canvas.px(18))
    gap = canvas.px(22)
    if inner.width > inner.height:
        left = Rect(inner.left, inner.top, round(inner.width * 0.33), inner.height)
        speech = Rect(left.right + gap, inner.top, inner.right - left.right - gap, inner.height)
    else:
        left = Rect(inner.left, inner.top, inner.width, round(inner.height * 0.4))
        speech = Rect(inner.left, left.bottom + gap, inner.width, inner.bottom - left.bottom - gap)
    press = None if guide.step >= len(guide.steps) else guide.steps[guide.step]
    arrived = guide.seen is Seen.ARRIVED
    handset.draw(canvas, left, guide.family, () if press is None or arrived else press.keys)
    keys = Rect(speech.left, speech.bottom - canvas.px(64), speech.width, canvas.px(64))
    buttons(canvas, keys, _choices(bay, guide))
    room = Rect(speech.left, speech.top, speech.width, max(1, keys.top - canvas.px(12) - speech.top))
    over = press is None or arrived
    ring = min(canvas.px(84 if over else 150), room.height // 2)
    if press is not None and not arrived:
        _ring(canvas, Rect(room.right - ring, room.top, ring, ring), guide, press)
    else:
        mark = Shape.CHECK if arrived else Shape.BANG
        colour = GREEN if arrived else YELLOW
        canvas.icon(mark, Rect(room.right - ring, room.top, ring, ring), colour)
    _says(canvas, room, ring, bay, guide, press, note)


def _says(canvas: Canvas, box: Rect, ring: int, bay: BayView, guide: GuideView, press: Press | None, note: str) -> None:
    """What to do beside the ring; what was seen and what can go wrong below both."""
    over = press is None or guide.seen is Seen.ARRIVED
    height = round(box.height * 0.8) if over else ring
    beside = Rect(box.left, box.top, max(1, box.width - ring - canvas.px(16)), height)
    column(beside, largest(canvas, beside.height, lambda px: _doing(canvas, px, beside.width, bay, guide, press)))
    below = Rect(box.left, beside.bottom + canvas.px(10), box.width, max(1, box.bottom - beside.bottom - canvas.px(10)))

    def build(px: Lengths) -> list[Part]:
        said = note or ("" if press is None or guide.seen is Seen.ARRIVED else guide.says)
        return [
            *paragraph(canvas, said, Style(px(20), BLUE, bold=True), below.width, lines=3),
            *paragraph(canvas, guide.warning, Style(px(17), YELLOW), below.width, lines=4, gap=px(8)),
        ]

    column(below, largest(canvas, below.height, build), align=1.0)


def _doing(canvas: Canvas, px: Lengths, room: int, bay: BayView, guide: GuideView, press: Press | None) -> list[Part]:
    title = f"{GOALS[guide.target]} · {words.model(bay) or FAMILY_WORDS[guide.family]}"
    many = len(guide.steps) - 1
    if press is None or guide.seen is Seen.ARRIVED:
        where, said = ("It worked" if guide.seen is Seen.ARRIVED else "Not yet"), guide.says
    else:
        where, said = ("Get ready" if guide.step == 0 else f"Step {guide.step} of {many}"), press.says
    return [
        *paragraph(canvas, title, Style(px(17), MUTED), room),
        *paragraph(canvas, where, Style(px(20), MUTED, bold=True), room, gap=px(2)),
        *paragraph(canvas, said, Style(px(28), TEXT, bold=True), room, lines=4 if press else 9, gap=px(6)),
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
