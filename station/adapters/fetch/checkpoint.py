"""From where a download goes on: written down after all that it builds on is on the disk."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from station.adapters import durable
from station.adapters.fetch.digests import DigestState
from station.adapters.fetch.plan import Plan
from station.adapters.fetch.unpack import Position
from station.model.base import Message

_NAME = "state.json"


class State(Message, frozen=True, kw_only=True):
    """`state.json`."""

    total: int
    table: str
    """`Plan.digest`: by which table of contents it was unpacked."""
    position: Position
    hashed: DigestState
    """Of the whole zip, from its start; it may be ahead of `position`, or behind."""
    started: DigestState
    """The same where the entry that is being unpacked begins, or before: from where it is fetched again."""
    digests: tuple[str, ...] = ()
    """SHA-256 of the files that are finished."""
    damaged: tuple[int, ...] = ()
    """Entries that arrived damaged once."""
    again: bool = False
    """Whether all of it had the wrong digest once."""
    seal: str = ""
    """SHA-256 of all this without it: what a disk changed could have a download end never, or anywhere."""

    @property
    def offset(self) -> int:
        """What has to come from here on."""
        return min(self.position.offset, self.hashed.count)


_decoder = msgspec.json.Decoder(State)
_encoder = msgspec.json.Encoder()


def load(directory: Path, plan: Plan) -> State | None:
    """Where the download of just this zip was; None: nowhere that can be used."""
    try:
        sealed = _decoder.decode((directory / _NAME).read_bytes())
    except (OSError, ValueError):
        return None
    state = msgspec.structs.replace(sealed, seal="")
    if _sealed(state) != sealed:
        return None
    at = state.position
    usable = (state.total, state.table) == (plan.total, plan.digest) and at.index == len(state.digests)
    if not usable or at.index > len(plan.parts) or state.offset > plan.total:
        return None
    if at.inside and not _has(directory / "ipsw" / plan.parts[at.index].name, at.written):
        return None
    return state


def save(directory: Path, plan: Plan, state: State, since: int) -> None:
    """Make what is here durable, and write down that it is.

    Args:
        directory: of the download.
        plan: of the zip.
        state: where it is.
        since: the first entry that was written to since the last time.

    Raises:
        StorageError: the disk is full or fails; what was written down before holds.
        OSError: the same.
    """
    names = [part.name for part in plan.parts[since : state.position.index + state.position.inside]]
    paths = [directory / "ipsw" / name for name in names]
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)
    sync_directories({path.parent for path in paths})
    write(directory, state)


def write(directory: Path, state: State) -> None:
    """Write down where it is when all that it builds on is durable. Raises StorageError."""
    durable.write(directory / _NAME, _encoder.encode(_sealed(state)))


def began(directory: Path) -> bool:
    """Whether something of a zip is here that may be gone on with."""
    return (directory / _NAME).exists()


def forget(directory: Path) -> None:
    """Begin from nothing the next time."""
    with suppress(FileNotFoundError):
        (directory / _NAME).unlink()
    durable.sync_directory(directory)


def sync_directories(directories: Iterable[Path]) -> None:
    """Make the names in all of them durable."""
    for each in directories:
        durable.sync_directory(each)


def _sealed(state: State) -> State:
    return msgspec.structs.replace(state, seal=hashlib.sha256(_encoder.encode(state)).hexdigest())


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size >= size
    except OSError:
        return False
