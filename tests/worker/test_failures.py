"""Every error becomes one cause, and words that are safe to show."""

import errno

import pytest
from pymobiledevice3 import exceptions as pmd3
from usb.core import USBError, USBTimeoutError

from station.errors import ConsentVoid, InputRejected, StorageError
from station.model.causes import Cause
from station.worker.failures import JobFailed, explain, printable


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConsentVoid("no"), Cause.CONSENT_VOID),
        (StorageError("full"), Cause.DISK_FULL),
        (OSError(errno.ENOSPC, "no space"), Cause.DISK_FULL),
        (OSError(errno.EFBIG, "too big"), Cause.DISK_FULL),
        (InputRejected("nonsense"), Cause.PROTOCOL),
        (pmd3.PasswordRequiredError(), Cause.LOCKED),
        (pmd3.UserDeniedPairingError(), Cause.NOT_TRUSTED),
        (pmd3.PairingDialogResponsePendingError(), Cause.NOT_TRUSTED),
        (pmd3.IncorrectModeError(), Cause.NOT_RETURNED),
        (pmd3.ConnectionFailedToUsbmuxdError(), Cause.INTERNAL),
        (pmd3.ConnectionFailedError(), Cause.PORT_REFUSED),
        (pmd3.BadDevError(), Cause.DISCONNECTED),
        (pmd3.ConnectionTerminatedError(), Cause.DISCONNECTED),
        (FileNotFoundError("missing or empty: x"), Cause.FIRMWARE_CORRUPT),
        (USBTimeoutError("late"), Cause.DEADLINE),
        (USBError("gone", errno=errno.ENODEV), Cause.DISCONNECTED),
        (USBError("stall", errno=errno.EPIPE), Cause.STAYED_IN_RECOVERY),
        (TimeoutError(), Cause.DEADLINE),
        (ConnectionResetError(), Cause.DISCONNECTED),
        (MemoryError(), Cause.INTERNAL),
        (ZeroDivisionError("a bug"), Cause.INTERNAL),
    ],
)
def test_cause(error, cause):
    assert explain(error).cause is cause


def test_of_several_the_most_telling_one():
    status = JobFailed(Cause.DEVICE_STATUS, "status 53", status=53)
    broken = pmd3.ConnectionTerminatedError()
    group = BaseExceptionGroup("", [broken, BaseExceptionGroup("", [status, TimeoutError()])])
    assert (explain(group).cause, explain(group).status) == (Cause.DEVICE_STATUS, 53)
    refused = JobFailed(Cause.ASSET_REFUSED, "http://10.0.0.1/")
    assert explain(BaseExceptionGroup("", [status, refused])).cause is Cause.ASSET_REFUSED
    assert explain(BaseExceptionGroup("", [broken, TimeoutError()])).cause is Cause.DEADLINE


def test_words_are_safe_to_show():
    text = "a\0b\x1b[31m\u202egnp.exe\n" + "x" * 10_000
    assert printable(text).startswith("a b [31m gnp.exe x")
    assert len(str(explain(RuntimeError(text)))) <= 300
    assert explain(JobFailed(Cause.INTERNAL, text)).args[0].isprintable()
