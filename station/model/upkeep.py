"""What a station does for itself in quiet hours, and what came of it."""

from enum import Enum

from msgspec import field

from station.model.base import Message


class Chore(Enum):
    """One of those things. The name of the file that says what came of it last."""

    RECORDS = "records"
    """The records are read again, and verified."""
    FIRMWARE = "firmware"
    """All firmware is read again, from the disk."""
    COPY = "copy"
    """The records are copied to another disk."""


class ChoreNote(Message, frozen=True, kw_only=True):
    """What came of a chore the last time it came to an end."""

    chore: Chore
    at: str
    """When that was, RFC 3339 in UTC. Of good FIRMWARE: of what was read longest ago."""
    good: bool
    detail: str
    """What there is to say of it, for the log and the doctor."""
    read: dict[str, str] = field(default_factory=dict)
    """Of FIRMWARE: when each was last read whole and found good, by its name in the store."""


TROUBLE: dict[Chore, str] = {
    Chore.RECORDS: "The records are not as they were written. Look into it with “station records verify”.",
    Chore.FIRMWARE: "Firmware is damaged and not used any more. Remove it, and fetch or import it again.",
    Chore.COPY: "The records could not be copied. “station doctor” says why.",
}
"""What an operator is told when a chore ended badly."""
