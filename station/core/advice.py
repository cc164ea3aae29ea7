"""What is wrong, what is seen, and what can help, the gentlest first: a decision table to be read.

Each symptom has a ladder for every condition that its phone can be in. A rung is a service, presses of buttons, or
something that only a person can do; the last one is an honest end. Presses lead into another condition, whose own
ladder goes on from there. What was tried is left out, so every ladder that somebody climbs has an end.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from station.core.bays import Bay
from station.model.api import AdviceView
from station.model.causes import Cause
from station.model.consent import Options
from station.model.guide import TARGET_WORDS, Target
from station.model.phone import ActivationLock, PhoneMode
from station.model.service import SERVICES, Service
from station.model.symptoms import Symptom


class Condition(Enum):
    """What the station observes of a phone: all that decides what could be done with it."""

    READABLE = "readable"
    """Normal mode; it told its facts."""
    CLAIMED = "claimed"
    """The same, and Activation Lock was found."""
    UNTRUSTED = "untrusted"
    """Normal mode; it does not trust the station."""
    LOCKED = "locked"
    """Normal mode; its passcode was not typed."""
    SILENT = "silent"
    """Normal mode; it says nothing, or not yet."""
    RECOVERY = "recovery"
    DFU = "dfu"
    AWAY = "away"
    """USB shows nothing."""


MODE_OF: Mapping[Condition, PhoneMode | None] = {
    Condition.READABLE: PhoneMode.NORMAL,
    Condition.CLAIMED: PhoneMode.NORMAL,
    Condition.UNTRUSTED: PhoneMode.NORMAL,
    Condition.LOCKED: PhoneMode.NORMAL,
    Condition.SILENT: PhoneMode.NORMAL,
    Condition.RECOVERY: PhoneMode.RECOVERY,
    Condition.DFU: PhoneMode.DFU,
    Condition.AWAY: None,
}

SHUT = frozenset({Condition.UNTRUSTED, Condition.LOCKED, Condition.SILENT})
"""It runs its system and does not talk to the station: no service can begin."""


def condition_of(bay: Bay) -> Condition:
    """What is observed of the phone in a bay."""
    stay = bay.stay
    if bay.sighting is None or stay is None:
        return Condition.AWAY
    if bay.sighting.mode is not PhoneMode.NORMAL:
        return Condition(bay.sighting.mode.value)
    if stay.facts is not None:
        return Condition.CLAIMED if stay.facts.lock.state is ActivationLock.LOCKED else Condition.READABLE
    person = None if bay.inspection is None else bay.inspection.story.person
    why = person or stay.failed
    return Condition.SILENT if why is None else _UNANSWERED.get(why.cause, Condition.SILENT)


_UNANSWERED = {Cause.NOT_TRUSTED: Condition.UNTRUSTED, Cause.LOCKED: Condition.LOCKED}


_USUAL_OPTIONS = Options()


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One thing to try: a service, or presses of buttons, or (neither) what a person can do."""

    says: str
    service: Service | None = None
    options: Options = _USUAL_OPTIONS
    guide: Target | None = None
    end: bool = False
    """Nothing is left to try: `says` tells who can help."""
    deep: bool = False
    """Worth another try from DFU mode, though it was tried from another."""


Ladder = tuple[Rung, ...]


class Key(NamedTuple):
    """A thing to try, whatever is said of it."""

    service: Service | None = None
    stays: bool = False
    """Options.stay_in_recovery."""
    deep: bool = False
    """From DFU mode, where that is worth another try."""
    guide: Target | None = None
    says: str = ""
    """What a person was asked to do."""


def key(rung: Rung) -> Key:
    """What a rung has somebody try."""
    says = rung.says if rung.service is None and rung.guide is None else ""
    stays = rung.options.stay_in_recovery
    return Key(service=rung.service, stays=stays, deep=rung.deep, guide=rung.guide, says=says)


def _do(service: Service, says: str, *, options: Options = _USUAL_OPTIONS, deep: bool = False) -> Rung:
    return Rung(says=says, service=service, options=options, deep=deep)


def _press(target: Target, says: str) -> Rung:
    return Rung(says=says, guide=target)


def _ask(says: str) -> Rung:
    return Rung(says=says)


def _end(says: str) -> Rung:
    return Rung(says=says, end=True)


# -- rungs that several ladders have

_RESTART = _do(Service.RESTART, "A restart mends much, and everything stays on it.")
_LEAVE = _do(Service.RESCUE, "Often it only has to be told to start. Everything stays on it.")
_BACKUP = _do(Service.BACKUP, "What comes next touches the data: save it first.")
_REINSTALL = _do(Service.REINSTALL, "A new iOS goes around the data, which is meant to stay.")
_RESTORE = _do(Service.RESTORE, "All is erased and installed anew: the last that a cable can do.")
_RESTORE_DFU = _do(Service.RESTORE, "All is erased and installed anew, from the very bottom.", deep=True)
_FORCE = _press(Target.RESTART, "The buttons force a restart. Everything stays on it.")
_LEAVE_DFU = _press(Target.RESTART, "The buttons end DFU mode. Everything stays on it.")
_TO_RECOVERY = _press(
    Target.RECOVERY, "The buttons bring it where iOS can be installed anew. That alone erases nothing."
)
_TO_DFU = _press(Target.DFU, "DFU mode goes deeper than recovery. That alone erases nothing.")
_TRUST = _ask("Unlock it and tap “Trust”. If it does not ask, plug it in again.")
_UNLOCK = _ask("Type its passcode, and leave the screen on.")
_CHARGE = _ask("Leave it on a charger that is known to work for half an hour, then plug it in here with another cable.")
_LOST_CODE = _ask(
    "No station can take a passcode off. Changed it of late? “Forgot Passcode?” on the phone takes the old one, for "
    "three days."
)
_LOST_DATA = _ask("Only an erase opens it. What is in iCloud or in a backup can come back; the rest is gone.")
_REPAIR = _end("Nothing is left that a cable can do: it needs a repair.")
_GLASS = _end("The screen itself needs a repair. Nothing that a cable can do mends it.")
_OWNER = _end("It asks for its owner’s Apple Account. Only the owner, or Apple with a proof of purchase, can help.")
_BATTERY = _end("What is left is its age: have Apple or a repairer look at the battery.")

_RAISED: Ladder = (_FORCE, _TO_RECOVERY, _TO_DFU, _REPAIR)
_SOFTWARE: Ladder = (_RESTART, _FORCE, _BACKUP, _REINSTALL, _RESTORE, _REPAIR)
_FROM_RECOVERY: Ladder = (_LEAVE, _REINSTALL, _RESTORE, _TO_DFU, _REPAIR)
_FROM_DFU: Ladder = (_LEAVE_DFU, _REINSTALL, _RESTORE_DFU, _REPAIR)

_USUAL: dict[Condition, Ladder] = {
    # Where a symptom says nothing else.
    Condition.READABLE: _SOFTWARE,
    Condition.UNTRUSTED: (_TRUST, *_RAISED),
    Condition.LOCKED: (_UNLOCK, *_RAISED),
    Condition.SILENT: _RAISED,
    Condition.RECOVERY: _FROM_RECOVERY,
    Condition.DFU: _FROM_DFU,
    Condition.AWAY: (_FORCE, _CHARGE, _TO_RECOVERY, _TO_DFU, _REPAIR),
}

# -- what is different for each symptom

_CODE_GONE: dict[Condition, Ladder] = {
    Condition.READABLE: (
        _LOST_CODE,
        _do(
            Service.BACKUP, "The station can still read it: save all before it is erased. It may ask for the passcode."
        ),
        _do(Service.ERASE, "An erase takes the passcode away, with everything else. Its iOS stays."),
        _RESTORE,
        _OWNER,
    ),
    **dict.fromkeys(SHUT, (_LOST_CODE, _TO_RECOVERY, _TO_DFU, _OWNER)),
    Condition.RECOVERY: (_LOST_DATA, _RESTORE, _TO_DFU, _OWNER),
    Condition.DFU: (_LOST_DATA, _RESTORE_DFU, _OWNER),
    Condition.AWAY: (_CHARGE, _TO_RECOVERY, _TO_DFU, _REPAIR),
}

_LOOPING: Ladder = (
    _press(
        Target.RECOVERY,
        "Try another cable and socket first: a loose one looks the same. Then catch it in recovery mode.",
    ),
    _TO_DFU,
    _REPAIR,
)

_DARK: dict[Condition, Ladder] = {
    Condition.READABLE: (
        _do(
            Service.BACKUP,
            "The station can still read it. Save all now: after a restart it asks for a passcode that nobody can type.",
        ),
        _do(Service.RESTART, "A screen can be dark because of iOS, too. Everything stays on it."),
        _FORCE,
        _GLASS,
    ),
    Condition.UNTRUSTED: (
        _FORCE,
        _ask("A phone whose screen takes no touch cannot say “Trust”. If the data matters, mend the screen first."),
        _TO_RECOVERY,
        _TO_DFU,
        _GLASS,
    ),
    Condition.LOCKED: (
        _FORCE,
        _ask("Nobody can type its passcode on a dead screen. If the data matters, mend the screen first."),
        _TO_RECOVERY,
        _TO_DFU,
        _GLASS,
    ),
    Condition.SILENT: (_FORCE, _TO_RECOVERY, _TO_DFU, _GLASS),
    Condition.RECOVERY: (_LEAVE, _REINSTALL, _RESTORE, _TO_DFU, _GLASS),
    Condition.DFU: (_LEAVE_DFU, _REINSTALL, _RESTORE_DFU, _GLASS),
}

_PARTICULAR: dict[Symptom, dict[Condition, Ladder]] = {
    Symptom.FROZEN: {
        Condition.UNTRUSTED: (_FORCE, _TRUST, _TO_RECOVERY, _TO_DFU, _REPAIR),
        Condition.LOCKED: (_FORCE, _UNLOCK, _TO_RECOVERY, _TO_DFU, _REPAIR),
    },
    Symptom.CRASHING: {},
    Symptom.SLOW: {
        Condition.READABLE: (
            _RESTART,
            _ask("A full storage or a worn battery makes a phone slow: look at both, and clear some space."),
            _BACKUP,
            _REINSTALL,
            _RESTORE,
            _BATTERY,
        ),
    },
    Symptom.BOOT_LOOP: {
        **dict.fromkeys((Condition.READABLE, Condition.AWAY, *SHUT), _LOOPING),
        Condition.RECOVERY: (
            _do(
                Service.RESCUE,
                "Keep it in recovery, so that it does not start over again while it is worked on.",
                options=Options(stay_in_recovery=True),
            ),
            _REINSTALL,
            _RESTORE,
            _TO_DFU,
            _REPAIR,
        ),
    },
    Symptom.STUCK_IN_RECOVERY: {
        Condition.AWAY: (
            _ask("USB shows nothing of it: take another cable and another socket."),
            _FORCE,
            _TO_RECOVERY,
            _TO_DFU,
            _REPAIR,
        ),
    },
    Symptom.FAILED_UPDATE: {},
    Symptom.NOT_ACTIVATING: {
        Condition.READABLE: (
            _do(Service.ACTIVATE, "Apple is asked now, and either activates it or says why not."),
            _RESTART,
            _BACKUP,
            _REINSTALL,
            _RESTORE,
            _OWNER,
        ),
        Condition.CLAIMED: (
            _do(Service.ACTIVATE, "Apple is asked now, and either activates it or says that it belongs to somebody."),
            _ask("Its owner can take it off their account at icloud.com/find. An erase does not."),
            _OWNER,
        ),
    },
    Symptom.FORGOTTEN_PASSCODE: _CODE_GONE,
    Symptom.DISABLED: {
        **_CODE_GONE,
        **dict.fromkeys(
            SHUT,
            (
                _ask("If it says when to try again, wait, and type the right passcode: then nothing is lost."),
                _LOST_CODE,
                _TO_RECOVERY,
                _TO_DFU,
                _OWNER,
            ),
        ),
    },
    Symptom.DEAD_SCREEN: _DARK,
    Symptom.BLACK: {condition: _DARK[condition] for condition in (Condition.READABLE, *SHUT)},
    Symptom.NOT_TRUSTED: {
        Condition.READABLE: (_end("It trusts the station now. Choose what it is to be given."),),
        Condition.UNTRUSTED: (
            _TRUST,
            _ask(
                "On the phone: Settings, General, Transfer or Reset, Reset, Reset Location & Privacy. Then it asks "
                "anew. If a company manages it, it may not be allowed to."
            ),
            *_RAISED,
        ),
    },
    Symptom.SELLING: {
        Condition.READABLE: (
            _do(Service.BACKUP, "Save what is on it for its owner, before everything is gone."),
            _do(Service.ERASE, "Everything on it is gone for good, in minutes. Its iOS stays."),
            _RESTORE,
            _REPAIR,
        ),
        Condition.CLAIMED: (
            _ask(
                "First turn off Find My: Settings, the name at the top, Find My. Whoever gets it cannot use it before."
            ),
            _OWNER,
        ),
    },
}


def _table() -> dict[Symptom, dict[Condition, Ladder]]:
    whole = {}
    for symptom, particular in _PARTICULAR.items():
        ladders = {**_USUAL, **particular}
        ladders.setdefault(Condition.CLAIMED, ladders[Condition.READABLE])
        whole[symptom] = ladders
    return whole


TABLE: Mapping[Symptom, Mapping[Condition, Ladder]] = _table()
"""Every symptom in every condition."""


def left(symptom: Symptom, condition: Condition, tried: Container[Key]) -> Ladder:
    """What is left to try, the end always among it. Presses that led nowhere new are worth nothing any more."""
    return tuple(rung for rung in TABLE[symptom][condition] if key(rung) not in tried and _leads(symptom, rung, tried))


def _leads(symptom: Symptom, rung: Rung, tried: Container[Key]) -> bool:
    """Whether a rung leads on: presses into a mode in which nothing is left to do gain nothing."""
    if rung.guide is None or rung.guide is Target.RESTART:
        return True
    ladder = TABLE[symptom][Condition(rung.guide.value)]
    return any(there.service is not None and key(there) not in tried for there in ladder)


def view(symptom: Symptom, ladder: Ladder) -> AdviceView:
    """What is left, in words."""
    first = ladder[0]
    then = "" if first.end else f" {_then(first, ladder[1])}"
    return AdviceView(
        symptom=symptom,
        services=tuple(rung.service for rung in ladder if rung.service is not None),
        guide=first.guide,
        says=f"{first.says}{then}",
        options=first.options,
        ended=first.end,
    )


def _then(first: Rung, then: Rung) -> str:
    """What comes next."""
    backed_up = first.service is Service.BACKUP
    if then.service is not None:
        title = SERVICES[then.service].title
        return f"After that: “{title}”." if backed_up else f"If that does not help: “{title}”."
    if then.guide is not None:
        goal = TARGET_WORDS[then.guide]
        if backed_up:
            return f"After that: its buttons, for {goal}."
        return f"If that does not help: its buttons, for {goal}."
    return "After that, say so." if backed_up else "If that does not help, say so."
