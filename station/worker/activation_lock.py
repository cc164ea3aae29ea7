"""Activation Lock, by every means there is while the system runs. Each can be silent, and the first can be wrong."""

from collections.abc import Mapping

from pymobiledevice3.exceptions import PyMobileDevice3Exception

from station.adapters.clock import utc_now
from station.model.causes import Cause
from station.model.phone import ActivationLock, LockReading, PhoneFacts
from station.worker.failures import JobFailed, printable
from station.worker.lockdown import Lockdown

NVRAM_FLAGS = ("fm-activation-locked", "fm-spstatus")
"""Each is YES or NO; older systems have neither."""
NVRAM_ACCOUNT = "fm-account-masked"
"""There while the phone belongs to an account. Whose is nobody's business here."""
_LONGEST = 60


def read_lock(*, activated: bool, associated: object, variables: Mapping[str, object], at: str) -> LockReading:
    """Sum up what each means said: one that says that it is locked is enough.

    That the phone is not associated counts only while it is activated: once it is erased it says so wrongly
    (libimobiledevice #275, libideviceactivation #33). What is in its NVRAM outlasts an erase.

    Args:
        activated: whether the phone is in use.
        associated: lockdown's `IsAssociated` of com.apple.fmip; None: not told.
        variables: the NVRAM, by the name of the way to it, as it was told; anything but a dictionary: not told.
        at: when, RFC 3339 in UTC.
    """
    signs = [f"com.apple.fmip IsAssociated: {_flag(associated)}"]
    locked, free = associated is True, associated is False and activated
    for way, told in variables.items():
        if not isinstance(told, dict):
            signs.append(f"{way}: not told")
            continue
        found = {name: _text(told[name]) for name in NVRAM_FLAGS if name in told}
        signs += [f"{way} {name}: {printable(value, _LONGEST)}" for name, value in found.items()]
        if told.get(NVRAM_ACCOUNT):
            signs.append(f"{way} {NVRAM_ACCOUNT}: there")
            locked = True
        elif not found:
            signs.append(f"{way}: nothing of Find My")
        locked = locked or "YES" in found.values()
        free = free or found.get(NVRAM_FLAGS[0]) == "NO"
    state = ActivationLock.LOCKED if locked else ActivationLock.NOT_DETECTED if free else ActivationLock.UNKNOWN
    return LockReading(state=state, at=at, signs=tuple(signs))


async def require_no_new_lock(lockdown: Lockdown, before: PhoneFacts | None) -> None:
    """Return unless the phone has an Activation Lock that it did not have when it was last looked at.

    Hours may lie between the look that the gates judged by and the erase, and after that nobody can tell any more. A
    lock that was known has been judged; what the phone does not tell now stands as it was.

    Raises:
        JobFailed: ACTIVATION_LOCKED.
    """
    if before is None or before.lock.state is not ActivationLock.NOT_DETECTED:
        return
    try:
        associated = await lockdown.get_value("com.apple.fmip", "IsAssociated")
    except PyMobileDevice3Exception:
        associated = None
    variables = {"NVRAM": lockdown.all_values.get("NonVolatileRAM")}
    now = read_lock(activated=True, associated=associated, variables=variables, at=utc_now())
    if now.state is ActivationLock.LOCKED:
        raise JobFailed(Cause.ACTIVATION_LOCKED, f"it was not when it was looked at: {'; '.join(now.signs)}")


def _flag(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "not told"


def _text(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.strip("\0 \n").upper()
