"""What came of the station's chores: STATE/upkeep/CHORE.json, written by whoever did it, read by whoever tells."""

from contextlib import suppress
from pathlib import Path

import msgspec

from station.adapters import durable
from station.errors import StorageError
from station.model.upkeep import Chore, ChoreNote

_decoder = msgspec.json.Decoder(ChoreNote)


class Notes:
    """The notes of one station. Every call blocks for as long as the disk takes."""

    def __init__(self, state: Path) -> None:
        """Look at nothing yet."""
        self._path = state / "upkeep"

    def keep(self, note: ChoreNote) -> None:
        """Write a note down in place of the one before. Raises StorageError."""
        try:
            self._path.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"What came of it could not be written down: {error.strerror}.") from error
        durable.write(self._path / f"{note.chore.value}.json", msgspec.json.encode(note))

    def of(self, chore: Chore) -> ChoreNote | None:
        """The last note of a chore; None: there is none that can be read."""
        with suppress(OSError, ValueError):
            return _decoder.decode((self._path / f"{chore.value}.json").read_bytes())
        return None

    def forget(self, chore: Chore) -> None:
        """There is nothing of it to tell any more. One that cannot be removed is told on."""
        with suppress(OSError):
            (self._path / f"{chore.value}.json").unlink(missing_ok=True)

    def bad(self) -> tuple[Chore, ...]:
        """What ended badly the last time."""
        return tuple(chore for chore in Chore if (note := self.of(chore)) is not None and not note.good)
