"""Verifying a chain, offline: with the directory and the public key, on any machine, writing nothing.

Found is every difference from what was once written: in a record, its order, its neighbours, the head, the files
beside the database, the certificates, the database's own rules. Not found can be what leaves no difference: a
directory put back *whole* to an earlier day, or made anew by whoever holds the private key. Against the first
helps an anchor from outside: the number and digest on any certificate that somebody else holds (`Anchor`).
Against the second helps knowing the key's id from somewhere else.
"""

import hashlib
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from station.adapters import certificate, chain
from station.adapters.chain import ChainFiles
from station.adapters.listing import entries_of
from station.adapters.signing import PublicKey
from station.errors import InputRejected, RecordsBroken, StationError
from station.model.certificate import Certificate
from station.model.record import ChainHead, Record, SealedRecord

ATTEMPTS = 3
"""A running station may write between two looks; then it is looked again."""

MAX_FINDINGS = 1000
"""More are not listed: whoever makes a chain up could have them without end."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A record that somebody outside the station knows of: it must be in the chain."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `findings` are sentences; none means that the chain is as it was written."""

    key_id: str
    records: int
    certificates: int
    last: Anchor | None
    """Number and digest of the last record: what to note outside the station."""
    emulated: bool
    """Whether the chain is of virtual phones, and so proves nothing."""
    findings: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(directory: Path, key: PublicKey, *, anchors: tuple[Anchor, ...] = ()) -> Report:
    """Verify one chain's directory. Never raises for what it finds: everything is in the report."""
    files = ChainFiles(directory)
    for _ in range(ATTEMPTS):
        before = _bytes(files.head)
        audit = _Audit(files, key, anchors)
        report = audit.run()
        if report.good or _bytes(files.head) == before:
            break
    return report


def anchor_of(path: Path, key: PublicKey, files: ChainFiles) -> Anchor:
    """What a certificate that somebody holds (JSON or PDF) says about the chain.

    Raises:
        InputRejected: the file cannot be read, or it is a PDF that no certificate in the chain's directory is about.
        RecordsBroken: it was not signed with this key, or was changed.
        OSError: the chain's certificates cannot be looked through.
    """
    if path.suffix.lower() != ".pdf":
        held = key.read_document(path, Certificate)
        return Anchor(held.record, held.digest)
    # A PDF carries no signature of its own; the signed JSON that the station keeps holds its digest.
    digest = hashlib.sha256(chain.read_file(path)).hexdigest()
    for candidate in sorted(entries_of(files.certificates, missing_ok=True)):
        if candidate.suffix != ".json":
            continue
        with suppress(RecordsBroken):  # a broken one is for the report
            kept = key.read_document(candidate, Certificate)
            if kept.pdf_sha256 == digest:
                return Anchor(kept.record, kept.digest)
    raise InputRejected(
        f"{path.name} is none of the PDFs that this station made, or it was changed.",
        remedy="Compare the record number and digest printed on it, with --expect-head.",
    )


class _Audit:
    """One look at one chain."""

    def __init__(self, files: ChainFiles, key: PublicKey, anchors: tuple[Anchor, ...]) -> None:
        self._files = files
        self._key = key
        self._wanted = set(anchors)
        self._findings: list[str] = []
        self._last = Anchor(0, chain.FIRST)
        self._kinds: set[bool] = set()
        self._expected_files: set[Path] = set()
        self._certificates = 0
        self._before_last = self._last

    def run(self) -> Report:
        self._file(self._files.public_key, self._key.pem, "is not the key that the records are checked with")
        try:
            with closing(chain.connect(self._files)) as database:
                chain.require_rules(database)
                self._database(database)
        except RecordsBroken as error:  # whatever else is in there, it is not what the station wrote
            self._find(str(error))
            return self._report()
        except (sqlite3.Error, StationError, UnicodeDecodeError) as error:  # the last: a broken name of a column
            self._find(f"The records cannot be read to their end: {error}")
        if len(self._kinds) > 1:
            self._find("Records of real and of emulated phones are mixed in one chain.")
        self._head()
        self._unexpected_files()
        for anchor in self._wanted:
            self._find(f"Record {anchor.number}, known from outside, is not here: the chain was cut off or put back.")
        return self._report()

    def _report(self) -> Report:
        return Report(
            key_id=self._key.id,
            records=self._last.number,
            certificates=self._certificates,
            last=self._last if self._last.number else None,
            emulated=True in self._kinds,
            findings=tuple(self._findings),
        )

    def _find(self, words: str) -> None:
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(words)
        elif len(self._findings) == MAX_FINDINGS:
            self._findings.append(f"There is more, beyond these {MAX_FINDINGS}.")

    def _database(self, database: sqlite3.Connection) -> None:
        try:
            verdicts = [row[0] for row in database.execute("PRAGMA integrity_check(3)")]
        except sqlite3.DatabaseError as error:  # the records may be readable all the same
            verdicts = [error]
        if verdicts != ["ok"]:
            self._find(f"The database is damaged: {'; '.join(map(str, verdicts))}.")
        database.text_factory = lambda raw: raw.decode(errors="replace")  # a broken letter is a finding, not the end
        for row in database.execute("SELECT * FROM record ORDER BY number"):
            try:
                self._record(chain.sealed_of(row), row["job"])
            except (msgspec.ValidationError, IndexError):
                self._find(f"After record {self._last.number} stands something that is no record.")

    def _record(self, sealed: SealedRecord, job: object) -> None:
        number = sealed.number
        if number != self._last.number + 1:
            self._find(f"Record {number} follows record {self._last.number}: what was between is gone.")
        if sealed.previous != self._last.digest:
            self._find(f"Record {number} was not written after the record that stands before it.")
        self._before_last, self._last = self._last, Anchor(number, sealed.digest)
        known = {anchor for anchor in self._wanted if anchor.number == number}
        if known - {self._last}:
            self._find(f"Record {number} is not the one known from outside: its digest differs.")
        self._wanted -= known
        self._file(self._files.record(number), chain.to_file(sealed), "is not what the database holds")
        try:
            self._key.require_sealed(sealed)
            record = chain.record_of(sealed)
        except RecordsBroken as error:
            self._find(str(error))
            return
        if job != record.job:
            self._find(f"Record {number} is filed under a wrong job.")
        self._kinds.add(record.emulated)
        self._certificate(sealed, record)

    def _file(self, path: Path, expected: bytes, otherwise: str) -> None:
        self._expected_files.add(path)
        try:
            if chain.read_file(path) != expected:
                self._find(f"{path.name} {otherwise}.")
        except InputRejected as error:
            self._find(str(error))

    def _certificate(self, sealed: SealedRecord, record: Record) -> None:
        path, pdf = self._files.certificate(sealed.number), self._files.pdf(sealed.number)
        if certificate.refusal(record):
            return  # should there be one all the same, it is an unexpected file
        self._expected_files |= {path, pdf}
        try:
            held = self._key.read_document(path, Certificate)
            if (held.record, held.digest, held.emulated) != (sealed.number, sealed.digest, record.emulated):
                self._find(f"{path.name} is the certificate of another record.")
            if hashlib.sha256(chain.read_file(pdf)).hexdigest() != held.pdf_sha256:
                self._find(f"{pdf.name} is not the PDF that was issued.")
            self._certificates += 1
        except (InputRejected, RecordsBroken) as error:
            self._find(str(error))

    def _head(self) -> None:
        path = self._files.head
        if not self._last.number and not path.exists():
            return
        try:
            head = self._key.read_document(path, ChainHead)
        except (InputRejected, RecordsBroken) as error:
            self._find(str(error))
            return
        at = Anchor(head.count, head.digest)
        if at == self._last:
            return
        if at == self._before_last:
            self._find(
                f"{path.name} is one record behind: the station was cut off while writing, which it mends when it "
                "starts, or the file was put back."
            )
        elif at.number > self._last.number:
            self._find(f"{at.number} records were written, but the chain ends with number {self._last.number}.")
        else:
            self._find(f"{path.name} does not belong to the last record.")

    def _unexpected_files(self) -> None:
        for directory in (self._files.records, self._files.certificates):
            try:
                there = entries_of(directory, missing_ok=True)
            except OSError as error:
                self._find(f"The directory “{directory.name}” cannot be looked through: {error.strerror}.")
                continue
            for path in sorted(there):
                # A dot file is what a power cut leaves of a write; it was never part of the records.
                if path not in self._expected_files and not path.name.startswith("."):
                    self._find(f"{path.name} belongs to no record.")


def _bytes(path: Path) -> bytes:
    try:
        return chain.read_file(path)
    except InputRejected:
        return b""
