"""A file that is to be taken once: whether it is as it was then. Nothing heavy is loaded for it, at each start."""

import hashlib
from pathlib import Path

from station.adapters import durable

MOST = 1 << 20
"""Bytes that are looked at."""


def is_done(file: Path, mark: Path) -> bool:
    """Whether the file was taken as it is now; `mark` says so. Raises OSError."""
    return mark.is_file() and mark.read_text().strip() == _digest(file)


def set_done(file: Path, mark: Path) -> None:
    """Remember that the file was taken as it is now. Raises OSError, StorageError."""
    mark.parent.mkdir(parents=True, exist_ok=True)
    durable.write(mark, _digest(file).encode() + b"\n", mode=0o600)


def _digest(file: Path) -> str:
    with file.open("rb") as open_file:
        return hashlib.sha256(open_file.read(MOST)).hexdigest()
