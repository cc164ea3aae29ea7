"""The code of a certificate, large enough for any camera, and the same words to be read."""

from pygame import Rect

from station.model.api import BayView, ResultView
from station.screen import qr
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.pages import Page, Turn, opened
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT
from station.screen.widgets import BODY, SMALL, Part, column, heading, largest, paragraph

NAMES = ("", "Certificate", "Digest", "Key")
"""What the words of the code are, in their order; the first says which program made it."""
GROUP = 8
"""Characters that are read at a time."""


def draw(canvas: Canvas, box: Rect, bay: BayView, result: ResultView, note: str) -> None:
    """Fill the box."""
    title = f"Certificate {result.record}" if result.proof else "There is no certificate"
    box = heading(canvas, box, title, Target(Turn(opened(bay, Page.PHONE))), note)
    if not result.proof:
        said = "Only an erase whose result was verified earns one."
        column(box, paragraph(canvas, said, Style(canvas.px(BODY), MUTED), box.width, lines=3), align=0.3)
        return
    gap = canvas.px(28)
    if box.width > box.height:
        side = min(box.height, box.width // 2)
        code = Rect(box.left, box.top, side, side)
        speech = Rect(code.right + gap, box.top, max(1, box.right - code.right - gap), box.height)
    else:
        side = min(box.width, box.height // 2)
        code = Rect(box.centerx - side // 2, box.top, side, side)
        speech = Rect(box.left, code.bottom + gap, box.width, max(1, box.bottom - code.bottom - gap))
    qr.draw(canvas, code, result.proof)

    def build(px: Lengths) -> list[Part]:
        said = "Take a picture of it. It says the same as the code on the paper, and needs no network."
        parts = paragraph(canvas, said, Style(px(BODY), TEXT, bold=True), speech.width, lines=4)
        for name, value in zip(NAMES, result.proof.split(), strict=False):
            if name:
                parts += paragraph(canvas, name, Style(px(SMALL), MUTED), speech.width, gap=px(12))
                parts += paragraph(canvas, _grouped(value), Style(px(SMALL), TEXT), speech.width, lines=4)
        return parts

    column(speech, largest(canvas, speech.height, build), align=0.5)


def _grouped(value: str) -> str:
    """A long number in groups that can be compared."""
    if len(value) <= 4 * GROUP:
        return value
    return " ".join(value[start : start + GROUP] for start in range(0, len(value), GROUP))
