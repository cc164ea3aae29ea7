"""Where firmware is stored, and what holds for every change of it: one at a time, and a crash leaves nothing behind.

STORE/.lock        held while something is put in its place or taken away; never for long
STORE/.incoming-…  a change under way, locked by who makes it for long, or what a crash left of one
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from station.adapters import durable, leases
from station.adapters.listing import all_below, entries_of
from station.errors import Refused, StorageError

LOCK_SECONDS = 60.0
"""How long a change waits for another one, which takes a second or two, or the deleting of some GB."""
_LOCK_POLL = 0.05
"""A file lock can be waited for only without end."""

_INCOMING = ".incoming-"
_NAME = re.compile(r"\d{1,3}[A-Z]\d{1,6}[a-z]?-[0-9a-f]{12}", re.ASCII)


class Premises:
    """The directory of a store. Every call blocks for as long as the disk takes."""

    def __init__(self, path: Path) -> None:
        """Look at nothing yet."""
        self.path = path

    def directories(self) -> Sequence[Path]:
        """Those of firmware, usable or not; nothing else that may be there, such as lost+found."""
        with suppress(FileNotFoundError), os.scandir(self.path) as found:
            return [Path(entry.path) for entry in found if _NAME.fullmatch(entry.name) and entry.is_dir()]
        return []

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the store, and clear away what crashes left in it."""
        with disk_trouble():
            if not self.path.exists():
                self.path.mkdir(parents=True, exist_ok=True)
                self.hand_over(self.path.parent, self.path)
            # To read is enough for a lock, and everyone who uses the store may: root may have made the file.
            lock = os.open(self.path / ".lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                _wait_for(lock)
                self._clear_leftovers()
                yield
            finally:
                os.close(lock)

    def temporary(self) -> Path:
        """A new directory to make something in. Deleted with the next change unless it is held by then, or renamed."""
        return Path(tempfile.mkdtemp(prefix=_INCOMING, dir=self.path))

    def discard(self, directory: Path) -> None:
        """Make a directory disappear from the store at once; deleting it takes longer."""
        away = self.temporary()
        directory.rename(away / "removed")
        durable.sync_directory(self.path)
        shutil.rmtree(away)

    def hand_over(self, like: Path, *made: Path) -> None:
        """Give what root has made, by hand, to whom `like` belongs: the station must be able to change it.

        Raises:
            OSError: not all of it was given.
        """
        if os.geteuid() != 0:
            return
        owner = like.stat()
        for path in (below for place in made for below in (place, *all_below(place))):
            now = path.lstat()
            if (now.st_uid, now.st_gid) != (owner.st_uid, owner.st_gid):
                os.lchown(path, owner.st_uid, owner.st_gid)

    def _clear_leftovers(self) -> None:
        for leftover in entries_of(self.path):
            if not leftover.name.startswith(_INCOMING):
                continue
            with suppress(Refused, OSError), leases.take_alone(leftover):
                shutil.rmtree(leftover, ignore_errors=True)


def _wait_for(lock: int) -> None:
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise Refused(
                    "The firmware store is being changed, and that does not come to an end.", remedy="Try again later."
                ) from None
            time.sleep(_LOCK_POLL)
        else:
            return


@contextmanager
def disk_trouble() -> Iterator[None]:
    """Say what the operating system complains about in plain words."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The firmware could not be read or written: {error.strerror or error}.",
            remedy="Check that the medium is there, and that the station's disk is not full.",
        ) from error
