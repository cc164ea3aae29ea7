"""Releases from quarantine: one small file for each phone, with the newest word about it.

Which phones are set aside follows from the records. What is here says only which of their failures an operator has
looked into; a file that is lost sets a phone aside again.
"""

from pathlib import Path

import msgspec
import structlog

from station.adapters import durable
from station.adapters.chain import MAX_SIZE
from station.adapters.listing import entries_of
from station.errors import StorageError
from station.model.base import format_ecid
from station.model.release import Release

log = structlog.get_logger(__name__)


class Releases:
    """The releases, in the station's state directory. Calls block for milliseconds."""

    def __init__(self, state: Path) -> None:
        self._path = state / "releases"

    def keep(self, release: Release) -> None:
        """Make one durable; it takes the place of what was said of this phone before. Raises StorageError."""
        try:
            self._path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The release cannot be kept: {error.strerror}.") from error
        kind = "emulated-" if release.emulated else ""
        durable.write(self._path / f"{kind}{format_ecid(release.ecid)}.json", msgspec.json.encode(release))

    def all(self) -> list[Release]:
        """Every release that can be read: one that cannot leaves its phone set aside."""
        found = []
        try:
            there = sorted(path for path in entries_of(self._path, missing_ok=True) if path.suffix == ".json")
        except OSError as error:
            log.warning("the releases cannot be read: their phones stay set aside", error=str(error))
            return []
        for path in there:
            try:
                with path.open("rb") as file:
                    found.append(msgspec.json.decode(file.read(MAX_SIZE), type=Release))
            except (OSError, ValueError) as error:
                log.warning("a release cannot be read: its phone stays set aside", file=path.name, error=str(error))
        return found
