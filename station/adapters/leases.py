"""Who uses a directory of the store: a lock on the directory itself, which the kernel ends when its holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from station.errors import Refused


def take(directory: Path) -> int:
    """Use a directory: it is not taken away before the file descriptor that this returns is closed.

    Raises:
        Refused: it is being taken away.
        OSError: it is not there.
    """
    return _locked(directory, fcntl.LOCK_SH, "This firmware is being removed.")


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep users away from a directory while it is taken away.

    Raises:
        Refused: it is used.
        OSError: it is not there.
    """
    held = _locked(directory, fcntl.LOCK_EX, "This firmware is in use.")
    try:
        yield
    finally:
        os.close(held)


def _locked(directory: Path, how: int, why: str) -> int:
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, how | fcntl.LOCK_NB)
        # It may have been taken away, and even replaced, between the opening and the lock.
        same = os.path.samestat(os.fstat(held), directory.stat())
    except BlockingIOError:
        same = False
    except BaseException:
        os.close(held)
        raise
    if not same:
        os.close(held)
        raise Refused(why, remedy="Try again when no job uses it.")
    return held
