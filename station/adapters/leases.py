"""Who uses a directory of the store: a lock on the directory itself, which the kernel ends when its holder ends."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from station.errors import Refused

_PATIENCE, _POLL = 2.0, 0.01
"""Seconds. A file lock can be waited for only without end."""


class Lease:
    """A directory that is not taken away before this is closed, or the process ends."""

    def __init__(self, held: int) -> None:
        self._held = held

    def close(self) -> None:
        """Use it no more."""
        held, self._held = self._held, -1
        if held >= 0:
            os.close(held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def take(directory: Path) -> Lease:
    """Use a directory, as others may too. Waits a moment for whoever only looks whether it is used.

    Raises:
        Refused: it is being taken away.
        OSError: it is not there.
    """
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            return _lock(directory, fcntl.LOCK_SH, "This firmware is being removed.")
        except Refused:
            if time.monotonic() > give_up:
                raise
            time.sleep(_POLL)


def take_alone(directory: Path) -> Lease:
    """Keep users away from a directory while it is taken away.

    Raises:
        Refused: it is used.
        OSError: it is not there.
    """
    return _lock(directory, fcntl.LOCK_EX, "This firmware is in use.")


def taken(directory: Path) -> bool:
    """Whether somebody uses a directory right now. Locks it for that, for a moment: nothing else tells."""
    try:
        take_alone(directory).close()
    except Refused:
        return True
    except OSError:
        return False
    return False


def _lock(directory: Path, how: int, why: str) -> Lease:
    lease = Lease(held := os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    try:
        fcntl.flock(held, how | fcntl.LOCK_NB)
        # It may have been taken away, and even replaced, between the opening and the lock.
        same = os.path.samestat(os.fstat(held), directory.stat())
    except BlockingIOError:
        same = False
    except BaseException:
        lease.close()
        raise
    if not same:
        lease.close()
        raise Refused(why, remedy="Try again when no job uses it.")
    return lease
