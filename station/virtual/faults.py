"""What a virtual phone can be told to do wrong, and when."""

from collections.abc import Iterable
from enum import Enum
from fnmatch import fnmatchcase

from station.model.base import Message


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


class Fault(Message, frozen=True, kw_only=True):
    """One thing that goes wrong: at a step (a name or a glob over names), so many times."""

    at: str
    kind: FaultKind
    status: int = 53
    times: int = 1


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


class Faults:
    """The faults still to come."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._left = [[fault, fault.times] for fault in faults]

    def add(self, fault: Fault) -> None:
        """One more thing to go wrong."""
        self._left.append([fault, fault.times])

    def due(self, step: str) -> Fault | None:
        """The fault that strikes at this step, used up by asking."""
        for entry in self._left:
            fault, times = entry
            assert isinstance(fault, Fault)
            assert isinstance(times, int)
            if times > 0 and fnmatchcase(step, fault.at):
                entry[1] = times - 1
                return fault
        return None
