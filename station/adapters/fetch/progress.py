"""What is on its way into a store, as those who fetch write it down for everyone else.

STORE/.fetch-ID/lock            held by who fetches it
STORE/.fetch-ID/progress.json   an `Arrival`, at most twice a second; may be lost in a power cut
STORE/.fetch-ID/state.json      from where it goes on (`checkpoint`)
STORE/.fetch-ID/ipsw/           the files, as far as they are here
"""

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import msgspec

from station.adapters.fetch.pace import Rate
from station.adapters.listing import all_below, entries_of
from station.adapters.premises import disk_trouble
from station.errors import Refused
from station.model.catalog import Arrival, ArrivalState, Offer

PREFIX = ".fetch-"

_EVERY = 0.5
_LOCK_TRIES = 5
_decoder = msgspec.json.Decoder(Arrival)
_encoder = msgspec.json.Encoder()
_RUNNING = (ArrivalState.FETCHING, ArrivalState.CHECKING)


@dataclass(frozen=True)
class Leftover:
    """What there is of a download."""

    id: str
    """`Offer.id` of what is fetched."""
    directory: Path
    idle_seconds: float
    """Since something was last written there."""
    held: bool
    """Whether somebody fetches it now; then it must not be deleted."""


class Progress:
    """Tells how far a download is."""

    def __init__(self, directory: Path, offer: Offer, advance: Callable[[Arrival], None]) -> None:
        self._path = directory / "progress.json"
        self._advance = advance
        self._now = Arrival(
            version=offer.version,
            build=offer.build,
            product_types=offer.product_types,
            state=ArrivalState.FETCHING,
            total=offer.size,
        )
        self._rate = Rate()
        self._told = 0.0

    def move(self, done: int, total: int) -> None:
        """So much is here."""
        if time.monotonic() - self._told < _EVERY and done < total:
            return
        self._rate.note(done)
        left = self._rate.seconds_for(total - done)
        self._tell(msgspec.structs.replace(self._now, done=done, total=total, seconds_left=left))

    def comes_from(self, origin: str, *, nearby: bool = False) -> None:
        """Who sends what comes from now on: HOST[:PORT], and whether that is another station."""
        self._tell(msgspec.structs.replace(self._now, origin=origin, nearby=nearby))

    def say(self, state: ArrivalState, says: str = "", remedy: str = "") -> None:
        """Something else goes on from now on."""
        self._tell(
            msgspec.structs.replace(self._now, state=state, says=says, remedy=remedy, seconds_left=None), always=True
        )

    def _tell(self, arrival: Arrival, *, always: bool = False) -> None:
        if arrival == self._now and not always:
            return
        self._now, self._told = arrival, time.monotonic()
        part = self._path.with_name(".progress.json.part")
        with suppress(OSError):  # a full disk must not keep anybody from saying so
            part.write_bytes(_encoder.encode(arrival))
            part.replace(self._path)
        self._advance(arrival)


@contextmanager
def held(directory: Path, stop: Event) -> Iterator[None]:
    """Be the only one who fetches something. Raises Refused when another process does."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        for _ in range(_LOCK_TRIES):  # whoever looks whether it is held holds it for a moment
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            stop.wait(0.05)
        else:
            raise Refused("This firmware is being downloaded already.", remedy="Wait for it.")
        yield
    finally:
        os.close(lock)


def arrivals(store_path: Path) -> list[Arrival]:
    """Everything that is on its way into a store, or was when it was interrupted. Raises as `leftovers`."""
    return [arrival for leftover in leftovers(store_path) if (arrival := _arrival(leftover)) is not None]


def arrival_of(store_path: Path, offer: Offer) -> Arrival | None:
    """How far just this download is, and no other of the same build; None: nothing is known of it.

    Raises as `leftovers`.
    """
    return next((_arrival(leftover) for leftover in leftovers(store_path) if leftover.id == offer.id), None)


def _arrival(leftover: Leftover) -> Arrival | None:
    try:
        arrival = _decoder.decode((leftover.directory / "progress.json").read_bytes())
    except (OSError, ValueError):
        return None
    if arrival.state in _RUNNING and not leftover.held:
        says = "The download was interrupted. It goes on where it was."
        arrival = msgspec.structs.replace(arrival, state=ArrivalState.WAITING, says=says, seconds_left=None)
    return arrival


def leftovers(store_path: Path) -> list[Leftover]:
    """What there is of downloads in a store, going on or not. Raises StorageError: the disk does not tell."""
    found = []
    with disk_trouble():
        there = entries_of(store_path, missing_ok=True)
        for directory in sorted(path for path in there if path.name.startswith(PREFIX)):
            with suppress(FileNotFoundError, NotADirectoryError):  # it came to its end, or is none
                found.append(_leftover(directory))
    return found


def _leftover(directory: Path) -> Leftover:
    notes = (path for path in entries_of(directory) if path.suffix == ".json")
    times = [path.stat().st_mtime for path in (directory, *notes)]
    return Leftover(
        id=directory.name.removeprefix(PREFIX),
        directory=directory,
        idle_seconds=max(0.0, time.time() - max(times)),
        held=_is_held(directory / "lock"),
    )


def discard(leftover: Leftover) -> int:
    """Delete what there is of a download that nobody goes on with; how many bytes that frees.

    One that somebody fetches by now stays. Raises OSError.
    """
    try:
        with held(leftover.directory, Event()):
            # What a file takes: room for all of one is kept when it is begun. Contents of the store stay.
            found = [path.lstat() for path in all_below(leftover.directory)]
            freed = sum(each.st_blocks * 512 for each in found if stat.S_ISREG(each.st_mode) and each.st_nlink == 1)
            (leftover.directory / "state.json").unlink(missing_ok=True)  # first: without it nothing is gone on with
            shutil.rmtree(leftover.directory)
    except Refused:
        return 0
    return freed


def _is_held(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
