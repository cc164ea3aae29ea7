"""What came from the phone: a digest of every file of a backup, taken while it was received.

The phone's own manifest has digests for most files of most versions, not for all. With these, reading back finds
every byte that the disk did not keep. They lie beside the backup, in SQLite, because there can be a million of them.
"""

import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from station.errors import StorageError

NAME = "received.db"
_TABLE = "CREATE TABLE IF NOT EXISTS received (name TEXT PRIMARY KEY, sha256 BLOB NOT NULL) STRICT, WITHOUT ROWID"
_TOGETHER = 1000
"""Rows in one transaction."""


class Received:
    """The digests of one backup, by the last part of a file's path: there, each file has one name that is its own."""

    def __init__(self, data: Path) -> None:
        """Open them. Raises StorageError.

        Args:
            data: the backup's directory in the vault.
        """
        self._left = _TOGETHER
        try:
            # For the daemon too, which is of the same group: it reads and deletes it.
            os.close(os.open(data.parent / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660))
            # A thread reads what the loop wrote, never both at once.
            self._database = sqlite3.connect(data.parent / NAME, isolation_level=None, check_same_thread=False)
            self._database.execute(_TABLE)
            self._database.execute("BEGIN")
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"The list of what was received cannot be used: {error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._database.execute("COMMIT")
        except sqlite3.Error as failed:
            if error is None:
                raise StorageError(f"The list of what was received cannot be written: {failed}.") from failed
        finally:
            self._database.close()

    def note(self, name: str, sha256: bytes) -> None:
        """A file was received, whole. Raises StorageError."""
        try:
            self._database.execute("INSERT OR REPLACE INTO received VALUES (?, ?)", (name, sha256))
            self._left -= 1
            if not self._left:
                self._left = _TOGETHER
                self._database.execute("COMMIT")
                self._database.execute("BEGIN")
        except sqlite3.Error as error:
            raise StorageError(f"The list of what was received cannot be written: {error}.") from error

    def of(self, name: str) -> bytes | None:
        """The digest of what was received last under this name; None: nothing was."""
        row = self._database.execute("SELECT sha256 FROM received WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])
