"""`deploy/install --root`: files, users and the kernel's command line of a system that is not running."""

import fcntl
import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from station.adapters import unit_places
from station.adapters.unit_places import Places
from station.daemon.presets import Preset
from station.daemon.settings import load
from tests.deploy.conftest import COMMAND_LINE, DEBIANS, INSTALL, ROOT, Install, listing

pytestmark = pytest.mark.system
as_root = pytest.mark.skipif(os.getuid() != 0, reason="makes users in another root file system")


@as_root
def test_a_dry_run_says_what_a_run_does_and_changes_nothing(system: Path, install: Install):
    before = listing(system)
    says = install("--dry-run", "--name", "Counter 1")
    assert listing(system) == before
    does = install("--name", "Counter 1")
    assert says.splitlines()[:-1] == does.splitlines()[:-1]
    assert "dry run" in says.splitlines()[-1]


@as_root
def test_a_second_run_changes_nothing_and_says_so(system: Path, install: Install):
    install("--name", "Counter 1", "--policy", "walk-up")
    (system / "etc/hostname").write_text("as-its-owner-calls-it\n")
    before = listing(system)
    assert "Nothing to change" in install()
    assert listing(system) == before


def test_a_note_that_cannot_be_written_stays_as_it_was(tmp_path: Path):
    """A process that may write nothing to files, as on a full disk."""
    (tmp_path / "options").write_text("kiosk=no\n")
    script = f"set -e; source {ROOT}/deploy/lay.sh; notes={tmp_path}; trap '' XFSZ; ulimit -f 0; write_note options new"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert (tmp_path / "options").read_text() == "kiosk=no\n"


@as_root
@pytest.mark.parametrize("work", ["jobs/one", "jobs/one/work", "firmware/.fetch-23C55-0123456789ab"])
def test_nothing_is_changed_while_something_is_worked_on(system: Path, install: Install, work: str):
    lock = system / "var/lib/restore-station" / work / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        before = listing(system)
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AssertionError, match="try again when the station is idle"):
            install()
        assert listing(system) == before
    assert "The program" in install()  # whoever held it is gone


@as_root
def test_what_is_left_when_it_is_uninstalled(system: Path, install: Install):
    before = listing(system)
    install("--name", "Counter 1", "--usb-guard")
    unit_places.write(unit_places.different(system, unit_places.wanted(Places(vault=Path("/mnt/disk/backups")))))
    settings = system / "etc/restore-station/station.toml"
    settings.write_text('vault = "/mnt/disk/backups" # "large"\n' + settings.read_text())
    found = re.search("^restore-station:[^:]*:([0-9]+):", (system / "etc/passwd").read_text(), re.MULTILINE)
    assert found is not None
    backup, others = system / "mnt/disk/backups/backup", system / "mnt/disk/backups/others"
    records = system / "var/lib/restore-station/records.db"
    for kept, number in ((records, 990), (backup, int(found[1])), (others, 4321)):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("what is kept")
        os.chown(kept, number, number)
    says = install("--uninstall")
    left = {path for path in listing(system).keys() - before.keys() if (system / path).is_file()}
    by_others = {
        "etc/passwd-",
        "etc/group-",
        "etc/shadow-",
        "etc/gshadow-",
        "etc/shadow",
        "etc/gshadow",
        "etc/.pwd.lock",
    }
    by_itself = {"mnt/disk/backups/backup", "mnt/disk/backups/others", "var/lib/restore-station/records.db"}
    assert left - by_others == {"etc/restore-station/station.toml"} | by_itself
    assert "Left: /mnt/disk/backups" in says
    assert (backup.stat().st_uid, others.stat().st_uid) == (0, 4321)
    assert "/etc/systemd/system/station.service.d/restore-station-places.conf" in says
    assert "Left: /var/lib/restore-station" in says
    assert "Left: /etc/restore-station/station.toml" in says
    assert records.stat().st_uid == 0  # that user's number may become somebody else's
    for file in ("etc/hostname", "etc/hosts", "boot/firmware/cmdline.txt"):
        assert listing(system)[file][-1] == before[file][-1], file
    assert "restore-station" not in (system / "etc/passwd").read_text() + (system / "etc/group").read_text()


@as_root
def test_a_raspberry_pis_kernel_says_nothing_on_the_display(system: Path, install: Install):
    install()
    line = (system / "boot/firmware/cmdline.txt").read_text()
    assert line.count("\n") == 1
    words = line.split()
    assert words[:4] == COMMAND_LINE.replace("tty1", "tty3").split()
    assert {"quiet", "vt.global_cursor_default=0", "consoleblank=0"} <= set(words)
    added_by_the_owner = line.replace("rootwait", "rootwait video=HDMI-A-1:1920x1080")
    (system / "boot/firmware/cmdline.txt").write_text(added_by_the_owner)
    install("--no-kiosk")
    restored = (system / "boot/firmware/cmdline.txt").read_text()
    assert restored == COMMAND_LINE + " video=HDMI-A-1:1920x1080\n"
    assert not (system / "etc/systemd/system/getty@tty1.service").is_symlink()
    assert not (system / "etc/systemd/system/station-screen.service").exists()
    assert not (system / "etc/systemd/system/multi-user.target.wants/station-screen.service").is_symlink()


@as_root
def test_what_the_owner_changed_stays(system: Path, install: Install):
    settings, limits = (
        system / "etc/restore-station/station.toml",
        system / "etc/systemd/journald.conf.d/restore-station.conf",
    )
    settings.parent.mkdir()
    settings.write_text('name = "Mine"\n')
    install("--policy", "overnight")
    limits.write_text("[Journal]\nSystemMaxUse=1G\n")
    says = install()
    assert "somebody has changed it: /etc/systemd/journald.conf.d/restore-station.conf" in says
    assert "stay as they are: /etc/restore-station/station.toml" in says
    assert "somebody has changed it" in install("--uninstall")
    assert "1G" in limits.read_text()
    assert settings.read_text() == 'name = "Mine"\n'


@as_root
def test_a_run_that_the_power_cut_off_is_taken_up_again(system: Path, install: Install):
    path = "/etc/systemd/journald.conf.d/restore-station.conf"
    limits, notes = system / path[1:], system / "opt/restore-station/.installed"
    install()
    for name in ("files", "directories"):
        lines = (notes / name).read_text().splitlines(keepends=True)
        (notes / name).write_text("".join(line for line in lines if "journald" not in line))
    limits.write_text("[Journal] # as another version has it\n")
    digest = sha256(limits.read_bytes()).hexdigest()
    (notes / "begun").write_text(f"directory {Path(path).parent}\n{digest} {path}\n")
    assert f"Writing {path}" in install()
    assert not (notes / "begun").exists()
    install("--uninstall")
    assert not limits.parent.exists()


@pytest.mark.long
@as_root
@pytest.mark.parametrize("has_header", [True, False])
def test_the_settings_are_what_was_asked_for(system: Path, install: Install, *, has_header: bool):
    if not has_header:
        (system / "boot/firmware/cmdline.txt").unlink()
    install("--name", "Counter 1", "--policy", "overnight")
    settings = load(system / "etc/restore-station/station.toml")
    assert (settings.name, settings.policy) == ("Counter 1", Preset.OVERNIGHT)
    assert (settings.gpio.enabled, settings.touch_confirms) == (has_header, not has_header)


@as_root
def test_another_version_takes_the_place_of_the_old_one(system: Path, install: Install):
    install("--prefix", "/srv/station")
    assert "ExecStart=/srv/station/.venv" in (system / "etc/systemd/system/station.service").read_text()
    program = system / "srv/station/station"
    (program / "of_old.py").write_text("")
    (program / "errors.py").write_text("raise")
    says = install("--prefix", "/srv/station")
    assert "1 files to /srv/station, 1 old ones away" in says
    assert not (program / "of_old.py").exists()
    assert (program / "errors.py").read_bytes() == (ROOT / "station/errors.py").read_bytes()


@as_root
def test_systemd_finds_nothing_wrong_with_the_units(system: Path, install: Install):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    install("--usb-guard")
    program = system / "opt/restore-station/.venv/bin/station"
    program.parent.mkdir(parents=True)
    shutil.copy("/bin/true", program)
    (system / "usr/bin").mkdir(parents=True, exist_ok=True)
    usbmuxd = system / "usr/lib/systemd/system/usbmuxd.service"
    usbmuxd.parent.mkdir(parents=True)
    usbmuxd.write_text(DEBIANS)
    (system / "usr/sbin").mkdir()
    shutil.copy("/bin/true", system / "usr/sbin/usbmuxd")
    for name in ("touch", "udevadm", "rm", "sh"):
        shutil.copy("/bin/true", system / "usr/bin" / name)
    units = [f"/etc/systemd/system/station{part}.service" for part in ("", "-screen", "-usb-guard")]
    units += ["station-stick@sda1.service", "usbmuxd.service"]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={system}", *units]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_program_goes_nowhere_where_something_else_is(tmp_path: Path):
    (tmp_path / "usr/bin").mkdir(parents=True)
    line = [str(INSTALL), "--dry-run", "--root", str(tmp_path), "--prefix", "/usr"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "there is something else in it" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--prefix", "/opt/../usr"], "absolute path"),
        (["--policy", "nonsense"], "walk-up, bench or overnight"),
        (["--name", 'a "quoted" one'], "no quotes"),
        (["--prefix", "relative"], "absolute path"),
        (["--nonsense"], "--help"),
        (["--name"], "needs a value"),
        (["--uninstall"], "there is no station"),
    ],
)
def test_nonsense_is_refused(options: list[str], says: str, tmp_path: Path):
    done = subprocess.run(
        [INSTALL, "--dry-run", "--root", tmp_path, *options], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert re.match(r"deploy: ", done.stderr)
    assert not list(tmp_path.iterdir())
