"""What people say is wrong with a phone."""

from enum import Enum


class Symptom(Enum):
    """A stable name; the words are for the screen."""

    FROZEN = "frozen"
    CRASHING = "crashing"
    SLOW = "slow"
    BOOT_LOOP = "boot_loop"
    STUCK_IN_RECOVERY = "stuck_in_recovery"
    FAILED_UPDATE = "failed_update"
    NOT_ACTIVATING = "not_activating"
    FORGOTTEN_PASSCODE = "forgotten_passcode"
    DISABLED = "disabled"
    """“iPhone is disabled”, “iPhone Unavailable”, “Security Lockout”."""
    DEAD_SCREEN = "dead_screen"
    """It runs, but its screen shows nothing, or does not take touches."""
    BLACK = "black"
    """Nothing shows that it is alive."""
    NOT_TRUSTED = "not_trusted"
    """It does not ask “Trust This Computer?”, or nobody can answer."""
    SELLING = "selling"
    """It is to be handed on."""


SYMPTOM_WORDS: dict[Symptom, str] = {
    Symptom.FROZEN: "It does not react",
    Symptom.CRASHING: "Apps close, or it restarts by itself",
    Symptom.SLOW: "It is slow",
    Symptom.BOOT_LOOP: "It starts over and over",
    Symptom.STUCK_IN_RECOVERY: "It shows a cable and a computer",
    Symptom.FAILED_UPDATE: "An update went wrong",
    Symptom.NOT_ACTIVATING: "It cannot be activated",
    Symptom.FORGOTTEN_PASSCODE: "The passcode is forgotten",
    Symptom.DISABLED: "It says disabled or unavailable",
    Symptom.DEAD_SCREEN: "The screen is broken",
    Symptom.BLACK: "It seems dead",
    Symptom.NOT_TRUSTED: "It does not trust the station",
    Symptom.SELLING: "It is to be handed on",
}
