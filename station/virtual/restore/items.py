"""What a restore is made of: checkpoints, what restored asks the host for, what it reports, what it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

Item: TypeAlias = "Checkpoint | Operation | Pause | Request | Action | When"


@dataclass(frozen=True)
class Operation:
    """A ProgressMsg: by number what it is doing. Without a measure the percentage is -1."""

    number: int
    seconds: float = 0.0
    """How long a phone of default pace takes."""
    rising: bool = False
    """Whether it is reported in percent, rising to 100."""


@dataclass(frozen=True)
class Pause:
    """Nothing is said for so many seconds at default pace."""

    seconds: float


@dataclass(frozen=True)
class Request:
    """A DataRequestMsg. With `port`, the answer goes to a data port that the message names."""

    data_type: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    port: bool = False
    optional: bool = False
    """Whether a host is asked only if it said that it knows this."""

    @property
    def step(self) -> str:
        """Its step: with the image or the updater where one type is asked for several times."""
        detail = self.arguments.get("ImageName") or self.arguments.get("MessageArgUpdaterName")
        return ":".join(filter(None, ("restored", self.data_type, detail)))

    @property
    def accepted(self) -> str:
        """The step at which a chip takes what its updater was sent; refused there, the updater begins anew."""
        return f"{self.step}:accept"


class Action(Enum):
    """What needs more than a message."""

    CHECK_HOST = "check that the host can do what this restore needs"
    CHOOSE_PROTOCOL = "say which of the transports the host offers is taken"
    FIND_SYSTEM = "find the system that an update needs"
    OPEN_FDR = "wait for the host's FDR control connection, try it out"
    RECOVER_FDR = "fetch factory data from Apple through the host"
    ERASE = "end everything the owner has on it"
    START_IMAGE = "begin to receive the system image, beside everything else"
    FINISH_IMAGE = "wait until the system image is there"
    REQUEST_FUD = "ask which firmware updates there are, then for each"
    ASYNC_WAIT = "say that this waits for something that runs beside"
    INSTALL_SPLAT = "check the Cryptexes"
    SEAL = "check the system image against its root hash"
    CHECK_RESULT = "check that nothing is missing"


@dataclass(frozen=True)
class Checkpoint:
    """A CheckpointMsg when it begins and one when it ends, with what happens between."""

    number: int
    name: str | None
    items: tuple[Item, ...] = ()
    survivable: bool = False
    """Whether the restore goes on when it fails: it then ends with its result, and with no status."""
    junk: int = 0
    """What the upper 32 bits of its id hold on the wire."""

    @property
    def step(self) -> str:
        """Its step, by the id that means something."""
        return f"restored:checkpoint:0x{self.number:x}"


@dataclass(frozen=True)
class When:
    """Items that only some restores have."""

    items: tuple[Item, ...]
    since: int = 0
    """The first iOS that has them, by its first number."""
    before: int = 1000
    """The first iOS that has them no more."""
    behavior: str | None = None
    """ "Erase" or "Update"; None: both."""

    def applies(self, ios: int, behavior: str) -> bool:
        """Whether a restore to this iOS that behaves so has them."""
        return self.since <= ios < self.before and self.behavior in (None, behavior)
