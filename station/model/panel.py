"""The station's own controls: two buttons."""

from enum import Enum


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
