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
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from station.errors import InputRejected, RecordsBroken, StorageError
from station.model.base import Message
from station.model.record import Record, SealedRecord

FIRST = "0" * 64
"""What stands for "the digest before" in the first record."""

MAX_SIZE = 1 << 20
"""No record, document or PDF of ours is larger, in bytes; what is larger is not read."""

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

    Raises:
        StorageError: it is not there, or cannot be opened.
    """
    # Without a write-ahead log nobody has the database open, and `immutable` reads it without leaving anything
    # beside it. With one, SQLite must be allowed to read that log: the newest records are in it.
    mode = "mode=ro" if files.database.with_name(f"{files.database.name}-wal").exists() else "mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(f"file:{quote(str(files.database))}?{mode}", uri=True, timeout=5)
    except sqlite3.Error as error:
        raise StorageError(f"There are no records to read in {files.path}: {error}.") from error
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_SIZE)
    connection.row_factory = sqlite3.Row
    return connection


def read(files: ChainFiles, *, newest: int | None = None, number: int | None = None) -> Iterator[SealedRecord]:
    """The chain's records in order, unverified: all, the newest so many, or the one with that number.

    Raises:
        StorageError: the database cannot be read.
    """
    where = "number = :number" if number is not None else "true"
    query = f"SELECT * FROM (SELECT * FROM record WHERE {where} ORDER BY number DESC LIMIT :limit) ORDER BY number"  # noqa: S608 - both texts are ours
    with closing(connect(files)) as connection:
        try:
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
