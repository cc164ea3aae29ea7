"""The station's own controls: START and CONFIRM, and where there are any, a START for each bay."""

import re
from enum import Enum
from typing import NamedTuple

from station.model.base import BayId


class Control(Enum):
    """A button of the station."""

    START = "start"
    CONFIRM = "confirm"


class ControlState(Enum):
    """What a button does, after debouncing."""

    DOWN = "down"
    UP = "up"
    FAULT = "fault"
    """Held since before the station looked, stuck, or bouncing without end. Means nothing until it is UP again."""


class Button(NamedTuple):
    """One button of them all."""

    control: Control
    bay: BayId | None = None
    """Whose it is; None: the station's own. A bay has no CONFIRM: there is one, and it must not be ambiguous."""


Pin = int | str
"""Where something is wired: a BCM number or a name that gpiozero knows (5, "GPIO5"), or a line of any chip that the
kernel drives, such as an expander: "gpiochip2:5"."""

_LINE = re.compile(r"gpiochip(\d{1,3}):(\d{1,3})")


def chip_line(pin: Pin) -> tuple[int, int] | None:
    """The chip and the line that a pin names; None: it is one of the Raspberry Pi's own header."""
    named = _LINE.fullmatch(pin) if isinstance(pin, str) else None
    return None if named is None else (int(named[1]), int(named[2]))


def no_line(pin: Pin) -> str:
    """What is wrong with a pin that is meant as a line of a chip; empty: nothing."""
    if isinstance(pin, str) and pin.lower().startswith("gpiochip") and chip_line(pin) is None:
        return "A line of a chip is written “gpiochipN:LINE”, such as “gpiochip2:5”; lines are counted from 0."
    return ""
