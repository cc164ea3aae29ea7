"""What a phone could be given, gentlest first: what each keeps, how long it takes, and why some must wait."""

from pygame import Rect

from station.model.api import BayView, Choose, OfferView
from station.model.gates import Finding
from station.model.service import SERVICES
from station.screen import text, words
from station.screen.canvas import Canvas, Target
from station.screen.pages import Page, Turn, opened
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT, Shape
from station.screen.widgets import card, column, grid, heading, label, paragraph


def draw(canvas: Canvas, box: Rect, bay: BayView, note: str) -> None:
    """Fill the box."""
    box = heading(canvas, box, "What shall it get?", Target(Turn(opened(bay, Page.PHONE))), note)
    columns = 2 if box.width > box.height else 1
    for place, offer in zip(grid(canvas, box, len(bay.offers), columns=columns), bay.offers, strict=True):
        _offer(canvas, place, bay, offer)


def _offer(canvas: Canvas, box: Rect, bay: BayView, offer: OfferView) -> None:
    choose = Choose(id=0, bay=bay.bay, service=offer.service)
    target = Target(Turn(opened(bay, Page.PHONE), (choose,)))
    blocked = bool(offer.findings)
    inner = card(canvas, box, target, chosen=bay.chosen is offer.service, quiet=blocked)
    traits, colour = SERVICES[offer.service], MUTED if blocked else TEXT
    room = box.width - 2 * canvas.px(14)
    said = _reason(canvas, offer.findings[0], room) if blocked else traits.promise
    aside = words.takes(offer)
    strong, weak = Style(canvas.px(20), colour, bold=True), Style(canvas.px(15), MUTED)
    head = Rect(inner.left, inner.top, inner.width, text.line_height(strong))
    if blocked:
        side = canvas.px(16)
        canvas.icon(Shape.PAUSE, Rect(head.right - side, head.centery - side // 2, side, side), MUTED)
        head.width -= side + canvas.px(8)
    elif aside:
        width = min(text.width(aside, weak), head.width // 2)
        label(canvas, Rect(head.right - width, head.top, width, head.height), aside, weak, align=1)
        head.width -= width + canvas.px(10)
    label(canvas, head, traits.title, strong)
    weak = text.fitting(said, weak, inner.width, smallest=canvas.px(13), lines=2)
    speech = Rect(inner.left, head.bottom, inner.width, max(1, inner.bottom - head.bottom))
    column(speech, paragraph(canvas, said, weak, inner.width, lines=2))


def _reason(canvas: Canvas, finding: Finding, room: int) -> str:
    """Why, and what can be done, if both can be read here; else only why: a touch tells the rest."""
    both = f"{words.sentence(finding.title)} {finding.remedy}"
    lines = text.wrap(both, Style(canvas.px(13)), room, 2)
    return finding.title if any(line.endswith("…") for line in lines) else both
