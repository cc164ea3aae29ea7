"""What goes wrong with a backup, in the words and numbers of MBErrorDomain.

Numbers and words: error messages that owners of real phones report (issues of libimobiledevice and pymobiledevice3).
"""


class MBError(Exception):
    """The host's request ends with this ErrorCode and ErrorDescription.

    Args:
        code: in MBErrorDomain.
        text: what is wrong; None: what phones usually say with that number.
        cause: the error behind it.
    """

    def __init__(self, code: int, text: str | None = None, cause: "MBError | None" = None) -> None:
        super().__init__(WORDS.get(code, "Unknown error") if text is None else text)
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

WORDS = {
    UPLOAD: "Multiple errors uploading files",
    DRIVE_FULL: "Insufficient free disk space on drive to back up",
    DEVICE_FULL: "Insufficient free disk space on device to restore",
    INCOMPATIBLE: "Backup is from an incompatible OS version",
    EMPTY: "No status exists in backup",
    DAMAGED: "Error reading backup properties",
    PASSWORD: "Invalid password",
    LOCKED: "Device locked",
    FIND_MY: "Find My iPhone must be disabled before restoring",
    SETUP: "Unable to backup until Setup is finished",
}
"""What a phone usually says with a number."""


def missing(path: str) -> MBError:
    """The host has no such file."""
    return MBError(MISSING, f'No such file or directory at path "{path}"')
