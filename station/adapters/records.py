"""The record store: one record for every job, appended once, sealed, and never changed.

A station has two chains that never meet, each in its own directory with its own key: `station` for real phones,
`demonstration` for emulated ones. So a station that was once shown with virtual phones still has a chain in
which every record is of a real one, and a verifier needs no rule about which records to skip.

Appending is one SQL statement, durable when it returns (WAL, synchronous=FULL). Then the record's file and the
head are written beside the database. A crash or a full disk between the two leaves them one record behind, and
nothing else does: opening, and every later append, brings them up first, or refuses when that is not the reason.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiosqlite
import msgspec

from station.adapters import chain, durable
from station.adapters.chain import ChainFiles, migrations
from station.adapters.signing import DemonstrationKey, PublicKey, SigningKey, StationKey, key_type
from station.errors import RecordsBroken, StorageError
from station.model.record import ChainHead, Record, SealedRecord


def chain_files(state: Path, key: type[SigningKey]) -> ChainFiles:
    """Where a key's chain lies in the station's state directory."""
    return ChainFiles(state / "proof" / key.name)


class RecordStore:
    """The station's records. Owned by one process, the daemon; others read the files."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._opening = asyncio.Lock()
        self._chains: dict[bool, Chain] = {}

    @classmethod
    async def open(cls, state: Path) -> "RecordStore":
        """Open the records in the station's state directory; what is not there yet is made.

        Raises:
            StorageError: the disk is full, read-only or failing.
            RecordsBroken: the records are not what was once written; no phone may be wiped before that is understood.
        """
        store = cls(state)
        try:
            await store._chain(emulated=False)
            if await asyncio.to_thread(chain_files(state, DemonstrationKey).path.exists):
                await store._chain(emulated=True)
        except BaseException:
            await store.close()
            raise
        return store

    async def append(self, record: Record) -> SealedRecord:
        """Seal a record into the chain of its kind. The same job again returns what it got the first time.

        The owner's name of the phone is left out: a chain that cannot forget must not learn it.

        Raises:
            StorageError: it may or may not be written; append it again.
            RecordsBroken: the chain is not what was once written.
            InputRejected: it holds values that no record can hold.
        """
        return await (await self._chain(emulated=record.emulated)).append(_nameless(record))

    def chain_of(self, sealed: SealedRecord) -> "Chain":
        """The chain that a record is in. Raises RecordsBroken when it is in none."""
        for candidate in self._chains.values():
            if candidate.key.public.id == sealed.key_id:
                candidate.key.public.require_sealed(sealed)
                return candidate
        raise RecordsBroken(f"Record {sealed.number} is of another station: its key is {sealed.key_id}.")

    async def close(self) -> None:
        """Close the databases."""
        for opened in self._chains.values():
            await opened.close()

    async def _chain(self, *, emulated: bool) -> "Chain":
        async with self._opening:
            if emulated not in self._chains:
                self._chains[emulated] = await Chain.open(self._state, key_type(emulated=emulated))
            return self._chains[emulated]


class Chain:
    """One chain: its key, its database, and the files beside it."""

    def __init__(self, files: ChainFiles, key: SigningKey, database: aiosqlite.Connection) -> None:
        self.files = files
        self.key = key
        self.writing = threading.Lock()
        """Held while files are written. A thread's lock: the writing goes on when the task that waits is cancelled."""
        self._database = database
        self._appending = asyncio.Lock()

    @classmethod
    async def open(cls, state: Path, kind: type[StationKey | DemonstrationKey]) -> "Chain":
        """Open one chain and bring its files up to its database. Raises as RecordStore.open."""
        files = chain_files(state, kind)
        key = await asyncio.to_thread(_prepare, files, state / "keys", kind)
        with _sqlite_errors(files):
            database = await aiosqlite.connect(files.database, isolation_level=None)
        opened = cls(files, key, database)
        try:
            with _sqlite_errors(files):
                await opened._migrate()
            await opened._settle()
        except BaseException:
            await opened.close()
            raise
        return opened

    async def append(self, record: Record) -> SealedRecord:
        """Append a record; see RecordStore."""
        async with self._appending:
            last = await self._settle()
            sealed = await self._sealed("WHERE job = ?", record.job)
            if sealed is None:
                number, previous = (last.number + 1, last.digest) if last else (1, chain.FIRST)
                sealed = await asyncio.to_thread(self.key.seal, record, number=number, previous=previous)
                row = {"job": record.job, **msgspec.to_builtins(sealed)}
                with _sqlite_errors(self.files):
                    await self._database.execute(
                        "INSERT INTO record (number, job, previous, payload, digest, key_id, signature)"
                        " VALUES (:number, :job, :previous, :payload, :digest, :key_id, :signature)",
                        row,
                    )
                await self._settle()
            return sealed

    async def close(self) -> None:
        """Close the database, once a running append is done."""
        async with self._appending:
            await self._database.close()

    async def _migrate(self) -> None:
        """Check the database and bring it to the newest version; each step is whole or did not happen."""
        await self._database.execute("PRAGMA synchronous = FULL")
        await self._database.execute("PRAGMA foreign_keys = ON")
        await self._database.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE, too, cannot delete
        await self._database.execute("PRAGMA journal_mode = WAL")
        verdict = [row[0] for row in await self._database.execute_fetchall("PRAGMA quick_check")]
        if verdict != ["ok"]:
            raise RecordsBroken(f"The database of records is damaged: {verdict[0]}.", remedy=_REMEDY)
        ((version,),) = await self._database.execute_fetchall("PRAGMA user_version")
        scripts = await asyncio.to_thread(migrations)
        if version > len(scripts):
            raise RecordsBroken("The records were written by a newer version of this program.", remedy="Update it.")
        for number, script in enumerate(scripts[version:], start=version + 1):
            await self._database.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")

    async def _settle(self) -> SealedRecord | None:
        """Bring the files beside the database up to its last record, and return that."""
        last = await self._sealed("ORDER BY number DESC LIMIT 1")
        await asyncio.to_thread(self._write_beside, last)
        return last

    async def _sealed(self, clause: str, *values: str) -> SealedRecord | None:
        with _sqlite_errors(self.files):
            self._database.row_factory = sqlite3.Row
            rows = await self._database.execute_fetchall(f"SELECT * FROM record {clause}", values)  # noqa: S608 - our own text
            return next((chain.sealed_of(row) for row in rows), None)

    def _write_beside(self, last: SealedRecord | None) -> None:
        with self.writing:
            head = self._read_head()
            at = (head.count, head.digest) if head else (0, chain.FIRST)
            if last is None:
                if head:
                    raise RecordsBroken(f"{head.count} records were written, and none is there.", remedy=_REMEDY)
                return
            self.key.public.require_sealed(last)
            if at == (last.number, last.digest):
                return
            if at != (last.number - 1, last.previous):
                raise RecordsBroken(
                    f"The records end with number {last.number}, but {at[0]} were written before.", remedy=_REMEDY
                )
            station = chain.record_of(last).station
            durable.write(self.files.record(last.number), chain.to_file(last))
            head = self.key.sign_head(station=station, count=last.number, digest=last.digest)
            durable.write(self.files.head, chain.to_file(head))

    def _read_head(self) -> ChainHead | None:
        if not self.files.head.exists():
            return None
        return self.key.public.read_document(self.files.head, ChainHead)


_REMEDY = "Keep the directory as it is, and run “station records verify” to see what is wrong."


def _nameless(record: Record) -> Record:
    replace = msgspec.structs.replace
    before = record.before and replace(record.before, name="")
    after = record.observed.facts and replace(record.observed.facts, name="")
    return replace(record, before=before, observed=replace(record.observed, facts=after))


def _prepare(files: ChainFiles, keys: Path, kind: type[StationKey | DemonstrationKey]) -> SigningKey:
    """Make what a new chain needs, and return its key."""
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.records.mkdir(parents=True, exist_ok=True)
        files.certificates.mkdir(exist_ok=True)
        for directory in (files.path, files.path.parent, keys.parent):
            durable.sync_directory(directory)
    except OSError as error:
        raise StorageError(f"The records' directory cannot be made: {error.strerror}.") from error
    if not files.public_key.exists():
        if not kind.path(keys).exists():
            kind.make(keys)
        durable.write(files.public_key, kind.read(keys).public.pem)
    key = kind.read(keys)
    if PublicKey.read(files.public_key).pem != key.public.pem:
        raise RecordsBroken(f"The {kind.name} key is not the one that its records were signed with.", remedy=_REMEDY)
    return key


@contextmanager
def _sqlite_errors(files: ChainFiles) -> Iterator[None]:
    """SQLite's words as the station's: what the disk cannot do, and what should not be."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"{files.database.name} cannot be used: {error}.", remedy="Look for space on the station's disk."
        ) from error
    except (sqlite3.DatabaseError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise RecordsBroken(f"The database of records is damaged: {error}.", remedy=_REMEDY) from error
