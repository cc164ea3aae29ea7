"""What of a store can be shared: firmware that is known to be good, and where its contents are."""

import os
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from station.adapters import unpacked
from station.adapters.objects import Look, Objects, look_at
from station.adapters.premises import Premises
from station.adapters.unpacked import Digests, FirmwareDamaged
from station.model.base import Message

VERSION = "v1"
"""First part of every path; another one when a station of today could not understand it any more."""
PORT = 8750
"""Unless another one is named."""

_FILES = ("digests.json", "checked.json", "damaged.json")
"""All that tells whether a firmware is good."""

_State = tuple[tuple[int, int] | None, ...]


class Shared(Message, frozen=True, kw_only=True):
    """A firmware that can be had."""

    name: str
    version: str
    build: str
    product_types: tuple[str, ...]
    manifest_sha256: str
    size: int
    """Bytes of all its files."""


@dataclass(frozen=True)
class _Known:
    """A directory of the store, as it was when it was read."""

    state: _State
    shared: Shared | None
    looks: dict[str, Look]
    """By SHA-256: how each content looked when it was known to be good."""


class Stock:
    """All that can be shared. Every call blocks, and any thread may call."""

    def __init__(self, store: Path) -> None:
        """Look at nothing yet."""
        self._premises = Premises(store)
        self._objects = Objects(store)
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def list(self) -> Sequence[Shared]:
        """What can be had. What does not change is read once."""
        return [known.shared for known in self._look().values() if known.shared is not None]

    def digests(self, name: str) -> Digests | None:
        """All about one; None: it is not offered."""
        known = self._look().get(name)
        if known is None or known.shared is None:
            return None
        directory = self._premises.path / name
        with suppress(OSError, FirmwareDamaged):
            digests = unpacked.read(directory)
            if unpacked.unchanged(directory, digests):
                return digests
        return None

    def content(self, sha256: str) -> tuple[Path, os.stat_result] | None:
        """Where a content is; None: it is not offered.

        It may be taken away at any time. What is open by then is whole: contents are never written to.
        """
        place = self._objects.place(sha256)
        with suppress(OSError):
            now = place.lstat()
            for known in self._look().values():
                if known.shared is not None and known.looks.get(sha256) == look_at(now):
                    return place, now
        return None

    def _look(self) -> dict[str, _Known]:
        with self._lock:
            self._known = {each.name: self._of(each) for each in self._premises.directories()}
            return self._known

    def _of(self, directory: Path) -> _Known:
        state = tuple(_state(directory / name) for name in _FILES)
        known = self._known.get(directory.name)
        if known is None or known.state != state:
            shared, looks = _read(directory)
            known = _Known(state, shared, looks)
        return known


def _read(directory: Path) -> tuple[Shared | None, dict[str, Look]]:
    """What can be had of a directory; nothing of one that is not known to be good."""
    try:
        digests = unpacked.read(directory)
    except FirmwareDamaged:
        return None, {}
    looks = unpacked.read_checked(directory)
    whole = all(looks.get(file.path, (-1,))[0] == file.size for file in digests.files)
    if not whole or digests.name != directory.name or unpacked.read_damage(directory) is not None:
        return None, {}
    shared = Shared(
        name=digests.name,
        version=digests.version,
        build=digests.build,
        product_types=digests.product_types,
        manifest_sha256=digests.manifest_sha256,
        size=sum(file.size for file in digests.files),
    )
    return shared, {file.sha256: looks[file.path] for file in digests.files}


def _state(path: Path) -> tuple[int, int] | None:
    try:
        now = path.lstat()
    except OSError:
        return None
    return (now.st_ctime_ns, now.st_ino) if stat.S_ISREG(now.st_mode) else None
