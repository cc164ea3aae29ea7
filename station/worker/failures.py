"""Every way a job can fail becomes one cause, and one line in words that are safe to show."""

import errno
import ssl
import unicodedata
from collections.abc import Iterator
from plistlib import InvalidFileException
from xml.parsers.expat import ExpatError

from ipsw_parser.exceptions import IpswException, NoSuchBuildIdentityError
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


_NOT_UNDERSTOOD = (
    pmd3.AfcException,
    pmd3.CannotStopSessionError,
    pmd3.DevicePathError,
    pmd3.InternalError,
    pmd3.IRecvError,
    pmd3.LockdownError,
    pmd3.MessageNotSupportedError,
    pmd3.ProtocolError,
)
_OUR_OWN = (pmd3.ArgumentError, pmd3.AccessDeniedError, pmd3.NotConnectedError, pmd3.SupportError)
_AFC_NO_SPACE = 18
"""AFC's own number for a phone without room. It is no errno, although the library hands it on as one."""

_CAUSES: tuple[tuple[type[BaseException], Cause], ...] = (
    # The first that fits counts: subclasses come before their bases.
    (ConsentVoid, Cause.CONSENT_VOID),
    (StorageError, Cause.DISK_FULL),
    (InputRejected, Cause.PROTOCOL),
    (pmd3.TSSError, Cause.SIGNING_REFUSED),
    (pmd3.NotTrustedError, Cause.NOT_TRUSTED),
    (pmd3.BackupFilterPasswordRequiredError, Cause.BACKUP_PASSWORD_UNKNOWN),
    (pmd3.NotEnoughDiskSpaceError, Cause.DISK_FULL),
    (pmd3.NoSuchBuildIdentityError, Cause.FIRMWARE_MISSING),
    (pmd3.DeviceVersionNotSupportedError, Cause.NOT_SUPPORTED),
    (pmd3.DeviceFeatureNotSupportedError, Cause.NOT_SUPPORTED),
    (pmd3.UnsupportedCommandError, Cause.NOT_SUPPORTED),
    (pmd3.NotificationTimeoutError, Cause.DEADLINE),
    (pmd3.InvalidConnectionError, Cause.DISCONNECTED),
    (pmd3.ChannelClosedError, Cause.DISCONNECTED),
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
    (pmd3.ConnectionFailedToUsbmuxdError, Cause.USB_SERVICE),
    (pmd3.MuxVersionError, Cause.USB_SERVICE),
    (pmd3.BadCommandError, Cause.USB_SERVICE),
    (pmd3.ConnectionFailedError, Cause.PORT_REFUSED),
    (pmd3.MuxException, Cause.DISCONNECTED),
    (pmd3.ConnectionTerminatedError, Cause.DISCONNECTED),
    (pmd3.NoDeviceConnectedError, Cause.DISCONNECTED),
    (pmd3.DeviceNotFoundError, Cause.DISCONNECTED),
    (pmd3.IRecvNoDeviceConnectedError, Cause.DISCONNECTED),
    # What the phone says is not what was asked, or not what the library knows.
    *((kind, Cause.PROTOCOL) for kind in _NOT_UNDERSTOOD),
    # The station asked for something that makes no sense, or runs where it cannot.
    *((kind, Cause.INTERNAL) for kind in _OUR_OWN),
    (pmd3.PyMobileDevice3Exception, Cause.PROTOCOL),
    (NoSuchBuildIdentityError, Cause.FIRMWARE_MISSING),
    (IpswException, Cause.FIRMWARE_CORRUPT),
    (InvalidFileException, Cause.PROTOCOL),
    (ExpatError, Cause.PROTOCOL),
    (FileNotFoundError, Cause.FIRMWARE_CORRUPT),
    (USBTimeoutError, Cause.DEADLINE),
    (USBError, Cause.DISCONNECTED),
    (TimeoutError, Cause.DEADLINE),
    (ssl.SSLError, Cause.DISCONNECTED),  # TLS to the phone: it ends in the middle when the cable is pulled
    (EOFError, Cause.DISCONNECTED),
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
    if isinstance(error, pmd3.AfcException):
        cause = Cause.PHONE_FULL if error.status == _AFC_NO_SPACE else cause
    elif type(error).__module__.startswith("pyimg4."):  # not imported for this alone: it is heavy
        cause = Cause.FIRMWARE_CORRUPT
    elif isinstance(error, USBError):
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
