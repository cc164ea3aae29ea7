"""Backups in the vault, as the daemon, its decisions and the command line see them."""

from enum import Enum

from station.model.base import BackupId, Ecid, Message, Udid


class BackupState(Enum):
    """How far a backup is."""

    PARTIAL = "partial"
    """Begun. It counts for nothing; the next backup of the same phone goes on with it."""
    VERIFIED = "verified"
    """Made, read back without a fault, and on record: the only one that counts."""


class BackupNote(Message, frozen=True, kw_only=True):
    """`note.json` of a backup in the vault."""

    id: BackupId
    ecid: Ecid
    udid: Udid
    model: str
    """The name on the box; empty: not known."""
    made: str
    """When it was begun, RFC 3339 in UTC; after all others of its phone, where the clock was wrong."""
    state: BackupState
    keep_until: str
    """From when on it is deleted, RFC 3339 in UTC; empty: not known before the clock is known to be right."""
    files: int = 0
    """Of a verified one: as they lie in the vault."""
    size: int = 0
    """Bytes of them."""
