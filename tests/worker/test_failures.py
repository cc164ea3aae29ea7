"""Every error becomes one cause, and words that are safe to show."""

import asyncio
import errno
import ssl
from collections.abc import Iterator

import pyimg4
import pytest
from pymobiledevice3 import exceptions as pmd3
from usb.core import USBError, USBTimeoutError

from station.errors import ConsentVoid, InputRejected, StorageError
from station.model.causes import Cause
from station.worker.failures import _CAUSES, JobFailed, explain, printable


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
        (pmd3.ConnectionFailedToUsbmuxdError(), Cause.USB_SERVICE),
        (pmd3.ConnectionFailedError(), Cause.PORT_REFUSED),
        (pmd3.BadDevError(), Cause.DISCONNECTED),
        (pmd3.ConnectionTerminatedError(), Cause.DISCONNECTED),
        (FileNotFoundError("missing or empty: x"), Cause.FIRMWARE_CORRUPT),
        (USBTimeoutError("late"), Cause.DEADLINE),
        (USBError("gone", errno=errno.ENODEV), Cause.DISCONNECTED),
        (USBError("stall", errno=errno.EPIPE), Cause.STAYED_IN_RECOVERY),
        (TimeoutError(), Cause.DEADLINE),
        (ssl.SSLEOFError(), Cause.DISCONNECTED),
        (asyncio.IncompleteReadError(b"", 4), Cause.DISCONNECTED),
        (pmd3.AfcException("no room", 18), Cause.PHONE_FULL),
        (pmd3.AfcException("an errno that is none", errno.ENOSPC), Cause.PROTOCOL),
        (pyimg4.AESError("damaged"), Cause.FIRMWARE_CORRUPT),
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


ELSEWHERE = """
    AlreadyMountedError AmfiError AppInstallError AppNotInstalledError ArbitrationError CoreDeviceError
    CryptexdError DeprecationError DeveloperDiskImageNotFoundError DeveloperModeError
    DeveloperModeIsNotEnabledError DeviceAlreadyInUseError DeviceHasPasscodeSetError
    DisableMemoryLimitError DvtDirListError DvtException ExtractingStackshotError InspectorEvaluateError
    InstallCoordinationError InterfaceIndexNotFoundError LaunchingApplicationError MissingManifestError
    NotMountedError ProcessInspectionError PskCipherNotSupportedError QuicProtocolNotSupportedError
    RSDRequiredError RemoteAutomationNotEnabledError RemotePairingCompletedError
    RoutableTunnelRequiredError ScreencastUnavailableError TraceLagError TunneldConnectionError
    UnrecognizedSelectorError UserspaceTunnelUnavailableError WdaError WebInspectorNotEnabledError
    WirError
"""
# Of what the worker never uses: developer services, Web Inspector, tunnels, apps, disk images.


def kinds(root: type[BaseException]) -> Iterator[type[BaseException]]:
    """Every class of errors below one."""
    for kind in root.__subclasses__():
        if kind.__module__ == root.__module__:
            yield kind
            yield from kinds(kind)


def test_every_error_of_the_library_has_a_cause_of_its_own():
    """A new version of the library brings new ones: whoever pins it decides what they mean."""
    named = [kind for kind, _ in _CAUSES if kind is not pmd3.PyMobileDevice3Exception]
    library = set(kinds(pmd3.PyMobileDevice3Exception))
    nameless = {kind.__name__ for kind in library if not issubclass(kind, tuple(named))}
    elsewhere = set(ELSEWHERE.split())
    assert nameless - elsewhere == set()
    assert elsewhere - {kind.__name__ for kind in library} == set()


def test_no_cause_hides_another():
    """The first that fits counts: no class may stand behind one that it belongs to, unless they say the same."""
    for number, (kind, cause) in enumerate(_CAUSES):
        first = next(before for before, _ in _CAUSES[: number + 1] if issubclass(kind, before))
        assert first is kind or dict(_CAUSES)[first] is cause, f"{kind.__name__} is hidden by {first.__name__}"
