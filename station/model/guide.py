"""Guides: the presses of buttons that bring a phone where no cable can, one step after the other."""

from enum import Enum

from station.model.base import Message


class Family(Enum):
    """Phones whose buttons are pressed alike."""

    FACE = "face"
    """iPhone 8 and later: volume up, volume down, side button."""
    SEVEN = "seven"
    """iPhone 7: volume down and side button."""
    HOME = "home"
    """iPhone 6s and earlier, and the first SE: home button and the one at the top or the side."""
    PAD = "pad"
    """iPads without a home button: as FACE, with the top button for the side button."""
    PAD_HOME = "pad_home"
    """iPads with a home button."""


class Target(Enum):
    """Where the presses lead."""

    RESTART = "restart"
    """A forced restart: out of a freeze, and out of DFU."""
    RECOVERY = "recovery"
    DFU = "dfu"


class Key(Enum):
    """A button of a phone."""

    SIDE = "side"
    TOP = "top"
    UP = "volume up"
    DOWN = "volume down"
    HOME = "home"


class Press(Message, frozen=True, kw_only=True):
    """One step: these buttons are down, and no other, for so long."""

    keys: tuple[Key, ...]
    """Empty: hands off."""
    seconds: float
    says: str
    """For the person: one short sentence."""
    until_seen: bool = False
    """Whether it ends as soon as the phone shows up where the guide leads."""
    until_gone: bool = False
    """Whether it ends as soon as the phone leaves the bus: its screen is black by then."""


FAMILY_WORDS: dict[Family, str] = {
    Family.FACE: "iPhone 8 or newer",
    Family.SEVEN: "iPhone 7",
    Family.HOME: "iPhone 6s or older, or the first iPhone SE",
    Family.PAD: "iPad without a home button",
    Family.PAD_HOME: "iPad with a home button",
}
"""Whose buttons they are, for a person who chooses."""

TARGET_WORDS: dict[Target, str] = {
    Target.RESTART: "a forced restart",
    Target.RECOVERY: "recovery mode",
    Target.DFU: "DFU mode",
}
"""Where it goes, in a person's words."""


class Seen(Enum):
    """What the station saw on USB while somebody pressed."""

    NOTHING = "nothing"
    """The phone is not there."""
    ARRIVED = "arrived"
    """It is in the mode the guide leads to."""
    OTHER_MODE = "other mode"
    """It is in another one."""
    RESTARTED = "restarted"
    """It left and came back as it was: too short, or the wrong buttons."""
    UNMOVED = "unmoved"
    """It has not left the bus at all."""
