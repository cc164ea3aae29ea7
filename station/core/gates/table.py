"""Every gate's rule, and what follows from those that are closed."""

from station.core.gates import bay, fit, vault
from station.core.gates.case import Case, Rule
from station.errors import Refused
from station.model.firmware import Firmware
from station.model.gates import Finding, Gate

RULES: dict[Gate, Rule] = {
    # In the order in which a person would want to know.
    Gate.TROUBLE: bay.trouble,
    Gate.RESULT: bay.result,
    Gate.BUSY: bay.busy,
    Gate.PHONE: bay.phone,
    Gate.IDENTITY: bay.identity,
    Gate.TWIN: bay.twin,
    Gate.MODE: fit.mode,
    Gate.FIRMWARE: fit.firmware,
    Gate.VAULT: vault.vault,
}

BASIC = frozenset({Gate.TROUBLE, Gate.RESULT, Gate.BUSY, Gate.PHONE, Gate.IDENTITY, Gate.TWIN})
"""While one of these is closed, nothing else is worth saying."""


def closed(case: Case) -> tuple[Finding, ...]:
    """The gates that are closed, the most basic first; those that an operator opened for this phone left out."""
    opened = () if case.bay.stay is None else case.bay.stay.overruled
    found: list[Finding] = []
    for gate, rule in RULES.items():
        finding = rule(case)
        if finding is None or (finding.overrulable and gate in opened):
            continue
        found.append(finding)
        if gate in BASIC:
            break  # whatever comes after asks about a phone that there is
    return tuple(found)


def may_start(case: Case) -> Firmware | None:
    """The firmware that the service would install; None: it installs none.

    Raises:
        Refused: it may not start now; the reason and the remedy are for the person who pressed START.
    """
    for finding in closed(case):
        raise Refused(finding.title, remedy=finding.remedy)
    if not case.traits.firmware:
        return None
    assert case.bay.stay is not None
    return case.situation.firmware[case.bay.stay.product_type]
