"""Gates: what must be true before a service is given, each with a name that records and settings use."""

from enum import Enum

from station.model.base import Message


class Gate(Enum):
    """A stable name; never renamed."""

    TROUBLE = "trouble"
    """The station itself is in order: its records can be written."""
    RESULT = "result"
    """The last result in the bay was seen by somebody."""
    BUSY = "busy"
    """Nothing goes on with the phone."""
    PHONE = "phone"
    """There is one."""
    IDENTITY = "identity"
    """It says who it is: one ECID."""
    TWIN = "twin"
    """No other bay shows the same ECID."""
    QUARANTINE = "quarantine"
    """No erase of it has failed that nobody has looked into."""
    MODE = "mode"
    """The service can begin in the mode the phone is in."""
    MODEL = "model"
    """The station knows the model and, for firmware, its library can restore the version."""
    FIRMWARE = "firmware"
    """The firmware is in the store, verified."""
    VERSION = "version"
    """What would be installed is not older than what is there."""
    BACKUP = "backup"
    """It was decided about a backup."""
    VAULT = "vault"
    """There is a vault with room for the backup, or a verified backup to put back."""
    ACTIVATION_LOCK = "activation_lock"
    """No Activation Lock was found, where that matters."""
    BATTERY = "battery"
    """The phone's battery has enough charge."""
    DISK = "disk"
    """The station's disk has room."""
    POWER = "power"
    """The station's own supply is sound: no under-voltage."""
    TEMPERATURE = "temperature"
    """The station is not too hot."""
    CLOCK = "clock"
    """The station's clock is right, so that records say when."""


class Purpose(Enum):
    """What becomes of the phones that this station is for."""

    OWNER = "owner"
    """They go back to whoever brought them."""
    SALE = "sale"
    RECYCLING = "recycling"


class Choice(Enum):
    """What can be decided about a backup."""

    MADE_HERE = "made here"
    MADE_ELSEWHERE = "made elsewhere"
    """The owner says so."""
    DECLINED = "declined"
    IMPOSSIBLE = "impossible"
    """The phone cannot be backed up: it does not start, or cannot be unlocked."""
    STANDING = "declined by the station's policy"
    """A station whose phones come without owners: decided once, in its settings."""


class BackupDecision(Message, frozen=True, kw_only=True):
    """Somebody's decision, on record."""

    choice: Choice
    at: str
    """When, RFC 3339 in UTC."""


class Overruling(Message, frozen=True, kw_only=True):
    """An operator opened a gate."""

    gate: Gate
    reason: str
    """In the operator's own words."""
    at: str


class Finding(Message, frozen=True, kw_only=True):
    """A gate that is closed: why, and what a person can do about it."""

    gate: Gate
    title: str
    remedy: str
    overrulable: bool = False
    """Whether an operator may open it, with a reason, on record."""


CHECKLIST = (
    "Photos and messages are in iCloud, or in a backup.",
    "WhatsApp, Telegram and the like have a backup of their own.",
    "Two-factor codes can be had without this phone.",
    "The eSIM can be set up again: the carrier knows how.",
    "The Apple Account's password is known.",
)
"""What only the owner can know and do, before everything on the phone is gone."""
