"""A byte on the disk that is no letter any more: it costs its file, and never the daemon."""

import pytest

from station.adapters import unpacked
from station.adapters.firmware import FirmwareStore
from station.adapters.history import History
from station.adapters.jobdir import EventReader, JobDirectory
from station.adapters.jobshelf import JobShelf
from station.adapters.orders import OrderShelf
from station.adapters.records import chain_files
from station.adapters.releases import Releases
from station.adapters.signing import key_type
from station.adapters.vault import Vault
from station.core.situation import Health
from station.daemon.chosen import ChosenFirmware
from station.daemon.office import Office
from station.errors import InputRejected

BROKEN = b'{"\xff": 1}\n'


@pytest.fixture
def broken(tmp_path):
    """Writes the file that broke."""

    def write(name: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(BROKEN)

    return write


def test_an_order(tmp_path, broken):
    broken("orders/x.json")
    assert OrderShelf(tmp_path).holding() is None


def test_a_release(tmp_path, broken):
    broken("releases/x.json")
    assert Releases(tmp_path).all() == []


def test_a_job(tmp_path, broken):
    for name in ("spec.json", "work/exit.json", "work/events.jsonl"):
        broken(f"jobs/x/{name}")
    job = JobDirectory(tmp_path / "jobs" / "x")
    assert job.ended() is None
    for read in (job.spec, EventReader(job).read):
        with pytest.raises(InputRejected):
            read()
    assert JobShelf(tmp_path).found() == []


def test_a_backup(tmp_path, broken):
    broken("x/note.json")
    assert Vault(tmp_path, secret=tmp_path / "secret", days=1).notes() == []


def test_firmware(tmp_path, broken):
    broken("digests.json")
    with pytest.raises(unpacked.FirmwareDamaged):
        unpacked.read(tmp_path)


def test_a_record(tmp_path, broken):
    broken(str(chain_files(tmp_path, key_type(emulated=False)).record(1).relative_to(tmp_path)))
    office = Office(
        tmp_path,
        software="test 1",
        firmware=ChosenFirmware(FirmwareStore(tmp_path / "firmware"), pins={}, denied=()),
        health=Health,
        sticks=dict,
        switch=lambda _: None,
        environment={},
    )
    seen = office.look()
    assert (seen.record_count, seen.records) == (1, ())
    assert History.read(tmp_path).times().seconds == {}
