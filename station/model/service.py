"""What a phone can be given, and what each service promises."""

from enum import Enum

from station.model.base import Message
from station.model.phone import PhoneMode


class Service(Enum):
    """A service as a person chooses it, gentlest first."""

    RESTART = "restart"
    """Start anew. From normal mode."""
    RESCUE = "rescue"
    """Leave recovery mode; the system starts if it can. DFU mode ends with a press of buttons only: see `guide`."""
    BACKUP = "backup"
    """Back up to the station's vault, encrypted, and read the backup back before it counts."""
    PUT_BACK = "put_back"
    """Put the newest verified backup of this very phone back on it."""
    ACTIVATE = "activate"
    """Have Apple activate it, so that it can be used, or says whose it is."""
    REINSTALL = "reinstall"
    """Install the newest build in the store and keep the data."""
    ERASE = "erase"
    """“Erase All Content and Settings”: the keys are destroyed, the system stays."""
    RESTORE = "restore"
    """Erase, and install the newest build in the store, which Apple must sign for this very phone."""


class Keeps(Enum):
    """What a service means for the owner's data."""

    ALL = "all"
    """Nothing of it is touched."""
    MEANT_TO = "meant_to"
    """It is meant to stay, but the phone is changed around it: a backup first is urged."""
    REPLACED = "replaced"
    """What is on the phone now is replaced by what is in the backup."""
    NOTHING = "nothing"
    """It is gone for good."""


ANY_MODE = frozenset({PhoneMode.NORMAL, PhoneMode.RECOVERY, PhoneMode.DFU})
NORMAL_MODE = frozenset({PhoneMode.NORMAL})


class Traits(Message, frozen=True, kw_only=True):
    """What is the same whenever a service is given."""

    title: str
    """On a button: two or three words."""
    promise: str
    """What it does and what stays: a sentence or two."""
    keeps: Keeps
    modes: frozenset[PhoneMode]
    """In which modes, as USB shows them, it can begin."""
    firmware: bool = False
    """Whether it installs firmware."""
    returns: bool = True
    """Whether its phone leaves the bus at the end and must come back."""
    asks: str = ""
    """What CONFIRM would mean, as a question; empty: START is enough."""
    done: str
    """The title of its verified result."""

    @property
    def confirmed(self) -> bool:
        """Whether CONFIRM must be held: whatever ends, replaces or risks data."""
        return bool(self.asks)


SERVICES: dict[Service, Traits] = {
    Service.RESTART: Traits(
        title="Restart",
        promise="The phone starts anew. Everything stays on it.",
        keeps=Keeps.ALL,
        modes=NORMAL_MODE,
        done="Restarted.",
    ),
    Service.RESCUE: Traits(
        title="Leave recovery",
        promise="The phone leaves recovery mode and starts, if it still can. Everything stays on it.",
        keeps=Keeps.ALL,
        modes=frozenset({PhoneMode.RECOVERY}),
        done="Started again.",
    ),
    Service.BACKUP: Traits(
        title="Back up",
        promise="What is on the phone is copied here, encrypted, and read back. Everything stays on it.",
        keeps=Keeps.ALL,
        modes=NORMAL_MODE,
        returns=False,
        done="Backed up, and read back.",
    ),
    Service.PUT_BACK: Traits(
        title="Put backup back",
        promise="What is on the phone is replaced by its newest backup here.",
        keeps=Keeps.REPLACED,
        modes=NORMAL_MODE,
        asks="Replace everything?",
        done="The backup is back on the phone.",
    ),
    Service.ACTIVATE: Traits(
        title="Activate",
        promise="Apple activates the phone, or says that it belongs to somebody. Everything stays on it.",
        keeps=Keeps.ALL,
        modes=NORMAL_MODE,
        returns=False,
        done="Activated.",
    ),
    Service.REINSTALL: Traits(
        title="Reinstall iOS",
        promise="The newest iOS is installed, and the data is kept. Make a backup first.",
        keeps=Keeps.MEANT_TO,
        modes=ANY_MODE,
        firmware=True,
        asks="Reinstall iOS?",
        done="Reinstalled and verified.",
    ),
    Service.ERASE: Traits(
        title="Erase",
        promise="Everything on the phone is gone for good; its iOS stays. Takes a minute or two.",
        keeps=Keeps.NOTHING,
        modes=NORMAL_MODE,
        asks="Erase everything?",
        done="Erased and verified.",
    ),
    Service.RESTORE: Traits(
        title="Erase and restore",
        promise="Everything on the phone is gone for good, and the newest iOS is installed.",
        keeps=Keeps.NOTHING,
        modes=ANY_MODE,
        firmware=True,
        asks="Erase everything?",
        done="Erased, restored and verified.",
    ),
}
