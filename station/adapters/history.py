"""How long services took at this station of late: from its own records, and nothing else."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

import msgspec

from station.adapters import chain
from station.adapters.listing import entries_of
from station.adapters.records import chain_files
from station.adapters.signing import key_type
from station.core.situation import Times
from station.errors import StationError
from station.model.record import Outcome, Record, SealedRecord
from station.model.service import Service

MAX_READ = 400
"""Of each chain the newest so many records are read when the daemon starts."""
LAST = 15
"""Of each service and model so many are kept: the median of them is what it usually takes."""
MAX_KINDS = 512
"""Services and models that are kept; one that was not seen for long is forgotten first."""

_Kind = tuple[Service, str, bool]


class History:
    """The last verified jobs by service and model; virtual phones, which are quicker, apart."""

    def __init__(self) -> None:
        self._took: dict[_Kind, deque[float]] = {}

    @classmethod
    def read(cls, state: Path) -> "History":
        """What the records in the station's state directory tell. Blocks. One that cannot be read tells nothing.

        Raises:
            OSError: they cannot be looked through.
        """
        history = cls()
        for emulated in (False, True):
            for record in _newest(state, emulated=emulated):
                history.add(record)
        return history

    def add(self, record: Record) -> None:
        """Take a record in, oldest first."""
        if record.outcome is not Outcome.VERIFIED:
            return
        facts = record.observed.facts or record.before
        models = {"", "" if facts is None else facts.product_type}
        for model in models:
            kind = (record.service, model, record.emulated)
            took = self._took.pop(kind, None) or deque(maxlen=LAST)
            took.append(record.duration_seconds)
            self._took[kind] = took
        while len(self._took) > MAX_KINDS:
            self._took.pop(next(iter(self._took)))

    def times(self) -> Times:
        """The medians."""
        return Times({kind: median(took) for kind, took in self._took.items()})


def _newest(state: Path, *, emulated: bool) -> Iterator[Record]:
    """The newest records of one chain, oldest first, from their files: the database is somebody else's by now."""
    files = chain_files(state, key_type(emulated=emulated))
    there = (path for path in entries_of(files.records, missing_ok=True) if path.suffix == ".json")
    for path in sorted(there)[-MAX_READ:]:
        with suppress(StationError, ValueError):
            yield chain.record_of(msgspec.json.decode(chain.read_file(path), type=SealedRecord))
