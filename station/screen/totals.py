"""How many bays are in which state: a bench in one line."""

from collections import Counter

from pygame import Rect

from station.model.api import BayState, Snapshot
from station.screen import text
from station.screen.canvas import Canvas
from station.screen.choices import is_set_aside
from station.screen.text import Style
from station.screen.theme import INK, LOOKS, SET_ASIDE, TEXT, Look
from station.screen.widgets import label

Total = tuple[Look, int, str]
"""How it looks, how many there are, and both in words."""


def of(snapshot: Snapshot) -> list[Total]:
    """The totals of a station with several bays of which something is to be told; else none."""
    bays = snapshot.bays
    if len(bays) < 2 or all(bay.state is BayState.EMPTY for bay in bays):
        return []
    aside = sum(is_set_aside(bay) for bay in bays)
    counted = Counter(bay.state for bay in bays if not is_set_aside(bay))
    failed, waiting = counted[BayState.FAILED], counted[BayState.NEEDS_PERSON] + counted[BayState.ARMED]
    working = counted[BayState.WORKING] + counted[BayState.QUEUED] + counted[BayState.READING]
    done, ready = counted[BayState.DONE], counted[BayState.READY]
    free = counted[BayState.EMPTY] + counted[BayState.CANCELLED]
    told = [
        (SET_ASIDE, aside, f"{aside} set aside"),
        (LOOKS[BayState.FAILED], failed, f"{failed} failed"),
        (LOOKS[BayState.NEEDS_PERSON], waiting, f"{waiting} for you"),
        (LOOKS[BayState.WORKING], working, f"{working} working"),
        (LOOKS[BayState.DONE], done, f"{done} verified"),
        (LOOKS[BayState.READY], ready, f"{ready} ready"),
        (LOOKS[BayState.EMPTY], free, f"{free} free"),
    ]
    return [total for total in told if total[1]]


def draw(canvas: Canvas, box: Rect, many: list[Total]) -> None:
    """In words where they have room, else in numbers; each with its state's colour and shape."""
    style = Style(canvas.px(17), TEXT, bold=True)
    side, gap = canvas.px(24), canvas.px(8)

    def width(said: str) -> int:
        return side + gap + text.width(said, style) + 2 * gap

    spelled = sum(width(said) for _, _, said in many) <= box.width
    left = box.left
    for look, count, words in many:
        said = words if spelled else str(count)
        if left + width(said) > box.right + 2 * gap:
            return
        disc = Rect(left, box.centery - side // 2, side, side)
        canvas.disc(disc, look.colour)
        canvas.icon(look.shape, disc.inflate(-side // 2, -side // 2), INK)
        label(canvas, Rect(disc.right + gap, box.top, text.width(said, style), box.height), said, style)
        left += width(said)
