"""Jobs: what a worker is asked to do, and the phases each service goes through."""

from enum import Enum

from station.model.base import BackupId, BayId, Ecid, JobId, Message, PlugId, SocketPath, Udid
from station.model.consent import Consent
from station.model.firmware import Firmware
from station.model.gates import BackupDecision, Overruling
from station.model.phone import PhoneFacts
from station.model.service import Service


class Phase(Enum):
    """Where a job is. Each phase has a deadline and a share of the progress bar."""

    CONNECT = "connect"
    """Find the phone, pair, check who it is."""
    RESTART = "restart"
    """Tell it to restart, or to leave recovery mode."""
    BACKUP = "backup"
    """What is on it is copied into the vault."""
    REREAD = "reread"
    """The backup is opened again, decrypted and checked, file by file."""
    PUT_BACK = "put_back"
    """What is in the backup goes back on the phone."""
    TIDY = "tidy"
    """It restarts, and the backup's password, which came back with everything else, is taken off it."""
    ERASE_CONTENT = "erase_content"
    """The phone is told to erase all content and settings."""
    ACTIVATE = "activate"
    """Apple is asked to activate it."""
    PASSCODE = "passcode"
    """The owner types the passcode on the phone, so that the data can be unlocked after an update."""
    TICKET = "ticket"
    """Ask Apple to sign this build for this phone."""
    RECOVERY = "recovery"
    """Into recovery mode."""
    RAMDISK = "ramdisk"
    """Send and boot the restore system."""
    RESTORED = "restored"
    """Wait for the restore system to answer."""
    PREPARE = "prepare"
    """Storage, secure enclave firmware, erase: everything before the image."""
    IMAGE = "image"
    """The system image."""
    FIRMWARE = "firmware"
    """Cryptexes, peripheral firmware, kernel, seal: everything after the image."""
    RETURN = "return"
    """Wait for the phone to come back by itself. The daemon's, no longer the worker's."""
    VERIFY = "verify"
    """Look at what came back. The daemon's."""


_INSTALL = (
    Phase.TICKET,
    Phase.RECOVERY,
    Phase.RAMDISK,
    Phase.RESTORED,
    Phase.PREPARE,
    Phase.IMAGE,
    Phase.FIRMWARE,
    Phase.RETURN,
    Phase.VERIFY,
)

PHASES: dict[Service, tuple[Phase, ...]] = {
    Service.RESTART: (Phase.CONNECT, Phase.RESTART, Phase.RETURN, Phase.VERIFY),
    Service.RESCUE: (Phase.CONNECT, Phase.RESTART, Phase.RETURN, Phase.VERIFY),
    Service.BACKUP: (Phase.CONNECT, Phase.BACKUP, Phase.REREAD),
    Service.PUT_BACK: (Phase.CONNECT, Phase.REREAD, Phase.PUT_BACK, Phase.TIDY, Phase.RETURN, Phase.VERIFY),
    Service.ACTIVATE: (Phase.CONNECT, Phase.ACTIVATE, Phase.VERIFY),
    Service.REINSTALL: (Phase.CONNECT, Phase.PASSCODE, *_INSTALL),
    Service.ERASE: (Phase.CONNECT, Phase.ERASE_CONTENT, Phase.RETURN, Phase.VERIFY),
    Service.RESTORE: (Phase.CONNECT, *_INSTALL),
}
"""What each service goes through, in order. A look at a phone (no service) is CONNECT alone."""

PHASE_WORDS: dict[Phase, str] = {
    Phase.CONNECT: "Checking the phone",
    Phase.RESTART: "Restarting",
    Phase.BACKUP: "Backing up",
    Phase.REREAD: "Reading the backup back",
    Phase.PUT_BACK: "Putting the backup back",
    Phase.TIDY: "Waiting for the phone to start",
    Phase.ERASE_CONTENT: "Erasing",
    Phase.ACTIVATE: "Activating",
    Phase.PASSCODE: "Waiting for the passcode",
    Phase.TICKET: "Asking Apple to sign",
    Phase.RECOVERY: "Entering recovery mode",
    Phase.RAMDISK: "Starting the restore system",
    Phase.RESTORED: "Waiting for the restore system",
    Phase.PREPARE: "Preparing the storage",
    Phase.IMAGE: "Installing iOS",
    Phase.FIRMWARE: "Updating the phone's parts",
    Phase.RETURN: "Waiting for the phone to start",
    Phase.VERIFY: "Checking the result",
}
"""Each phase in a person's words."""

DEADLINES: dict[Phase, float] = {
    # Seconds without any sign of progress (event, checkpoint, bytes moved) after which the worker is killed.
    # Real phones are silent for up to 8 minutes while they seal the system volume.
    Phase.CONNECT: 60,
    Phase.RESTART: 60,
    # A phone gathers what is new for minutes before the first file comes.
    Phase.BACKUP: 600,
    Phase.REREAD: 300,
    Phase.PUT_BACK: 600,
    Phase.TIDY: 600,
    Phase.ERASE_CONTENT: 120,
    Phase.ACTIVATE: 120,
    Phase.PASSCODE: 300,
    Phase.TICKET: 60,
    Phase.RECOVERY: 120,
    Phase.RAMDISK: 180,
    Phase.RESTORED: 300,
    Phase.PREPARE: 300,
    Phase.IMAGE: 180,
    Phase.FIRMWARE: 900,
    Phase.RETURN: 600,
    Phase.VERIFY: 120,
}


GATEWAY = "/run/restore-station-gateway.sock"
"""Where systemd listens for the gateway (station-gateway.socket)."""


class Reach(Message, frozen=True, kw_only=True):
    """How a worker reaches phones and Apple: real or virtual is nothing but a different address."""

    usbmuxd: str
    """usbmuxd's socket: a path, or HOST:PORT (what USBMUXD_SOCKET_ADDRESS takes)."""
    usbip: str | None = None
    """A USB/IP socket that exports recovery-mode devices; None: the machine's own USB, through libusb."""
    signing_url: str = "https://gs.apple.com/TSS/controller?action=2"
    activation_url: str = "https://albert.apple.com/deviceservices"
    """Where Apple activates phones; below it are `drmHandshake` and `deviceActivation`."""
    asset_hosts: tuple[str, ...] = ("wkms-public.apple.com",)
    """HOST or HOST:PORT a phone may have the worker fetch from during a restore. Nothing else is fetched."""
    fdr_hosts: tuple[str, ...] = ("gg.apple.com", "skl.apple.com")
    """Hosts a phone may reach through the worker's FDR proxy."""
    gateway: str = GATEWAY
    """Socket of the process through which all of these are reached: `station.gateway`."""


class BackupPlace(Message, frozen=True, kw_only=True):
    """Where a backup is, or is to be, and how its worker gets the password."""

    id: BackupId
    directory: str
    """As the library takes it: what is of one phone lies in a directory below, named by its UDID."""
    secret: str
    """A file in memory (tmpfs), never on a disk, with the backup's password in it. Whoever reads it removes it."""
    owed: str = ""
    """Such a file with the password that an earlier job could not take off this phone again; empty: none is left."""


class JobSpec(Message, frozen=True, kw_only=True):
    """`spec.json` of a job directory: written once by the daemon, before the worker starts."""

    job: JobId
    service: Service | None
    """None: only to look. What the phone says of itself is read, and nothing changed but the pairing."""
    bay: BayId
    socket: SocketPath
    plug: PlugId
    ecid: Ecid | None
    """None only for a look at a phone whose UDID carries no ECID."""
    udid: Udid | None
    emulated: bool
    reach: Reach
    deadlines: dict[Phase, float]
    consent: Consent | None = None
    firmware: Firmware | None = None
    """What is installed, where something is."""
    backup: BackupPlace | None = None
    before: PhoneFacts | None = None
    """What the phone said of itself before, for the record; None when it was never asked."""
    decided: BackupDecision | None = None
    """What was decided about a backup, for the record: it must outlive the daemon as the job does."""
    overruled: tuple[Overruling, ...] = ()
    """The gates that somebody had opened for it, for the record."""
