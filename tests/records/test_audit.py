"""Verification finds whatever is not as it was written, and stays silent about what is."""

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from station.adapters import audit, chain
from station.adapters.audit import Anchor
from station.adapters.chain import FIRST, ChainFiles
from station.adapters.records import chain_files
from station.adapters.signing import DemonstrationKey, PublicKey, StationKey
from station.errors import InputRejected, RecordsBroken
from station.model.certificate import Certificate
from station.model.record import ChainHead
from tests.disks import unlistable
from tests.records.conftest import RECORDS
from tests.records.damage import zero_an_index
from tests.records.samples import failed, record

ON_ONE_COPY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
"""Every example puts back what it changed, so that one copy serves them all."""


def found(files: ChainFiles, key: PublicKey, *anchors: Anchor) -> str:
    return "\n".join(audit.verify(files.path, key, anchors=anchors).findings)


@contextmanager
def changed(path: Path, data: bytes):
    """The file with other content, for a while."""
    kept = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(kept)


def edit(files: ChainFiles, script: str, *values: object) -> None:
    """Change the database as somebody with a database tool would, and put its triggers back."""
    with closing(sqlite3.connect(files.database, isolation_level=None)) as database:
        triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for statement in script.split(";"):
            database.execute(statement, values if "?" in statement else ())
        for _, sql in triggers:
            database.execute(sql)
        database.execute("COMMIT")


def insert(files: ChainFiles, job: str, sealed) -> None:
    with closing(sqlite3.connect(files.database)) as database:
        database.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)",
            (sealed.number, job, sealed.previous, sealed.payload, sealed.digest, sealed.key_id, sealed.signature),
        )
        database.commit()


def test_an_unchanged_chain_is_good(files, key):
    report = audit.verify(files.path, key)
    assert report.good
    assert (report.records, report.certificates, report.emulated, report.key_id) == (4, 2, False, key.id)
    assert report.last
    assert audit.verify(files.path, key, anchors=(report.last, Anchor(1, next(chain.read(files)).digest))).good


def test_verifying_writes_nothing(files, key):
    before = {path: path.stat().st_mtime_ns for path in files.path.rglob("*")}
    assert audit.verify(files.path, key).good
    assert {path: path.stat().st_mtime_ns for path in files.path.rglob("*")} == before


async def test_a_station_at_work_can_be_verified(opened, state, files, key):
    async with opened(state) as store:
        await store.append(failed("job-5"))
        report = audit.verify(files.path, key)  # the newest record is still in the write-ahead log only
    assert report.good
    assert report.records == 5


def test_every_byte_of_a_signed_document_counts(files, key, monkeypatch):
    for path, kind in ((files.head, ChainHead), (files.certificate(4), Certificate)):
        whole = path.read_bytes()
        for at in range(len(whole)):
            other = bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]])
            monkeypatch.setattr(chain, "read_file", lambda _, other=other: other)  # thousands of files take seconds
            with pytest.raises(RecordsBroken):
                key.read_document(path, kind)


@pytest.mark.system  # takes seconds
@ON_ONE_COPY
@given(st.data())
def test_every_byte_of_every_file_counts(files, key, data):
    written = list(chain.read(files))
    names = sorted(path for path in files.path.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(names))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    with changed(path, bytes([*whole[:at], whole[at] ^ flip, *whole[at + 1 :]])):
        if not found(files, key):
            # A database has bytes that mean nothing: counters, free space.
            assert path == files.database
            assert list(chain.read(files)) == written


@pytest.mark.system  # takes seconds
@ON_ONE_COPY
@given(st.data())
def test_every_letter_in_the_database_counts(files, key, data):
    with closing(sqlite3.connect(files.database)) as database:
        rows = database.execute("SELECT job, previous, payload, digest, key_id, signature FROM record").fetchall()
    number = data.draw(st.integers(1, len(rows)))
    column = data.draw(st.sampled_from(range(6)))
    name = ("job", "previous", "payload", "digest", "key_id", "signature")[column]
    text = rows[number - 1][column]
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from([text[at].swapcase(), chr(ord(text[at]) ^ 1), "", f"{text[at]} "]))
    other = f"{text[:at]}{letter}{text[at + 1 :]}"
    assume(other not in [row[column] for row in rows])  # nothing changed, or the database itself refuses it
    whole = files.database.read_bytes()
    with changed(files.database, whole):
        edit(files, f"UPDATE record SET {name} = ? WHERE number = {number}", other)
        assert found(files, key)


@pytest.mark.system  # takes seconds
@ON_ONE_COPY
@given(st.data())
def test_a_file_cut_short_or_gone_is_found(files, key, data):
    names = sorted(path for path in files.path.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(names))
    whole = path.read_bytes()
    with changed(path, whole[: data.draw(st.integers(0, len(whole) - 1))]):
        assert found(files, key)
        path.unlink()
        assert f"{path.name} is missing" in found(files, key) or path == files.database


SWAP_2_AND_3 = """
    UPDATE record SET number = CASE number WHEN 2 THEN -3 ELSE -2 END WHERE number IN (2, 3);
    UPDATE record SET number = -number WHERE number < 0
"""


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("DELETE FROM record WHERE number = 1", "Record 2 follows record 0"),
        ("DELETE FROM record WHERE number = 2", "Record 3 follows record 1"),
        ("DELETE FROM record WHERE number = 4", "4 records were written, but the chain ends with number 3"),
        ("DELETE FROM record WHERE number > 1", "4 records were written, but the chain ends with number 1"),
        ("DELETE FROM record", "4 records were written, but the chain ends with number 0"),
        ("UPDATE record SET number = 9 WHERE number = 3", "Record 4 follows record 2"),
        (
            SWAP_2_AND_3,
            "Record 2 was not written after the record that stands before it",
        ),
        ("UPDATE record SET job = 'other' WHERE number = 2", "filed under a wrong job"),
        ("UPDATE record SET key_id = '0000000000000000' WHERE number = 2", "names another key"),
        ("CREATE TABLE other (n INTEGER)", "own rules"),
        ("PRAGMA user_version = 0", "version 0"),
        ("PRAGMA user_version = 99", "version 99"),
    ],
)
def test_what_was_done_to_the_database_is_named(files, key, script, words):
    edit(files, script)
    assert words in found(files, key)


def test_damage_to_what_no_record_is_read_from_is_found(files, key):
    zero_an_index(files)
    assert "The database is damaged" in found(files, key)


def test_a_broken_letter_is_a_finding_and_not_the_end(files, key):
    edit(files, "UPDATE record SET payload = CAST(x'ff' AS TEXT) WHERE number = 2")
    report = audit.verify(files.path, key)
    assert report.records == 4
    assert "Record 2 is not what was sealed: its digest differs." in report.findings


def test_a_missing_trigger_is_found(files, key):
    with closing(sqlite3.connect(files.database)) as database:
        database.execute("DROP TRIGGER record_never_changes")
    assert found(files, key) == "The database's own rules (tables, triggers) were changed."


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"


def test_nothing_is_read_from_what_only_looks_like_the_table(files, key):
    with closing(sqlite3.connect(files.database)) as database:
        database.executescript(
            f"DROP TABLE record; CREATE VIEW record AS {ENDLESS} i AS number, 'j' AS job, '' AS previous,"
            " '' AS payload, '' AS digest, '' AS key_id, '' AS signature FROM n;"
        )
    assert found(files, key) == "The database's own rules (tables, triggers) were changed."
    for one in ({}, {"newest": 1}, {"number": 1}):
        with pytest.raises(RecordsBroken):
            next(chain.read(files, **one))


def test_a_look_without_end_is_interrupted(files, monkeypatch):
    monkeypatch.setattr(chain, "MAX_SECONDS", 0.05)
    with closing(chain.connect(files)) as database, pytest.raises(sqlite3.OperationalError, match="interrupted"):
        database.execute(f"{ENDLESS} max(i) FROM n").fetchone()


def test_findings_are_not_listed_without_end(files, key, monkeypatch):
    monkeypatch.setattr(audit, "MAX_FINDINGS", 2)
    for number in range(5):
        (files.records / f"{number}.txt").touch()
    *listed, last = audit.verify(files.path, key).findings
    assert (len(listed), last) == (2, "There is more, beyond these 2.")


@pytest.mark.parametrize("name", ["head.json", "chain.sqlite", "chain.sqlite-wal", "records/000001.json"])
def test_a_pipe_keeps_nobody_waiting(files, key, name):
    path = files.path / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert "is not a plain file" in found(files, key)


def test_a_huge_value_is_not_read(files, key):
    edit(files, f"UPDATE record SET payload = zeroblob(1) || hex(zeroblob({chain.MAX_SIZE})) WHERE number = 2")
    assert "cannot be read to their end" in found(files, key)


def test_a_record_inserted_by_a_stranger_is_found(files, key, tmp_path):
    StationKey.make(tmp_path)
    stranger = StationKey.read(tmp_path)
    *_, last = chain.read(files)
    forged = stranger.seal(record("forged"), number=5, previous=last.digest)
    insert(files, "forged", forged)
    files.record(5).write_bytes(chain.to_file(forged))
    files.head.write_bytes(chain.to_file(stranger.sign_head(station="S", count=5, digest=forged.digest)))
    words = found(files, key)
    assert f"Record 5 names another key: {stranger.public.id}" in words
    assert f"head.json is not what the key {key.id} has signed" in words


def test_a_chain_made_anew_by_a_stranger_is_not_this_stations(files, key, tmp_path):
    StationKey.make(tmp_path)
    stranger = StationKey.read(tmp_path)
    edit(files, "DELETE FROM record")
    for path in [*files.records.iterdir(), *files.certificates.iterdir()]:
        path.unlink()
    previous = FIRST
    for number, each in enumerate((failed("x"), failed("y")), start=1):
        sealed = stranger.seal(each, number=number, previous=previous)
        insert(files, each.job, sealed)
        files.record(number).write_bytes(chain.to_file(sealed))
        previous = sealed.digest
    files.head.write_bytes(chain.to_file(stranger.sign_head(station="S", count=2, digest=previous)))
    files.public_key.write_bytes(stranger.public.pem)
    assert audit.verify(files.path, stranger.public).good  # only the key tells
    assert "public-key.pem is not the key that the records are checked with" in found(files, key)


def test_real_and_emulated_records_in_one_chain_are_found(files, key, tmp_path, monkeypatch, state):
    *_, last = chain.read(files)
    signer = StationKey.read(state / "keys")
    monkeypatch.setattr(StationKey, "emulated", True)  # the rule that makes it impossible
    mixed = signer.seal(failed("mixed", emulated=True), number=5, previous=last.digest)
    insert(files, "mixed", mixed)
    assert "mixed in one chain" in found(files, key)


def test_the_same_job_twice_is_found(files, key, state):
    *_, last = chain.read(files)
    again = StationKey.read(state / "keys").seal(RECORDS[1], number=5, previous=last.digest)
    insert(files, "another-job", again)
    assert "Record 5 is filed under a wrong job" in found(files, key)


def test_a_head_put_back_or_swapped_is_found(files, key, state):
    signer = StationKey.read(state / "keys")
    sealed = list(chain.read(files))
    behind = signer.sign_head(station="S", count=3, digest=sealed[2].digest)
    with changed(files.head, chain.to_file(behind)):
        assert "one record behind" in found(files, key)
    older = signer.sign_head(station="S", count=2, digest=sealed[1].digest)
    with changed(files.head, chain.to_file(older)):
        assert "does not belong to the last record" in found(files, key)
    with changed(files.head, files.certificate(1).read_bytes()):
        assert "head.json is not what the station wrote" in found(files, key)


def test_certificates_that_are_swapped_or_put_in_are_found(files, key):
    with changed(files.certificate(1), files.certificate(4).read_bytes()):
        assert "certificate-000001.json is the certificate of another record" in found(files, key)
    with changed(files.pdf(1), files.pdf(4).read_bytes()):
        assert found(files, key) == "certificate-000001.pdf is not the PDF that was issued."
    shutil.copy(files.certificate(1), files.certificate(2))
    assert found(files, key) == "certificate-000002.json belongs to no record."


def test_what_a_power_cut_leaves_of_a_write_is_no_record(files, key):
    (files.records / ".000005.json.part").write_bytes(b"{")
    assert found(files, key) == ""


def test_a_directory_that_cannot_be_looked_through_is_told(files, key, monkeypatch):
    """What no record is about may be in there."""
    unlistable(monkeypatch, files.records)
    assert found(files, key) == "The directory “records” cannot be looked through: Input/output error."
    unlistable(monkeypatch, files.certificates)
    with pytest.raises(OSError, match="Input/output error"):
        audit.anchor_of(files.pdf(4), key, files)


def test_a_whole_chain_put_back_is_found_by_an_anchor_only(files, key, pristine):
    signer = StationKey.read(pristine / "keys")
    sealed = list(chain.read(files))
    edit(files, "DELETE FROM record WHERE number > 3")
    for path in (files.record(4), files.certificate(4), files.pdf(4)):
        path.unlink()
    files.head.write_bytes(chain.to_file(signer.sign_head(station="S", count=3, digest=sealed[2].digest)))
    assert found(files, key) == ""
    assert "Record 4, known from outside, is not here" in found(files, key, Anchor(4, sealed[3].digest))
    held = chain_files(pristine, StationKey).certificate(4)
    assert audit.anchor_of(held, key, files) == Anchor(4, sealed[3].digest)


def test_an_anchor_of_another_chain_is_found(files, key):
    assert "Record 2 is not the one known from outside" in found(files, key, Anchor(2, "ab" * 32))


def test_a_certificate_that_somebody_holds_names_its_record(files, key, tmp_path):
    digest = list(chain.read(files))[3].digest
    for path in (files.certificate(4), files.pdf(4)):
        assert audit.anchor_of(path, key, files) == Anchor(4, digest)
    held = tmp_path / "held.json"
    held.write_bytes(files.certificate(4).read_bytes().replace(b"iPhone 12", b"iPhone 13"))
    with pytest.raises(RecordsBroken):
        audit.anchor_of(held, key, files)
    held = tmp_path / "held.PDF"
    held.write_bytes(files.pdf(4).read_bytes() + b"\n")
    files.certificate(1).write_bytes(b"{}")  # a broken one beside it is passed over
    with pytest.raises(InputRejected):
        audit.anchor_of(held, key, files)


def test_a_directory_without_records_is_told(key, tmp_path):
    words = found(ChainFiles(tmp_path), key)
    assert "There are no records to read" in words


async def test_a_demonstration_says_that_it_is_one(opened, tmp_path):
    async with opened(tmp_path) as store:
        await store.append(failed("a", emulated=True))
    files = chain_files(tmp_path, DemonstrationKey)
    report = audit.verify(files.path, PublicKey.read(files.public_key))
    assert report.good
    assert report.emulated


def test_a_new_chain_is_empty_and_good(files, key):
    edit(files, "DELETE FROM record")
    for path in [files.head, *files.records.iterdir(), *files.certificates.iterdir()]:
        path.unlink()
    report = audit.verify(files.path, key)
    assert report.good
    assert report.last is None


def test_a_station_that_writes_meanwhile_is_looked_at_again(files, key, state, monkeypatch):
    """Between two looks a record is appended: the first look sees its file, but not its row."""
    *_, last = chain.read(files)
    signer = StationKey.read(state / "keys")
    sealed = signer.seal(failed("job-5"), number=5, previous=last.digest)
    look = audit._Audit._unexpected_files

    def append_meanwhile(self):
        monkeypatch.setattr(audit._Audit, "_unexpected_files", look)
        insert(files, "job-5", sealed)
        files.record(5).write_bytes(chain.to_file(sealed))
        files.head.write_bytes(chain.to_file(signer.sign_head(station="S", count=5, digest=sealed.digest)))
        look(self)

    monkeypatch.setattr(audit._Audit, "_unexpected_files", append_meanwhile)
    report = audit.verify(files.path, key)
    assert report.good
    assert report.records == 5


def test_what_is_signed_today_can_be_read_by_a_version_with_more_fields(files, key):
    class Later(ChainHead, frozen=True, kw_only=True):
        news: str = ""

    assert key.read_document(files.head, Later).count == 4
