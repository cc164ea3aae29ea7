"""Passwords on their way from the daemon to a worker: files in memory, never on a disk, removed by whoever reads them.

What is in a tmpfs leaves the memory only where the machine swaps to a disk: a station does not (`station doctor`
and the image see to that).
"""

import ctypes
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from station.adapters.listing import entries_of
from station.errors import StorageError
from station.model.base import JobId

_IN_MEMORY = (0x01021994, 0x858458F6)
"""TMPFS_MAGIC and RAMFS_MAGIC of linux/magic.h: what statfs(2) says of file systems that have no disk."""


class MemoryShelf:
    """The daemon's side: RUNTIME/secrets/given, one file for each password on its way, named after its job.

    A worker may be another user, of the daemon's group. It is shown `given`, and may remove what it has read; nobody
    else of that group gets past `secrets`.
    """

    def __init__(self, runtime: Path) -> None:
        self.path = runtime / "secrets" / "given"

    def open(self) -> None:
        """Make the directory. Raises StorageError when it would be on a disk."""
        try:
            for path, mode in ((self.path.parent, 0o700), (self.path, 0o770)):
                path.mkdir(mode=mode, parents=True, exist_ok=True)
                path.chmod(mode)
            in_memory = is_in_memory(self.path)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be used: {error.strerror}.", remedy=_REMEDY) from error
        if not in_memory:
            raise StorageError(f"{self.path} is on a disk: passwords may only be in memory.", remedy=_REMEDY)

    def put(self, path: Path, secret: str) -> None:
        """Lay a password down for a worker. Raises StorageError."""
        self.open()
        try:
            path.unlink(missing_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            with os.fdopen(fd, "w") as file:
                file.write(secret)
        except OSError as error:
            raise StorageError(f"The backup's password could not be handed on: {error.strerror}.") from error

    def clear(self, job: JobId) -> None:
        """Remove what a job has left unread. Raises StorageError: perhaps it is still there."""
        self._remove(lambda owner: owner == job)

    def sweep(self, living: Collection[JobId]) -> None:
        """Remove what all jobs have left but these. Raises as `clear`."""
        self._remove(lambda owner: owner not in living)

    def _remove(self, which: Callable[[JobId], bool]) -> None:
        try:
            for path in entries_of(self.path, missing_ok=True):
                if which(JobId(path.stem)):
                    with suppress(FileNotFoundError, IsADirectoryError):  # the latter is a worker's doing: no password
                        path.unlink()
        except OSError as error:
            raise StorageError(f"Passwords that nobody took could not be removed: {error.strerror}.") from error


def take(path: Path) -> str:
    """Read a password, and remove its file. Raises StorageError when it is not there."""
    try:
        secret = path.read_text()
        path.unlink()
    except OSError as error:
        raise StorageError(f"The backup's password is not where it should be: {error.strerror}.") from error
    return secret


def is_in_memory(path: Path) -> bool:
    """Whether a file system has no disk, as the kernel says. Raises OSError."""
    words = (ctypes.c_long * 64)()  # struct statfs begins with f_type, a long, and is shorter than this
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(os.fsencode(path), words) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
    return words[0] in _IN_MEMORY


_REMEDY = "Set `runtime` to a directory of a tmpfs, such as /run/restore-station."
