"""What is installed on a phone, and whose it is."""

from dataclasses import dataclass, field
from typing import Any

from station.virtual.system.enrolment import Organisation
from station.virtual.system.files import CANARY, FileSystem, owners_files
from station.virtual.system.notifications import NotificationCentre
from station.virtual.system.pairing import Pairings


@dataclass
class System:
    """What is installed: what a restore replaces."""

    version: str
    build: str
    name: str = "Somebody’s iPhone"
    activation_state: str = "Activated"
    activation_randomness: str | None = None
    """What an answer to the last request for activation must name; None: nothing was requested."""
    activation_session: bytes | None = None
    """What the phone began a handshake with Apple with; None: none is under way."""
    passcode: bool = False
    locked: bool = False
    """Whether nobody has typed that passcode since it was plugged in: it then talks to no new host."""
    trusted: bool = True
    """Whether somebody taps “Trust” when a host asks; otherwise the dialog stays."""
    denied: bool = False
    """Whether somebody taps “Don’t Trust” instead."""
    types_passcode: bool | None = True
    """Whether somebody types the passcode when an update asks for it, or cancels; None: they leave it unanswered."""
    recovering: bool = False
    """Whether it is “attempting data recovery”: updated without a stash bag, and its passcode not typed since."""
    find_my: bool | None = False
    """Whether Find My is on; None: it does not tell."""
    supervised: bool = False
    """Whether an organisation supervises it."""
    managed: bool = False
    """Whether it is enrolled in a device management (MDM)."""
    developer_mode: bool = False
    backup_password: str | None = None
    """What backups of it are encrypted with; None: they are not."""
    backup_encryption_required: bool = False
    """Whether a device management demands that they are."""
    acquainted: bool = False
    """Whether it lets the next host in without asking anybody, for somebody answered its dialog before."""
    pairing_allowed: bool = True
    """Whether the organisation that supervises it lets it pair with hosts that are not its own."""
    forgetful: bool = False
    """Whether it forgets a host right after it was told to trust it."""
    set_up: bool = True
    """Whether somebody went through the setup assistant."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False)
    """What hosts have set with lockdownd, by domain and key; "": the nameless domain."""
    organisation: Organisation = field(default_factory=Organisation, compare=False)
    """What whoever manages it left on it."""
    files: FileSystem = field(default_factory=owners_files, compare=False)
    """Everything the owner has on it."""
    pairings: Pairings = field(default_factory=Pairings, compare=False)
    notifications: NotificationCentre = field(default_factory=NotificationCentre, compare=False)
    """Where what happens on it is posted."""

    @property
    def canary(self) -> bytes | None:
        """A picture of the owner's, which stands for all there is; None: it is gone."""
        return self.files.read(CANARY) if self.files.exists(CANARY) else None

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers, to compare with: (17, 5, 1)."""
        return tuple(int(part) for part in self.version.split(".") if part.isdecimal())

    @classmethod
    def new(cls, version: str, build: str, *, capacity: int) -> "System":
        """A system as it comes out of an erase: nobody's, not activated, nothing on it."""
        files = FileSystem(capacity=capacity)
        return cls(version, build, name="iPhone", activation_state="Unactivated", set_up=False, files=files)


@dataclass(frozen=True)
class Account:
    """An account with Apple."""

    name: str = "somebody@example.com"
    password: str = "open sesame"  # noqa: S105 - of an account that was made up

    @property
    def masked(self) -> str:
        """As Apple shows it to others: the first letter of each part."""
        who, _, where = self.name.partition("@")
        return f"{who[:1]}•••••@{where[:1]}•••••{where[where.rfind('.') :]}"
