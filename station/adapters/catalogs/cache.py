"""What each list said last, on the disk: usable without a network, for as long as the operator allows.

DIRECTORY/.lock          held while something is written
DIRECTORY/WHO-WHAT.json  a `Shelf`
"""

import fcntl
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from station.adapters import durable
from station.adapters.catalogs.asking import Answer, Validators
from station.adapters.listing import entries_of
from station.core.rollback import Newest, forget, remember, turned_back
from station.core.versions import age
from station.errors import InputRejected, StorageError
from station.model.base import Message
from station.model.catalog import Offer, Source

MAX_FILE = 64 << 20


class Shelf(Message, frozen=True, kw_only=True):
    """One answer of one list, as far as it made sense, and was believed."""

    source: Source
    about: str
    """The model or the system that it is about, or "all"."""
    address: str
    """Where it came from: what another server said does not count."""
    checked: float
    """When it was asked for last, in seconds since 1970."""
    etag: str = ""
    modified: str = ""
    offers: tuple[Offer, ...] = ()
    newest: dict[str, Newest] = msgspec.field(default_factory=dict)
    """By product type."""
    held: dict[str, float] = msgspec.field(default_factory=dict)
    """Product types of which the list has become older, to when it was believed last; its older word stands."""

    @property
    def validators(self) -> Validators:
        """Of the answer that this was made of; none when not all of it was believed, and it is to be seen again."""
        return Validators() if self.held else Validators(self.etag, self.modified)


def unchanged(shelf: Shelf, now: float) -> Shelf:
    """The list said that nothing has changed since all of it was believed."""
    return replace(shelf, checked=now, newest=remember(shelf.newest, shelf.offers, now))


def filled(shelf: Shelf, answer: Answer, said: Collection[Offer], now: float, max_age: float) -> Shelf:
    """The list said something new; what it was when asked is `shelf`.

    For a model of which it has become older than it was, what it said before stands, as long as that counts.
    """
    remembered = forget(shelf.newest, now - max_age)
    doubted = turned_back(remembered, said)
    believed = tuple(_of(said, lambda model: model not in doubted))
    return replace(
        shelf,
        checked=now,
        etag=answer.validators.etag,
        modified=answer.validators.modified,
        offers=(*believed, *_of(shelf.offers, lambda model: model in doubted)),
        newest=remember(remembered, believed, now),
        held={model: shelf.held.get(model, shelf.checked) for model in sorted(doubted)},
    )


_decoder = msgspec.json.Decoder(Shelf)
_encoder = msgspec.json.Encoder()


class Cache:
    """All of them."""

    def __init__(self, directory: Path) -> None:
        """A cache in a directory, which is made when it is written to."""
        self._directory = directory

    def shelves(self) -> tuple[list[Shelf], list[str]]:
        """Everything that can be read, and in words what could not and was dropped."""
        found, troubles = [], []
        try:
            there = entries_of(self._directory, missing_ok=True)
        except PermissionError:
            return [], ["The lists of firmware may not be read by this user."]
        except OSError as error:
            return [], [f"The lists of firmware cannot be read now: {error.strerror or error}."]
        for path in sorted(path for path in there if path.suffix == ".json" and not path.name.startswith(".")):
            try:
                found.append(self._read(path))
            except PermissionError:
                troubles.append(f"The list {path.stem} may not be read by this user.")
            except OSError as error:  # a disk that stutters, too many open files: it may be read the next time
                troubles.append(f"The list {path.stem} cannot be read now: {error.strerror or error}.")
            except (ValueError, InputRejected):  # msgspec's own errors are ValueErrors
                troubles.append(f"The list {path.stem} was damaged. It is asked for anew.")
                with suppress(OSError):
                    path.unlink()
        return found, troubles

    def read(self, source: Source, about: str, address: str) -> Shelf:
        """What a list said of something; nothing, asked for in 1970, when that is not known."""
        try:
            shelf = self._read(self._path(source, about))
        except (OSError, ValueError, InputRejected):
            shelf = None
        if shelf is None or shelf.address != address:
            return Shelf(source=source, about=about, address=address, checked=0.0)
        return shelf

    def keep(self, shelf: Shelf) -> None:
        """Put a shelf on the disk. Raises StorageError."""
        with self._writing():
            durable.write(self._path(shelf.source, shelf.about), _encoder.encode(shelf))

    def _path(self, source: Source, about: str) -> Path:
        return self._directory / f"{source.value}-{about}.json"

    def _read(self, path: Path) -> Shelf:
        """Raises OSError, ValueError, InputRejected."""
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise InputRejected("too long")
        shelf = _decoder.decode(data)
        for offer in shelf.offers:
            age(offer.version, offer.build)
        for newest in shelf.newest.values():
            age(newest.version, newest.build)
        return shelf

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One process at a time: both write the same file before it is put in its place."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(
                f"The list of firmware cannot be kept: {error.strerror}.",
                remedy="Look whether the station's disk is full or read-only, and whose its files are.",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _of(offers: Iterable[Offer], which: Callable[[str], bool]) -> Iterator[Offer]:
    """What is said of some models."""
    for offer in offers:
        if left := tuple(filter(which, offer.product_types)):
            yield offer if left == offer.product_types else replace(offer, product_types=left)
