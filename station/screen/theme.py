"""How it looks: dark and calm, so that the only strong colours are states; or black and white, for who needs it.

Scenes name a tone (`TEXT`, `BLUE`) and never a colour. Which colour that is, a palette tells, and which palette,
the picture's face: so one process draws both, and a scene cannot tell them apart. Contrast is measured by a test.

State colours follow IEC 60073, as the lamps do: white ready, blue a person must act, yellow working, green
done and verified, red fault. Never by colour alone: every state has a shape and a word too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from station.model.api import BayState

RGB = tuple[int, int, int]


class Tone(Enum):
    """What a colour is for."""

    BACKGROUND = "background"
    CARD = "card"
    RAISED = "raised"
    """What can be touched."""
    LINE = "line"
    TRACK = "track"
    """What a bar or a ring has not yet filled."""
    TEXT = "text"
    MUTED = "muted"
    INK = "ink"
    """Text on a state's colour."""
    WHITE = "white"
    BLUE = "blue"
    YELLOW = "yellow"
    GREEN = "green"
    RED = "red"
    GREY = "grey"
    VIOLET = "violet"
    """Emulated: no state, so none of the states' colours."""
    VIOLET_DEEP = "violet_deep"

    __hash__ = object.__hash__  # each is one object; Enum's own hash is slow, and every picture asks a thousand times


@dataclass(frozen=True)
class Blend:
    """`base` with a `share` (0..1) of `other`."""

    base: "Colour"
    other: "Colour"
    share: float


Colour = Tone | Blend
"""A colour by its meaning."""

BACKGROUND = Tone.BACKGROUND
CARD = Tone.CARD
RAISED = Tone.RAISED
LINE = Tone.LINE
TRACK = Tone.TRACK
TEXT = Tone.TEXT
MUTED = Tone.MUTED
INK = Tone.INK
WHITE = Tone.WHITE
BLUE = Tone.BLUE
YELLOW = Tone.YELLOW
GREEN = Tone.GREEN
RED = Tone.RED
GREY = Tone.GREY
VIOLET = Tone.VIOLET
VIOLET_DEEP = Tone.VIOLET_DEEP

Palette = Mapping[Tone, RGB]

CALM: Palette = {
    Tone.BACKGROUND: (12, 15, 20),
    Tone.CARD: (23, 28, 36),
    Tone.RAISED: (38, 46, 58),
    Tone.LINE: (58, 69, 85),
    Tone.TRACK: (58, 69, 85),
    Tone.TEXT: (243, 246, 250),
    Tone.MUTED: (172, 183, 197),
    Tone.INK: (10, 13, 18),
    Tone.WHITE: (236, 240, 246),
    Tone.BLUE: (112, 182, 255),
    Tone.YELLOW: (255, 207, 77),
    Tone.GREEN: (84, 214, 138),
    Tone.RED: (255, 122, 112),
    Tone.GREY: (140, 152, 168),
    Tone.VIOLET: (190, 160, 255),
    Tone.VIOLET_DEEP: (46, 35, 74),
}
STRONG: Palette = {
    Tone.BACKGROUND: (0, 0, 0),
    Tone.CARD: (0, 0, 0),
    Tone.RAISED: (0, 0, 0),
    Tone.LINE: (190, 190, 190),
    Tone.TRACK: (92, 92, 92),
    Tone.TEXT: (255, 255, 255),
    Tone.MUTED: (255, 255, 255),
    Tone.INK: (0, 0, 0),
    Tone.WHITE: (255, 255, 255),
    Tone.BLUE: (120, 200, 255),
    Tone.YELLOW: (255, 221, 0),
    Tone.GREEN: (0, 230, 118),
    Tone.RED: (255, 138, 128),
    Tone.GREY: (190, 190, 190),
    Tone.VIOLET: (213, 186, 255),
    Tone.VIOLET_DEEP: (0, 0, 0),
}
"""Black, white and strong colours only."""


def palette(*, contrast: bool) -> Palette:
    """The palette of a face."""
    return STRONG if contrast else CALM


def rgb(colour: Colour, palette: Palette) -> RGB:
    """A colour in a palette."""
    return palette[colour] if isinstance(colour, Tone) else _blended(colour, contrast=palette is STRONG)


@lru_cache(maxsize=256)
def _blended(colour: Blend, *, contrast: bool) -> RGB:
    base, other = (rgb(part, palette(contrast=contrast)) for part in (colour.base, colour.other))
    red, green, blue = (round(a + (b - a) * colour.share) for a, b in zip(base, other, strict=True))
    return red, green, blue


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
    GEAR = "gear"
    MOON = "moon"
    SHOP = "shop"
    GRID = "grid"
    FETCH = "fetch"
    SAVE = "save"
    ROWS = "rows"
    CHIP = "chip"
    GLOBE = "globe"
    DISPLAY = "display"
    PADLOCK = "padlock"
    POWER = "power"
    HANDSET = "handset"
    PLUS = "plus"
    MINUS = "minus"
    DELETE = "delete"
    SEAL = "seal"
    HAND = "hand"

    __hash__ = object.__hash__  # as a tone's


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

SET_ASIDE = Look(RED, Shape.PADLOCK, "Set aside")
"""A phone whose erase has failed: nothing is done to it before an operator has looked into that."""
NOT_YET = Look(WHITE, Shape.PAUSE, "Not yet")
"""A phone that is ready, though not for the service that is chosen: the lamp is the same."""


def mix(base: Colour, other: Colour, share: float) -> Colour:
    """`base` with a `share` (0..1) of `other`."""
    return Blend(base, other, share)


_QUIET = (BayState.READING, BayState.READY, BayState.QUEUED, BayState.WORKING)


def tinted(state: BayState) -> Colour:
    """The card behind a bay: what waits for somebody has a breath of its colour, so that it stands out in a row."""
    if state is BayState.EMPTY:
        return BACKGROUND
    if state in _QUIET:
        return CARD
    return mix(CARD, LOOKS[state].colour, 0.15 if state is BayState.FAILED else 0.08)
