"""How a job ended: done and verified, or what went wrong and what to do; and the proof of it."""

from pygame import Rect

from station.model.api import BayView, ResultView
from station.screen import art, facts, named, qr, text, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import look, subject
from station.screen.pages import Page, Turn, opened
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT
from station.screen.widgets import BODY, HEAD, SMALL, Part, label, paragraph

MOST = 3
"""Changes that are told at once; the checks tell all."""


def picture(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """The phone with its verdict, and the code of its certificate."""
    seen = look(bay)
    if bay.result is not None and bay.result.proof:
        box = _code(canvas, box, bay, bay.result)
    art.phone(canvas, box, named.build(bay), art.state(seen.shape, seen.colour))


def _code(canvas: Canvas, box: Rect, bay: BayView, result: ResultView) -> Rect:
    """The code, which a touch makes larger; returns the room left."""
    gap = canvas.px(12)
    caption = Style(canvas.px(SMALL), MUTED, bold=True)
    high = text.line_height(caption)
    side = min(canvas.px(176), round(box.width * (1 if box.height > box.width else 0.45)), box.height - high)
    place = Rect(0, 0, side, side + high)
    if box.height > box.width:
        place.midbottom = box.midbottom
        left = Rect(box.left, box.top, box.width, max(1, place.top - gap - box.top))
    else:
        place.midright = box.midright
        left = Rect(box.left, box.top, max(1, place.left - gap - box.left), box.height)
    if side < canvas.px(60):
        return box
    qr.draw(canvas, Rect(place.left, place.top, side, side), result.proof)
    said = f"Certificate {result.record}"
    under = Rect(place.left, place.bottom - high, side, high)
    label(canvas, under, said, text.fitting(said, caption, side, smallest=canvas.px(12)), align=0.5)
    canvas.touch(Rect(place.left, place.top, side, side), Target(Turn(opened(bay, Page.PROOF)), about=subject(bay)))
    return left


def parts(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    """What is said of it."""
    said = [
        *named.name(canvas, px, room, bay),
        *paragraph(canvas, words.headline(bay), Style(px(HEAD), TEXT, bold=True), room, lines=4, gap=px(16)),
        *paragraph(canvas, words.advice(bay), Style(px(BODY), TEXT), room, lines=9, gap=px(8), rank=1),
    ]
    if bay.result is None:
        return said
    before, after = bay.result.before, bay.result.after
    for name, was, now in [] if before is None or after is None else facts.changes(before, after)[:MOST]:
        said += paragraph(canvas, f"{name}: {was} → {now}", Style(px(SMALL), MUTED), room, gap=px(6), rank=5)
    if not bay.result.proof:
        said += paragraph(canvas, words.proof(bay.result), Style(px(SMALL), MUTED), room, gap=px(12), rank=3)
    return said
