"""What the loop needs of the world. Each port has a real adapter; tests and demonstrations may have another."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from station.adapters.jobdir import JobDirectory
from station.adapters.jobshelf import Finished
from station.adapters.workers import Worker
from station.core.events import Moment, OperatorTold, SupplyTold
from station.core.quarantine import Quarantine
from station.core.situation import Times
from station.core.wants import Want
from station.model.api import Snapshot
from station.model.catalog import Offer
from station.model.firmware import Firmware
from station.model.lights import Lights
from station.model.order import OrderNote
from station.model.record import Record
from station.model.release import Release


class WorkerStarter(Protocol):
    """Starts workers: child processes, or systemd's units."""

    def start(self, directory: JobDirectory) -> Worker:
        """Start the worker of a job. Blocks for milliseconds. Raises StorageError when there is no process for it."""
        ...

    def adopt(self, directory: JobDirectory) -> Worker | None:
        """The living worker of a job that an earlier daemon started; None: there is none, and none will come."""
        ...

    def prepare(self) -> None:
        """Have a worker ready for the next job, where that makes it quicker. Blocks for milliseconds."""
        ...

    def close(self) -> None:
        """Let go what is ready. Workers that have a job go on."""
        ...


class Proof(Protocol):
    """Where records go."""

    trouble: str
    """Why no record can be written, so that no job may start; empty: they can."""

    async def write(self, record: Record) -> Finished:
        """Append a record, once for each job whatever happens; its number, and its certificate if it earned one.

        What comes back is the record as it is sealed: the one that an earlier daemon wrote, if it wrote one.

        Raises:
            StationError: it is not written; ask again later.
        """
        ...

    def times(self) -> Times:
        """How long services took here of late. Blocks the first time."""
        ...

    def quarantine(self, releases: Iterable[Release]) -> Quarantine:
        """Which phones are set aside, as the records and these releases tell. Blocks: it reads every record."""
        ...


class ReleaseKeeper(Protocol):
    """Where it is kept which failures an operator has looked into. The calls block."""

    def keep(self, release: Release) -> None:
        """Make one durable. Raises StorageError."""
        ...

    def all(self) -> list[Release]:
        """Every one there is."""
        ...


class FirmwareCheck(Protocol):
    """The firmware store, as far as a job needs it. The calls block."""

    def verify(self, firmware: Firmware) -> None:
        """Raise InputRejected when it is not as it was imported."""
        ...


class FirmwareShelf(FirmwareCheck, Protocol):
    """The firmware store, as far as the loop uses it. The calls block."""

    def every_for(self, product_type: str) -> Sequence[Firmware]:
        """All firmware for a model, the newest last."""
        ...

    def discard(self, name: str) -> str:
        """Delete one, by its directory's name; what to say of it. Raises Refused, StorageError."""
        ...


class Supplies(Protocol):
    """Who sees to it that firmware is there."""

    async def run(
        self, tell: Callable[[SupplyTold | OperatorTold], None], came: Callable[[Offer], Awaitable[None]]
    ) -> None:
        """Do so until cancelled.

        Args:
            tell: is told what is on its way.
            came: tells of what has come; awaited before `tell` is called again.
        """
        ...

    def needs(
        self, *, wants: frozenset[Want], models: frozenset[str], seen: frozenset[str], in_use: frozenset[str]
    ) -> None:
        """What is wanted now. Cheap: said again and again.

        Args:
            wants: for phones that are here.
            models: product types of phones that are here.
            seen: product types of phones that were here.
            in_use: directories of firmware that jobs use.
        """
        ...

    def ask(self) -> None:
        """Look for the newest now, and fetch it, for the models that are here."""
        ...

    def stop(self, build: str) -> None:
        """Do not fetch this build."""
        ...


class OrderKeeper(Protocol):
    """Where the standing order is kept. The calls block."""

    def save(self, note: OrderNote) -> None:
        """Put an order on the disk; a closed one with its report. Raises StorageError: it is not there."""
        ...

    def holding(self) -> tuple[OrderNote, bool] | None:
        """The order that is not over, and whether the machine has run ever since it was saved."""
        ...


class Face(Protocol):
    """Whoever shows the station: the socket, the lamps, systemd."""

    def light(self, lights: Lights) -> None:
        """Have the lamps show this; said again and again, mostly the same."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Show this."""
        ...


Clock = Callable[[], Moment]
"""Tells the time."""
