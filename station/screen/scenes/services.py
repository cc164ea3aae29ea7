"""What a phone could be given, gentlest first: what each keeps, how long it takes, and why some must wait."""

from pygame import Rect

from station.model.api import BayView, Choose, OfferView
from station.model.gates import Finding
from station.model.service import SERVICES
from station.screen import text, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.pages import Page, Turn, opened
from station.screen.text import Style
from station.screen.theme import BLUE, MUTED, TEXT, Shape
from station.screen.widgets import NEEDED, SMALL, Part, card, column, grid, heading, largest, paragraph


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
    side = canvas.px(18)
    mark = Rect(inner.right - side, inner.centery - side // 2, side, side)
    canvas.icon(Shape.PAUSE if blocked else Shape.RIGHT, mark, MUTED if blocked else BLUE)
    room = Rect(inner.left, inner.top, max(1, mark.left - canvas.px(10) - inner.left), inner.height)
    traits = SERVICES[offer.service]

    def build(px: Lengths) -> list[Part]:
        title = Style(px(22), MUTED if blocked else TEXT, bold=True)
        title = text.fitting(traits.title, title, room.width, smallest=px(15))
        parts = paragraph(canvas, traits.title, title, room.width)
        if blocked:
            return parts + _said(canvas, px, _reason(canvas, offer.findings[0], room.width), room.width, rank=NEEDED)
        parts += _said(canvas, px, words.keeps(offer), room.width, rank=NEEDED, lines=1)
        return parts + _said(canvas, px, traits.promise, room.width, rank=2)

    column(room, largest(canvas, room.height, build), align=0.5)


def _said(canvas: Canvas, px: Lengths, said: str, room: int, *, rank: int, lines: int = 2) -> list[Part]:
    style = text.fitting(said, Style(px(SMALL), MUTED), room, smallest=canvas.px(13), lines=lines)
    return paragraph(canvas, said, style, room, lines=lines, rank=rank, gap=px(2))


def _reason(canvas: Canvas, finding: Finding, room: int) -> str:
    """Why, and what can be done, if both can be read here; else only why: a touch tells the rest."""
    both = f"{words.sentence(finding.title)} {finding.remedy}"
    lines = text.wrap(both, Style(canvas.px(13)), room, 2)
    return finding.title if any(line.endswith("…") for line in lines) else both
