"""Copies of the records on another disk: whole, verified, read back, so many and no more."""

import fcntl
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import CliRunner

from station.adapters import audit, records_copy
from station.adapters.records_copy import copies, copy_records, disk_of
from station.adapters.upkeep import Notes
from station.cli.main import app
from station.errors import RecordsBroken, StorageError
from station.model.upkeep import Chore
from tests.disks import unlistable
from tests.namespaces import UNSHARE, needs_namespaces

pytestmark = pytest.mark.system

AT = "2026-03-0{}T03:00:00Z"


@pytest.fixture
def place(tmp_path) -> Iterator[Path]:
    """A directory on another disk than the records are on: memory."""
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk here")
    with TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


def test_a_copy_is_a_chain_that_anybody_can_verify(state, place, tmp_path, key):
    copied = copy_records(state, place, keep=7, at=AT.format(1))
    assert copied is not None
    assert (copied.records, copied.removed) == (4, 0)
    assert [path.name for path in place.iterdir()] == ["restore-station-records-20260301T030000Z.zip"]
    with zipfile.ZipFile(copied.path) as archive:
        archive.extractall(tmp_path / "out")
    report = audit.verify(tmp_path / "out/station", key)
    assert report.good, report.findings
    assert (report.records, report.certificates) == (4, 2)
    secrets = {path.read_bytes() for path in (state / "keys").iterdir()}
    assert not secrets & {path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert not (state / ".copying-records").exists()


async def test_it_is_whole_while_the_station_has_it_open(state, place, opened):
    async with opened(state):
        copied = copy_records(state, place, keep=7, at=AT.format(1))
    assert copied is not None
    assert copied.records == 4


def test_so_many_are_kept(state, place):
    (place / "something else.zip").touch()
    for day in range(1, 6):
        copied = copy_records(state, place, keep=3, at=AT.format(day))
    assert copied is not None
    assert copied.removed == 1
    assert [path.name[-20:-12] for path in copies(place)] == ["20260303", "20260304", "20260305"]
    assert (place / "something else.zip").exists()


def test_the_newest_stays_whatever_the_clock_says(state, place):
    for day in (8, 9):
        copy_records(state, place, keep=2, at=AT.format(day))
    copied = copy_records(state, place, keep=2, at="1970-01-01T00:00:09Z")
    assert copied is not None
    assert [path.name[-20:-12] for path in copies(place)] == ["19700101", "20260309"]
    assert copied.path.exists()
    copied = copy_records(state, place, keep=1, at="1970-01-01T00:00:19Z")
    assert copied is not None
    assert copies(place) == [copied.path]


def test_what_was_written_before_the_clock_was_set_is_copied(state, place, files):
    os.utime(files.record(2), (9, 9))
    assert copy_records(state, place, keep=1, at=AT.format(1)) is not None


def test_a_full_disk_of_the_stations_own_is_not_called_broken_records(state, place, monkeypatch):
    monkeypatch.setattr(records_copy, "PAUSE", 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match="The records could not be gathered: ") as caught:
            copy_records(state, place, keep=1, at=AT.format(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "whether the station's own disk has room" in caught.value.remedy


def test_two_copies_do_not_get_into_each_others_way(state, place):
    held = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="being copied already"):
            copy_records(state, place, keep=1, at=AT.format(1))
    finally:
        os.close(held)
    assert not list(place.iterdir())


def test_a_broken_chain_takes_no_good_copys_place(state, place, files, monkeypatch):
    monkeypatch.setattr(records_copy, "PAUSE", 0)
    copy_records(state, place, keep=1, at=AT.format(1))
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    files.record(2).write_text(files.record(2).read_text().replace("job-2", "job-9"))
    with pytest.raises(RecordsBroken, match=r"not copied: 000002\.json is not what the database holds"):
        copy_records(state, place, keep=1, at=AT.format(2))
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_what_a_crash_left_is_cleared_away(state, place):
    (place / ".restore-station-records-20260201T030000Z.zip.part").write_text("half")
    (state / ".copying-records").mkdir()
    (state / ".copying-records/old").touch()
    copy_records(state, place, keep=3, at=AT.format(1))
    assert [path.name for path in place.iterdir()] == ["restore-station-records-20260301T030000Z.zip"]


def test_a_place_that_cannot_be_looked_through_gets_no_copy(state, place, monkeypatch):
    """What was left there would take its room for ever."""
    with monkeypatch.context() as failing:
        unlistable(failing, place)
        with pytest.raises(StorageError, match="could not be written to"):
            copy_records(state, place, keep=1, at=AT.format(1))
    assert not list(place.iterdir())


def test_records_that_cannot_be_looked_through_are_not_copied_in_parts(state, place, monkeypatch):
    unlistable(monkeypatch, state / ".copying-records")
    with pytest.raises(StorageError, match="The records could not be gathered: Input/output error") as caught:
        copy_records(state, place, keep=1, at=AT.format(1))
    assert "the station's own disk" in caught.value.remedy
    assert not list(place.iterdir())


def test_a_link_on_the_disk_leads_nowhere(state, place, tmp_path):
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    (place / ".restore-station-records-20260301T030000Z.zip.part").symlink_to(treasure)
    copy_records(state, place, keep=3, at=AT.format(1))
    assert treasure.read_text() == "mine"


def test_the_same_disk_is_no_place(state, tmp_path):
    with pytest.raises(StorageError, match="on the same disk"):
        copy_records(state, tmp_path, keep=3, at=AT.format(1))


def test_where_no_disk_is_mounted_is_no_place(state, place, tmp_path):
    """The records have a disk of their own, and the stick was not plugged in."""
    if tmp_path.stat().st_dev != Path("/").stat().st_dev:
        pytest.skip("files for tests are on a disk of their own")
    shutil.copytree(state, place / "state")
    with pytest.raises(StorageError, match="or the system"):
        copy_records(place / "state", tmp_path, keep=3, at=AT.format(1))


def test_partitions_of_a_disk_are_one_disk(tmp_path):
    disk = tmp_path / "devices/mmc0/block/mmcblk0"
    for name, part in (("179:0", ""), ("179:1", "mmcblk0p1"), ("179:4", "mmcblk0p4")):
        (disk / part).mkdir(parents=True, exist_ok=True)
        if part:
            (disk / part / "partition").write_text("1\n")
        (tmp_path / "dev/block").mkdir(parents=True, exist_ok=True)
        (tmp_path / "dev/block" / name).symlink_to(disk / part)
    numbers = [os.makedev(179, minor) for minor in (0, 1, 4)]
    assert {disk_of(number, sys=tmp_path) for number in numbers} == {"mmcblk0"}
    assert disk_of(os.makedev(0, 27), sys=tmp_path) == "0:27"


def test_a_disk_that_is_not_there(state, tmp_path):
    with pytest.raises(StorageError, match="is not there"):
        copy_records(state, tmp_path / "unplugged", keep=3, at=AT.format(1))


def test_a_station_without_records_has_nothing_to_copy(tmp_path, place):
    (tmp_path / "empty").mkdir()
    assert copy_records(tmp_path / "empty", place, keep=3, at=AT.format(1)) is None


def test_what_came_of_it_is_noted(state, place, monkeypatch):
    monkeypatch.setenv("STATION_STATE", str(state))
    monkeypatch.setenv("STATION_RECORDS_COPIES", str(place / "unplugged"))
    failed = CliRunner().invoke(app, ["records", "copy"])
    assert failed.exit_code == 1
    assert "is not there" in failed.output
    note = Notes(state).of(Chore.COPY)
    assert note is not None
    assert not note.good
    assert "Plug in its disk" in note.detail
    monkeypatch.setenv("STATION_RECORDS_COPIES", str(place))
    assert "4 records are in" in CliRunner().invoke(app, ["records", "copy"]).output
    note = Notes(state).of(Chore.COPY)
    assert note is not None
    assert note.good


COPY = """
import sys
from pathlib import Path
from station.adapters.records_copy import copy_records
from station.errors import StorageError
try:
    copy_records(Path(sys.argv[1]), Path(sys.argv[2]), keep=3, at="2026-03-02T03:00:00Z")
except StorageError as error:
    print(error, error.remedy)
"""


@needs_namespaces
@pytest.mark.parametrize(
    ("options", "says"),
    [("size=1m", "it is full"), ("size=64m,ro", "nothing can be written to it")],
)
def test_a_disk_that_takes_nothing(state, tmp_path, options, says):
    """A small disk and one that is locked, mounted for a process of its own."""
    place = tmp_path / "place"
    place.mkdir()
    mounting = f'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"'
    command = [*UNSHARE, "sh", "-c", mounting, "sh", place, sys.executable, "-c", COPY, state, place]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert says in done.stdout, done.stdout + done.stderr


def test_a_disk_that_gives_back_something_else(state, place, monkeypatch):
    """The reading back is real: what is on the disk is changed right before it."""
    real = os.posix_fadvise

    def rot(fd: int, *rest: int) -> None:
        real(fd, *rest)
        if Path(f"/proc/self/fd/{fd}").readlink().name.endswith(".part"):
            data = os.pread(fd, 100, 300)
            os.pwrite(fd, bytes(byte ^ 1 for byte in data), 300)

    monkeypatch.setattr(os, "posix_fadvise", rot)
    with pytest.raises(StorageError):
        copy_records(state, place, keep=3, at=AT.format(1))
    assert not list(place.iterdir())
