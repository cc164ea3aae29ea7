"""What goes wrong in the field, by name: the numbers that people see, and what has to happen for them to see it.

Codes and their meanings: libimobiledevice's idevicerestore and its users' logs, Apple's support pages, and the error
names of lockdownd and of MBErrorDomain. Where several causes lead to one number, the one that is played here is named
in the words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.kinds import Fault, FaultKind


@dataclass(frozen=True)
class Trouble:
    """One of them."""

    name: str
    code: str
    """What people see: a number, an error's name."""
    words: str
    faults: tuple[Fault, ...] = ()
    """What the phone does."""
    people: tuple[str, ...] = ()
    """Whose phone it is, by the names of `people`."""
    apple: Mapping[AppleService, Behaviour] = field(default_factory=dict)
    """What Apple's servers do."""

    @property
    def where(self) -> str:
        """Where it strikes."""
        places = [fault.at for fault in self.faults]
        places += [f"Apple’s {service.value} server" for service in self.apple]
        return ", ".join(places) or "lockdown:Pair"


def _status(name: str, status: int, at: str, words: str) -> Trouble:
    return Trouble(name, str(status), words, (Fault(at=at, kind=FaultKind.STATUS, status=status),))


def _lost(name: str, code: str, at: str, words: str) -> Trouble:
    return Trouble(name, code, words, (Fault(at=at, kind=FaultKind.UNPLUG),))


def _apple(name: str, code: str, behaviour: Behaviour, words: str) -> Trouble:
    return Trouble(name, code, words, apple={AppleService.SIGNING: behaviour})


TROUBLES = (
    # restored's own
    _status("verification", -1, "restored:RootTicket", "what the phone was sent does not verify"),
    _status("disk", 6, "restored:checkpoint:0x658", "the storage fails while it is formatted"),
    _status("generic", 14, "restored:NORData", "firmware does not arrive whole"),
    _status("mount", 27, "restored:checkpoint:0x614", "file systems cannot be mounted"),
    _status("sep-load", 50, "restored:checkpoint:0x609", "the SEP does not load its firmware"),
    _status("sep-boot", 51, "restored:checkpoint:0x693", "the SEP does not start its firmware"),
    _status("factory-data", 53, "fdr:proxy", "factory data cannot be recovered: no internet, or a part was replaced"),
    _status("update-only", 68, "restored:checkpoint:0x67e", "an update fails where an erase would work"),
    _status("baseband", 1015, "restored:checkpoint:0x132a", "the baseband takes no firmware"),
    _status("system-image", 1100, "asr:payload", "the system image does not arrive whole"),
    # Apple's numbers for a link that was lost: one family
    _lost("lost-image", "9", "asr:payload", "the phone leaves while it takes the system image"),
    _lost("lost-boot", "4005", "iboot:upload:rdsk", "the phone leaves while it is sent its restore system"),
    _lost("lost-erase", "4013", "restored:checkpoint:0x658", "the phone leaves while its storage is formatted"),
    _lost("lost-start", "4014", "restored:StartRestore", "the phone leaves before the restore has begun"),
    Trouble(
        "image-cut",
        "ASR",
        "the stream of the system image is cut: “unable to send data to ASR”",
        (Fault(at="connect:12345", kind=FaultKind.CUT, after_bytes=100_000),),
    ),
    Trouble(
        "stays-in-recovery",
        "1600",
        "the phone is in another USB mode than it should be",
        (Fault(at="iboot:bootx", kind=FaultKind.STAY),),
    ),
    Trouble(
        "battery",
        "21",
        "the battery is too low, and gives up",
        (Fault(at="restored:StartRestore", kind=FaultKind.BATTERY, seconds=30),),
    ),
    # Apple's side
    _apple("not-eligible", "3194", Behaviour.REFUSE, "Apple does not sign this build for this phone (TSS 94)"),
    _apple("apple-down", "3004", Behaviour.UNAVAILABLE, "Apple’s signing server is not available"),
    _apple("apple-portal", "3014", Behaviour.PORTAL, "a captive portal answers in Apple’s place"),
    # lockdownd's names
    Trouble("locked", "PasswordProtected", "its owner has not unlocked it", people=("locked",)),
    Trouble(
        "passcode-appears",
        "PasswordProtected",
        "it locks while the host asks to be trusted",
        (Fault(at="lockdown:Pair", kind=FaultKind.CHANGE, changes={"locked": True, "passcode": True}),),
    ),
    Trouble(
        "trust-pending", "PairingDialogResponsePending", "“Trust This Computer?” is open", people=("trust-pending",)
    ),
    Trouble("trust-refused", "UserDeniedPairing", "somebody tapped “Don’t Trust”", people=("trust-refused",)),
    # MBErrorDomain
    _status("backup-no-space", 105, "backup:Backup", "the host’s disk is full"),
    _status("backup-damaged", 205, "backup:Restore", "the backup’s properties are not readable"),
    _status("backup-password", 207, "backup:ChangePassword", "the password is not the backup’s"),
)


def find_trouble(name: str) -> Trouble:
    """The trouble with this name. Raises KeyError with the names there are."""
    for trouble in TROUBLES:
        if trouble.name == name:
            return trouble
    raise KeyError(f"no trouble {name!r}; there are {', '.join(trouble.name for trouble in TROUBLES)}")
