"""Phones as the station sees them, and the USB events that announce them."""

import re
from enum import Enum

from station.model.base import Ecid, Message, SocketPath, Udid

APPLE_VENDOR_ID = 0x05AC


class PhoneMode(Enum):
    """What a phone is running.

    RESTORE cannot be told from NORMAL by its product id (usbmuxd#147): USB alone never says RESTORE,
    only lockdown's QueryType does.
    """

    NORMAL = "normal"
    RECOVERY = "recovery"
    DFU = "dfu"
    RESTORE = "restore"


def mode_of_product(product_id: int) -> PhoneMode | None:
    """The mode a USB product id stands for; None when it is not a phone's."""
    if product_id in range(0x1280, 0x1284):
        return PhoneMode.RECOVERY
    if product_id in (0x1227, 0x1222, 0x1881, 0xF014):
        return PhoneMode.DFU
    if product_id in range(0x1290, 0x12B0):
        return PhoneMode.NORMAL
    return None


class UsbArrived(Message, frozen=True, kw_only=True, tag="arrived"):
    """A phone enumerated in a socket.

    `serial` is the raw USB serial string: the UDID without its dash in normal and restore mode, iBoot's
    "CPID:… ECID:…" line in recovery and DFU. `emulated` is true for everything that is not real hardware.
    """

    socket: SocketPath
    product_id: int
    serial: str
    emulated: bool = False


class UsbGone(Message, frozen=True, kw_only=True, tag="gone"):
    """Whatever was in a socket left it. Carries no identity: the kernel's remove event has none."""

    socket: SocketPath


UsbEvent = UsbArrived | UsbGone

_UDID_WITH_ECID = re.compile(r"([0-9A-Fa-f]{8})-?([0-9A-Fa-f]{16})")
_UDID_OLD = re.compile(r"[0-9A-Fa-f]{40}")
_IBOOT_ECID = re.compile(r"(?:^|[ _])ECID:([0-9A-Fa-f]{1,16})(?:$|[ _])")


def identity_of_serial(serial: str) -> tuple[Ecid | None, Udid | None]:
    """ECID and UDID that a raw USB serial string reveals; None for what it does not.

    From A12 on a UDID carries the ECID (8 hex digits, dash, 16 hex digits); the 40 digits of older phones
    do not, and only lockdown's UniqueChipID tells. iBoot always gives the ECID and never the UDID.
    """
    if match := _UDID_WITH_ECID.fullmatch(serial):
        chip, ecid = match.groups()
        return Ecid(int(ecid, 16)), Udid(f"{chip}-{ecid}".upper())
    if _UDID_OLD.fullmatch(serial):
        return None, Udid(serial.lower())
    if match := _IBOOT_ECID.search(serial):
        return Ecid(int(match[1], 16)), None
    return None, None


class ActivationLock(Enum):
    """What was found of Activation Lock ("Find My"). There is no "unlocked": it is read wrongly too often to say so."""

    LOCKED = "locked"
    NOT_DETECTED = "not detected"
    UNKNOWN = "unknown"
    """It could not be read: always so in recovery and DFU mode."""


class LockReading(Message, frozen=True, kw_only=True):
    """One reading of Activation Lock: what each means said, and the sum."""

    state: ActivationLock
    at: str
    """When, RFC 3339 in UTC; empty: it was not read."""
    signs: tuple[str, ...] = ()
    """Each means that was tried with its answer, such as "com.apple.fmip IsAssociated: true"."""


class Media(Message, frozen=True, kw_only=True):
    """The owner's pictures and recordings, counted: a service that keeps the data must bring back as many."""

    files: int
    size: int
    """Bytes."""


class PhoneFacts(Message, frozen=True, kw_only=True):
    """What lockdown tells of a phone in normal mode. Absent values are None, never guessed."""

    ecid: Ecid
    udid: Udid
    product_type: str
    """Apple's model identifier, such as "iPhone13,2"."""
    hardware_model: str
    """The board, such as "D53gAP"; firmware identities are chosen by it."""
    model_name: str
    """The name on the box, such as "iPhone 12"."""
    name: str
    """What the owner calls it. Private: never printed, masked in public."""
    serial_number: str
    imei: str | None
    version: str
    """iOS version, such as "17.5.1"."""
    build: str
    """iOS build, such as "21F90": the only unambiguous name of a version."""
    activation_state: str
    """lockdown's word: "Activated", "Unactivated", …"""
    passcode: bool | None
    """Whether a passcode protects it (lockdown's PasswordProtected)."""
    battery_percent: int | None
    capacity: int | None = None
    """Bytes of storage, as sold."""
    free: int | None = None
    """Bytes of it that are free."""
    colour: str = ""
    """In a word, such as "blue"; empty: not known."""
    imei2: str | None = None
    """Of the second SIM."""
    battery_health: int | None = None
    """Percent of the battery's design capacity that it can still take."""
    battery_cycles: int | None = None
    supervised: bool | None = None
    organisation: str = ""
    """Who supervises or manages it, in their own words; empty: nobody, or not told."""
    lock: LockReading = LockReading(state=ActivationLock.UNKNOWN, at="")
    backup_password: bool | None = None
    """Whether backups of it are encrypted with a password that somebody has set (lockdown's WillEncrypt)."""
    media: Media | None = None
    boot_session: str = ""
    """A name of this start of the system, another one after each; empty: not told (before iOS 14)."""
