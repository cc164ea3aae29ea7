"""The record chain's format: what is hashed, what is signed, and which file holds what.

    public-key.pem                        verifies everything below, on any machine
    chain.sqlite                          the records, each sealed
    head.json                             where the chain ends, signed, apart from the database
    records/000001.json                   each sealed record once more, as a file
    certificates/certificate-000001.json  for a verified record: what is said of it, signed
    certificates/certificate-000001.pdf   the same for people; the JSON holds its digest

A record is hashed and signed as the text it was stored as, never as what this version would make of it, and
documents are verified field by field as they stand: a later version that adds fields still verifies old chains.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import msgspec

from station.errors import InputRejected, RecordsBroken, StorageError
from station.model.base import Message
from station.model.record import Record, SealedRecord

FIRST = "0" * 64
"""What stands for "the digest before" in the first record."""

ELSEWHERE = "If they are a station's that keeps them elsewhere, name its directory: --state DIRECTORY."
"""What to do where there are no records."""

MAX_SIZE = 1 << 20
"""No record, document or PDF of ours is larger, in bytes; what is larger is not read."""

MAX_SECONDS = 600.0
"""Computing on one look at a chain; one of 100 000 records takes a tenth of it. Who reads slowly is not counted."""

_STEPS = 10_000
"""SQLite's instructions between two looks at the clock: some milliseconds."""
_MAX_RULES = 100
"""No version has more tables, indices and triggers."""

_encoder = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class ChainFiles:
    """The names in one chain's directory."""

    path: Path

    @property
    def public_key(self) -> Path:
        """The key that verifies the chain, PEM."""
        return self.path / "public-key.pem"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.path / "chain.sqlite"

    @property
    def head(self) -> Path:
        """The signed ChainHead."""
        return self.path / "head.json"

    @property
    def records(self) -> Path:
        """Directory of the records as files."""
        return self.path / "records"

    @property
    def certificates(self) -> Path:
        """Directory of the certificates."""
        return self.path / "certificates"

    def record(self, number: int) -> Path:
        """A record's file."""
        return self.records / f"{number:06d}.json"

    def certificate(self, number: int) -> Path:
        """The certificate of a record, as signed JSON."""
        return self.certificates / f"certificate-{number:06d}.json"

    def pdf(self, number: int) -> Path:
        """The same certificate as PDF."""
        return self.certificates / f"certificate-{number:06d}.pdf"


def migrations() -> list[str]:
    """The numbered SQL scripts, in order: the n-th brings a database to `user_version` n."""
    scripts = resources.files("station.adapters") / "migrations"
    return [script.read_text() for script in sorted(scripts.iterdir(), key=lambda script: script.name)]


def digest(previous: str, number: int, payload: str) -> str:
    """SHA-256(previous digest, 32 bytes ‖ number, 8 bytes big-endian ‖ payload, UTF-8), hex."""
    return hashlib.sha256(bytes.fromhex(previous) + number.to_bytes(8, "big") + payload.encode()).hexdigest()


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no white space: what is hashed and signed."""
    return _encoder.encode(value)


def to_file(value: object) -> bytes:
    """The same JSON as it stands in a file: one field a line. There is exactly one way to write a value."""
    return msgspec.json.format(canonical(value), indent=2) + b"\n"


def signed_part(document: Message) -> bytes:
    """What a document's signature covers: every field but `signature`."""
    fields = msgspec.to_builtins(document)
    del fields["signature"]
    return canonical(fields)


def read_file(path: Path) -> bytes:
    """A whole file. Raises InputRejected when it is absent, unreadable or larger than anything of ours."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe may never end
            raise InputRejected(f"{path.name} is not a plain file.")
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        raise InputRejected(f"{path.name} is missing.") from None
    except OSError as error:
        raise InputRejected(f"{path.name} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_SIZE:
        raise InputRejected(f"{path.name} is too large to be one of the station's files.")
    return data


def connect(files: ChainFiles) -> sqlite3.Connection:
    """Open the database to look at it. Writes nothing, so evidence on a write-protected medium can be read too.

    Nobody knows who made it: look at nothing in it before `require_rules`. Whatever is in it, a look that takes
    too much is interrupted, with a sqlite3.OperationalError.

    Raises:
        StorageError: it is not there, or cannot be opened.
    """
    beside = [files.database.with_name(files.database.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]
    database, wal, *_ = beside
    if not database.exists():
        raise StorageError(f"There are no records to read in {files.path}.", remedy=ELSEWHERE)
    # Without a write-ahead log nobody has the database open, and `immutable` reads it without leaving anything
    # beside it. With one, SQLite must be allowed to read that log: the newest records are in it.
    mode = "mode=ro" if wal.exists() else "mode=ro&immutable=1"
    if any(path.exists() and not path.is_file() for path in beside):  # opening a pipe may never end
        raise StorageError(f"There are no records to read in {files.path}: the database is not a plain file.")
    try:
        connection = sqlite3.connect(f"file:{quote(str(files.database))}?{mode}", uri=True, timeout=5)
    except sqlite3.Error as error:
        raise StorageError(f"There are no records to read in {files.path}: {error}.") from error
    end = time.thread_time() + MAX_SECONDS
    connection.set_progress_handler(lambda: time.thread_time() > end, _STEPS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_SIZE)
    connection.row_factory = sqlite3.Row
    return connection


def require_rules(database: sqlite3.Connection) -> None:
    """Return if the database is made as the station makes it: what looks like a table may be a view without end.

    Raises:
        RecordsBroken: it is not.
        sqlite3.Error, UnicodeDecodeError: it cannot be read.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    scripts = migrations()
    if not 0 < version <= len(scripts):
        raise RecordsBroken(f"The database is of version {version}, which this program does not know.")
    with closing(sqlite3.connect(":memory:")) as fresh:
        for script in scripts[:version]:
            fresh.executescript(script)
        expected = _rules(fresh)
    if _rules(database) != expected:
        raise RecordsBroken("The database's own rules (tables, triggers) were changed.")


def _rules(database: sqlite3.Connection) -> list[tuple[object, ...]]:
    found = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    return [tuple(row) for row in found.fetchmany(_MAX_RULES)]


def read(files: ChainFiles, *, newest: int | None = None, number: int | None = None) -> Iterator[SealedRecord]:
    """The chain's records in order, unverified: all, the newest so many, or the one with that number.

    Raises:
        StorageError: the database cannot be read.
        RecordsBroken: it is not made as the station makes it.
    """
    where = "number = :number" if number is not None else "true"
    query = f"SELECT * FROM (SELECT * FROM record WHERE {where} ORDER BY number DESC LIMIT :limit) ORDER BY number"  # noqa: S608 - both texts are ours
    with closing(connect(files)) as connection:
        try:
            require_rules(connection)
            for row in connection.execute(query, {"number": number, "limit": -1 if newest is None else newest}):
                yield sealed_of(row)
        except (sqlite3.Error, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise StorageError(f"The records in {files.path} cannot be read: {error}.") from error


def record_of(sealed: SealedRecord) -> Record:
    """The record in a seal. Raises RecordsBroken when this version cannot read it."""
    try:
        return msgspec.json.decode(sealed.payload, type=Record)
    except (ValueError, RecursionError):
        raise RecordsBroken(f"Record {sealed.number} is not one that this version can read.") from None


def sealed_of(row: sqlite3.Row) -> SealedRecord:
    """A database row as a sealed record. Raises msgspec.ValidationError when it is none."""
    fields = {name: row[name] for name in row.keys() if name != "job"}  # noqa: SIM118 - a Row iterates over its values
    return msgspec.convert(fields, SealedRecord)
