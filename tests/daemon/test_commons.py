"""What daemon and workers share, from the daemon's side: nothing that a worker leaves leads it elsewhere."""

import os
import subprocess
from pathlib import Path

import pytest

from station.adapters import durable
from station.adapters.commons import clear_away, let_group_enter, let_group_in, open_plain
from station.adapters.jobdir import EventReader, JobDirectory
from station.adapters.jobshelf import JobShelf
from station.adapters.workers import LocalStarter
from station.errors import InputRejected, StorageError
from tests.daemon.test_workers import specs


@pytest.fixture
def job(tmp_path: Path) -> JobDirectory:
    return JobShelf(tmp_path / "state").create(specs()[1])


def link(path: Path) -> None:
    path.with_name("elsewhere").write_text("7")
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("left", [link, os.mkfifo, Path.mkdir], ids=["link", "pipe", "directory"])
def test_only_a_file_is_read(tmp_path: Path, job: JobDirectory, left):
    for name in ("events.jsonl", "exit.json", "lock"):
        left(job.work / name)
        with pytest.raises(OSError, match=name):
            open_plain(job.work / name)
    with pytest.raises(OSError, match="events"):
        EventReader(job).read()
    assert job.ended() is None
    assert job.alive() is None


def test_nothing_is_written_through_a_link(tmp_path: Path):
    kept = tmp_path / "key"
    kept.write_text("kept")
    for left in (lambda path: path.symlink_to(kept), os.mkfifo):
        left(tmp_path / ".note.part")
        durable.write(tmp_path / "note", b"new")
        assert (kept.read_text(), (tmp_path / "note").read_text()) == ("kept", "new")
    (tmp_path / ".note.part").mkdir()
    with pytest.raises(StorageError):
        durable.write(tmp_path / "note", b"newer")
    assert (tmp_path / "note").read_text() == "new"


@pytest.mark.parametrize("said", ["", "not a number", "0", "-1", "99999999999999999999", "²"])
def test_a_worker_whose_number_is_none_is_not_adopted(job: JobDirectory, said: str):
    with job.living():
        (job.work / "lock").write_text(said)
        job.claim()
        assert LocalStarter().adopt(job) is None


def modes(directory: Path) -> list[int]:
    return [path.lstat().st_mode & 0o777 for path in (directory, *sorted(directory.rglob("*")))]


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A directory as an earlier version made it, with a link that leads out of it."""
    store = tmp_path / "store"
    for path in (store, store / "a"):
        path.mkdir(mode=0o700)
    for name, mode in (("one", 0o600), ("two", 0o400)):
        (store / "a" / name).touch(mode=mode)
    (tmp_path / "outside").touch(mode=0o600)
    (store / "link").symlink_to(tmp_path / "outside")
    return store


@pytest.mark.parametrize(
    ("write", "becomes"),
    [(True, [0o770, 0o770, 0o660, 0o440, 0o777]), (False, [0o750, 0o750, 0o640, 0o440, 0o777])],
)
def test_what_was_for_its_owner_alone_is_let_open_once(private: Path, write, becomes):
    let_group_in(private, write=write)
    assert modes(private) == becomes
    assert (private.parent / "outside").stat().st_mode & 0o777 == 0o600
    (private / "a" / "one").chmod(0o600)
    let_group_in(private, write=write)  # it costs a look from then on
    assert (private / "a" / "one").stat().st_mode & 0o777 == 0o600


def test_a_vaults_own_directory_is_let_open_and_nothing_in_it(private: Path):
    let_group_enter(private)
    assert modes(private) == [0o750, 0o700, 0o600, 0o400, 0o777]


@pytest.mark.skipif(os.getuid() != 0, reason="makes what is somebody else's")
def test_what_is_somebody_elses_is_left_alone(private: Path):
    os.chown(private / "a", 12345, 12345)
    let_group_in(private, write=True)
    assert (private / "a").stat().st_mode & 0o777 == 0o700
    os.chown(private, 12345, 12345)
    private.chmod(0o700)
    let_group_enter(private)
    let_group_in(private, write=True)
    assert private.stat().st_mode & 0o777 == 0o700


def test_directories_without_end_are_no_defect_of_ours(tmp_path: Path):
    """They stay, where Python's way to remove them ends, and that is told."""
    deep = tmp_path / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert clear_away(deep) is not deep.exists()
    subprocess.run(["rm", "-rf", deep], check=True, timeout=30)


def test_a_job_of_an_earlier_version_is_found(tmp_path: Path):
    shelf = JobShelf(tmp_path / "state")
    job = shelf.create(specs()[1])
    (job.work / "claimed").touch()
    (job.work / "home" / "record").write_text("a pair record")
    job.revoke()
    for path in list(job.work.iterdir()):
        path.rename(job.path / path.name)
    job.work.rmdir()
    (found,) = JobShelf(tmp_path / "state").found()
    assert found.directory.claimed
    assert LocalStarter().adopt(found.directory) is None
    assert sorted(path.name for path in job.path.iterdir()) == ["revoked", "spec.json", "work"]
    assert found.directory.clear_home()


def test_a_worker_that_says_too_much_is_not_read(job: JobDirectory):
    with (job.work / "events.jsonl").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InputRejected, match="more than any job"):
        EventReader(job).read()
