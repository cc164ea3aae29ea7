"""Find My, explained before anything is erased: what it is, and what its owner can do about it."""

from pygame import Rect

from station.model.api import BayView
from station.model.phone import ActivationLock
from station.screen import art, named, text
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.pages import Page, Turn, opened
from station.screen.text import Style
from station.screen.theme import BLUE, INK, MUTED, TEXT, Shape
from station.screen.widgets import BODY, NEEDED, SMALL, Part, column, heading, label, largest, paragraph

TITLES: dict[ActivationLock, str] = {
    ActivationLock.LOCKED: "Find My is on",
    ActivationLock.NOT_DETECTED: "Find My was not detected",
    ActivationLock.UNKNOWN: "Is Find My on?",
}
MEANS: dict[ActivationLock, str] = {
    ActivationLock.LOCKED: "This phone belongs to an Apple Account. Erased, it still asks for that account: "
    "whoever gets it could not use it.",
    ActivationLock.NOT_DETECTED: "Nothing that the phone says points to an Apple Account.",
    ActivationLock.UNKNOWN: "The phone does not tell. If it belongs to an Apple Account, it still asks for that "
    "account after it is erased.",
}
STEPS = (
    "On the phone: Settings, the owner’s name at the top, Find My, Find My iPhone: off.",
    "Or at icloud.com/find, on any other device: remove this phone from the account.",
    "Then plug the phone in again: the station looks once more.",
)
ELSE = "If nobody knows the account, only Apple can help, with a proof of purchase. The station cannot take it off."


def draw(canvas: Canvas, box: Rect, bay: BayView, note: str) -> None:
    """Fill the box."""
    told = None if bay.phone is None else bay.phone.facts
    state = ActivationLock.UNKNOWN if told is None else told.lock.state
    box = heading(canvas, box, TITLES[state], Target(Turn(opened(bay, Page.PHONE))), note)
    gap = canvas.px(28)
    speech = box
    if box.width > box.height:
        picture = Rect(box.left, box.top, round(box.width * 0.24), box.height)
        speech = Rect(picture.right + gap, box.top, max(1, box.right - picture.right - gap), box.height)
        art.phone(canvas, picture, named.build(bay), art.state(Shape.PADLOCK, BLUE))

    def build(px: Lengths) -> list[Part]:
        return [
            *paragraph(canvas, MEANS[state], Style(px(BODY), TEXT, bold=True), speech.width, lines=6, rank=NEEDED),
            *(_step(canvas, px, speech.width, number + 1, said) for number, said in enumerate(STEPS)),
            *paragraph(canvas, ELSE, Style(px(SMALL), MUTED), speech.width, lines=6, gap=px(18), rank=NEEDED),
        ]

    column(speech, largest(canvas, speech.height, build), align=0.5)


def _step(canvas: Canvas, px: Lengths, room: int, number: int, said: str) -> Part:
    """One thing to do, with its number."""
    side, style = px(36), Style(px(20), TEXT)
    inner = max(1, room - side - px(14))
    words = paragraph(canvas, said, style, inner, lines=5)
    height = max(side, sum(part.height for part in words))

    def draw_step(box: Rect) -> None:
        disc = Rect(box.left, box.centery - side // 2, side, side)
        canvas.disc(disc, BLUE)
        digit = Style(round(side * 0.56), INK, bold=True)
        label(
            canvas, Rect(disc.left, disc.top, side, max(side, text.line_height(digit))), str(number), digit, align=0.5
        )
        column(Rect(disc.right + px(14), box.top, inner, box.height), words, align=0.5)

    return Part(height, draw_step, gap=px(14), rank=NEEDED)
