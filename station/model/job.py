"""Jobs: what a worker is asked to do, and the phases it goes through."""

from enum import Enum

from station.model.base import BayId, Ecid, JobId, Message, PlugId, SocketPath, Udid
from station.model.consent import Consent
from station.model.firmware import Firmware
from station.model.phone import PhoneFacts


class JobKind(Enum):
    """What a worker does."""

    INSPECT = "inspect"
    """Read a phone's facts in normal mode. Changes nothing but the pairing."""
    RESTORE = "restore"
    """Erase and install. Needs a consent."""


class Phase(Enum):
    """Where a job is. Each phase has a deadline and a share of the progress bar."""

    CONNECT = "connect"
    """Find the phone, pair, check who it is."""
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


RESTORE_PHASES = (
    Phase.CONNECT,
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

PHASE_WORDS: dict[Phase, str] = {
    Phase.CONNECT: "Checking the phone",
    Phase.TICKET: "Asking Apple to sign",
    Phase.RECOVERY: "Entering recovery mode",
    Phase.RAMDISK: "Starting the restore system",
    Phase.RESTORED: "Waiting for the restore system",
    Phase.PREPARE: "Erasing and preparing",
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


class Reach(Message, frozen=True, kw_only=True):
    """How a worker reaches phones and Apple: real or virtual is nothing but a different address."""

    usbmuxd: str
    """usbmuxd's socket: a path, or HOST:PORT (what USBMUXD_SOCKET_ADDRESS takes)."""
    usbip: str | None = None
    """A USB/IP socket that exports recovery-mode devices; None: the machine's own USB, through libusb."""
    signing_url: str = "https://gs.apple.com/TSS/controller?action=2"
    asset_hosts: tuple[str, ...] = ("wkms-public.apple.com",)
    """HOST or HOST:PORT a phone may have the worker fetch from during a restore. Nothing else is fetched."""
    fdr_hosts: tuple[str, ...] = ("gg.apple.com", "skl.apple.com")
    """Hosts a phone may reach through the worker's FDR proxy."""


class JobSpec(Message, frozen=True, kw_only=True):
    """`spec.json` of a job directory: written once by the daemon, before the worker starts."""

    job: JobId
    kind: JobKind
    bay: BayId
    socket: SocketPath
    plug: PlugId
    ecid: Ecid | None
    """None only for INSPECT of a phone whose UDID carries no ECID."""
    udid: Udid | None
    emulated: bool
    reach: Reach
    deadlines: dict[Phase, float]
    consent: Consent | None = None
    firmware: Firmware | None = None
    before: PhoneFacts | None = None
    """What the phone said of itself before, for the record; None when it was never asked."""
