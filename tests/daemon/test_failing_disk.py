"""A disk that fails is told as one: what could not be looked through is never taken for nothing."""

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from structlog.testing import capture_logs

from station.adapters import orders
from station.adapters.bundle import worker_logs
from station.adapters.catalogs.cache import Cache
from station.adapters.commons import let_group_in
from station.adapters.fetch import leftovers
from station.adapters.history import History
from station.adapters.ipsw import entries
from station.adapters.listing import all_below, entries_of
from station.adapters.objects import Objects
from station.adapters.orders import OrderShelf
from station.adapters.premises import Premises
from station.adapters.records import chain_files
from station.adapters.releases import Releases
from station.adapters.secrets_in_memory import MemoryShelf
from station.adapters.signing import StationKey
from station.cli.quiet import Quiet
from station.daemon.proof import RecordedProof
from station.daemon.settings import load
from station.errors import StorageError
from station.model.base import Ecid, JobId
from station.model.consent import Options
from station.model.order import OrderId, OrderNote
from station.model.release import Release
from station.model.service import Service
from tests.disks import unlistable
from tests.records.samples import record


def note(*, closed: str = "") -> OrderNote:
    """An order as it is given."""
    return OrderNote(
        id=OrderId("one"),
        station="S",
        service=Service.RESTORE,
        options=Options(),
        bays=(),
        count=1,
        given="2026-01-01T00:00:00Z",
        until=600.0,
        ends="2026-01-01T00:10:00Z",
        clock_trusted=True,
        closed=closed,
    )


# -- looking


def test_all_that_is_in_a_directory_is_found(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert {path.name for path in entries_of(tmp_path)} == {"a", ".hidden", "link"}
    found = list(all_below(tmp_path))
    assert {str(path.relative_to(tmp_path)) for path in found} == {"a", "a/b", "a/b/file", ".hidden", "link"}
    assert found.index(tmp_path / "a") < found.index(tmp_path / "a/b") < found.index(tmp_path / "a/b/file")


def test_only_who_says_so_finds_nothing_in_what_is_not_there(tmp_path):
    assert entries_of(tmp_path / "gone", missing_ok=True) == []
    with pytest.raises(FileNotFoundError):
        entries_of(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        list(all_below(tmp_path / "gone"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        entries_of(tmp_path / "file", missing_ok=True)


def test_what_fails_on_the_way_is_no_end(tmp_path, monkeypatch):
    """A disk may fail after it has told of some."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
    real = os.scandir

    class Stuttering:
        def __init__(self, path) -> None:
            with real(path) as found:
                self._found = list(found)[:1]

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __iter__(self):
            yield from self._found
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.scandir", Stuttering)
    for look in (entries_of, all_below):
        with pytest.raises(OSError, match="Input/output error"):
            list(look(tmp_path))


# -- what must not be given twice, or lost


def test_an_order_is_not_taken_for_none(tmp_path, monkeypatch):
    shelf = OrderShelf(tmp_path)
    shelf.save(note())
    unlistable(monkeypatch, tmp_path / "orders")
    for ask in (shelf.holding, shelf.newest):
        with pytest.raises(StorageError, match="The standing orders cannot be read: Input/output error"):
            ask()


def test_an_order_is_written_down_although_old_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(orders, "KEPT", 0)
    with monkeypatch.context() as failing:
        unlistable(failing, tmp_path / "orders")
        OrderShelf(tmp_path).save(note(closed="2026-01-01T00:05:00Z"))
    assert OrderShelf(tmp_path).newest() == note(closed="2026-01-01T00:05:00Z")


@pytest.fixture
def memory():
    with TemporaryDirectory(dir="/dev/shm", prefix="st-") as directory:
        yield MemoryShelf(Path(directory))


def test_passwords_that_may_be_there_are_told_of(memory, monkeypatch):
    memory.put(memory.path / "job.secret", "secret")
    unlistable(monkeypatch, memory.path)
    for remove in (lambda: memory.clear(JobId("job")), lambda: memory.sweep([])):
        with pytest.raises(StorageError, match="could not be removed"):
            remove()


def test_a_release_that_cannot_be_found_is_told_of_and_releases_nobody(tmp_path, monkeypatch):
    releases = Releases(tmp_path)
    releases.keep(Release(ecid=Ecid(1), jobs=(), emulated=False, reason="", at="2026-01-01T00:00:00Z"))
    assert len(releases.all()) == 1
    unlistable(monkeypatch, tmp_path / "releases")
    with capture_logs() as logs:
        assert releases.all() == []
    assert "their phones stay set aside" in logs[0]["event"]


def test_an_unpacked_ipsw_is_not_taken_in_parts(tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    (tmp_path / "BuildManifest.plist").touch()
    unlistable(monkeypatch, tmp_path / "below")
    with pytest.raises(OSError, match="Input/output error"), entries(tmp_path):
        pass


def test_what_an_earlier_version_made_is_let_open_whole_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "store/below").mkdir(parents=True)
    (tmp_path / "store").chmod(0o700)
    with monkeypatch.context() as failing:
        unlistable(failing, tmp_path / "store/below")
        with pytest.raises(OSError, match="Input/output error"):
            let_group_in(tmp_path / "store", write=False)
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700, "it is gone on with"


def test_a_store_that_fails_is_told_as_one(tmp_path, monkeypatch):
    objects = Objects(tmp_path)
    (tmp_path / "source").touch()
    objects.put(tmp_path / "source", "ab" * 32)
    (tmp_path / ".fetch-one").mkdir()
    with monkeypatch.context() as failing:
        unlistable(failing, objects.path)
        with pytest.raises(OSError, match="Input/output error"):
            objects.sweep(set())
    with monkeypatch.context() as failing:
        unlistable(failing, tmp_path / ".fetch-one")
        with pytest.raises(StorageError, match="The firmware could not be read or written"):
            leftovers(tmp_path)
    unlistable(monkeypatch, tmp_path)
    with pytest.raises(StorageError), Premises(tmp_path).changing():
        pass


def test_whoever_cannot_be_looked_for_may_be_at_work(tmp_path, monkeypatch):
    quiet = Quiet(load(state=tmp_path), lasting=0.0)
    (tmp_path / "jobs").mkdir()
    assert not quiet._anybody_works()
    unlistable(monkeypatch, tmp_path / "jobs")
    assert quiet._anybody_works()


# -- what is only to be told


async def test_how_long_it_takes_is_found_out_later(tmp_path, monkeypatch):
    found = {tmp_path: History()}
    found[tmp_path].add(record("job"))
    proof = await RecordedProof.open(tmp_path)
    try:
        with monkeypatch.context() as failing:
            unlistable(failing, chain_files(tmp_path, StationKey).records)
            with pytest.raises(OSError, match="Input/output error"):
                History.read(tmp_path)
            assert proof.times().seconds == {}
        with monkeypatch.context() as reading:
            reading.setattr(History, "read", lambda state: found[state])
            assert proof.times().seconds == found[tmp_path].times().seconds != {}
    finally:
        await proof.close()


def test_lists_that_cannot_be_read_are_told_of(tmp_path, monkeypatch):
    unlistable(monkeypatch, tmp_path)
    assert Cache(tmp_path).shelves() == ([], ["The lists of firmware cannot be read now: Input/output error."])


def test_logs_that_cannot_be_found_are_told_of(tmp_path, monkeypatch):
    for place in ("jobs", "closed"):
        (tmp_path / place / "one/work").mkdir(parents=True)
        (tmp_path / place / "one/work/log").write_text("said")
    unlistable(monkeypatch, tmp_path / "jobs")
    (missing, why), (name, said) = worker_logs(tmp_path)
    assert (missing, name, said) == ("jobs.txt", "jobs/one.log", b"said")
    assert b"Input/output error" in why
