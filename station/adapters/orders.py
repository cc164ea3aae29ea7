"""Standing orders on the disk: the one that holds, and those that are over with their reports.

STATE/orders/ORDER.json           the order and what has become of it, written before each consent of it is used
STATE/orders/ORDER.report.json    what came of it, from the records, when it is over; for programs
STATE/orders/ORDER.report.txt     the same for people
"""

from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from station.adapters import chain, durable
from station.adapters.listing import entries_of
from station.adapters.order_report import report_of, text_of
from station.adapters.records import chain_files
from station.adapters.signing import key_type
from station.errors import StationError, StorageError
from station.model.base import Message
from station.model.order import OrderNote, OrderResult
from station.model.record import Record, SealedRecord

KEPT = 50
"""Orders that are over, with their reports; older ones are deleted. The records stay."""
MAX_BYTES = 4 << 20
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

log = structlog.get_logger(__name__)


class _Kept(Message, frozen=True, kw_only=True):
    """A note as it lies on the disk."""

    boot: str
    """During which boot of the machine it was written: only then `until` means something."""
    note: OrderNote


_decoder = msgspec.json.Decoder(_Kept)


class OrderShelf:
    """Written by the daemon alone, read by whoever may read the state directory. Every call blocks for the disk."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._path = state / "orders"

    def save(self, note: OrderNote) -> None:
        """Put a note on the disk; before that of a closed one, its report. Raises StorageError."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be made: {error.strerror}.") from error
        if note.closed:
            self._write_report(note)
        kept = _Kept(boot=_boot(), note=note)
        durable.write(self._path / f"{note.id}.json", msgspec.json.encode(kept), mode=0o600)
        if note.closed:
            self._prune()

    def holding(self) -> tuple[OrderNote, bool] | None:
        """The order that is not over, and whether the machine has run ever since; None: there is none.

        Raises:
            StorageError: the orders cannot be looked through.
        """
        for path in self._notes():
            kept = _read(path)
            if kept is not None and not kept.note.closed:
                return kept.note, kept.boot == _boot()
        return None

    def newest(self) -> OrderNote | None:
        """The order that was given last; None: there never was one, or it was deleted. Raises as `holding`."""
        kept = next((kept for path in self._notes() if (kept := _read(path)) is not None), None)
        return None if kept is None else kept.note

    def records(self, note: OrderNote) -> dict[OrderResult, Record]:
        """The records of an order's jobs, from the chain. What cannot be read is left out."""
        found = {}
        for result in note.results:
            files = chain_files(self._state, key_type(emulated=result.emulated))
            with suppress(StationError, ValueError):
                sealed = msgspec.json.decode(chain.read_file(files.record(result.record)), type=SealedRecord)
                found[result] = chain.record_of(sealed)
        return found

    def _write_report(self, note: OrderNote) -> None:
        report = report_of(note, self.records(note))
        data = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
        durable.write(self._path / f"{note.id}.report.json", data, mode=0o640)
        durable.write(self._path / f"{note.id}.report.txt", text_of(report).encode(), mode=0o640)

    def _notes(self) -> list[Path]:
        """The files of all orders, newest first. Raises StorageError."""
        try:
            found = entries_of(self._path, missing_ok=True)
        except OSError as error:
            raise StorageError(f"The standing orders cannot be read: {error.strerror}.") from error
        notes = [path for path in found if path.name.endswith(".json") and not path.name.endswith(".report.json")]
        return sorted(notes, key=_written, reverse=True)

    def _prune(self) -> None:
        """Delete old ones. What a failing disk keeps goes the next time: the new one is written all the same."""
        try:
            for path in self._notes()[KEPT:]:
                for old in (path, *(path.with_name(f"{path.stem}.report{suffix}") for suffix in (".json", ".txt"))):
                    old.unlink(missing_ok=True)
        except (StorageError, OSError) as error:
            log.warning("old standing orders not deleted", error=str(error))


def _read(path: Path) -> _Kept | None:
    """A note; None when the file is none of ours: no order holds because of it."""
    try:
        with path.open("rb") as file:
            return _decoder.decode(file.read(MAX_BYTES))
    except (OSError, ValueError) as error:
        log.warning("a standing order cannot be read", path=str(path), error=str(error))
        return None


def _written(path: Path) -> float:
    """When, in seconds since the epoch; 0 for a file that was deleted since it was listed."""
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _boot() -> str:
    return BOOT_ID.read_text().strip()
