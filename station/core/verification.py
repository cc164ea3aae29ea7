"""Looking at what came back: a service is proved by observation, not by the phone's word. Each claim on its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from station.core.story import Story
from station.core.verdict import Verdict, not_verified, verified
from station.model.base import Ecid, format_ecid
from station.model.causes import Cause
from station.model.firmware import Firmware
from station.model.phone import PhoneFacts, PhoneMode
from station.model.record import Check
from station.model.service import Service

UNACTIVATED, ACTIVATED = "Unactivated", "Activated"
"""lockdown's ActivationState of a phone that nobody has set up since it was erased, and of one that is in use."""
NOT_SEEN = "not seen"
"""Of what the phone did not tell, before or after: nothing is claimed of it, and nothing hangs on it."""

PROOFS = (
    # restored's operations that end the old data: ramrod's numbers, as public restore logs show them.
    (42, "storage wiped (operation 42)"),
    (50, "new encryption keys made (operation 50)"),
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What there is to judge by."""

    ecid: Ecid
    facts: PhoneFacts
    """What the phone says now."""
    before: PhoneFacts | None
    """What it said before; None: it could not be asked then."""
    firmware: Firmware | None
    story: Story


Judge = Callable[[Evidence], list[tuple[Check, Cause]]]
"""The claims of a service, each with the cause that a claim which does not hold stands for."""


def verify(service: Service, seen: Evidence) -> tuple[Verdict, tuple[Check, ...]]:
    """Hold what the phone says now against what it must be; every check counts."""
    same = _check("same phone", format_ecid(seen.ecid), format_ecid(seen.facts.ecid))
    claims = [(same, Cause.WRONG_PHONE), *_JUDGES[service](seen)]
    checks = tuple(check for check, _ in claims)
    for check, cause in claims:
        if not check.passed:
            expected = f" instead of {check.expected}" if cause is Cause.BUILD_DIFFERS else ""
            return not_verified(cause, f"{check.what}: {check.observed}{expected}"), checks
    return verified(service), checks


def reread(story: Story) -> tuple[Verdict, tuple[Check, ...]]:
    """A backup counts when it was opened again, every file of it, and nothing was wrong."""
    found = story.backup
    if found is None:
        return not_verified(Cause.BACKUP_FAULTY, "it was not read back"), ()
    faults = "; ".join(found.faults) or "none"
    checks = (
        _check("files in the backup", "some", "some" if found.files else "none"),
        _check("faults on reading it back", "none", faults),
    )
    if not all(check.passed for check in checks):
        return not_verified(Cause.BACKUP_FAULTY, f"{found.files} files, faults: {faults}"), checks
    return verified(Service.BACKUP), checks


def returned(service: Service, ecid: Ecid, *, unread: str) -> tuple[Verdict, tuple[Check, ...]]:
    """A phone came back that need not say anything: it was only to start, and is locked or in recovery as it should."""
    came = _check("phone came back", format_ecid(ecid), format_ecid(ecid))
    rest = Check(what="what is on it", expected=NOT_SEEN, observed=f"{NOT_SEEN}: {unread}", passed=True, by_phone=True)
    return verified(service), (came, rest)


def held() -> tuple[Verdict, tuple[Check, ...]]:
    """A phone that was to stay in recovery mode is there."""
    words = "It stays in recovery mode until it is told to leave: install iOS, or choose “Leave recovery”."
    verdict = replace(verified(Service.RESCUE), title="Held in recovery mode.", remedy=words)
    return verdict, (_check("mode", PhoneMode.RECOVERY.value, PhoneMode.RECOVERY.value),)


def same_start(before: PhoneFacts | None, after: PhoneFacts) -> bool:
    """Whether the phone says that it has not been started since: each start has a name of its own."""
    return before is not None and bool(before.boot_session) and before.boot_session == after.boot_session


def absent(ecid: Ecid, observed: str) -> tuple[Check, ...]:
    """The one check of a phone that could not be looked at."""
    return (Check(what="phone came back", expected=format_ecid(ecid), observed=observed, passed=False),)


def _restored(seen: Evidence) -> list[tuple[Check, Cause]]:
    return [*_installed(seen), *_clean(seen), *_empty(seen), *_proofs(seen)]


def _reinstalled(seen: Evidence) -> list[tuple[Check, Cause]]:
    return [*_installed(seen), *_kept(seen)]


def _erased(seen: Evidence) -> list[tuple[Check, Cause]]:
    return [*_started(seen), *_same_build(seen), *_clean(seen), *_empty(seen)]


def _put_back(seen: Evidence) -> list[tuple[Check, Cause]]:
    return [*_started(seen), *_same_build(seen)]


def _restarted(seen: Evidence) -> list[tuple[Check, Cause]]:
    return [*_started(seen), *_same_build(seen), *_kept(seen)]


def _activated(seen: Evidence) -> list[tuple[Check, Cause]]:
    return [(_check("activation state", ACTIVATED, seen.facts.activation_state), Cause.NOT_ACTIVATED)]


_JUDGES: dict[Service, Judge] = {
    Service.RESTART: _restarted,
    Service.RESCUE: _restarted,
    Service.PUT_BACK: _put_back,
    Service.ACTIVATE: _activated,
    Service.REINSTALL: _reinstalled,
    Service.ERASE: _erased,
    Service.RESTORE: _restored,
}


def _installed(seen: Evidence) -> list[tuple[Check, Cause]]:
    assert seen.firmware is not None
    return [(_check("installed build", seen.firmware.build, seen.facts.build), Cause.BUILD_DIFFERS)]


def _same_build(seen: Evidence) -> list[tuple[Check, Cause]]:
    if seen.before is None:
        return [(_unseen("build"), Cause.BUILD_DIFFERS)]
    return [(_check("build", seen.before.build, seen.facts.build), Cause.BUILD_DIFFERS)]


def _clean(seen: Evidence) -> list[tuple[Check, Cause]]:
    checks = (
        _check("activation state", UNACTIVATED, seen.facts.activation_state),
        _check("passcode", "none", _passcode(seen.facts)),
    )
    return [(check, Cause.NOT_CLEAN) for check in checks]


def _empty(seen: Evidence) -> list[tuple[Check, Cause]]:
    """There are no pictures on it, as far as it tells."""
    media = seen.facts.media
    if media is None:
        return [(_unseen("pictures"), Cause.NOT_CLEAN)]
    return [(_check("pictures", "none", f"{media.files} files" if media.files else "none"), Cause.NOT_CLEAN)]


def _started(seen: Evidence) -> list[tuple[Check, Cause]]:
    """It was started since it was asked before."""
    known = seen.before is not None and seen.before.boot_session and seen.facts.boot_session
    if not known:
        return []  # older systems do not name their starts; that it left and came back the bus has told
    observed = "no" if same_start(seen.before, seen.facts) else "yes"
    return [(_check("started anew", "yes", observed), Cause.NOT_LEFT)]


def _proofs(seen: Evidence) -> list[tuple[Check, Cause]]:
    return [(_reported(what, number in seen.story.operations), Cause.NOT_CLEAN) for number, what in PROOFS]


def _kept(seen: Evidence) -> list[tuple[Check, Cause]]:
    """What was on it is on it still, as far as it was seen before and after.

    Its passcode is left out: whether there is one a phone tells only while it is locked, as it is after a start.
    """
    before, after = seen.before, seen.facts
    if before is None:
        return [(_unseen("what is on it"), Cause.DATA_CHANGED)]
    checks = [
        _check("activation state", before.activation_state, after.activation_state),
        _check("name", "as before", "as before" if before.name == after.name else "another"),
    ]
    if before.media is None or after.media is None:
        checks.append(_unseen("pictures"))
    else:
        kept = after.media.files >= before.media.files and after.media.size >= before.media.size
        few = f"{after.media.files} files, {after.media.size} bytes"
        expected = f"{before.media.files} files, {before.media.size} bytes"
        checks.append(Check(what="pictures", expected=expected, observed=few, passed=kept))
    return [(check, Cause.DATA_CHANGED) for check in checks]


def _passcode(facts: PhoneFacts) -> str:
    return {True: "set", False: "none", None: "unknown"}[facts.passcode]


def _unseen(what: str) -> Check:
    return Check(what=what, expected=NOT_SEEN, observed=NOT_SEEN, passed=True)


def _reported(what: str, seen: bool) -> Check:
    return Check(
        what=what, expected="reported", observed="reported" if seen else "not reported", passed=seen, by_phone=True
    )


def _check(what: str, expected: str, observed: str) -> Check:
    return Check(what=what, expected=expected, observed=observed, passed=expected == observed)
