"""The presses that force a restart, recovery and DFU mode, for every family of phones, as data.

Sources, by name: zdnet.com (2017), xda-developers and fixstorydtla.com for FACE; techtimes and rctopnews for SEVEN;
rctopnews for HOME; Legacy-iOS-Kit's restore.sh for how DFU mode ends. What no source was at hand for is marked (m):
from memory. Nobody here has pressed the buttons of a real phone.
"""

import re
from collections.abc import Mapping

from station.model.guide import Family, Key, Press, Target

READY_SECONDS = 10.0
"""To find the buttons, before the first press."""
TAP_SECONDS = 2.0
BOOT_SECONDS = 90.0
"""For a system to start and show itself on USB after the apple."""

_IPHONE_EIGHT, _IPHONE_SEVEN = 10, 9
"""The first number of their product types; Apple counts differently on the box."""
_PADS_WITHOUT_HOME = (8, 13)
"""iPad8,… (Pro of 2018 and 2020), and everything from iPad13,… on. 9, 10 and 12 do not exist or have a button."""

_TYPE = re.compile(r"(iPhone|iPad|iPod)(\d+),\d+")


def family_of(product_type: str) -> Family | None:
    """The family of a model, by Apple's identifier ("iPhone13,2"); None when it is none or not known."""
    match = _TYPE.fullmatch(product_type)
    if match is None:
        return None
    number = int(match[2])
    if match[1] == "iPad":
        pro, rest = _PADS_WITHOUT_HOME
        return Family.PAD if number == pro or number >= rest else Family.PAD_HOME
    if match[1] == "iPhone" and number >= _IPHONE_EIGHT:
        return Family.FACE  # the second and third SE too: they have a home button that does not take part
    return Family.SEVEN if number == _IPHONE_SEVEN else Family.HOME  # iPod9,1 is pressed like an iPhone 7 (m)


def steps(family: Family, target: Target) -> tuple[Press, ...]:
    """Every step, the first of which is to get ready."""
    ready = Press(keys=(), seconds=READY_SECONDS, says=f"Plug it in. Fingers on {_FINGERS[family]}.")
    return (ready, *GUIDES[family, target])


def warning(family: Family, target: Target, *, known: bool) -> str:
    """What can go wrong with these presses; empty: nothing.

    Args:
        family: whose buttons they are.
        target: where they lead.
        known: whether the phone is known to be of that family.
    """
    words = []
    if family is Family.FACE:
        words.append(
            "Do not hold the side button and a volume button together before the screen is black: "
            "that calls for help (Emergency SOS)."
        )
    elif family is Family.SEVEN and not known:
        words.append("On an iPhone 8 or newer these buttons call for help (Emergency SOS): let go at once.")
    if target is Target.DFU and family is not Family.PAD:
        # checkra1n/BugTracker#441 and #860, palera1n#441.
        words.append("Lightning: Apple’s USB-C cable does not lead to DFU mode. Use one with a USB-A plug.")
    return " ".join(words)


NEXT_FAMILY: Mapping[Family, Family] = {
    # For a phone that does not tell its model. An iPad is pressed like the iPhone with the same buttons.
    Family.FACE: Family.SEVEN,
    Family.SEVEN: Family.HOME,
    Family.HOME: Family.FACE,
    Family.PAD: Family.PAD_HOME,
    Family.PAD_HOME: Family.PAD,
}
"""Which buttons to try when these led nowhere."""

_FINGERS: Mapping[Family, str] = {
    Family.FACE: "volume up, volume down, side button",
    Family.SEVEN: "volume down and the side button",
    Family.HOME: "home and the side or top button",
    Family.PAD: "both volume buttons and the top button",
    Family.PAD_HOME: "home and the top button",
}


def _modern(lock: Key, name: str) -> dict[Target, tuple[Press, ...]]:
    """Without a home button that takes part: up, down, then the long one."""
    taps = (
        Press(keys=(Key.UP,), seconds=TAP_SECONDS, says="Press volume up, and let go."),
        Press(keys=(Key.DOWN,), seconds=TAP_SECONDS, says="Press volume down, and let go."),
    )
    return {
        Target.RESTART: (
            *taps,
            Press(keys=(lock,), seconds=15, says=f"Hold the {name} until the apple shows.", until_gone=True),  # (m)
            _wait(),
        ),
        Target.RECOVERY: (
            *taps,
            Press(keys=(lock,), seconds=40, says=f"Hold the {name}, past the apple too.", until_seen=True),
        ),
        Target.DFU: (
            *taps,
            Press(keys=(lock,), seconds=10, says=f"Hold the {name} until the screen is black.", until_gone=True),
            Press(keys=(lock, Key.DOWN), seconds=5, says="Hold volume down as well."),
            Press(
                keys=(Key.DOWN,), seconds=12, says=f"Let go of the {name}. Keep holding volume down.", until_seen=True
            ),
        ),
    }


def _together(lock: Key, name: str, other: Key, other_name: str) -> dict[Target, tuple[Press, ...]]:
    """Two buttons, held together."""
    keys = (lock, other)
    both = f"{name} and {other_name}"
    return {
        Target.RESTART: (
            Press(keys=keys, seconds=15, says=f"Hold {both} until the apple shows.", until_gone=True),
            _wait(),
        ),
        Target.RECOVERY: (Press(keys=keys, seconds=40, says=f"Hold {both}, past the apple too.", until_seen=True),),
        Target.DFU: (  # 8 to 10 seconds, then about 10 (m)
            Press(keys=keys, seconds=9, says=f"Hold {both}."),
            Press(keys=(other,), seconds=12, says=f"Let go of {name}. Keep holding {other_name}.", until_seen=True),
        ),
    }


def _wait() -> Press:
    return Press(keys=(), seconds=BOOT_SECONDS, says="Let go when the apple shows, and wait.", until_seen=True)


_FAMILIES: Mapping[Family, Mapping[Target, tuple[Press, ...]]] = {
    Family.FACE: _modern(Key.SIDE, "side button"),
    Family.SEVEN: _together(Key.SIDE, "the side button", Key.DOWN, "volume down"),
    Family.HOME: _together(Key.SIDE, "the side or top button", Key.HOME, "home"),  # recovery and DFU (m)
    Family.PAD: _modern(Key.TOP, "top button"),  # (m)
    Family.PAD_HOME: _together(Key.TOP, "the top button", Key.HOME, "home"),  # (m)
}

GUIDES: Mapping[tuple[Family, Target], tuple[Press, ...]] = {
    (family, target): presses for family, targets in _FAMILIES.items() for target, presses in targets.items()
}
"""The presses of every family to every target, without the step to get ready."""
