"""What goes wrong with a backup, in the words and numbers of MBErrorDomain.

Numbers and words: error messages that owners of real phones report (issues of libimobiledevice and pymobiledevice3).
"""


class MBError(Exception):
    """The host's request ends with this ErrorCode and ErrorDescription.

    Args:
        code: in MBErrorDomain.
        text: what is wrong.
        cause: the error behind it.
    """

    def __init__(self, code: int, text: str, cause: "MBError | None" = None) -> None:
        super().__init__(text)
        self.code = code
        self.cause = cause

    @property
    def description(self) -> str:
        """As the host is told it."""
        own = f"{self} (MBErrorDomain/{self.code})"
        return own if self.cause is None else f"{own}. Underlying error: {self.cause.description}."


FAILED = 1
MISSING = 4
UNREADABLE = 11
FORBIDDEN = 22
OLD_RESTORE = 102
UPLOAD = 104
DRIVE_FULL = 105
DEVICE_FULL = 106
INCOMPATIBLE = 203
EMPTY = 204
DAMAGED = 205
PASSWORD = 207
LOCKED = 208
FIND_MY = 211
SETUP = 212


def missing(path: str) -> MBError:
    """The host has no such file."""
    return MBError(MISSING, f'No such file or directory at path "{path}"')
