"""The contents of a firmware store's files: each is there once, whoever has it, under the name of its SHA-256.

    STORE/objects/AB/ABCD…   content; never written to, only put in its place and taken away whole
    STORE/BUILD-…/ipsw/PATH  a relative symbolic link to one

Symbolic links and not hard ones: a hard link's making and its end give the file a new ctime, and ctime is what tells
without reading that a content is unchanged. With them, each firmware that comes or goes would have all that it
shares read again. And whatever reads a directory reads one of links just as well.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from station.adapters import durable
from station.adapters.listing import entries_of

NAME = "objects"

Look = tuple[int, int, int]
"""Size, ctime in ns and inode of a file."""

NO_FILE: Look = (-1, 0, 0)
"""How a link, a device or nothing looks: like nothing that was ever stored."""


def look_at(now: os.stat_result) -> Look:
    """How a file looks."""
    return (now.st_size, now.st_ctime_ns, now.st_ino) if stat.S_ISREG(now.st_mode) else NO_FILE


def link_to(path: str, sha256: str) -> str:
    """What the link at STORE/BUILD-…/ipsw/`path` says."""
    return "../" * (path.count("/") + 2) + f"{NAME}/{sha256[:2]}/{sha256}"


class Objects:
    """The contents in one store. Whoever changes them holds the store."""

    def __init__(self, store: Path) -> None:
        self.path = store / NAME

    def place(self, sha256: str) -> Path:
        """Where a content is, or would be."""
        return self.path / sha256[:2] / sha256

    def look(self, sha256: str) -> Look:
        """How a content looks now."""
        try:
            return look_at(self.place(sha256).lstat())
        except OSError:
            return NO_FILE

    def put(self, source: Path, sha256: str) -> None:
        """Give `source`, a file whose content is durable, a second name here; replaces what is here. Not yet durable.

        Its first name stays, so that a crash now costs nothing; a running job keeps what it has open.
        """
        place = self.place(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{sha256}")
        part.unlink(missing_ok=True)
        os.link(source, part)
        part.replace(place)
        part.unlink(missing_ok=True)  # replacing a name by another of the same file leaves both

    def drop(self, sha256: str) -> None:
        """Take a content away, durably."""
        place = self.place(sha256)
        with suppress(FileNotFoundError):
            place.unlink()
            durable.sync_directory(place.parent)

    def sync(self, digests: Iterable[str]) -> None:
        """Make what was put in place durable."""
        for part in {digest[:2] for digest in digests}:
            durable.sync_directory(self.path / part)
        durable.sync_directory(self.path)

    def sweep(self, wanted: set[str]) -> int:
        """Take away everything but the contents that are wanted; the bytes that became free. Raises OSError."""
        freed = 0
        directories = [path for path in entries_of(self.path, missing_ok=True) if path.is_dir()]
        for place in [place for directory in directories for place in entries_of(directory)]:
            if place.name not in wanted:
                freed += place.lstat().st_size
                place.unlink()
        for directory in (*directories, self.path):
            with suppress(OSError):  # not empty, mostly
                directory.rmdir()
        return freed
