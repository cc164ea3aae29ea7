"""Why a gate is opened for this phone, or why it is no longer set aside: one of a few reasons, which goes on record."""

from pygame import Rect

from station.model.api import BayView, Overrule, Release
from station.model.gates import Finding, Gate
from station.screen.canvas import Canvas, Target
from station.screen.choices import obstacle, subject
from station.screen.pages import Page, Turn, opened
from station.screen.scenes.operator.furniture import option, say
from station.screen.theme import MUTED, TEXT, Shape
from station.screen.widgets import grid, heading

RELEASED = (
    "Looked into: a cable or a socket was to blame.",
    "Looked into: it was interrupted, and can be tried again.",
    "Its data was destroyed in another way.",
    "It goes back to its owner as it is.",
)
_MACHINE = (
    "Looked at the station: it can go on for now.",
    "It is being mended while this phone goes on.",
    "This phone cannot wait.",
)
REASONS: dict[Gate, tuple[str, ...]] = {
    Gate.ACTIVATION_LOCK: (
        "The owner has shown a proof of purchase.",
        "The owner is here and will sign out afterwards.",
        "It goes to be recycled, not to be used again.",
        "It is our own phone: it is in our books.",
    ),
    Gate.BATTERY: (
        "It is being charged here.",
        "Its battery is worn out and will be replaced.",
        "It goes to be recycled: it may fail.",
    ),
    Gate.MODEL: (
        "This version was tried on such a phone elsewhere.",
        "It goes to be recycled: it may fail.",
        "The owner knows that it may fail.",
    ),
    Gate.CLOCK: _MACHINE,
    Gate.POWER: _MACHINE,
    Gate.TEMPERATURE: _MACHINE,
}
ANY = (
    "An operator has looked at it.",
    "The owner knows what it means.",
    "It goes to be recycled: it may fail.",
)


def may_decide(bay: BayView) -> Finding | None:
    """What stands in the way and an operator can decide about."""
    found = obstacle(bay)
    decides = found is not None and (found.overrulable or found.gate is Gate.QUARANTINE)
    known = bay.phone is not None and bay.phone.ecid is not None
    return found if decides and known else None


def draw(canvas: Canvas, box: Rect, bay: BayView, note: str) -> None:
    """Fill the box."""
    found = may_decide(bay)
    home = opened(bay, Page.PHONE)
    released = found is not None and found.gate is Gate.QUARANTINE
    title = "Why is it released?" if released else "Why may it go on?"
    room = heading(canvas, box, title, Target(Turn(home)), note)
    if found is None or bay.phone is None or bay.phone.ecid is None:
        say(canvas, room, "Nothing stands in the way any more.")
        return
    ecid = bay.phone.ecid
    high = canvas.px(58)
    speech = Rect(room.left, room.top, room.width, high)
    say(
        canvas,
        speech,
        f"{found.title} The reason goes on record.",
        size=19,
        colour=MUTED if released else TEXT,
        align=0,
    )
    below = Rect(
        room.left, speech.bottom + canvas.px(8), room.width, max(1, room.bottom - speech.bottom - canvas.px(8))
    )
    reasons = RELEASED if released else REASONS.get(found.gate, ANY)
    columns = 1 if below.height >= canvas.px(68) * len(reasons) else 2
    for reason, cell in zip(reasons, grid(canvas, below, len(reasons), columns=columns, tallest=76), strict=True):
        if released:
            turn = Turn(home, (Release(id=0, ecid=ecid, reason=reason),), "It is on record: this phone is free again.")
        else:
            overrule = Overrule(id=0, bay=bay.bay, ecid=ecid, gate=found.gate, reason=reason)
            turn = Turn(home, (overrule,), "It is on record: this phone may go on.")
        option(canvas, cell, reason, "", Target(turn, about=(subject(bay), found)), shape=Shape.RIGHT)
