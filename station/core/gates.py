"""Gates: what must be true before START means anything. A table of named rules, each with its words.

A rule looks at one `Case` and returns a `Finding` when its gate is closed. Which gates a station has, and how strict
they are, is decided by what is in its `Policy`, never by other code.
"""

from collections.abc import Callable
from dataclasses import dataclass

from station.core.bays import Bay, Bays
from station.core.policy import Policy
from station.core.situation import Situation
from station.errors import Refused
from station.model.causes import EXPLANATIONS, Cause
from station.model.firmware import Firmware
from station.model.gates import Finding, Gate
from station.model.service import SERVICES, Service


@dataclass(frozen=True, kw_only=True)
class Case:
    """One phone in one bay that might be given one service."""

    service: Service
    bay: Bay
    bays: Bays
    situation: Situation
    policy: Policy


Rule = Callable[[Case], Finding | None]


def closed(case: Case) -> tuple[Finding, ...]:
    """The gates that are closed, the most basic first; those that an operator opened for this phone left out."""
    opened = () if case.bay.stay is None else case.bay.stay.overruled
    found: list[Finding] = []
    for rule in RULES:
        finding = rule(case)
        if finding is None or (finding.overrulable and finding.gate in opened):
            continue
        found.append(finding)
        if finding.gate in BASIC:
            break  # whatever comes after asks about a phone that there is
    return tuple(found)


def may_start(case: Case) -> Firmware | None:
    """The firmware that the service would install; None: it installs none.

    Raises:
        Refused: it may not start now; the reason and the remedy are for the person who pressed START.
    """
    for finding in closed(case):
        raise Refused(finding.title, remedy=finding.remedy)
    if not SERVICES[case.service].firmware:
        return None
    assert case.bay.stay is not None
    return case.situation.firmware[case.bay.stay.product_type]


def _trouble(case: Case) -> Finding | None:
    trouble = case.situation.records_trouble or case.situation.trouble
    return Finding(gate=Gate.TROUBLE, title=trouble, remedy="") if trouble else None


def _result(case: Case) -> Finding | None:
    if case.bay.result is None:
        return None
    title = "The last result in this bay has not been dismissed."
    return Finding(gate=Gate.RESULT, title=title, remedy="Look at it and dismiss it first.")


def _busy(case: Case) -> Finding | None:
    if case.bay.job is not None:
        return Finding(gate=Gate.BUSY, title="This phone is being worked on.", remedy="Wait until it is done.")
    if case.bay.inspection is not None:
        return Finding(gate=Gate.BUSY, title="The phone is still being read.", remedy="Wait a moment.")
    return None


def _phone(case: Case) -> Finding | None:
    if case.bay.stay is not None and case.bay.sighting is not None:
        return None
    return Finding(gate=Gate.PHONE, title=f"There is no phone in bay {case.bay.id}.", remedy="Plug one in.")


def _identity(case: Case) -> Finding | None:
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


def _twin(case: Case) -> Finding | None:
    if not case.bays.is_twin(case.bay):
        return None
    return Finding(gate=Gate.TWIN, title="Two bays show the same phone.", remedy="Unplug both and set them aside.")


def _mode(case: Case) -> Finding | None:
    stay, traits = case.bay.stay, SERVICES[case.service]
    assert stay is not None
    if stay.mode in traits.modes:
        return None
    modes = " or ".join(sorted(mode.value for mode in traits.modes))
    title = f"“{traits.title}” begins in {modes} mode; this phone is in {stay.mode.value} mode."
    return Finding(gate=Gate.MODE, title=title, remedy="")


def _firmware(case: Case) -> Finding | None:
    stay = case.bay.stay
    assert stay is not None
    if not SERVICES[case.service].firmware or case.situation.firmware.get(stay.product_type) is not None:
        return None
    words = EXPLANATIONS[Cause.FIRMWARE_MISSING]
    return Finding(gate=Gate.FIRMWARE, title=words.title, remedy=words.remedy)


RULES: tuple[Rule, ...] = (_trouble, _result, _busy, _phone, _identity, _twin, _mode, _firmware)
"""In the order in which a person would want to know."""

BASIC = frozenset({Gate.TROUBLE, Gate.RESULT, Gate.BUSY, Gate.PHONE, Gate.IDENTITY, Gate.TWIN})
"""While one of these is closed, nothing else is worth saying."""
