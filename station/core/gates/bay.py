"""Gates of the bay itself: whether anything can be begun in it, and with whom."""

from station.core.gates.case import Case
from station.model.causes import Cause
from station.model.gates import Finding, Gate


def trouble(case: Case) -> Finding | None:
    """Nothing is done that could not be recorded."""
    words = case.situation.records_trouble or case.situation.trouble
    return Finding(gate=Gate.TROUBLE, title=words, remedy="") if words else None


def result(case: Case) -> Finding | None:
    """Somebody has seen how the last job ended."""
    if case.bay.result is None:
        return None
    title = "The last result in this bay has not been dismissed."
    return Finding(gate=Gate.RESULT, title=title, remedy="Look at it and dismiss it first.")


def busy(case: Case) -> Finding | None:
    """One thing at a time."""
    if case.bay.job is not None:
        return Finding(gate=Gate.BUSY, title="This phone is being worked on.", remedy="Wait until it is done.")
    if case.bay.inspection is not None:
        return Finding(gate=Gate.BUSY, title="The phone is still being read.", remedy="Wait a moment.")
    return None


def phone(case: Case) -> Finding | None:
    """There is somebody."""
    if case.bay.stay is not None and case.bay.sighting is not None:
        return None
    return Finding(gate=Gate.PHONE, title=f"There is no phone in bay {case.bay.id}.", remedy="Plug one in.")


def identity(case: Case) -> Finding | None:
    """And it says who it is."""
    stay, sighting = case.bay.stay, case.bay.sighting
    assert stay is not None
    assert sighting is not None
    if stay.failed is not None and stay.failed.cause is Cause.WRONG_PHONE:
        title = "The phone gives itself two identities."
        return Finding(gate=Gate.IDENTITY, title=title, remedy="Unplug it and set it aside.")
    told_now = sighting.ecid is not None or stay.facts is not None
    if stay.ecid is None or not told_now:  # what an earlier sighting told may be of another phone
        title = "The phone does not tell who it is."
        return Finding(gate=Gate.IDENTITY, title=title, remedy="Unlock it and tap “Trust”, then plug it in again.")
    return None


def twin(case: Case) -> Finding | None:
    """And nobody else says the same."""
    if not case.bays.is_twin(case.bay):
        return None
    return Finding(gate=Gate.TWIN, title="Two bays show the same phone.", remedy="Unplug both and set them aside.")


def quarantine(case: Case) -> Finding | None:
    """A phone whose wipe failed is not passed on by somebody who does not know of it."""
    stay, limit = case.bay.stay, case.policy.quarantine_after
    assert stay is not None
    failures = case.situation.quarantine.failures(stay.ecid, emulated=stay.emulated)
    if failures is None or not limit or len(failures.jobs) < limit:
        return None
    title = f"This phone is set aside. {failures.title}"
    return Finding(gate=Gate.QUARANTINE, title=title, remedy="An operator looks into it, and releases it.")
