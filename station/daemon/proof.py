"""Records and certificates as the loop wants them: one call, which may be made again."""

from collections.abc import Iterable
from pathlib import Path

import structlog

from station.adapters.certificate import issue
from station.adapters.chain import read, record_of
from station.adapters.history import History
from station.adapters.jobshelf import Finished
from station.adapters.records import RecordStore, chain_files
from station.adapters.signing import DemonstrationKey, StationKey
from station.core.quarantine import Quarantine
from station.core.situation import Times
from station.errors import RecordsBroken, Refused
from station.model.record import Record
from station.model.release import Release

log = structlog.get_logger(__name__)


class RecordedProof:
    """The record chain, and the certificates of what was verified."""

    def __init__(self, state: Path, store: RecordStore | None, trouble: str) -> None:
        self._state = state
        self.trouble = trouble
        self._store = store
        self._history: History | None = None

    @classmethod
    async def open(cls, state: Path) -> "RecordedProof":
        """Open the records. Broken ones are no reason not to start, but no phone is wiped with them.

        Raises:
            StorageError: the disk is full, read-only or failing.
        """
        try:
            return cls(state, await RecordStore.open(state), "")
        except RecordsBroken as error:
            log.critical("records broken", error=str(error))
            return cls(state, None, f"{error} {error.remedy}".strip())

    async def write(self, record: Record) -> Finished:
        """Append a record; issue its certificate, if it deserves one."""
        if self._store is None:
            raise RecordsBroken(self.trouble)
        sealed = await self._store.append(record)
        certificate, code = None, ""
        try:
            issued = await issue(self._store, sealed)
            certificate, code = str(issued.pdf), issued.code
        except Refused as refused:
            log.info("no certificate", job=record.job, why=str(refused))
        written = record_of(sealed)
        if self._history is not None:
            self._history.add(written)
        return Finished(record=written, number=sealed.number, certificate=certificate, proof=code)

    def times(self) -> Times:
        """How long services took here of late. Blocks the first time: it reads the newest records.

        While a disk that fails does not let it, nothing is known of it.
        """
        if self._history is None:
            try:
                self._history = History.read(self._state)
            except OSError as error:
                log.warning("how long services took cannot be read", error=str(error))
                return History().times()
        return self._history.times()

    def quarantine(self, releases: Iterable[Release]) -> Quarantine:
        """Which phones are set aside, as both chains tell. Broken records tell nothing: then no job starts at all."""
        found = Quarantine()
        found.announce(releases)
        for kind in (StationKey, DemonstrationKey):
            files = chain_files(self._state, kind)
            if self._store is None or not files.database.exists():
                continue
            for sealed in read(files):
                try:
                    found.recorded(record_of(sealed))
                except RecordsBroken as error:
                    log.warning("a record cannot be read", number=sealed.number, error=str(error))
        return found

    async def close(self) -> None:
        """Close the records."""
        if self._store is not None:
            await self._store.close()
