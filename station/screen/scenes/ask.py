"""“What is wrong with it?”: what people say of a phone, and the gentlest that can help against it."""

from pygame import Rect

from station.model.api import AdviceView, BayView, Choose, Describe, DidNotHelp, Guide
from station.model.consent import Options
from station.model.guide import Target as Goal
from station.model.service import SERVICES, Service
from station.model.symptoms import SYMPTOM_WORDS
from station.screen import text, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons
from station.screen.pages import Page, Place, Turn, guest, opened
from station.screen.text import Style
from station.screen.theme import BLUE, MUTED, TEXT, Shape
from station.screen.widgets import NEEDED, SMALL, Part, card, column, grid, heading, largest, paragraph

GOALS: dict[Goal, str] = {
    Goal.RESTART: "Force a restart",
    Goal.RECOVERY: "Into recovery mode",
    Goal.DFU: "Into DFU mode",
}
"""What pressing buttons leads to, on a button of the screen."""
MOST = 3
"""Ways that are shown at once. The next one comes when these did not help."""


def draw(canvas: Canvas, box: Rect, bay: BayView, place: Place, note: str) -> None:
    """Fill the box."""
    back = Target(Turn(opened(bay, Page.PHONE) if bay.phone is not None else None))
    if bay.advice is None:
        _symptoms(canvas, heading(canvas, box, "What is wrong with it?", back, note), bay, place)
    else:
        title = SYMPTOM_WORDS[bay.advice.symptom]
        _advice(canvas, heading(canvas, box, title, back, note), bay, place, bay.advice)


def _symptoms(canvas: Canvas, box: Rect, bay: BayView, place: Place) -> None:
    columns = 3 if box.width > box.height else 2
    places = grid(canvas, box, len(SYMPTOM_WORDS), columns=columns, tallest=96)
    style = Style(canvas.px(20), TEXT, bold=True)
    for (symptom, said), cell in zip(SYMPTOM_WORDS.items(), places, strict=True):
        describe = Describe(id=0, bay=bay.bay, symptom=symptom)
        inner = card(canvas, cell, Target(Turn(place, (describe,))))
        fitted = text.fitting(said, style, inner.width, smallest=canvas.px(14), lines=2)
        column(inner, paragraph(canvas, said, fitted, inner.width, lines=2), align=0.5)


def _advice(canvas: Canvas, box: Rect, bay: BayView, place: Place, advice: AdviceView) -> None:
    keys = Rect(box.left, box.bottom - canvas.px(60), box.width, canvas.px(60))
    again = Describe(id=0, bay=bay.bay, symptom=None)
    row = [Choice("Something else", Target(Turn(place, (again,)), about=advice))]
    if not advice.ended:
        failed = DidNotHelp(id=0, bay=bay.bay)
        row.append(Choice("It did not help", Target(Turn(place, (failed,)), about=advice)))
    buttons(canvas, keys, row)
    ways: list[Goal | Service] = [*([] if advice.guide is None else [advice.guide]), *advice.services]
    columns = 2 if box.width > box.height else 1
    ways = ways[:MOST]
    height = canvas.px(82)
    rows = -(-max(0, len(ways) - 1) // columns)
    room = keys.top - canvas.px(12) - box.top
    needed = (height + canvas.px(8)) * (rows + bool(ways))
    speech = Rect(box.left, box.top, box.width, max(1, room - needed - canvas.px(6)))
    column(
        speech,
        largest(
            canvas,
            speech.height,
            lambda px: paragraph(canvas, advice.says, Style(px(25), TEXT), speech.width, lines=9, rank=NEEDED),
        ),
        align=0.5,
    )
    top = speech.bottom + canvas.px(6)
    if ways:
        _way(canvas, Rect(box.left, top, box.width, height), bay, ways[0], advice.options)
    under = Rect(box.left, top + height + canvas.px(8), box.width, max(1, keys.top - top - height - canvas.px(8)))
    for way, cell in zip(ways[1:], grid(canvas, under, len(ways) - 1, columns=columns, tallest=82), strict=True):
        _way(canvas, cell, bay, way, None)


def _way(canvas: Canvas, box: Rect, bay: BayView, way: Goal | Service, options: Options | None) -> None:
    """One thing that can help; the first comes with what to choose about it."""
    first = options is not None
    if isinstance(way, Goal):
        title, said, blocked = GOALS[way], "You press buttons on the phone. The station shows which.", False
        target = begin_guide(bay, way)
    else:
        offer = words.offer_of(bay, way)
        blocked = offer is None or bool(offer.findings)
        title, said = SERVICES[way].title, SERVICES[way].promise
        if offer is not None and not first:
            said = words.keeps(offer)
        if offer is not None and offer.findings:
            said = offer.findings[0].title
        choose = Choose(id=0, bay=bay.bay, service=way, options=options or Options())
        target = Target(Turn(opened(bay, Page.PHONE), (choose,)))
    inner = card(canvas, box, target, chosen=first, quiet=blocked)
    side = canvas.px(22)
    mark = Rect(inner.right - side, inner.centery - side // 2, side, side)
    canvas.icon(Shape.RIGHT, mark, BLUE if first else MUTED)
    room = inner.width - side - canvas.px(12)

    def build(px: Lengths) -> list[Part]:
        strong = Style(px(22 if first else 20), MUTED if blocked else TEXT, bold=True)
        weak = text.fitting(said, Style(px(SMALL), MUTED), room, smallest=px(13), lines=2)
        return [*paragraph(canvas, title, strong, room), *paragraph(canvas, said, weak, room, lines=2, rank=NEEDED)]

    column(Rect(inner.left, inner.top, room, inner.height), largest(canvas, inner.height, build), align=0.5)


def begin_guide(bay: BayView, goal: Goal) -> Target:
    """The touch that begins a guide: at once where the model is known, else by way of what it looks like."""
    if bay.phone is not None and bay.phone.product_type:
        begin = Guide(id=0, bay=bay.bay, target=goal)
        return Target(Turn(opened(bay, Page.ASK), (begin,)))
    return Target(Turn(Place(bay.bay, Page.FAMILY, guest(bay), goal=goal)))
