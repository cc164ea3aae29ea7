"""What daemon and workers share, from the daemon's side: nothing that a worker leaves leads it elsewhere."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from station.adapters import durable
from station.adapters.bundle import worker_logs
from station.adapters.commons import clear_away, let_group_enter, let_group_in, open_plain
from station.adapters.jobdir import EventReader, EventWriter, JobDirectory
from station.adapters.jobshelf import JobShelf
from station.adapters.vault import OWED, Vault, held
from station.adapters.workers import LocalStarter
from station.errors import InputRejected, StorageError
from station.model.base import BackupId, Ecid, Udid
from station.worker.received import Received
from tests.daemon.test_workers import specs

BACKUP, UDID, NOW = BackupId("one"), Udid("00008101-001C2D3E4F5A6B7C"), "2026-01-01T00:00:00Z"


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


def test_nothing_is_written_through_what_comes_in_between(tmp_path: Path, monkeypatch):
    (tmp_path / "key").write_text("kept")
    monkeypatch.setattr(Path, "unlink", lambda path, **_: path.symlink_to(tmp_path / "key"))
    with pytest.raises(StorageError):
        durable.write(tmp_path / "note", b"new")
    assert (tmp_path / "key").read_text() == "kept"


def test_a_log_that_is_a_link_is_nobodys(tmp_path: Path, job: JobDirectory):
    (job.work / "log").write_text("said")
    assert [said for _, said in worker_logs(tmp_path / "state")] == [b"said"]
    (job.work / "log").unlink()
    link(job.work / "log")
    assert list(worker_logs(tmp_path / "state")) == []


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
    try:
        assert clear_away(deep) is not deep.exists()
    finally:
        subprocess.run(["rm", "-rf", deep], check=True, timeout=30)  # pytest could not either


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_job_of_an_earlier_version_is_found(tmp_path: Path, cut_off: bool):
    shelf = JobShelf(tmp_path / "state")
    job = shelf.create(specs()[1])
    (job.work / "claimed").touch()
    (job.work / "home" / "record").write_text("a pair record")
    job.revoke()
    for path in list(job.work.iterdir()):
        if not cut_off or path.name not in ("home", "reserve"):  # of the moves to it, some were done
            path.rename(job.path / path.name)
    if not cut_off:
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


DAEMON, WORKER, GROUP = 12001, 12002, 12003


def as_user(user: int, does: Callable[[], object]) -> str:
    """Do something as a user of the group, in a process of its own; what was wrong with it."""
    reading, writing = os.pipe()
    if (process := os.fork()) == 0:
        wrong = "died"
        try:
            os.setgroups([])
            os.setresgid(GROUP, GROUP, GROUP)
            os.setresuid(user, user, user)
            os.umask(0o007)
            does()
            wrong = ""
        except BaseException as error:  # noqa: BLE001 (the process ends here)
            wrong = repr(error)
        finally:
            os.write(writing, wrong.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as heard:
        said = heard.read()
    os.waitpid(process, 0)
    return said


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of the daemon's that other users get to. (That of tests is root's alone.)"""
    with TemporaryDirectory(dir="/tmp") as directory:
        os.chown(directory, DAEMON, GROUP)
        Path(directory).chmod(0o710)
        yield Path(directory)


def back_up(vault: Vault) -> None:
    """As the library does it: its directory is for it alone, if it makes it."""
    data = vault.data(BACKUP)
    (data / UDID).mkdir(mode=0o755, exist_ok=True)
    (data / UDID / "ab").mkdir()
    (data / UDID / "ab" / "abcdef").write_bytes(b"content")
    with held(data), Received(data) as received:
        received.note("abcdef", b"digest")


@pytest.mark.skipif(os.getuid() != 0, reason="is two users")
def test_what_a_worker_backs_up_the_daemon_reads_and_deletes(place: Path):
    vault = Vault(place / "vault", secret=place / "secret", days=1)

    def begin() -> None:
        vault.open()
        vault.begin(BACKUP, ecid=Ecid(1), udid=UDID, model="iPhone 12", now=NOW, trusted=True)

    assert as_user(DAEMON, begin) == ""
    assert as_user(WORKER, lambda: back_up(vault)) == ""
    assert "Permission" in as_user(WORKER, (vault.path / OWED / "0x1").touch)
    assert "Permission" in as_user(WORKER, (vault.path / "mine").mkdir)
    assert as_user(DAEMON, lambda: vault.count(BACKUP, now=NOW, trusted=True)) == ""
    assert as_user(DAEMON, lambda: vault.delete(BACKUP)) == ""
    assert [path.name for path in vault.path.iterdir()] == [OWED]


@pytest.mark.skipif(os.getuid() != 0, reason="is two users")
def test_a_worker_writes_to_its_part_of_a_job_and_the_daemon_clears_that_away(place: Path):
    spec = specs()[1]
    assert as_user(DAEMON, lambda: JobShelf(place).create(spec)) == ""
    job = JobShelf(place).directory(spec.job)

    def work() -> None:
        job.claim()
        with job.living():
            EventWriter(job).keep("note", b"")
        (job.work / "home" / "keys").mkdir()
        (job.work / "home" / "keys" / "record").write_text("opens the phone")

    assert as_user(WORKER, work) == ""
    for forbidden in (job.revoke, (job.path / "result.json").touch, (job.path / "spec.json").unlink, job.work.rmdir):
        assert "rror" in as_user(WORKER, forbidden)
    assert "Permission" in as_user(WORKER, lambda: list(job.path.parent.iterdir()))

    def put_away() -> None:
        assert job.alive() is None
        assert EventReader(job).read() == []
        assert job.clear_home()
        job.revoke()
        JobShelf(place).close(spec.job)

    assert as_user(DAEMON, put_away) == ""
    assert list((place / "jobs").iterdir()) == []


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with a backup that is not finished."""
    vault = Vault(tmp_path / "vault", secret=tmp_path / "secret", days=1)
    vault.open()
    vault.begin(BACKUP, ecid=Ecid(1), udid=UDID, model="iPhone 12", now=NOW, trusted=True)
    return vault


@pytest.mark.parametrize("made", ["zzzz", "9999-12-31T23:59:59Z", ""])
@pytest.mark.parametrize("name", ["made", "keep_until"])
def test_a_backup_of_no_time_is_none(vault: Vault, name: str, made: str):
    path = vault.path / BACKUP / "note.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: made}))
    if (name, made) == ("keep_until", ""):  # it was made while the clock was wrong
        assert len(vault.notes()) == 1
        return
    assert vault.notes() == []
    assert vault.expire(now=NOW) == []
    with pytest.raises(InputRejected):
        vault.begin(BACKUP, ecid=Ecid(1), udid=UDID, model="iPhone 12", now=NOW, trusted=True)


def test_nothing_is_made_through_a_link_in_a_backup(vault: Vault, tmp_path: Path):
    for name in ("lock", "received.db"):
        (vault.path / BACKUP / name).unlink(missing_ok=True)
        (vault.path / BACKUP / name).symlink_to(tmp_path / "made")
    with pytest.raises(StorageError):
        vault.begin(BACKUP, ecid=Ecid(1), udid=UDID, model="iPhone 12", now=NOW, trusted=True)
    with pytest.raises(StorageError):
        Received(vault.data(BACKUP))
    assert not (tmp_path / "made").exists()
