"""Every way a job can fail becomes one cause, and one line in words that are safe to show."""

import errno
import unicodedata
from collections.abc import Iterator

from ipsw_parser.exceptions import NoSuchBuildIdentityError
from pymobiledevice3 import exceptions as pmd3
from usb.core import USBError, USBTimeoutError

from station.errors import ConsentVoid, InputRejected, StorageError
from station.model.causes import Cause

MAX_DETAIL = 300


class JobFailed(Exception):
    """The job cannot go on, for a cause that is known where this is raised."""

    def __init__(self, cause: Cause, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        self.status = status


_CAUSES: tuple[tuple[type[BaseException], Cause], ...] = (
    # The first that fits counts: subclasses come before their bases.
    (ConsentVoid, Cause.CONSENT_VOID),
    (StorageError, Cause.DISK_FULL),
    (InputRejected, Cause.PROTOCOL),
    (pmd3.TSSError, Cause.SIGNING_REFUSED),
    (pmd3.PasswordRequiredError, Cause.LOCKED),
    (pmd3.PasscodeRequiredError, Cause.LOCKED),
    (pmd3.PairingError, Cause.NOT_TRUSTED),
    (pmd3.NotPairedError, Cause.NOT_TRUSTED),
    (pmd3.FatalPairingError, Cause.NOT_TRUSTED),
    (pmd3.GetProhibitedError, Cause.NOT_TRUSTED),
    (pmd3.MCProtectedError, Cause.NOT_TRUSTED),
    (pmd3.StartServiceError, Cause.REFUSED_BY_PHONE),
    (pmd3.InvalidServiceError, Cause.REFUSED_BY_PHONE),
    (pmd3.ProfileError, Cause.REFUSED_BY_PHONE),
    (pmd3.SetProhibitedError, Cause.REFUSED_BY_PHONE),
    (pmd3.MobileActivationException, Cause.NOT_ACTIVATED),
    (pmd3.IncorrectModeError, Cause.NOT_RETURNED),  # the restore system runs where a whole iOS was due
    (pmd3.ConnectionFailedToUsbmuxdError, Cause.INTERNAL),
    (pmd3.ConnectionFailedError, Cause.PORT_REFUSED),
    (pmd3.MuxException, Cause.DISCONNECTED),
    (pmd3.ConnectionTerminatedError, Cause.DISCONNECTED),
    (pmd3.NoDeviceConnectedError, Cause.DISCONNECTED),
    (pmd3.DeviceNotFoundError, Cause.DISCONNECTED),
    (pmd3.IRecvNoDeviceConnectedError, Cause.DISCONNECTED),
    (pmd3.PyMobileDevice3Exception, Cause.PROTOCOL),
    (NoSuchBuildIdentityError, Cause.FIRMWARE_MISSING),
    (FileNotFoundError, Cause.FIRMWARE_CORRUPT),
    (USBTimeoutError, Cause.DEADLINE),
    (USBError, Cause.DISCONNECTED),
    (TimeoutError, Cause.DEADLINE),
    (ConnectionError, Cause.DISCONNECTED),
)

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def explain(error: BaseException) -> JobFailed:
    """The one failure that tells the most about `error`, which may be a group of several."""
    return min((_explain(each) for each in _flatten(error)), key=_rank)


def printable(text: object, limit: int = MAX_DETAIL) -> str:
    """`text` on one line, without control and direction characters, cut to `limit`."""
    cut = str(text)[: 2 * limit]
    cleaned = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in cut)
    return " ".join(cleaned.split())[:limit]


def _explain(error: BaseException) -> JobFailed:
    if isinstance(error, JobFailed):
        return JobFailed(error.cause, printable(error), status=error.status)
    cause = next((cause for kind, cause in _CAUSES if isinstance(error, kind)), Cause.INTERNAL)
    if isinstance(error, USBError):
        if error.errno == errno.EPIPE:  # a stall: iBoot refuses a command, most often an image it may not boot
            cause = Cause.STAYED_IN_RECOVERY
    elif isinstance(error, OSError) and error.errno in _DISK_FULL:
        cause = Cause.DISK_FULL
    name = type(error).__name__
    return JobFailed(cause, printable(f"{name}: {error}" if str(error) else name))


def _flatten(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _flatten(each)
    else:
        yield error


def _rank(failure: JobFailed) -> int:
    """What we refused counts most, then what the phone says; that a connection broke may be a mere consequence."""
    if failure.cause is Cause.ASSET_REFUSED:
        return 0
    if failure.status is not None:
        return 1
    return 3 if failure.cause is Cause.DISCONNECTED else 2
