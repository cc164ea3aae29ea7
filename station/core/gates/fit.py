"""Gates of what is to be done: whether the service suits this phone, and what is installed suits it too."""

import re

from station.core.gates.case import Case
from station.core.models import RESTORABLE
from station.model.causes import EXPLANATIONS, Cause
from station.model.gates import Finding, Gate
from station.model.phone import PhoneMode
from station.model.service import Keeps, Service

INSTALLABLE = range(13, 28)
"""Major versions of iOS that were installed with the library that this program ships (tests/virtual_restore).

Every new one has broken the programs that restore phones on its first day.
"""

_MODES = {
    PhoneMode.NORMAL: "started and unlocked",
    PhoneMode.RECOVERY: "in recovery mode",
    PhoneMode.DFU: "in DFU mode",
}
_BUILD = re.compile(r"(\d+)([A-Z])(\d+)")


def mode(case: Case) -> Finding | None:
    """The service can begin where the phone is."""
    stay = case.bay.stay
    assert stay is not None
    if stay.mode in case.traits.modes:
        return None
    ways = " or ".join(words for mode, words in _MODES.items() if mode in case.traits.modes)
    title = f"“{case.traits.title}” needs a phone that is {ways}."
    now = {**_MODES, PhoneMode.NORMAL: "started"}.get(stay.mode, "in another mode")
    return Finding(gate=Gate.MODE, title=title, remedy=f"This one is {now}. Choose another service first.")


def model(case: Case) -> Finding | None:
    """Firmware is installed only where it is known how."""
    stay = case.bay.stay
    assert stay is not None
    if not case.traits.firmware:
        return None
    if stay.product_type not in RESTORABLE:
        name = stay.model_name or stay.product_type
        title = f"The station does not know how to install iOS on {f'the model “{name}”' if name else 'this model'}."
        return Finding(gate=Gate.MODEL, title=title, remedy="Update the station's software.", overrulable=True)
    chosen = case.chosen
    if chosen is not None and (version := numbers(chosen.version)) and version[0] not in INSTALLABLE:
        title = f"The station has not installed iOS {chosen.version} before."
        return Finding(gate=Gate.MODEL, title=title, remedy="Update the station's software.", overrulable=True)
    return None


def firmware(case: Case) -> Finding | None:
    """What is to be installed is here."""
    if not case.traits.firmware or case.chosen is not None:
        return None
    model = "" if case.bay.stay is None else case.bay.stay.product_type
    if model and model not in case.situation.firmware:
        return Finding(gate=Gate.FIRMWARE, title="The station looks which firmware it has.", remedy="Wait a moment.")
    words = EXPLANATIONS[Cause.FIRMWARE_MISSING]
    build = case.options.build
    title = f"The station has no firmware with build {build} for this model." if build else words.title
    return Finding(gate=Gate.FIRMWARE, title=title, remedy=words.remedy)


def version(case: Case) -> Finding | None:
    """Data that a newer system wrote cannot be read by an older one: what keeps it never goes back."""
    return _older(case, "Import the newest firmware for this model.") if case.traits.keeps is Keeps.MEANT_TO else None


def told_version(case: Case) -> Finding | None:
    """Where nothing is kept, going back is a choice."""
    return _older(case, "That is what will be installed.") if case.traits.keeps is Keeps.NOTHING else None


def told_passcode(case: Case) -> Finding | None:
    """Where nobody can be asked for the passcode before, the phone asks for it after."""
    stay = case.bay.stay
    assert stay is not None
    if case.service is not Service.REINSTALL or stay.mode is PhoneMode.NORMAL:
        return None
    title = "In this mode the phone cannot ask for its passcode."
    remedy = "It asks when it starts again, and may show “Attempting data recovery”. Its owner should be there."
    return Finding(gate=Gate.MODE, title=title, remedy=remedy)


def numbers(version: str) -> tuple[int, ...]:
    """A version to compare with others, such as (26, 2); empty when it is none."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _older(case: Case, remedy: str) -> Finding | None:
    chosen, stay = case.chosen, case.bay.stay
    facts = None if stay is None else stay.facts
    if not case.traits.firmware or chosen is None or facts is None:
        return None
    ours, theirs = numbers(chosen.version), numbers(facts.version)
    if ours == theirs:  # two builds of one version, such as a beta and what came of it
        ours, theirs = _build(chosen.build), _build(facts.build)
    if not ours or not theirs or ours >= theirs:
        return None
    title = f"The station's iOS {chosen.version} is older than the phone's {facts.version}."
    return Finding(gate=Gate.VERSION, title=title, remedy=remedy)


def _build(build: str) -> tuple[int, ...]:
    """A build to compare with others: 23 < 23A < 23B, then by number. Letters that follow say nothing of order."""
    match = _BUILD.match(build)
    return (int(match[1]), ord(match[2]), int(match[3])) if match else ()
