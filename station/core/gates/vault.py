"""The gate of the vault: there is room for a backup, or there is one to put back."""

from station.core.gates.case import Case
from station.core.situation import VaultState
from station.model.causes import EXPLANATIONS, Cause
from station.model.gates import Finding, Gate
from station.model.phone import PhoneFacts
from station.model.service import Service

HEADROOM = 1 << 30
"""Bytes that a backup leaves free, whatever is in it: the manifest, and the records of everybody else's jobs."""
GB = 1e9


def vault(case: Case) -> Finding | None:
    """Nothing is copied to where it does not fit, and only what counts is put back."""
    if case.service not in (Service.BACKUP, Service.PUT_BACK):
        return None
    seen, stay = case.situation.vault, case.bay.stay
    assert stay is not None
    if seen.trouble:
        return Finding(gate=Gate.VAULT, title=seen.trouble, remedy=seen.remedy)
    if case.service is Service.BACKUP:
        return _room(seen, stay.facts)
    if stay.ecid in seen.verified:
        return None
    words = EXPLANATIONS[Cause.BACKUP_MISSING]
    return Finding(gate=Gate.VAULT, title=words.title, remedy=words.remedy)


def _room(seen: VaultState, facts: PhoneFacts | None) -> Finding | None:
    """What is used on the phone is more than what is in its backup: so an operator may know better."""
    used = 0
    if facts is not None and facts.capacity is not None and facts.free is not None:
        used = max(0, facts.capacity - facts.free)
    if seen.free >= used + HEADROOM:
        return None
    title = f"The backup may need {(used + HEADROOM) / GB:.0f} GB, and the vault has {seen.free / GB:.0f} GB free."
    remedy = "Delete old backups (station backups list), or use a larger disk."
    return Finding(gate=Gate.VAULT, title=title, remedy=remedy, overrulable=True)
