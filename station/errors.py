"""One tree of errors: what the station itself raises, each with words for a person.

StationError
├── ConfigError        the settings do not make sense
├── InputRejected      something outside (phone, file, client) sent what we do not accept
├── Refused            a command is not possible now; the reason is for the person who gave it
├── ConsentVoid        an irreversible act is not covered by a live consent
├── StorageError       the disk is full, read-only or lying
├── Unreachable        a server cannot be reached, or does not answer as it should: try again later
└── RecordsBroken      the records are not what was once written
"""


class StationError(Exception):
    """Base of the tree. The message is one plain sentence; `remedy` says what a person can do."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class ConfigError(StationError):
    """The settings cannot be used."""


class InputRejected(StationError):
    """Input from outside is not acceptable: too large, malformed, hostile."""


class Refused(StationError):
    """A command cannot be carried out now."""


class ConsentVoid(StationError):
    """No live consent covers the irreversible act that was about to happen."""


class StorageError(StationError):
    """Something could not be made durable."""


class Unreachable(StationError):
    """A server cannot be reached, or answers what it should not."""


class RecordsBroken(StationError):
    """The record chain does not verify."""
