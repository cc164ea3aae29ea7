"""Whose a state directory is: one station has one owner."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from station.errors import ConfigError


@contextmanager
def lease(state: Path) -> Iterator[None]:
    """Hold the state directory. Raises ConfigError when another daemon has it."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        remedy = "Start it as root or as the station's user, or set `state` to a directory of yours (STATION_STATE)."
        raise ConfigError(f"The state directory {state} cannot be used: {error.strerror}.", remedy=remedy) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigError(f"Another daemon already owns {state}.", remedy="Stop that one first.") from None
    finally:
        os.close(lock)
