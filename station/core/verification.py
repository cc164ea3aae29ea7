"""Looking at what came back: a restore is proved by observation, not by the phone's word."""

from station.core.verdict import VERIFIED, Verdict, not_verified
from station.model.base import Ecid, format_ecid
from station.model.causes import Cause
from station.model.firmware import Firmware
from station.model.phone import PhoneFacts
from station.model.record import Check

UNACTIVATED = "Unactivated"
"""lockdown's ActivationState of a phone that nobody has set up since it was erased."""

PROOFS = (
    # restored's operations that end the old data: ramrod's numbers, as public restore logs show them.
    (42, "storage wiped (operation 42)"),
    (50, "new encryption keys made (operation 50)"),
)


def verify(
    facts: PhoneFacts, *, ecid: Ecid, firmware: Firmware, operations: tuple[int, ...]
) -> tuple[Verdict, tuple[Check, ...]]:
    """Hold what the returned phone says against what it must be; every check counts."""
    passcode = {True: "set", False: "none", None: "unknown"}[facts.passcode]
    same_phone = _check("same phone", format_ecid(ecid), format_ecid(facts.ecid))
    build = _check("installed build", firmware.build, facts.build)
    clean = (
        _check("activation state", UNACTIVATED, facts.activation_state),
        _check("passcode", "none", passcode),
        *(_reported(what, number in operations) for number, what in PROOFS),
    )
    checks = (same_phone, build, *clean)
    if not same_phone.passed:
        return not_verified(Cause.WRONG_PHONE, f"{same_phone.observed} came back"), checks
    if not build.passed:
        return not_verified(Cause.BUILD_DIFFERS, f"{build.observed} instead of {build.expected}"), checks
    for check in clean:
        if not check.passed:
            return not_verified(Cause.NOT_CLEAN, f"{check.what}: {check.observed}"), checks
    return VERIFIED, checks


def absent(ecid: Ecid, observed: str) -> tuple[Check, ...]:
    """The one check of a phone that could not be looked at."""
    return (Check(what="phone came back", expected=format_ecid(ecid), observed=observed, passed=False),)


def _reported(what: str, seen: bool) -> Check:
    return Check(
        what=what, expected="reported", observed="reported" if seen else "not reported", passed=seen, by_phone=True
    )


def _check(what: str, expected: str, observed: str) -> Check:
    return Check(what=what, expected=expected, observed=observed, passed=expected == observed)
