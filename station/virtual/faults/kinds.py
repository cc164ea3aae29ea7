"""What a virtual phone can be told to do wrong, and when."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import msgspec

from station.model.base import Ecid, Message
from station.virtual.faults.hostile import STRINGS, Garble


class FaultKind(Enum):
    """How it goes wrong."""

    UNPLUG = "unplug"
    """The cable is pulled: every connection breaks, the phone leaves the bus."""
    SILENCE = "silence"
    """The phone neither answers nor leaves."""
    STATUS = "status"
    """restored gives up with a Status and closes, as a real one does."""
    REFUSE = "refuse"
    """The port the phone named, or the request it was sent, is refused."""
    STAY = "stay"
    """The phone comes back in recovery where another mode was due."""
    CUT = "cut"
    """The cable is pulled `after_bytes` bytes later, of both directions together."""
    STALL = "stall"
    """Nothing passes the cable any more, `after_bytes` bytes later; the phone does not leave."""
    CORRUPT = "corrupt"
    """One bit of what passes the cable is wrong, `after_bytes` bytes later."""
    SLOW = "slow"
    """From here on the cable carries `rate` bytes a second."""
    FLAP = "flap"
    """The phone leaves and comes back, `count` times, with `seconds` between."""
    BATTERY = "battery"
    """The battery is empty: the phone leaves, with its cable plugged in. It comes back when it is charged."""
    CHANGE = "change"
    """Somebody changes the phone's settings at its screen: `changes`, by the names that `System` has."""
    LIE = "lie"
    """From here on the phone says that it is another: `ecid`, `serial`, `hostile`, `withholds`, `says`."""
    GARBLE = "garble"
    """The answer is something that no client may choke on: `garble`."""
    SWAP = "swap"
    """Another phone is in the socket: of the same model, with `ecid`, or the next one."""
    INWARD = "inward"
    """The phone has the host fetch `url` in place of the key of an encrypted image (URLAsset)."""


NEEDS = {
    # The fields beside `at` and `times` that each kind reads; any other is refused.
    FaultKind.STATUS: {"status"},
    FaultKind.CUT: {"after_bytes"},
    FaultKind.STALL: {"after_bytes"},
    FaultKind.CORRUPT: {"after_bytes"},
    FaultKind.SLOW: {"rate"},
    FaultKind.FLAP: {"count", "seconds"},
    FaultKind.BATTERY: {"seconds"},
    FaultKind.CHANGE: {"changes"},
    FaultKind.LIE: {"ecid", "serial", "hostile", "withholds", "says"},
    FaultKind.GARBLE: {"garble"},
    FaultKind.SWAP: {"ecid"},
    FaultKind.INWARD: {"url"},
}
ANSWERS = (FaultKind.SILENCE, FaultKind.STATUS, FaultKind.REFUSE, FaultKind.STAY, FaultKind.GARBLE)
"""What can go wrong only where something was asked."""
PLUGGED = "plugged"
"""In place of a step: the moment at which a phone is plugged in, before anybody sees it."""
ON_ARRIVAL = (FaultKind.CHANGE, FaultKind.LIE, FaultKind.INWARD, FaultKind.SLOW)
"""What can be so by then."""
OF_CABLE = (FaultKind.CUT, FaultKind.STALL, FaultKind.CORRUPT, FaultKind.SLOW)
"""What happens to the cable, not to the phone. At the step "connect:PORT" only that connection is meant; at any other
all of them, of both directions together."""


class Fault(Message, frozen=True, kw_only=True):
    """One thing that goes wrong: at a step (a name or a glob over names, or PLUGGED), so many times."""

    at: str
    kind: FaultKind
    times: int = 1
    status: int = 53
    after_bytes: int = 0
    rate: int = 40_000_000
    """Bytes a second; USB 2 carries about 40 million."""
    count: int = 3
    seconds: float = 1.0
    """At the default pace."""
    ecid: Ecid | None = None
    serial: str = ""
    """A USB serial string, in every mode."""
    hostile: str = ""
    """The name of one of `hostile.STRINGS`: the phone's name and serial number."""
    withholds: tuple[str, ...] = ()
    """Keys that it does not tell, by lockdownd's names; without UniqueChipID its USB serial has no ECID either."""
    says: Mapping[str, str | int | bool] = {}
    """What it tells in place of the truth, by lockdownd's keys."""
    changes: Mapping[str, str | bool] = {}
    garble: Garble = Garble.BOMB
    url: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be meant."""
        given = {name for name, default in _defaults().items() if getattr(self, name) != default}
        if self.at == PLUGGED and self.kind not in ON_ARRIVAL:
            raise ValueError(f"{self.kind.value} cannot be when a phone is plugged in")
        if strange := given - NEEDS.get(self.kind, set()):
            raise ValueError(f"{self.kind.value} has no {min(strange)}")
        if self.hostile and self.hostile not in STRINGS:
            raise ValueError(f"no hostile string {self.hostile!r}; there are {', '.join(STRINGS)}")
        if self.times < 1 or self.after_bytes < 0 or self.rate < 1 or self.count < 1 or self.seconds < 0:
            raise ValueError("a number that is too small")


@cache
def _defaults() -> dict[str, Any]:
    """What each field has that is not given, but for those that every kind has."""
    defaults = {}
    for one in msgspec.structs.fields(Fault):
        if not one.required and one.name != "times":
            defaults[one.name] = {} if one.default is msgspec.NODEFAULT else one.default
    return defaults


@dataclass
class Lies:
    """What a phone says that is not true."""

    values: dict[str, Any] = field(default_factory=dict)
    """By lockdownd's keys."""
    withheld: set[str] = field(default_factory=set)
    serial: str | None = None
    """In place of the USB serial string."""

    def tell(self, truth: dict[str, Any]) -> dict[str, Any]:
        """These values as the phone tells them."""
        told = {name: self.values.get(name, value) for name, value in truth.items()}
        return {name: value for name, value in told.items() if name not in self.withheld}


class PhoneGoneError(Exception):
    """The phone left the bus while it was doing something."""


class StatusError(Exception):
    """restored must end with this Status."""

    def __init__(self, status: int, log: str = "") -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.log = log


class RefusedError(Exception):
    """The phone must refuse what it was asked."""


class StayError(Exception):
    """The phone must fall back to recovery."""


class GarbledError(Exception):
    """The phone must answer with something that makes no sense."""

    def __init__(self, garble: Garble) -> None:
        super().__init__(garble.value)
        self.garble = garble


class Faults:
    """The faults still to come."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._left = [(fault, fault.times) for fault in faults]

    def add(self, fault: Fault) -> None:
        """One more thing to go wrong."""
        self._left.append((fault, fault.times))

    @property
    def concern_cable(self) -> bool:
        """Whether the cable has something to come."""
        return any(times and fault.kind in OF_CABLE for fault, times in self._left)

    def due_on_arrival(self) -> list[Fault]:
        """The faults that strike as the phone is plugged in, used up by asking."""
        due = []
        while (fault := self._take(lambda fault: fault.at == PLUGGED)) is not None:
            due.append(fault)
        return due

    def due(self, step: str) -> Fault | None:
        """The fault that strikes at this step, used up by asking."""
        return self._take(lambda fault: fnmatchcase(step, fault.at))

    def _take(self, is_due: Callable[[Fault], bool]) -> Fault | None:
        for number, (fault, times) in enumerate(self._left):
            if times > 0 and is_due(fault):
                self._left[number] = (fault, times - 1)
                return fault
        return None
