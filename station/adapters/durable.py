"""Files that are whole or absent, and on the disk when the call returns."""

import os
from contextlib import suppress
from pathlib import Path

from station.errors import StorageError


def write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` to `path` so that after a crash at any point the old or the new content is there, whole.

    Raises:
        StorageError: it could not be made durable (disk full, read-only, failing); the old content stands.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)  # of a power cut, or what somebody else has put there
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with suppress(OSError):  # a disk that failed may fail at this too
            part.unlink(missing_ok=True)
        raise StorageError(
            f"{path.name} could not be written: {error.strerror}.", remedy="Free some space on the station's disk."
        ) from error


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
