"""Gates of what is to be done: whether the service suits this phone, and what is installed suits it too."""

from station.core.arriving import could_not, how_far
from station.core.gates.case import Case
from station.core.models import RESTORABLE
from station.core.versions import build_order, installable, version_order
from station.errors import InputRejected
from station.model.causes import EXPLANATIONS, Cause
from station.model.gates import Finding, Gate
from station.model.phone import PhoneMode
from station.model.service import Keeps, Service

_MODES = {
    PhoneMode.NORMAL: "started and unlocked",
    PhoneMode.RECOVERY: "in recovery mode",
    PhoneMode.DFU: "in DFU mode",
}


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
    chosen = case.target
    if chosen is not None and not installable(chosen.version):
        title = f"The station has not installed iOS {chosen.version} before."
        return Finding(gate=Gate.MODEL, title=title, remedy="Update the station's software.", overrulable=True)
    return None


def firmware(case: Case) -> Finding | None:
    """What is to be installed is here, or on its way."""
    if not case.traits.firmware or case.target is not None:
        return None
    model = "" if case.bay.stay is None else case.bay.stay.product_type
    if model and model not in case.situation.firmware:
        title = "The station is checking which firmware it has."
        return Finding(gate=Gate.FIRMWARE, title=title, remedy="Wait a moment.")
    if (failed := case.arrival) is not None:
        return Finding(gate=Gate.FIRMWARE, title=could_not(failed), remedy=failed.remedy)
    words = EXPLANATIONS[Cause.FIRMWARE_MISSING]
    build = case.options.build
    lack = case.situation.lacking.get(model)
    if lack is not None and not build:
        return Finding(gate=Gate.FIRMWARE, title=lack.title, remedy=lack.remedy)
    title = f"The station has no firmware with build {build} for this model." if build else words.title
    return Finding(gate=Gate.FIRMWARE, title=title, remedy=words.remedy)


def told_arriving(case: Case) -> Finding | None:
    """What is still on its way need not be waited for by a person."""
    coming = case.arrival
    if coming is None or case.target is None:
        return None
    return Finding(gate=Gate.FIRMWARE, title=how_far(coming), remedy="The service starts by itself when it is here.")


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


def _older(case: Case, remedy: str) -> Finding | None:
    chosen, stay = case.target, case.bay.stay
    facts = None if stay is None else stay.facts
    if not case.traits.firmware or chosen is None or facts is None:
        return None
    try:
        ours, theirs = version_order(chosen.version), version_order(facts.version)
        if ours > theirs or (ours == theirs and build_order(chosen.build) >= build_order(facts.build)):
            return None
    except InputRejected:  # what the phone says of itself is nothing to compare with
        return None
    title = f"The station's iOS {chosen.version} is older than the phone's {facts.version}."
    return Finding(gate=Gate.VERSION, title=title, remedy=remedy)
