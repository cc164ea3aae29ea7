"""The one theme: dark and calm, so that the only strong colours are states. Contrast is measured by a test.

State colours follow IEC 60073, as the lamps do: white ready, blue a person must act, yellow working, green
done and verified, red fault. Never by colour alone: every state has a shape and a word too.
"""

from dataclasses import dataclass
from enum import Enum

from station.model.api import BayState

Colour = tuple[int, int, int]

BACKGROUND: Colour = (12, 15, 20)
CARD: Colour = (23, 28, 36)
RAISED: Colour = (38, 46, 58)
LINE: Colour = (58, 69, 85)
TEXT: Colour = (243, 246, 250)
MUTED: Colour = (172, 183, 197)
INK: Colour = (10, 13, 18)
"""Text on a state's colour."""

WHITE: Colour = (236, 240, 246)
BLUE: Colour = (112, 182, 255)
YELLOW: Colour = (255, 207, 77)
GREEN: Colour = (84, 214, 138)
RED: Colour = (255, 122, 112)
GREY: Colour = (140, 152, 168)
VIOLET: Colour = (190, 160, 255)
"""Emulated: no state, so none of the states' colours."""
VIOLET_DEEP: Colour = (46, 35, 74)


class Shape(Enum):
    """The shape that says a state without colour or words."""

    PLUG = "plug"
    DOTS = "dots"
    PLAY = "play"
    BANG = "bang"
    TARGET = "target"
    PAUSE = "pause"
    TURN = "turn"
    CHECK = "check"
    CROSS = "cross"
    STOP = "stop"
    BACK = "back"
    RIGHT = "right"
    DOWN = "down"


@dataclass(frozen=True)
class Look:
    """How a state looks: three ways to say the same."""

    colour: Colour
    shape: Shape
    word: str


LOOKS: dict[BayState, Look] = {
    BayState.EMPTY: Look(GREY, Shape.PLUG, "Empty"),
    BayState.READING: Look(WHITE, Shape.DOTS, "Reading"),
    BayState.READY: Look(WHITE, Shape.PLAY, "Ready"),
    BayState.NEEDS_PERSON: Look(BLUE, Shape.BANG, "Needs you"),
    BayState.ARMED: Look(BLUE, Shape.TARGET, "Confirm"),
    BayState.QUEUED: Look(YELLOW, Shape.PAUSE, "Waiting"),
    BayState.WORKING: Look(YELLOW, Shape.TURN, "Working"),
    BayState.DONE: Look(GREEN, Shape.CHECK, "Verified"),
    BayState.FAILED: Look(RED, Shape.CROSS, "Failed"),
    BayState.CANCELLED: Look(GREY, Shape.STOP, "Cancelled"),
}

NOT_YET = Look(WHITE, Shape.PAUSE, "Not yet")
"""A phone that is ready, though not for the service that is chosen: the lamp is the same."""


def mix(base: Colour, other: Colour, share: float) -> Colour:
    """`base` with a `share` (0..1) of `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(base, other, strict=True))
    return red, green, blue


_QUIET = (BayState.READING, BayState.READY, BayState.QUEUED, BayState.WORKING)


def tinted(state: BayState) -> Colour:
    """The card behind a bay: what waits for somebody has a breath of its colour, so that it stands out in a row."""
    if state is BayState.EMPTY:
        return BACKGROUND
    return CARD if state in _QUIET else mix(CARD, LOOKS[state].colour, 0.08)
