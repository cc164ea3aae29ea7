"""The store: what is appended stays, once, in order, whatever happens around it."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from contextlib import closing, suppress
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.adapters import audit, certificate, chain, durable
from station.adapters.chain import migrations
from station.adapters.records import RecordStore, chain_files
from station.adapters.signing import DemonstrationKey, PublicKey, StationKey
from station.errors import InputRejected, RecordsBroken, StorageError
from tests.records.conftest import RECORDS, opened_store
from tests.records.damage import zero_an_index
from tests.records.samples import failed, record


def verify(state, kind: type[StationKey | DemonstrationKey] = StationKey) -> audit.Report:
    files = chain_files(state, kind)
    return audit.verify(files.path, PublicKey.read(files.public_key))


async def test_a_job_is_recorded_once(opened, tmp_path):
    async with opened(tmp_path) as store:
        first = await store.append(failed("a"))
        second = await store.append(failed("b"))
        assert await store.append(failed("a", detail="told again")) == first
    async with opened(tmp_path) as store:
        assert await store.append(failed("a")) == first
        third = await store.append(failed("c"))
    assert [first.number, second.number, third.number] == [1, 2, 3]
    assert (first.previous, second.previous, third.previous) == (chain.FIRST, first.digest, second.digest)
    assert list(chain.read(chain_files(tmp_path, StationKey))) == [first, second, third]


async def test_appending_at_once_makes_one_chain(opened, tmp_path):
    async with opened(tmp_path) as store:
        jobs = [f"job-{number % 8}" for number in range(16)]
        sealed = await asyncio.gather(*(store.append(failed(job)) for job in jobs))
    assert sorted({each.number for each in sealed}) == list(range(1, 9))
    assert verify(tmp_path).records == 8


async def test_real_and_emulated_phones_never_meet(opened, tmp_path):
    async with opened(tmp_path) as store:
        real = await store.append(failed("a"))
        assert not chain_files(tmp_path, DemonstrationKey).path.exists()
        emulated = await store.append(failed("b", emulated=True))
    async with opened(tmp_path) as store:  # a demonstration that was once shown is opened again
        assert store.chain_of(emulated).key.emulated
        assert not store.chain_of(real).key.emulated
    assert real.number == emulated.number == 1
    assert real.key_id != emulated.key_id
    assert not verify(tmp_path).emulated
    assert verify(tmp_path, DemonstrationKey).emulated


async def test_the_owners_name_is_not_recorded(opened, tmp_path):
    async with opened(tmp_path) as store:
        sealed = await store.append(failed("a"))
    kept = chain.record_of(sealed)
    assert kept.before is not None
    assert "Anna" not in sealed.payload
    assert kept.before.name == ""
    assert kept.before.serial_number == "F17FX0AB0D8Q"


async def test_a_record_of_another_station_has_no_chain_here(opened, tmp_path):
    async with opened(tmp_path / "one") as one, opened(tmp_path / "other") as other:
        with pytest.raises(RecordsBroken):
            other.chain_of(await one.append(failed("a")))


async def test_an_impossible_record_leaves_nothing(opened, tmp_path):
    async with opened(tmp_path) as store:
        with pytest.raises(InputRejected):
            await store.append(failed("a", detail="\ud800"))
        assert (await store.append(failed("b"))).number == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE record SET job = 'x'",
        "DELETE FROM record WHERE number = 4",
        "INSERT OR REPLACE INTO record SELECT number, job, previous, 'x', digest, key_id, signature FROM record",
        "INSERT INTO record SELECT 6, 'x', digest, 'x', previous, key_id, signature FROM record WHERE number = 4",
        "INSERT INTO record SELECT 5, 'x', previous, 'x', previous, key_id, signature FROM record WHERE number = 4",
    ],
)
def test_the_database_itself_only_appends(files, change):
    with closing(sqlite3.connect(files.database)) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute(change)


async def test_the_database_is_as_durable_as_it_can_be(opened, state):
    async with opened(state) as store:
        database = store._chains[False]._database
        pragmas = {}
        for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers"):
            ((pragmas[name],),) = await database.execute_fetchall(f"PRAGMA {name}")
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}


async def test_the_loop_is_never_blocked(tmp_path):
    with blockbuster_ctx("station"):
        store = await RecordStore.open(tmp_path)
        try:
            sealed = await store.append(record("a"))
            await certificate.issue(store, sealed)
            await store.append(failed("b", emulated=True))
        finally:
            await store.close()


async def test_a_caller_who_is_cancelled_leaves_a_whole_chain(opened, tmp_path):
    async with opened(tmp_path) as store:
        await store.append(failed("a"))
        for steps in range(12):  # the append is cut off after ever more steps of the loop
            task = asyncio.create_task(store.append(failed(f"b-{steps}")))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await store.append(failed(f"c-{steps}"))
    assert verify(tmp_path).good


CRASH = """
    import asyncio, os, signal, sys
    from pathlib import Path
    from station.adapters import durable
    from station.adapters.records import RecordStore
    from tests.records.samples import failed

    state, name, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    write = durable.write

    def killed(path, data, **options):
        if path.name == name and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, data, **options)
        if path.name == name:
            os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        store = await RecordStore.open(state)
        durable.write = killed
        await store.append(failed("crash"))

    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("name", "when"),
    [("000005.json", "before"), ("000005.json", "after"), ("head.json", "before"), ("head.json", "after")],
)
async def test_a_kill_after_the_commit_loses_nothing(opened, state, files, name, when):
    script = textwrap.dedent(CRASH)
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, state, name, when],
        env={**os.environ, "PYTHONPATH": "."},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    report = verify(state)
    assert report.records == 5
    assert report.good is ((name, when) == ("head.json", "after"))
    async with opened(state) as store:
        assert (await store.append(failed("crash"))).number == 5
    assert verify(state).good


@pytest.mark.parametrize("name", ["000005.json", "head.json"])
async def test_a_disk_full_after_the_commit_is_told_and_made_good(opened, state, monkeypatch, name):
    write = durable.write

    def full(path, data, **options):
        if path.name == name:
            raise StorageError("No space left on device.")
        write(path, data, **options)

    async with opened(state) as store:
        with monkeypatch.context() as broken:
            broken.setattr(durable, "write", full)
            for job in ("a", "b"):  # the second must not begin before the first is whole
                with pytest.raises(StorageError):
                    await store.append(failed(job))
        assert [(await store.append(failed(job))).number for job in ("b", "a")] == [6, 5]
    assert verify(state).good


async def test_a_disk_full_before_the_commit_leaves_nothing(opened, state):
    async with opened(state) as store:
        database = store._chains[False]._database
        ((pages,),) = await database.execute_fetchall("PRAGMA page_count")
        await database.execute_fetchall(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError):
            await store.append(failed("a", detail="x" * 10_000))
        assert verify(state).good
        await database.execute_fetchall("PRAGMA max_page_count = 1000000")
        assert (await store.append(failed("b"))).number == 5
    assert verify(state).good


FULL = """
    import asyncio, resource, sys
    from pathlib import Path
    from station.adapters import certificate
    from station.adapters.records import RecordStore
    from station.errors import StorageError
    from tests.records.samples import record

    async def main(state, limit):
        store = await RecordStore.open(state)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        refused = 0
        for number in range(15):
            try:
                sealed = await store.append(record(f"job-{number}"))
                await certificate.issue(store, sealed)
                print(sealed.number, flush=True)
            except StorageError:
                refused += 1
        assert refused, "the limit was never reached"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.close()

    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.mark.system
@pytest.mark.parametrize("limit", [12 * 1024, 100 * 1024])
def test_a_file_that_cannot_grow_costs_no_acknowledged_record(tmp_path, limit):
    # Python ignores SIGXFSZ, so a write beyond the limit fails as a full disk does: in the middle of anything.
    command = [sys.executable, "-c", textwrap.dedent(FULL), tmp_path, str(limit)]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}, check=True, capture_output=True)
    acknowledged = [int(number) for number in ended.stdout.split()]
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    asyncio.run(_tell_again(tmp_path, 15))
    report = verify(tmp_path)
    assert (report.records, report.certificates) == (15, 15)
    assert report.findings == ()


async def _tell_again(state, jobs: int) -> None:
    async with opened_store(state) as store:
        for number in range(jobs):
            await certificate.issue(store, await store.append(record(f"job-{number}")))


async def _append_one(state) -> None:
    async with opened_store(state) as store:
        await store.append(failed("after"))


def _break_last_record(files):
    with closing(sqlite3.connect(files.database)) as database:
        database.executescript("DROP TRIGGER record_never_changes; UPDATE record SET payload = '{}' WHERE number = 4")


def _cut_off_last_record(files):
    with closing(sqlite3.connect(files.database)) as database:
        database.executescript("DROP TRIGGER record_is_never_deleted; DELETE FROM record WHERE number = 4")


def _empty_the_database(files):
    with closing(sqlite3.connect(files.database)) as database:
        database.executescript("DROP TRIGGER record_is_never_deleted; DELETE FROM record")


def _version_of_tomorrow(files):
    with closing(sqlite3.connect(files.database)) as database:
        database.execute(f"PRAGMA user_version = {len(migrations()) + 1}")


BREAKAGES = {
    "last record changed": _break_last_record,
    "last record cut off": _cut_off_last_record,
    "no record left": _empty_the_database,
    "database gone": lambda files: files.database.unlink(),
    "an index zeroed": zero_an_index,
    "no database": lambda files: files.database.write_bytes(b"no database" * 1000),
    "from a newer program": _version_of_tomorrow,
    "head gone": lambda files: files.head.unlink(),
    "head garbled": lambda files: files.head.write_bytes(files.head.read_bytes().replace(b'"count": 4', b'"count": 3')),
    "another public key": lambda files: files.public_key.write_bytes(_another_key(files.path.parent).public.pem),
}


def _another_key(directory) -> StationKey:
    StationKey.make(directory)
    key = StationKey.read(directory)
    assert isinstance(key, StationKey)
    return key


@pytest.mark.parametrize("breakage", BREAKAGES)
async def test_broken_records_are_not_opened(opened, state, files, breakage):
    BREAKAGES[breakage](files)
    with pytest.raises(RecordsBroken):
        async with opened(state):
            pass


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(st.data())
def test_a_bit_that_flips_is_never_a_surprise(pristine, data):
    whole = bytearray(chain_files(pristine, StationKey).database.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with tempfile.TemporaryDirectory() as state:
        shutil.copytree(pristine, state, dirs_exist_ok=True)
        chain_files(Path(state), StationKey).database.write_bytes(whole)
        with suppress(RecordsBroken, StorageError):  # in words, or the bit meant nothing
            asyncio.run(_append_one(Path(state)))


async def test_a_station_whose_key_is_gone_makes_no_new_one(opened, state):
    StationKey.path(state / "keys").unlink()
    with pytest.raises(StorageError):
        async with opened(state):
            pass
    assert not StationKey.path(state / "keys").exists()


async def test_a_public_key_that_is_gone_is_written_again(opened, state, files, key):
    files.public_key.unlink()
    async with opened(state):
        pass
    assert files.public_key.read_bytes() == key.pem


async def test_a_state_directory_that_cannot_be_is_told(opened, tmp_path):
    (tmp_path / "proof").write_text("a file where a directory should be")
    with pytest.raises(StorageError):
        async with opened(tmp_path):
            pass


@pytest.mark.parametrize("version", range(len(migrations())))
async def test_every_older_database_is_migrated(opened, tmp_path, version):
    files = chain_files(tmp_path, StationKey)
    files.path.mkdir(parents=True)
    with closing(sqlite3.connect(files.database)) as database:
        for script in migrations()[:version]:
            database.executescript(script)
        database.execute(f"PRAGMA user_version = {version}")
    async with opened(tmp_path) as store:
        assert (await store.append(failed("a"))).number == 1
    assert verify(tmp_path).good


async def test_a_migration_happens_whole_or_not_at_all(opened, tmp_path, monkeypatch):
    await _append_one(tmp_path)
    with monkeypatch.context() as later:
        scripts = [*migrations(), "CREATE TABLE half (n INTEGER) STRICT; CREATE TABLE half (n INTEGER) STRICT;"]
        later.setattr("station.adapters.records.migrations", lambda: scripts)
        with pytest.raises(StorageError):
            async with opened(tmp_path):
                pass
    assert verify(tmp_path).good


def test_the_samples_are_what_they_seem():
    assert [bool(certificate.refusal(each)) for each in RECORDS] == [False, True, True, False]
