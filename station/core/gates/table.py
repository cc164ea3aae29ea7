"""Every gate's rule, and what follows from those that are closed."""

from collections.abc import Iterator

from station.core.arriving import Target
from station.core.gates import bay, fit, health, owner, vault
from station.core.gates.case import Case, Rule
from station.errors import Refused
from station.model.gates import Finding, Gate, Overruling

RULES: dict[Gate, Rule] = {
    # In the order in which a person would want to know.
    Gate.TROUBLE: bay.trouble,
    Gate.RESULT: bay.result,
    Gate.BUSY: bay.busy,
    Gate.PHONE: bay.phone,
    Gate.IDENTITY: bay.identity,
    Gate.TWIN: bay.twin,
    Gate.QUARANTINE: bay.quarantine,
    Gate.MODE: fit.mode,
    Gate.MODEL: fit.model,
    Gate.FIRMWARE: fit.firmware,
    Gate.VERSION: fit.version,
    Gate.VAULT: vault.vault,
    Gate.ACTIVATION_LOCK: owner.activation_lock,
    Gate.BATTERY: health.battery,
    Gate.DISK: health.disk,
    Gate.POWER: health.power,
    Gate.TEMPERATURE: health.temperature,
    Gate.CLOCK: health.clock,
    # Last: nobody goes through a checklist for what cannot be done anyway.
    Gate.BACKUP: owner.backup,
}

TOLD: tuple[Rule, ...] = (fit.told_arriving, fit.told_version, fit.told_passcode, owner.told_lock)
"""What a person must know before, although nothing is closed."""

BASIC = frozenset({Gate.TROUBLE, Gate.RESULT, Gate.BUSY, Gate.PHONE, Gate.IDENTITY, Gate.TWIN})
"""While one of these is closed, nothing else is worth saying."""


def closed(case: Case) -> tuple[Finding, ...]:
    """The gates that are closed, the most basic first; those that an operator opened for this phone left out."""
    opened = () if case.bay.stay is None else case.bay.stay.overruled
    return tuple(found for found in findings(case) if not (found.overrulable and found.gate in opened))


def told(case: Case) -> tuple[Finding, ...]:
    """What to tell about a service before it is given."""
    if case.bay.stay is None:
        return ()
    return tuple(finding for rule in TOLD if (finding := rule(case)) is not None)


def overruled(case: Case) -> tuple[Overruling, ...]:
    """The gates that would be closed, had nobody opened them: what goes on record."""
    stay = case.bay.stay
    if stay is None:
        return ()
    used = [opened for gate, opened in stay.overruled.items() if RULES[gate](case) is not None]
    released = None if stay.ecid is None else case.situation.quarantine.overruling(stay.ecid)
    return (*used, *([] if released is None else [released]))


def may_start(case: Case) -> Target | None:
    """The firmware that the service would install, here or on its way; None: it installs none.

    Raises:
        Refused: it may not start now; the reason and the remedy are for the person who pressed START.
    """
    for finding in closed(case):
        raise Refused(finding.title, remedy=finding.remedy)
    if not case.traits.firmware:
        return None
    return case.target


def findings(case: Case) -> Iterator[Finding]:
    """The gates that would be closed, had nobody opened any."""
    for gate, rule in RULES.items():
        finding = rule(case)
        if finding is not None:
            yield finding
            if gate in BASIC:
                return  # whatever comes after asks about a phone that there is
