"""Directories that the settings name, and the units: what is written beside which unit, and taken away again."""

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from station.adapters import unit_places
from station.adapters.unit_places import NAME, UNITS, Places, different, named_in, wanted, write
from station.cli.main import app
from station.cli.places_checkup import examine_places
from station.daemon.settings import load
from station.errors import ConfigError
from tests.deploy.conftest import ROOT, listing
from tests.deploy.test_units import unit

VAULT = Places(vault=Path("/mnt/disk/backups"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with the station's units and settings."""
    (tmp_path / "etc/restore-station").mkdir(parents=True)
    shutil.copytree(ROOT / "systemd", tmp_path / UNITS)
    return tmp_path


def says(root: Path, text: str) -> Path:
    settings = root / "etc/restore-station/station.toml"
    settings.write_text(text)
    return settings


def drop_ins(root: Path) -> set[str]:
    return {file.parent.name.removesuffix(".d") for file in (root / UNITS).glob(f"*/{NAME}")}


def command(root: Path, *options: str) -> tuple[int, str]:
    settings = str(root / "etc/restore-station/station.toml")
    done = CliRunner().invoke(app, ["places", "--root", str(root), "--settings", settings, *options])
    return done.exit_code, done.output


def test_most_stations_need_none(root: Path):
    own = f'vault = "{unit_places.STATE}/vault"\nfirmware = "{unit_places.STATE}/firmware"\n'
    for text in ("", 'name = "One"\n', own, 'vault = "/media/disk/backups"\nrecords_copies = "/mnt/copies"\n'):
        assert wanted(named_in(says(root, text))) == {}


def test_a_vault_elsewhere_is_the_daemons_and_the_workers_to_write():
    there = wanted(VAULT)
    assert there.keys() == {"station.service", "station-worker@.service"}
    assert 'ReadWritePaths="-/mnt/disk/backups"\n' in there["station.service"]
    assert 'BindPaths="-/mnt/disk/backups"\n' in there["station-worker@.service"]


def test_a_store_elsewhere_is_the_workers_to_read_only():
    there = wanted(Places(firmware=Path("/data/100% iOS")))
    line = '"-/data/100%% iOS"\n'
    assert f"BindReadOnlyPaths={line}" in there["station-worker@.service"]
    assert "BindPaths" not in there["station-worker@.service"]
    for unit_of_it in ("station.service", "station-fetcher@.service", "station-check.service"):
        assert f"ReadWritePaths={line}" in there[unit_of_it]
    assert 'Environment="STORE=/data/100%% iOS"\n' in there["station-share.service"]


def test_a_store_on_a_disk_is_not_where_sharing_looks():
    there = wanted(Places(firmware=Path("/media/disk/ios")))
    assert there.keys() == {"station-share.service", "station-check.service"}


def test_what_is_believed_of_the_units_is_so():
    assert unit("station.service")["ReadWritePaths"] == "-/media -/run/media"
    assert unit("station-copy.service")["ReadWritePaths"] == "-/media -/run/media -/mnt -/srv"
    assert unit("station-fetcher@.service")["ReadWritePaths"] == "-/media -/run/media -/mnt"
    worker = (ROOT / "systemd/station-worker@.service").read_text()
    hidden = " ".join(line for line in worker.splitlines() if line.startswith("InaccessiblePaths="))
    assert "/mnt" not in hidden  # nothing could be bound below what is inaccessible
    assert "/mnt:ro" in unit("station-worker@.service")["TemporaryFileSystem"].split()
    assert unit("station-share.service")["Environment"] == f"STORE={unit_places.STATE}/firmware"


@pytest.mark.parametrize(
    ("name", "path", "says"),
    [
        ("vault", "/home/pi/backups", "homes are hidden"),
        ("vault", "/", "keeps other things there"),
        ("vault", "/var/lib", "keeps other things there"),
        ("vault", "/var/lib/restore-station", "keeps other things there"),
        ("firmware", "/var/lib/restore-station/keys", "keeps other things there"),
        ("vault", "/etc/backups", "no place for that"),
        ("vault", "/run/vault", "no place for that"),
        ("vault", "/media", "no place for that"),
        ("vault", "/var/log/x", "no place for that"),
        ("records_copies", "/tmp/copies", "no place for that"),
        ("vault", "backups", "begins with /"),
        ("vault", "/mnt/../etc", "begins with /"),
        ("vault", "/mnt/a:b", "colon"),
        ("vault", '/mnt/a" /etc "', "colon, quotes"),
        ("vault", "/mnt/a\nExecStartPre=/bin/sh", "colon, quotes"),
    ],
)
def test_what_no_unit_can_be_let_into(name: str, path: str, says: str):
    with pytest.raises(ConfigError) as caught:
        wanted(Places(**{name: Path(path)}))
    assert says in f"{caught.value} {caught.value.remedy}"


def test_vault_and_store_are_two():
    with pytest.raises(ConfigError, match="both /mnt/disk"):
        wanted(Places(vault=Path("/mnt/disk"), firmware=Path("/mnt/disk")))


def test_it_is_written_once_and_taken_away_again(root: Path):
    before = listing(root)
    settings = says(root, 'vault = "/mnt/disk/backups"\n')
    code, said = command(root, "--dry-run")
    assert (code, said.count("Writing ")) == (0, 2)
    assert drop_ins(root) == set()
    assert command(root)[0] == 0
    assert drop_ins(root) == {"station.service", "station-worker@.service"}
    written = listing(root)
    assert "Nothing to change" in command(root)[1]
    assert listing(root) == written
    (root / UNITS / "station.service.d/mine.conf").write_text("[Service]\nNice=1\n")
    settings.unlink()
    assert command(root)[1].count("Removing ") == 2
    left = listing(root).keys() - before.keys()
    assert left == {f"{UNITS}/station.service.d", f"{UNITS}/station.service.d/mine.conf"}


def test_a_drop_in_that_somebody_has_changed_is_as_the_settings_have_it_again(root: Path):
    says(root, 'vault = "/mnt/disk/backups"\n')
    command(root)
    file = root / UNITS / "station.service.d" / NAME
    good = file.read_text()
    file.write_bytes(b"\xff")
    assert "Writing " in command(root)[1]
    assert file.read_text() == good


def test_what_is_wrong_is_said_and_nothing_is_changed(root: Path):
    write(different(root, wanted(VAULT)))
    for text, why in (
        ('vault = "/home/pi"\n', "homes are hidden"),
        ("vault = 3\n", "is no path"),
        ("vault = \n", "is not TOML"),
    ):
        says(root, text)
        code, said = command(root)
        assert code == 1
        assert why in said
        assert drop_ins(root) == {"station.service", "station-worker@.service"}


def test_where_there_are_no_units_there_is_nothing_to_write(tmp_path: Path):
    assert command(tmp_path) == (
        1,
        "There are no units here: this station was not installed with deploy/install, and needs none.\n",
    )
    assert list(examine_places(load(vault=VAULT.vault, state=tmp_path), root=tmp_path)) == []


def test_the_doctor_sees_that_they_disagree(root: Path):
    (agreed,) = examine_places(load(state=root), root=root)
    assert agreed.fine
    (missing,) = examine_places(load(vault=VAULT.vault, state=root), root=root)
    assert not missing.fine
    assert missing.found.endswith("station-worker@.service, station.service")
    assert "sudo station places" in missing.remedy
    write(different(root, wanted(VAULT)))
    (mended,) = examine_places(load(vault=VAULT.vault, state=root), root=root)
    assert mended.fine
    (needless,) = examine_places(load(state=root), root=root)
    assert not needless.fine
    (never,) = examine_places(load(vault="/home/pi", state=root), root=root)
    assert "homes are hidden" in never.found
    assert "/mnt" in never.remedy


def test_each_start_sees_to_it(root: Path):
    says(root, 'vault = "/mnt/disk/backups"\n')
    settings = root / "etc/restore-station/station.toml"
    start = ["configure", str(root / "boot/station.toml"), "--settings", str(settings), "--root", str(root)]
    assert CliRunner().invoke(app, start).exit_code == 0
    assert drop_ins(root) == {"station.service", "station-worker@.service"}


@pytest.mark.system
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_reads_them(root: Path):
    places = Places(vault=Path("/data/my backups"), firmware=Path("/data/100% iOS"), records_copies=Path("/data/c"))
    write(different(root, wanted(places)))
    program = root / "opt/restore-station/.venv/bin"
    program.mkdir(parents=True)
    for name in ("station", "python"):
        shutil.copy("/bin/true", program / name)
    units = [f"/{UNITS}/station{name}.service" for name in ("", "-check", "-copy", "-share", "-worker@1", "-fetcher@1")]
    line = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={root}", *units]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
