"""What people decide about gates: a backup, a gate that an operator opens, a phone that leaves quarantine."""

from collections.abc import Iterable

from station.core.gates import Case, findings
from station.core.policy import Policy
from station.core.situation import Situation
from station.errors import Refused
from station.model.api import Decide, Overrule, Release
from station.model.gates import BackupDecision, Choice, Finding, Overruling
from station.model.release import Release as Released

MAX_REASON = 200
"""Letters. It goes on record, and has to be read by somebody."""


def decide(command: Decide, situation: Situation, *, at: str) -> BackupDecision:
    """A decision about a backup. Raises Refused when the station knows better."""
    if command.choice is Choice.STANDING:
        raise Refused("That is decided in the station's settings.", remedy="Choose what was decided for this phone.")
    if command.choice is Choice.MADE_HERE and command.ecid not in situation.vault.verified:
        raise Refused("No backup of this phone was made here and read back.", remedy="Choose “Back up” first.")
    return BackupDecision(choice=command.choice, at=at)


def overrule(command: Overrule, cases: Iterable[Case], situation: Situation, policy: Policy, *, at: str) -> Overruling:
    """An operator's word against a gate. `cases`: what the phone could be given.

    Raises:
        Refused: it is not an operator's here, gives no reason, or the gate is not one that can be opened.
    """
    situation.require_operator(policy)
    reason = _reason(command.reason)
    shut = [found for case in cases for found in findings(case) if found.gate is command.gate]
    if not shut:
        raise Refused("Nothing needs to be overruled there.", remedy="See what is closed: station offers.")
    if not any(found.overrulable for found in shut):
        raise _final(shut[0])
    return Overruling(gate=command.gate, reason=reason, at=at)


def release(command: Release, situation: Situation, policy: Policy, *, at: str) -> Released:
    """An operator's word for a phone that is set aside. Raises Refused as `overrule`, or when it is not set aside."""
    situation.require_operator(policy)
    return situation.quarantine.release(command.ecid, _reason(command.reason), at=at)


def _reason(reason: str) -> str:
    words = " ".join(reason.split())
    if not words:
        raise Refused("It takes a reason.", remedy="Say why: it goes on record.")
    if len(words) > MAX_REASON or not words.isprintable():
        raise Refused("That reason cannot be put on record.", remedy=f"Say it in {MAX_REASON} letters, in one line.")
    return words


def _final(found: Finding) -> Refused:
    return Refused(f"{found.title} That cannot be overruled.", remedy=found.remedy)
