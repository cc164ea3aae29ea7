"""A phone at rest: what it is, the service that START means, what that does, and what stands in its way."""

from pygame import Rect

from station.model.api import BayState, BayView
from station.model.gates import Gate
from station.model.phone import PhoneMode
from station.model.service import SERVICES
from station.screen import art, facts, named, text, widgets, words
from station.screen.art import Shown
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import look, obstacle, subject
from station.screen.pages import Page, Turn, opened
from station.screen.text import Style
from station.screen.theme import BLUE, MUTED, TEXT, Shape
from station.screen.widgets import BODY, HEAD, SMALL, Part, column, label, paragraph

CHANGE = "Change"
"""Leads to the other services."""
SERVICE = 76
"""The height of the service's card."""


def picture(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """The phone, showing what it shows in its mode."""
    art.phone(canvas, box, named.build(bay), _shown(bay))


def _shown(bay: BayView) -> Shown:
    found = obstacle(bay)
    if bay.state is BayState.READING or (found is not None and found.gate is Gate.QUARANTINE):
        seen = look(bay)
        return art.state(seen.shape, seen.colour)
    if found is not None and found.gate is Gate.ACTIVATION_LOCK:
        return art.state(Shape.PADLOCK, BLUE)
    if bay.phone is None:
        return art.nothing()
    match bay.phone.mode:
        case PhoneMode.RECOVERY:
            return art.recovery()
        case PhoneMode.DFU:
            return art.nothing(lit=False)
        case _:
            told = bay.phone.facts
            return art.battery(bay.phone.battery_percent if told is None else told.battery_percent)


DID_NOT_BEGIN = "It did not begin. Nothing was changed."


def parts(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    """What is said of it."""
    said = named.name(canvas, px, room, bay)
    if bay.state is not BayState.READY or words.offer_of(bay, bay.chosen) is None:
        head = Style(px(HEAD), TEXT, bold=True)
        said += paragraph(canvas, words.headline(bay), head, room, lines=4, gap=px(16))
        return said + paragraph(canvas, words.advice(bay), Style(px(BODY), MUTED), room, lines=9, gap=px(8), rank=1)
    assert bay.phone is not None
    told = "" if bay.phone.facts is None else facts.brief(bay.phone.facts)
    weak = text.fitting(told, Style(px(SMALL), MUTED), room, smallest=px(15))
    said += paragraph(canvas, told, weak, room, rank=5)
    said.append(Part(canvas.px(SERVICE), lambda place: _service(canvas, place, bay), gap=px(14)))
    return said + _what_then(canvas, px, room, bay)


def _what_then(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    """What START does, or why it does nothing."""
    strong, weak = Style(px(BODY), TEXT, bold=True), Style(px(19), MUTED)
    found, offer = obstacle(bay), words.offer_of(bay, bay.chosen)
    if bay.dropped is not None:
        why = f"{words.sentence(bay.dropped.title)} {bay.dropped.remedy}".strip()
        return [
            *paragraph(canvas, DID_NOT_BEGIN, strong, room, lines=2, gap=px(12)),
            *paragraph(canvas, why, weak, room, lines=9, gap=px(4), rank=1),
        ]
    if found is None and (offer is None or not offer.told):
        return paragraph(canvas, bay.hint, strong, room, lines=2, gap=px(14), rank=1)
    if found is None:
        assert offer is not None
        also = " ".join(f"{words.sentence(one.title)} {one.remedy}" for one in offer.told)
        return paragraph(canvas, also, Style(px(19), TEXT), room, lines=9, gap=px(12))
    return [
        *paragraph(canvas, found.title, strong, room, lines=4, gap=px(12)),
        *paragraph(canvas, words.remedy(found), weak, room, lines=9, gap=px(4), rank=1),
    ]


def _service(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """The chosen service; a touch leads to the others."""
    offer = words.offer_of(bay, bay.chosen)
    assert offer is not None
    inner = widgets.card(canvas, box, Target(Turn(opened(bay, Page.SERVICES)), about=subject(bay)))
    traits = SERVICES[offer.service]
    side = canvas.px(18)
    canvas.icon(Shape.RIGHT, Rect(inner.right - side, inner.centery - side // 2, side, side), BLUE)
    more = Style(canvas.px(SMALL), BLUE, bold=True)
    width = min(text.width(CHANGE, more), inner.width // 3)
    change = Rect(inner.right - side - canvas.px(8) - width, inner.top, width, inner.height)
    label(canvas, change, CHANGE, more)
    room = max(1, change.left - canvas.px(12) - inner.left)
    said = words.keeps(offer)
    strong = text.fitting(traits.title, Style(canvas.px(24), TEXT, bold=True), room, smallest=canvas.px(SMALL))
    column(
        Rect(inner.left, inner.top, room, inner.height),
        [
            *paragraph(canvas, traits.title, strong, room),
            *paragraph(
                canvas,
                said,
                text.fitting(said, Style(canvas.px(SMALL), MUTED), room, smallest=canvas.px(13)),
                room,
                rank=1,
            ),
        ],
        align=0.5,
    )
