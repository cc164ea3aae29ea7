"""What lamps there are, and their rhythms: written down once, for the lamps and for the screen.

Colours and their meaning are IEC 60073's; no lamp says anything by its colour alone. All rhythms are counted from one
clock, so that two lamps that show the same are lit at the same moments, and a screen can flash along:

| lamp    | colour | pattern                                       | means                           |
|---------|--------|-----------------------------------------------|---------------------------------|
| FAULT   | red    | short flashes, twice a second                 | a fault, or a phone set aside   |
| PERSON  | blue   | flashes evenly, twice a second                | a person must act               |
| WORKING | yellow | a second on, a second off                     | it is being worked on           |
| DONE    | green  | steady, with a short wink every other second  | done and verified               |
| READY   | white  | steady                                        | ready                           |
| none    |        | dark                                          | empty, or nobody watches        |

From above to below they are less urgent: one lamp set for many bays shows the most urgent one (core/lamps.py).
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from station.model.api import Lamp
from station.model.base import BayId


class Bulb(NamedTuple):
    """One lamp of them all."""

    lamp: Lamp
    bay: BayId | None = None
    """Whose it is; None: the station's own."""


Lights = Mapping[BayId | None, Lamp | None]
"""What each lamp set shows: of the station (None) and of each bay. Those that are not named are dark."""


class Rhythm(NamedTuple):
    """Seconds on, then seconds off."""

    on: float
    off: float


RHYTHMS: dict[Lamp, Rhythm | None] = {
    # 2 Hz lies within IEC 60073's 1.4 to 2.8 Hz for "act now". Red is on for a fifth of the time, blue for half of it.
    Lamp.FAULT: Rhythm(0.1, 0.4),
    Lamp.PERSON: Rhythm(0.25, 0.25),
    Lamp.WORKING: Rhythm(1.0, 1.0),
    Lamp.DONE: Rhythm(1.9, 0.1),
    Lamp.READY: None,
}
"""None: steady."""

GRAIN = 1e-6
"""Seconds: nearer to an edge than this is at it, whatever the arithmetic of seconds since boot makes of it."""


def is_lit(lamp: Lamp, at: float) -> bool:
    """Whether a lamp that is shown gives light at `at` (CLOCK_BOOTTIME seconds)."""
    rhythm = RHYTHMS[lamp]
    return rhythm is None or (at + GRAIN) % (rhythm.on + rhythm.off) < rhythm.on


def next_change(lamps: Iterable[Lamp], at: float) -> float | None:
    """When the first of these goes on or off after `at`; None: never."""
    return min((_next_edge(rhythm, at) for lamp in set(lamps) if (rhythm := RHYTHMS[lamp]) is not None), default=None)


def _next_edge(rhythm: Rhythm, at: float) -> float:
    period = rhythm.on + rhythm.off
    began = math.floor((at + GRAIN) / period) * period
    return began + (rhythm.on if at + GRAIN - began < rhythm.on else period)
