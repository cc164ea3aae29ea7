"""Gates of what is to be done: whether the service suits this phone, and what is installed suits it too."""

from station.core.gates.case import Case
from station.model.causes import EXPLANATIONS, Cause
from station.model.gates import Finding, Gate


def mode(case: Case) -> Finding | None:
    """The service can begin where the phone is."""
    stay = case.bay.stay
    assert stay is not None
    if stay.mode in case.traits.modes:
        return None
    modes = " or ".join(sorted(mode.value for mode in case.traits.modes))
    title = f"“{case.traits.title}” begins in {modes} mode; this phone is in {stay.mode.value} mode."
    return Finding(gate=Gate.MODE, title=title, remedy="")


def firmware(case: Case) -> Finding | None:
    """What is to be installed is here."""
    stay = case.bay.stay
    assert stay is not None
    if not case.traits.firmware or case.situation.firmware.get(stay.product_type) is not None:
        return None
    words = EXPLANATIONS[Cause.FIRMWARE_MISSING]
    return Finding(gate=Gate.FIRMWARE, title=words.title, remedy=words.remedy)
