"""What the station holds of other people's: backups and their end, passwords in memory, pairings."""

import asyncio
import errno
import plistlib
import shutil
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from structlog.testing import capture_logs

from station.adapters.firmware import FirmwareStore
from station.adapters.jobdir import JobDirectory
from station.adapters.jobshelf import JobShelf
from station.adapters.pairings import Pairings
from station.adapters.secrets_in_memory import MemoryShelf, take
from station.adapters.usbmuxd import UsbmuxdSilent
from station.adapters.vault import Vault, held
from station.adapters.workers import Worker
from station.core.events import Moment, WorkerNotStarted
from station.daemon.custody import Custody
from station.daemon.running import Running
from station.errors import InputRejected, Refused, StorageError
from station.model.backup import BackupState
from station.model.base import BackupId, BayId, Ecid, JobId, PlugId, SocketPath, Udid
from station.model.job import BackupPlace, JobSpec, Reach
from station.model.service import Service
from tests.disks import unlistable

NOW, NEXT_DAY, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-02-01T00:00:00Z"
ONE, TWO = BackupId("one"), BackupId("two")
UDID = Udid("00008101-000000000000000A")
HEADER = struct.Struct("<LLLL")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    vault = Vault(tmp_path / "vault", secret=tmp_path / "keys" / "secret", days=30)
    vault.open()
    return vault


def begin(vault: Vault, backup: BackupId, *, now: str = NOW, ecid: int = 0xA, trusted: bool = True) -> Path:
    vault.begin(backup, ecid=Ecid(ecid), udid=UDID, model="iPhone 12", now=now, trusted=trusted)
    place = vault.data(backup) / UDID
    place.mkdir(exist_ok=True)
    (place / "file").write_bytes(b"content")
    return place


def test_a_disk_that_is_not_mounted_is_no_empty_vault(tmp_path):
    vault = Vault(tmp_path / "disk" / "vault", secret=tmp_path / "secret", days=30, elsewhere=True)
    with pytest.raises(StorageError, match="is not there"):
        vault.open()
    assert not list(tmp_path.iterdir()), "nothing was made in its place"
    vault.path.mkdir(parents=True)
    vault.open()
    assert vault.notes() == []


def test_a_backup_counts_only_when_somebody_says_so(vault):
    begin(vault, ONE)
    assert vault.note(ONE).state is BackupState.PARTIAL
    begin(vault, ONE, now=NEXT_DAY)
    assert vault.note(ONE).made == NOW, "gone on with"
    vault.count(ONE, now=NEXT_DAY, trusted=True)
    note = vault.note(ONE)
    assert (note.state, note.files, note.size, note.keep_until) == (BackupState.VERIFIED, 1, 7, "2026-02-01T00:00:00Z")
    with pytest.raises(InputRejected):
        begin(vault, ONE, ecid=0xB)


def test_what_broke_off_goes_when_another_counts(vault):
    begin(vault, ONE)
    begin(vault, TWO, now=NEXT_DAY)
    begin(vault, BackupId("theirs"), ecid=0xB)
    vault.count(TWO, now=NEXT_DAY, trusted=True)
    assert [note.id for note in vault.notes()] == ["theirs", TWO]


def test_a_backup_is_deleted_when_it_was_kept_long_enough(vault):
    begin(vault, ONE)
    begin(vault, TWO, ecid=0xB)
    vault.count(ONE, now=NOW, trusted=True)
    assert vault.expire(now=NEXT_DAY) == []
    assert vault.expire(now="2026-01-03T00:00:00Z") == [TWO], "what broke off is not kept for long"
    assert vault.expire(now="2026-01-30T23:59:59Z") == []
    assert vault.expire(now=LATER) == [ONE]
    assert {path.name for path in vault.path.iterdir()} == {"owed"}


def test_what_is_worked_with_is_not_deleted(vault):
    begin(vault, ONE)
    with held(vault.data(ONE)):
        with pytest.raises(Refused):
            vault.delete(ONE)
        assert vault.expire(now=LATER) == []
    vault.delete(ONE)
    with pytest.raises(InputRejected), held(vault.data(ONE)):
        pass


def test_what_was_deleted_half_way_is_deleted_whole(vault):
    begin(vault, ONE)
    shutil.rmtree(vault.data(ONE))
    assert vault.expire(now=LATER) == [ONE]


@pytest.mark.parametrize("step", ["rename", "rmtree", "unlink"])
def test_what_is_deleted_half_way_counts_no_more(vault, monkeypatch, step):
    """The power goes in the middle of it: what is left is no backup, and goes at the next look."""
    begin(vault, ONE)
    vault.count(ONE, now=NOW, trusted=True)

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    where = {
        "rename": "station.adapters.durable.sync_directory",
        "rmtree": "shutil.rmtree",
        "unlink": "pathlib.Path.unlink",
    }
    with monkeypatch.context() as cut:
        cut.setattr(where[step], power_cut)
        with pytest.raises(KeyboardInterrupt):
            vault.delete(ONE)
    assert vault.notes() == []
    with pytest.raises(InputRejected):
        vault.note(ONE)
    assert vault.expire(now=NOW) == [ONE]
    assert {path.name for path in vault.path.iterdir()} == {"owed"}


def test_a_backup_that_was_made_under_a_wrong_clock_is_kept_as_long_as_others(vault):
    """Without a battery for its clock, a station that was off for months believes that no time has passed."""
    begin(vault, ONE, now="2025-06-01T00:00:00Z", trusted=False)
    vault.count(ONE, now="2025-06-01T01:00:00Z", trusted=False)
    begin(vault, TWO, now="2025-06-01T00:00:00Z", trusted=False, ecid=0xB)
    assert vault.expire(now=NOW) == []
    assert vault.note(ONE).keep_until == "2026-01-31T00:00:00Z"
    assert vault.expire(now="2026-01-03T00:00:00Z") == [TWO]
    assert vault.expire(now=LATER) == [ONE]


def test_the_newest_backup_is_the_last_one_however_wrong_the_clock_is(vault):
    begin(vault, ONE)
    vault.count(ONE, now=NOW, trusted=True)
    begin(vault, TWO, now="2025-06-01T00:00:00Z", trusted=False)
    assert [note.id for note in vault.notes()] == [ONE, TWO]


def test_what_broke_off_is_kept_from_when_it_broke_off_last(vault):
    begin(vault, ONE)
    begin(vault, ONE, now=NEXT_DAY)
    assert vault.expire(now="2026-01-03T00:00:00Z") == []
    assert vault.expire(now="2026-01-04T00:00:00Z") == [ONE]


def test_a_disk_that_fails_is_told_as_one(vault, monkeypatch):
    begin(vault, ONE)

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.scandir", failing)
    for ask in (vault.notes, vault.owed, lambda: vault.expire(now=LATER)):
        with pytest.raises(StorageError, match="Input/output error"):
            ask()
    with pytest.raises(StorageError, match="Input/output error"):
        vault.count(ONE, now=NOW, trusted=True)


def test_a_backup_that_cannot_be_looked_through_does_not_count(vault, monkeypatch):
    place = begin(vault, ONE)
    with monkeypatch.context() as failing:
        unlistable(failing, place)
        with pytest.raises(StorageError, match="The backup cannot be read: Input/output error"):
            vault.count(ONE, now=NOW, trusted=True)
    assert vault.note(ONE).state is BackupState.PARTIAL
    vault.count(ONE, now=NOW, trusted=True)
    assert vault.note(ONE).files == 1


def test_no_secret_is_made_anew_while_it_is_unknown_what_is_in_the_vault(vault, tmp_path, monkeypatch):
    begin(vault, ONE)
    (tmp_path / "keys" / "secret").unlink()
    unlistable(monkeypatch, vault.path)
    with pytest.raises(StorageError, match="cannot be read: Input/output error"):
        vault.open()
    assert not (tmp_path / "keys" / "secret").exists()


def test_what_is_roots_in_the_vault_is_no_backup(vault):
    """On a disk of its own there is a lost+found."""
    begin(vault, ONE)
    (vault.path / "lost+found").mkdir(mode=0o000)
    (vault.path / "file").touch()
    assert [note.id for note in vault.notes()] == [ONE]


@pytest.mark.parametrize("name", ["", ".", "..", "owed", "../vault/one", "none"])
def test_no_name_leads_out_of_the_vault(vault, name):
    begin(vault, ONE)
    with pytest.raises(InputRejected):
        vault.delete(BackupId(name))


def test_each_backup_has_a_password_of_its_own(vault, tmp_path):
    first = vault.password(ONE)
    assert len(first) == 43
    assert first != vault.password(TWO)
    assert Vault(vault.path, secret=tmp_path / "keys" / "secret", days=1).password(ONE) == first
    assert (tmp_path / "keys" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_lost_secret_is_not_replaced(vault, tmp_path):
    begin(vault, ONE)
    (tmp_path / "keys" / "secret").unlink()
    with pytest.raises(StorageError, match="gone"):
        vault.open()
    (tmp_path / "keys" / "secret").write_bytes(b"short")
    with pytest.raises(StorageError, match="cut off"):
        vault.open()


def test_what_a_phone_still_has_is_remembered(vault):
    vault.owe(Ecid(0xA), ONE)
    vault.owe(Ecid(0xA), TWO)
    assert vault.owed() == {0xA: TWO}
    vault.settle(Ecid(0xA))
    vault.settle(Ecid(0xA))
    assert vault.owed() == {}


@pytest.fixture
def memory() -> Iterator[MemoryShelf]:
    with TemporaryDirectory(dir="/dev/shm", prefix="st-") as directory:
        yield MemoryShelf(Path(directory))


def test_passwords_are_in_memory_only(memory, tmp_path):
    path = memory.path / "job-1.secret"
    memory.put(path, "secret")
    assert path.stat().st_mode & 0o777 == 0o640  # the workers' user, of our group, reads and removes it
    assert memory.path.stat().st_mode & 0o777 == 0o770
    assert memory.path.parent.stat().st_mode & 0o777 == 0o700  # and nobody else gets there
    assert take(path) == "secret"
    assert not path.exists()
    with pytest.raises(StorageError):
        take(path)


def test_a_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("station.adapters.secrets_in_memory._IN_MEMORY", ())
    with pytest.raises(StorageError, match="on a disk"):
        MemoryShelf(tmp_path).put(tmp_path / "secrets" / "given" / "job.secret", "secret")
    assert list((tmp_path / "secrets" / "given").iterdir()) == []


def test_what_is_no_password_is_left(memory):
    memory.open()
    (memory.path / "a").mkdir()  # a worker may do so
    memory.put(memory.path / "a.secret", "secret")
    memory.clear(JobId("a"))
    memory.sweep([])
    assert [path.name for path in memory.path.iterdir()] == ["a"]


def test_what_was_not_taken_is_removed(memory):
    for job in ("a", "b", "c"):
        memory.put(memory.path / f"{job}.secret", "secret")
    memory.clear(JobId("a"))
    memory.sweep([JobId("b")])
    assert [path.name for path in memory.path.iterdir()] == ["b.secret"]


class Usbmuxd:
    """What usbmuxd says about pair records."""

    def __init__(self) -> None:
        self.present = ["00008101000000000000000B"]
        self.deleted: list[str] = []
        self.result = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, *_ = HEADER.unpack(await reader.readexactly(HEADER.size))
        asked = plistlib.loads(await reader.readexactly(length - HEADER.size))
        answer: dict[str, object] = {"MessageType": "Result", "Number": self.result}
        if asked["MessageType"] == "ListDevices":
            answer = {"DeviceList": [{"Properties": {"SerialNumber": serial}} for serial in self.present]}
        else:
            self.deleted.append(asked["PairRecordID"])
        body = plistlib.dumps(answer)
        writer.write(HEADER.pack(HEADER.size + len(body), 1, 8, 1) + body)
        writer.close()


@pytest.fixture
async def usbmuxd(sockets: Path) -> AsyncIterator[Usbmuxd]:
    usbmuxd = Usbmuxd()
    server = await asyncio.start_unix_server(usbmuxd.serve, sockets / "mux")
    yield usbmuxd
    server.close()


async def test_a_pairing_is_forgotten(usbmuxd, sockets, tmp_path):
    pairings = Pairings(str(sockets / "mux"), tmp_path / "ledger")
    for udid in (UDID, Udid("00008101-000000000000000B"), Udid("00008101-000000000000000C")):
        pairings.expect(udid)
    # One is here, another is worked with; the third left while nobody looked.
    assert await asyncio.to_thread(pairings.sweep, [Udid("00008101-000000000000000C")]) == [UDID]
    assert usbmuxd.deleted == [UDID]
    usbmuxd.result = 2  # it never had one
    await asyncio.to_thread(pairings.forget, Udid("00008101-000000000000000B"))
    usbmuxd.result = 13
    with pytest.raises(UsbmuxdSilent):
        await asyncio.to_thread(pairings.forget, Udid("00008101-000000000000000C"))
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == ["00008101-000000000000000C"]


@pytest.fixture
def custody(vault, memory, sockets, tmp_path) -> Custody:
    return Custody(vault, memory, Pairings(str(sockets / "mux"), tmp_path / "ledger"), JobShelf(tmp_path))


def moment(utc: str) -> Moment:
    return Moment(at=1.0, utc=utc)


async def test_a_pairing_that_could_not_be_forgotten_is_forgotten_later(usbmuxd, custody, tmp_path):
    await asyncio.to_thread(custody.prepare, look(UDID), now=NOW, trusted=True)
    usbmuxd.result = 13
    await asyncio.to_thread(custody.forget, UDID)
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == [UDID]
    usbmuxd.result = 0
    await asyncio.to_thread(custody.expire, moment(NOW))
    assert list((tmp_path / "ledger").iterdir()) == []


async def test_a_phone_that_has_come_back_is_not_forgotten_meanwhile(usbmuxd, custody):
    usbmuxd.result = 13
    await asyncio.to_thread(custody.forget, UDID)
    usbmuxd.result, usbmuxd.deleted = 0, []
    await asyncio.to_thread(custody.prepare, look(UDID), now=NOW, trusted=True)
    await asyncio.to_thread(custody.expire, moment(NOW))
    assert usbmuxd.deleted == []


async def test_an_answer_that_is_none_is_silence(usbmuxd, sockets, tmp_path):
    async def garbled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(16)
        writer.write(HEADER.pack(HEADER.size + 9, 1, 8, 1) + b"<?xml ><<")
        writer.close()

    async with await asyncio.start_unix_server(garbled, sockets / "garbled"):
        with pytest.raises(UsbmuxdSilent):
            await asyncio.to_thread(Pairings(str(sockets / "garbled"), tmp_path / "ledger").forget, UDID)


def test_what_a_worker_is_about_to_work_with_is_not_deleted(vault, custody, memory):
    begin(vault, ONE)
    vault.count(ONE, now=NOW, trusted=True)
    spec = put_back(ONE, memory)
    custody.prepare(spec, now=NOW, trusted=True)
    assert custody.expire(moment(LATER))
    assert [note.id for note in vault.notes()] == [ONE]
    custody.ended(spec.job)
    assert custody.expire(moment(LATER))
    assert vault.notes() == []


def test_passwords_that_cannot_be_removed_end_no_daemon(vault, custody, memory, monkeypatch):
    begin(vault, ONE)
    vault.count(ONE, now=NOW, trusted=True)
    spec = put_back(ONE, memory)
    custody.prepare(spec, now=NOW, trusted=True)
    unlistable(monkeypatch, memory.path)
    with capture_logs() as logs:
        custody.ended(spec.job)
        custody.sweep([], [])
    assert [each["event"] for each in logs].count("passwords not removed") == 2
    assert custody.expire(moment(LATER))
    assert vault.notes() == [], "the rest was seen to"


class NoWorkers:
    """There is no process to be had; and what was laid down for it by then."""

    def __init__(self, memory: MemoryShelf) -> None:
        self.laid_down: list[str] = []
        self._memory = memory

    def start(self, directory: JobDirectory) -> Worker:
        self.laid_down = [path.name for path in self._memory.path.iterdir()]
        raise StorageError(f"There is no worker for {directory.path.name}.")

    def adopt(self, directory: JobDirectory) -> Worker | None:
        raise NotImplementedError

    def prepare(self) -> None:
        pass

    def close(self) -> None:
        pass


async def test_a_password_that_no_worker_takes_is_removed(vault, memory, tmp_path):
    begin(vault, ONE)
    vault.count(ONE, now=NOW, trusted=True)
    shelf, workers = JobShelf(tmp_path / "state"), NoWorkers(memory)
    custody = Custody(vault, memory, Pairings("none", tmp_path / "pairings"), shelf)
    running = Running(shelf, workers, FirmwareStore(tmp_path / "store", reserve=0), custody)
    told: asyncio.Queue[object] = asyncio.Queue()

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            running.begin(tasks, told.put_nowait)
            await running.start(put_back(ONE, memory))

    task = asyncio.create_task(run())
    assert isinstance(await told.get(), WorkerNotStarted)
    assert workers.laid_down == ["j-1.secret"]
    assert list(memory.path.iterdir()) == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def look(udid: Udid) -> JobSpec:
    return JobSpec(
        job=JobId("j-1"),
        service=None,
        bay=BayId("1"),
        socket=SocketPath("1-1.1"),
        plug=PlugId("p-1"),
        ecid=Ecid(0xA),
        udid=udid,
        emulated=False,
        reach=Reach(usbmuxd="/run/usbmuxd"),
        deadlines={},
    )


def put_back(backup: BackupId, memory: MemoryShelf) -> JobSpec:
    place = BackupPlace(id=backup, directory="", secret=f"{memory.path}/j-1.secret")
    return msgspec.structs.replace(look(UDID), service=Service.PUT_BACK, backup=place)


def test_without_usbmuxd_nothing_is_struck_out(tmp_path):
    pairings = Pairings(str(tmp_path / "none"), tmp_path / "ledger")
    assert pairings.sweep([]) == []
    pairings.expect(UDID)
    with pytest.raises(UsbmuxdSilent):
        pairings.sweep([])
    with pytest.raises(UsbmuxdSilent):
        pairings.forget(Udid("../../etc/passwd"))
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == [UDID]
