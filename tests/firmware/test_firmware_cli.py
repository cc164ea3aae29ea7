"""`station firmware` as a person uses it."""

import os
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from typer.testing import CliRunner

from station.adapters import ipsw_export
from station.adapters.firmware import FirmwareStore
from station.adapters.jobdir import JobDirectory
from station.cli.firmware import app
from station.errors import InputRejected
from station.model.base import BayId, Ecid, JobId, PlugId, SocketPath
from station.model.job import JobSpec, Reach
from station.model.service import Service
from station.virtual.firmware.ipsw import zip_ipsw
from tests.disks import unlistable
from tests.firmware.test_sharing import ONE, OTHER
from tests.firmware.tiny import tiny_ipsw

OLD = ("26.2", "23C55", ("iPhone13,2",))
SPEC = JobSpec(
    job=JobId("j-1"),
    service=Service.RESTORE,
    bay=BayId("1"),
    socket=SocketPath("1-1"),
    plug=PlugId("p-1"),
    ecid=Ecid(5),
    udid=None,
    emulated=True,
    reach=Reach(usbmuxd=""),
    deadlines={},
)
FAT = "36 25 {} / {} rw shared:1 - {} /dev/sda1 rw\n"


@pytest.fixture
def station(tmp_path, monkeypatch):
    """Runs a command. Its settings are those of a file that a test may write before."""
    monkeypatch.setenv("STATION_STATE", str(tmp_path))
    monkeypatch.setenv("STATION_CONFIG", str(tmp_path / "station.toml"))
    (tmp_path / "station.toml").touch()

    def run(*arguments: str, says: str = ""):
        return CliRunner().invoke(app, [*arguments], input=says, env={"COLUMNS": "200"})

    return run


@pytest.fixture
def store(tmp_path) -> FirmwareStore:
    return FirmwareStore(tmp_path / "firmware", reserve=0)


@pytest.fixture
def old(tmp_path) -> Path:
    return tiny_ipsw(tmp_path / "old", *OLD, ONE)


@pytest.fixture
def new(tmp_path) -> Path:
    return tiny_ipsw(tmp_path / "new", "26.2.1", "23C71", ("iPhone13,2", "iPhone14,5"), OTHER)


def test_import_list_verify(station, old, new):
    imported = station("import", str(old))
    assert (imported.exit_code, imported.stdout) == (0, "iOS 26.2 (23C55) for iPhone13,2 is in the store.\n")
    station("import", str(new))
    lines = station("list").stdout.splitlines()
    assert lines[0].split() == ["Version", "Build", "Models", "Own", "Shared"]
    assert [line.split()[:2] for line in lines[1:]] == [["26.2", "23C55"], ["26.2.1", "23C71"]]
    assert "999 bytes" in lines[1]
    verified = station("verify", "23C71")
    said = "iOS 26.2.1 (23C71) for iPhone13,2, iPhone14,5 is undamaged.\n"
    assert (verified.exit_code, verified.stdout) == (0, said)
    assert len(station("verify").stdout.splitlines()) == 2


def test_damage_is_told_and_is_a_failure(station, store, old):
    station("import", str(old))
    firmware = store.list()[0]
    (Path(firmware.directory) / "Firmware/radio").write_bytes(b"")
    verified = station("verify")
    assert verified.exit_code == 1
    assert "is damaged: 'Firmware/radio' differs. Import or download it again." in verified.stderr
    for command, code in (("verify", 1), ("list", 0)):
        told = station(command)
        assert told.exit_code == code
        assert "iOS 26.2 (23C55) for iPhone13,2 is damaged and cannot be used: 'Firmware/radio' differs." in told.stderr
    assert station("import", str(old)).exit_code == 0
    assert station("verify").exit_code == 0


def test_a_stick_with_several(station, store, old, new, tmp_path):
    stick = tmp_path / "stick"
    (stick / "from Apple").mkdir(parents=True)
    zip_ipsw(old, stick / "from Apple" / "Old.IPSW")
    new.rename(stick / "new")
    (stick / "broken.ipsw").write_bytes(b"no zip")
    (stick / "._Old.ipsw").write_bytes(b"what macOS leaves")
    (stick / "link.ipsw").symlink_to("/etc/passwd")
    (stick / "photo.jpg").write_bytes(b"")
    told = station("import", str(stick))
    assert told.exit_code == 1
    assert told.stderr == (
        "broken.ipsw was skipped. This is not a usable IPSW: it is no zip file. Download it again from Apple.\n"
    )
    assert [firmware.build for firmware in store.list()] == ["23C55", "23C71"]


def test_a_stick_with_nothing(station, tmp_path):
    told = station("import", str(tmp_path))
    assert (told.exit_code, "There is no IPSW in" in told.stderr) == (1, True)


def test_what_is_exported_can_be_imported(station, store, old, new, tmp_path):
    station("import", str(old))
    station("import", str(new))
    stick = tmp_path / "stick"
    stick.mkdir()
    told = station("export", "23C55", str(stick))
    file = stick / "iPhone13,2_26.2_23C55_Restore.ipsw"
    assert told.stdout == f"iOS 26.2 (23C55) for iPhone13,2 is in {file}.\n"
    assert [*stick.iterdir()] == [file]
    elsewhere = FirmwareStore(tmp_path / "elsewhere", reserve=0)
    there, here = elsewhere.import_ipsw(file), store.list()[0]
    assert msgspec.structs.replace(there, directory=here.directory) == here
    elsewhere.verify(there, full=True)


def exported(store: FirmwareStore, folder: Path, mounts: Path) -> Path:
    return ipsw_export.export(store.list()[0], folder, lambda *_: None, mounts=mounts)


def test_a_link_on_a_stick_leads_nowhere(store, old, tmp_path):
    store.import_ipsw(old)
    stick, precious = tmp_path / "stick", tmp_path / "precious"
    precious.write_text("records")
    stick.mkdir()
    for name in ("iPhone13,2_26.2_23C55_Restore.ipsw", ".iPhone13,2_26.2_23C55_Restore.ipsw.part"):
        (stick / name).symlink_to(precious)
    file = exported(store, stick, Path("/proc/self/mountinfo"))
    assert not file.is_symlink()
    assert [*stick.iterdir()] == [file]
    assert precious.read_text() == "records"


def test_a_stick_that_cannot_hold_it_is_named_first(store, old, tmp_path, monkeypatch):
    store.import_ipsw(old)
    device = tmp_path.stat().st_dev
    mounts, folder = tmp_path / "mountinfo", tmp_path / "stick"
    mounts.write_text(FAT.format(f"{os.major(device)}:{os.minor(device)}", "/", "vfat"))
    with pytest.raises(InputRejected, match="no folder"):
        exported(store, folder, mounts)
    folder.mkdir()
    exported(store, folder, mounts).unlink()  # a small one fits
    monkeypatch.setattr(ipsw_export, "FAT_LIMIT", 100)
    with pytest.raises(InputRejected, match="FAT, which holds no file over 4 GB") as caught:
        exported(store, folder, mounts)
    assert "exFAT" in caught.value.remedy
    mounts.write_text(FAT.format(f"{os.major(device)}:{os.minor(device)}", "/", "exfat"))
    exported(store, folder, mounts).unlink()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(InputRejected, match="free"):
        exported(store, folder, mounts)
    assert [*folder.iterdir()] == []


def test_what_is_damaged_does_not_travel(station, store, old, tmp_path):
    station("import", str(old))
    (Path(store.list()[0].directory) / "os.dmg").write_bytes(b"another system" * 3)
    told = station("export", "23C55", str(tmp_path))
    assert (told.exit_code, "'os.dmg' differs" in told.stderr) == (1, True)
    assert not [*tmp_path.glob("*.ipsw"), *tmp_path.glob(".*.part")]


def settle(tmp_path: Path, **supply: object) -> None:
    lines = (f"{key} = {msgspec.json.encode(value).decode()}" for key, value in supply.items() if key != "pins")
    pins = (f'"{key}" = "{value}"' for key, value in supply.get("pins", {}).items())  # type: ignore[attr-defined]  # tests know
    text = "\n".join(["[supply]", *lines, "[supply.pins]", *pins])
    (tmp_path / "station.toml").write_text(text + "\n")


def test_prune(station, store, old, new):
    station("import", str(old))
    station("import", str(new))
    dry = station("prune", "--dry-run")
    assert dry.stdout.splitlines()[0] == "iOS 26.2 (23C55) for iPhone13,2 would be removed."
    assert len(store.list()) == 2
    assert station("prune", "--keep", "2").stdout == "There is nothing to remove.\n"
    pruned = station("prune")
    assert pruned.exit_code == 0
    assert pruned.stdout.splitlines()[0] == "iOS 26.2 (23C55) for iPhone13,2 was removed."
    assert [firmware.build for firmware in store.list()] == ["23C71"]


def test_nothing_is_pruned_while_the_jobs_cannot_be_looked_through(station, store, old, new, tmp_path, monkeypatch):
    """One of them may have been given what would go."""
    station("import", str(old))
    station("import", str(new))
    (tmp_path / "jobs").mkdir()
    unlistable(monkeypatch, tmp_path / "jobs")
    pruned = station("prune")
    assert pruned.exit_code == 1
    assert "jobs cannot be used: Input/output error." in pruned.stderr
    assert len(store.list()) == 2


def test_prune_takes_downloads_that_nobody_went_on_with(station, store):
    left, fresh = (store.path / f".fetch-{build}-0123456789ab" for build in ("23C71", "23D30"))
    for directory in (left, fresh):
        directory.mkdir(parents=True)
        (directory / "lock").touch()
    os.utime(left, (0, 0))
    said = "What was downloaded of 23C71-0123456789ab, and not gone on with for a day,"
    assert station("prune", "--dry-run").stdout == f"{said} would be removed.\n"
    assert left.exists()
    assert station("prune").stdout == f"{said} was removed.\n"
    assert [left.exists(), fresh.exists()] == [False, True]
    assert station("prune").stdout == "There is nothing to remove.\n"


def test_pins_and_denials(station, store, old, new, tmp_path):
    station("import", str(old))
    station("import", str(new))
    settle(tmp_path, pins={"iPhone13,2": "26.2"}, denied=["23C71"])
    lines = station("list").stdout.splitlines()
    assert (lines[1].split()[-1], lines[2].split()[-1]) == ("pinned", "denied")
    refused = station("remove", "23C55", "--yes")
    assert (refused.exit_code, "is pinned in the settings" in refused.stderr) == (1, True)
    assert "23C71" in station("prune").stdout
    assert [firmware.build for firmware in store.list()] == ["23C55"]


def test_what_a_job_uses_stays(station, store, old, tmp_path):
    station("import", str(old))
    firmware = store.list()[0]
    with store.lease(firmware):
        refused = station("remove", "23C55", "--yes")
        assert (refused.exit_code, "is in use by a job" in refused.stderr) == (1, True)
    (tmp_path / "jobs").mkdir()
    job = JobDirectory.create(tmp_path / "jobs", msgspec.structs.replace(SPEC, firmware=firmware))
    assert "in use" in station("list").stdout
    assert station("remove", "23C55", "--yes").exit_code == 1
    (job.path / "spec.json").unlink()
    assert station("remove", "23C55", says="n\n").exit_code == 1
    assert store.list() == [firmware]
    removed = station("remove", "23C55", says="y\n")
    assert (removed.exit_code, "iOS 26.2 (23C55) for iPhone13,2 was removed." in removed.stdout) == (0, True)
    assert store.list() == []


def test_what_is_not_there(station, tmp_path):
    for arguments in (
        ("import", str(tmp_path / "nothing.ipsw")),
        ("verify", "1A1"),
        ("remove", "1A1"),
        ("export", "1A1", str(tmp_path)),
    ):
        told = station(*arguments)
        assert told.exit_code == 1
        assert told.stderr.strip()
        assert "Traceback" not in told.output
    assert station("list").stdout == station("verify").stdout
    assert station("prune").stdout == "There is nothing to remove.\n"
