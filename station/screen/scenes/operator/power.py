"""Shutting the machine down, or starting it anew: by a hold, and not while a phone is worked on."""

from pygame import Rect

from station.model.api import BayState, Snapshot, SwitchOff
from station.model.operator import Power
from station.screen.canvas import Canvas, Target
from station.screen.office import HOME, Office
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import HOLD_SECONDS, hold_button, page, say
from station.screen.theme import RED, TEXT, YELLOW

_BUSY = frozenset({BayState.QUEUED, BayState.WORKING})


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Shut down", office, note)
    busy = sum(bay.state in _BUSY or (bay.job is not None and bay.result is None) for bay in snapshot.bays)
    height, gap = canvas.px(84), canvas.px(16)
    keys = Rect(room.left, room.bottom - 2 * height - gap, room.width, 2 * height + gap)
    speech = Rect(room.left, room.top, room.width, max(1, keys.top - gap - room.top))
    if busy:
        one = "A phone is being worked on. Wait until it is done."
        said = one if busy == 1 else f"{busy} phones are being worked on. Wait until they are done."
        say(canvas, room, said, size=26, colour=YELLOW)
        return
    after = "When the screen is dark and the lamps are out, its power can be switched off."
    say(canvas, speech, after, size=22, colour=TEXT)
    for number, (how, said, colour) in enumerate(
        ((Power.RESTART, "Hold to restart", TEXT), (Power.OFF, "Hold to shut down", RED))
    ):
        place = Rect(keys.left, keys.top + number * (height + gap), keys.width, height)
        target = Target(Turn(HOME, (SwitchOff(id=0, how=how),), _DONE[how]), hold=HOLD_SECONDS)
        hold_button(canvas, place, said, target, colour)


_DONE = {Power.OFF: "The station shuts down.", Power.RESTART: "The station restarts."}
