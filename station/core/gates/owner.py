"""Gates of what the owner may lose, and of whose the phone is."""

from station.core.gates.case import Case
from station.core.policy import BackupRule
from station.model.gates import BackupDecision, Choice, Finding, Gate, Purpose
from station.model.phone import ActivationLock, PhoneMode
from station.model.service import Keeps

_WAYS = {
    # How the lock of a phone can be read after all.
    PhoneMode.NORMAL: "Unlock the phone, tap “Trust”, and plug it in again.",
    PhoneMode.RECOVERY: "Have it leave recovery mode, then unlock it and tap “Trust”: only a phone that runs can tell.",
    PhoneMode.DFU: "Start it with its buttons, then unlock it and tap “Trust”: only a phone that runs can tell.",
}


def backup(case: Case) -> Finding | None:
    """Before data is ended, replaced or put at risk, somebody has decided about a backup."""
    if decision(case, at="") is not None or case.traits.keeps is Keeps.ALL:
        return None
    title = "Nobody has decided about a backup."
    return Finding(gate=Gate.BACKUP, title=title, remedy="Go through the checklist with the owner, then choose.")


def decision(case: Case, *, at: str) -> BackupDecision | None:
    """What was decided about a backup, where the service puts data at risk. `at`: when a standing decision is used."""
    if case.traits.keeps is Keeps.ALL:
        return None
    decided = None if case.bay.stay is None else case.bay.stay.decided
    if decided is None and case.policy.backup is BackupRule.STANDING:
        return BackupDecision(choice=Choice.STANDING, at=at)
    return decided


def activation_lock(case: Case) -> Finding | None:
    """A phone that belongs to somebody is not made ready for somebody else."""
    lock = lock_of(case)
    if case.traits.keeps is not Keeps.NOTHING or lock is ActivationLock.NOT_DETECTED:
        return None
    match case.policy.purpose, lock:
        case Purpose.SALE, ActivationLock.LOCKED:
            return _locked(
                "For a sale its owner turns “Find My” off, or removes it at icloud.com/find. Then plug it in again."
            )
        case Purpose.SALE, _:
            return _unknown(case)
        case Purpose.RECYCLING, ActivationLock.LOCKED:
            remedy = (
                "Ask its owner to turn “Find My” off, then plug it in again. Erased like this, nobody else can use it."
            )
            return _locked(remedy, overrulable=True)
        case _:
            return None


def told_lock(case: Case) -> Finding | None:
    """The owner is told what comes after: only they can open the lock, and they may have forgotten how."""
    if case.traits.keeps is not Keeps.NOTHING or case.policy.purpose is not Purpose.OWNER:
        return None
    match lock_of(case):
        case ActivationLock.LOCKED:
            return _locked("Afterwards it asks for the owner's Apple Account and password. Make sure they are known.")
        case ActivationLock.UNKNOWN:
            title = "Activation Lock could not be read."
            remedy = "If “Find My” is on, the phone asks for the owner's Apple Account and password afterwards."
            return Finding(gate=Gate.ACTIVATION_LOCK, title=title, remedy=remedy)
        case _:
            return None


def lock_of(case: Case) -> ActivationLock:
    """What is known of the lock in this stay.

    An erased phone tells nothing: "not detected" is what it says whether it is locked or not.
    """
    facts = None if case.bay.stay is None else case.bay.stay.facts
    if facts is None:
        return ActivationLock.UNKNOWN
    if facts.lock.state is ActivationLock.NOT_DETECTED and facts.activation_state == "Unactivated":
        return ActivationLock.UNKNOWN
    return facts.lock.state


def _locked(remedy: str, *, overrulable: bool = False) -> Finding:
    title = "“Find My” is on: the phone has an Activation Lock."
    return Finding(gate=Gate.ACTIVATION_LOCK, title=title, remedy=remedy, overrulable=overrulable)


def _unknown(case: Case) -> Finding:
    stay = case.bay.stay
    assert stay is not None
    remedy = _WAYS.get(stay.mode, "")
    if stay.facts is not None and stay.facts.activation_state == "Unactivated":
        remedy = "An erased phone does not show its lock. Activate it here first: then Apple tells."
    title = "Activation Lock could not be read. For a sale it must be."
    return Finding(gate=Gate.ACTIVATION_LOCK, title=title, remedy=remedy)
