"""Updates: never during a job, signed, judged, and back again; on a whole disk in a virtual machine."""

import fcntl
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

import pytest
from typer.testing import CliRunner

from station.cli.main import app
from tests.deploy.conftest import ROOT
from tests.deploy.owner import LETS_IN, logs_in
from tests.deploy.test_image import BUILT, IMAGE, LARGER, whole
from tests.deploy.whole import Disk, copy

IDLE = ROOT / "deploy/idle"
SCRIPTS = ROOT / "deploy/files/image/usr/local/lib/restore-station"
NOBODY = 65534
CHAIN = "proof/station/chain.sqlite"
SLOW = 900.0
"""Seconds that emulated processors may take to read and write a whole system."""
STATION = "/opt/restore-station/.venv/bin/station"


@pytest.fixture(params=["jobs/one/work/lock", "jobs/one/lock"], ids=["now", "earlier"])
def locked(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TextIO]:
    """A lock that a worker has, in `state`; one of an earlier version has it elsewhere."""
    path = tmp_path / str(request.param)
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@pytest.mark.system
class TestIdle:
    def test_without_jobs(self, tmp_path: Path):
        assert subprocess.run([IDLE, tmp_path], check=False, timeout=30).returncode == 0

    def test_with_one_that_has_ended(self, tmp_path: Path):
        for place in ("work/", ""):
            path = tmp_path / f"jobs/one/{place}lock"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        assert subprocess.run([IDLE, tmp_path], check=False, timeout=30).returncode == 0

    @pytest.mark.usefixtures("locked")
    def test_with_one_that_runs(self, tmp_path: Path):
        assert subprocess.run([IDLE, tmp_path], check=False, timeout=30).returncode == 1

    def test_with_firmware_that_is_fetched_into_a_store_elsewhere(self, tmp_path: Path):
        settings, lock = tmp_path / "station.toml", tmp_path / "disk/i OS/.fetch-one/lock"
        settings.write_text(f'name = "One"\nfirmware = "{tmp_path}/disk/i OS" # the "large" one\n')
        lock.parent.mkdir(parents=True)
        told = os.environ | {"STATION_CONFIG": str(settings)}
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert subprocess.run([IDLE, tmp_path], check=False, timeout=30, env=told).returncode == 1
        assert subprocess.run([IDLE, tmp_path], check=False, timeout=30, env=told).returncode == 0

    def test_settings_that_cannot_be_read_may_name_a_store_that_is_filled(self, tmp_path: Path):
        (settings := tmp_path / "station.toml").write_text('firmware = "/mnt\n')
        told = os.environ | {"STATION_CONFIG": str(settings)}
        done = subprocess.run([IDLE, tmp_path], capture_output=True, text=True, check=False, timeout=30, env=told)
        assert done.returncode == 1
        assert f"{settings}: " in done.stderr

    @pytest.mark.parametrize("make", [lambda path: path.symlink_to("elsewhere"), os.mkfifo, Path.mkdir])
    def test_what_is_no_lock_is_neither_followed_nor_taken_for_idleness(
        self, tmp_path: Path, make: Callable[[Path], object]
    ):
        """What root opens there, somebody else may have put there."""
        path = tmp_path / "jobs/one/work/lock"
        path.parent.mkdir(parents=True)
        make(path)
        done = subprocess.run([IDLE, tmp_path], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 1
        assert "cannot be told" in done.stderr
        assert not (path.parent / "elsewhere").exists()

    def test_it_waits_for_its_end(self, tmp_path: Path, locked: TextIO):
        with subprocess.Popen([IDLE, "--wait", tmp_path], stdin=subprocess.DEVNULL) as waiting:
            lock = Path(locked.name).stat().st_ino
            while not re.search(rf"-> FLOCK .*:{lock} ", Path("/proc/locks").read_text()):
                assert waiting.poll() is None
            fcntl.flock(locked, fcntl.LOCK_UN)
            assert waiting.wait(timeout=30) == 0


@pytest.mark.system
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "which one"),
        (["--nonsense"], "--help"),
        (["x.raucb"], "deploy/install" if os.getuid() == 0 else "needs root"),
    ],
)
def test_nonsense_is_refused(options: list[str], says: str):
    if Path("/etc/rauc/system.conf").exists():
        pytest.skip("this machine is a station that can be updated")
    done = subprocess.run([ROOT / "deploy/update", *options], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert says in done.stderr


def test_who_is_not_root_is_told_whose_it_is():
    done = CliRunner().invoke(app, ["update", "x.raucb", "--now"])
    assert done.exit_code == 1
    assert "sudo station update x.raucb --now" in done.stderr


@pytest.mark.system
@pytest.mark.skipif(shutil.which("rauc") is None or shutil.which("mksquashfs") is None, reason="there is no rauc")
def test_an_update_is_its_makers(tmp_path: Path):
    content, root = tmp_path / "content", tmp_path / "root"
    content.mkdir()
    (content / "file").write_bytes(os.urandom(100_000))
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", content, root, "4M"], check=True, capture_output=True)
    for name in ("ours", "strangers"):
        certificate(tmp_path, name)
    sign(root, tmp_path / "update.raucb", "0.0.2", by=tmp_path / "ours")
    for name, says in (("ours", "Version:    \t'0.0.2'"), ("strangers", "signature verification failed")):
        command = ["rauc", f"--keyring={tmp_path}/{name}.crt", "info", f"{tmp_path}/update.raucb"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert says in done.stdout + done.stderr
        assert (done.returncode == 0) == (name == "ours")


@pytest.mark.system
class TestFallenBack:
    """The system before an update starts again: what it finds of the records."""

    @pytest.fixture
    def state(self, tmp_path: Path) -> Path:
        return self.filled(tmp_path / "state")

    def filled(self, state: Path) -> Path:
        for directory, form in ((state, 2), (state / "before-update", 1)):
            (directory / "proof/station").mkdir(parents=True)
            with closing(sqlite3.connect(directory / CHAIN)) as database:
                database.execute(f"PRAGMA user_version = {form}")
        return state

    def begin(self, state: Path, *, slot: str, trial: str) -> str:
        grub, words = state.with_name("grubenv"), state.with_name("cmdline")
        grub.write_text(f"# GRUB Environment Block\nORDER=B A\n{trial}\n#####")
        words.write_text(f"root=PARTLABEL=x rauc.slot={slot} ro\n")
        done = subprocess.run(
            [SCRIPTS / "before-start", state, grub, words], capture_output=True, text=True, check=True
        )
        return done.stdout

    def form(self, database: Path) -> int:
        with closing(sqlite3.connect(database)) as connection:
            (form,) = connection.execute("PRAGMA user_version").fetchone()
        assert isinstance(form, int)
        return form

    def test_it_gets_the_records_that_it_can_read(self, state: Path):
        assert "as they were" in self.begin(state, slot="A", trial="trial=B")
        assert self.form(state / CHAIN) == 1
        assert self.form(state / "of-another-version/chain.sqlite") == 2

    @pytest.mark.parametrize(("slot", "trial"), [("B", "trial=B"), ("A", "")])
    def test_who_was_not_tried_in_vain_changes_nothing(self, state: Path, slot: str, trial: str):
        assert self.begin(state, slot=slot, trial=trial) == ""
        assert self.form(state / CHAIN) == 2

    def test_what_is_in_the_log_beside_it_comes_along(self, state: Path):
        for directory, word in ((state, "new"), (state / "before-update", "old")):
            # as a process leaves it that was killed
            code = "import os, sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('PRAGMA journal_mode = WAL');"
            code += "d.execute('CREATE TABLE t (x)'); d.execute('INSERT INTO t VALUES (?)', sys.argv[2:]);"
            code += "d.commit(); os._exit(0)"
            subprocess.run([sys.executable, "-c", code, directory / CHAIN, word], check=True, timeout=30)
            assert (directory / f"{CHAIN}-wal").exists()
        self.begin(state, slot="A", trial="trial=B")
        for database, word in ((state / CHAIN, "old"), (state / "of-another-version/chain.sqlite", "new")):
            with closing(sqlite3.connect(database)) as connection:
                assert connection.execute("SELECT x FROM t").fetchall() == [(word,)]

    def test_a_power_cut_in_the_middle_costs_nothing(self, state: Path):
        self.begin(state, slot="A", trial="trial=B")
        (state / CHAIN).unlink()
        (state / CHAIN).with_name(".chain.sqlite.part").write_bytes(b"half")
        assert "as they were" in self.begin(state, slot="A", trial="trial=B")
        assert self.form(state / CHAIN) == 1
        assert self.form(state / "of-another-version/chain.sqlite") == 2

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can be led to what is root's")
    def test_a_link_in_what_is_the_stations_leads_root_nowhere(self):
        with TemporaryDirectory(dir="/var/tmp") as place:
            Path(place).chmod(0o755)
            roots, state = Path(place, "roots"), self.filled(Path(place, "state"))
            roots.mkdir()
            (state / "of-another-version").symlink_to(roots)
            for path in (state, *state.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
            with pytest.raises(subprocess.CalledProcessError):
                self.begin(state, slot="A", trial="trial=B")
            assert roots.stat().st_uid == 0
            assert list(roots.iterdir()) == []
            assert self.form(state / CHAIN) == 2

    def test_what_was_kept_and_cannot_be_read_takes_nothings_place(self, state: Path):
        (state / "before-update" / CHAIN).write_bytes(b"no database at all, of any form")
        with pytest.raises(subprocess.CalledProcessError) as failed:
            self.begin(state, slot="A", trial="trial=B")
        assert "cannot be read; they stay" in failed.value.stderr
        assert self.form(state / CHAIN) == 2

    def test_records_that_were_not_changed_stay(self, state: Path):
        with closing(sqlite3.connect(state / CHAIN)) as database:
            database.execute("PRAGMA user_version = 1")
        assert self.begin(state, slot="A", trial="trial=B") == ""
        assert not (state / "of-another-version").exists()


def certificate(directory: Path, name: str) -> None:
    """Who signs."""
    line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    line += ["-days", "3650", "-subj", f"/CN={name}", "-keyout", f"{directory}/{name}.key"]
    subprocess.run([*line, "-out", f"{directory}/{name}.crt"], check=True, capture_output=True)


def sign(root: Path, to: Path, version: str, *, by: Path) -> None:
    """An update, from a root file system."""
    line = [ROOT / "deploy/image-bundle", root, "amd64", version, by.with_suffix(".crt"), by.with_suffix(".key"), to]
    subprocess.run([str(part) for part in line], check=True, timeout=900)


class Updates:
    """An image, and updates of it: one that is good, one without its program, one that a stranger signed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files = directory / "files"
        self.files.mkdir()
        self.image = directory / "restore-station-0.0.1-amd64.img"
        for name in ("ours", "strangers"):
            certificate(directory, name)

    def build(self) -> None:
        """All of it."""
        if built := os.environ.get(BUILT["amd64"]):
            shutil.copy(built, self.image)
            shutil.copy(Path(built).with_name("ours.crt"), self.directory)
            shutil.copy(Path(built).with_name("ours.key"), self.directory)
        else:
            line = [str(IMAGE), "--arch", "amd64", "--version", "0.0.1", "--out", str(self.directory)]
            subprocess.run([*line, "--keyring", f"{self.directory}/ours.crt"], check=True, timeout=2400)
        root = self.directory / "root.ext4"
        table = subprocess.run(["sfdisk", "--dump", self.image], capture_output=True, text=True, check=True).stdout
        found = re.search(r"start= *(\d+), size= *(\d+).*station-root-a", table)
        assert found is not None
        line = ["dd", f"if={self.image}", f"of={root}", "bs=512", f"skip={found[1]}", f"count={found[2]}"]
        subprocess.run([*line, "conv=sparse", "status=none"], check=True)
        self._name(root, "0.0.2")
        sign(root, self.files / "good.raucb", "0.0.2", by=self.directory / "ours")
        sign(root, self.files / "stranger.raucb", "0.0.2", by=self.directory / "strangers")
        self._name(root, "0.0.3")
        subprocess.run(["debugfs", "-w", "-R", f"rm {STATION}", root], check=True, capture_output=True)
        sign(root, self.files / "bad.raucb", "0.0.3", by=self.directory / "ours")
        root.unlink()

    def _name(self, root: Path, version: str) -> None:
        name = "/etc/restore-station-image"
        source = self.directory / "version"
        source.write_text(f"restore-station-{version}\n")
        subprocess.run(["debugfs", "-w", "-R", f"rm {name}", root], check=True, capture_output=True)
        subprocess.run(["debugfs", "-w", "-R", f"write {source} {name}", root], check=True, capture_output=True)

    def stick(self) -> Path:
        """A disk with the updates on it."""
        disk = self.directory / "stick"
        if not disk.exists():
            size = sum(file.stat().st_size for file in self.files.iterdir()) // (1 << 20) + 200
            line = ["mke2fs", "-q", "-t", "ext4", "-d", self.files, disk, f"{size}M"]
            subprocess.run([str(part) for part in line], check=True, capture_output=True)
        return disk


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Updates]:
    directory = tmp_path_factory.mktemp("updates")
    updates = Updates(directory)
    updates.build()
    yield updates
    shutil.rmtree(directory)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disk")


async def begin(machine: Disk) -> None:
    """Switch it on, and wait until an update would have been judged."""
    await machine.start()
    await up(machine)


async def up(machine: Disk) -> None:
    await machine.shell()
    await machine.check("systemctl start restore-station-healthy.service", seconds=SLOW)


async def version(machine: Disk) -> str:
    return (await machine.check("cat /etc/restore-station-image")).removeprefix("restore-station-")


@pytest.mark.skipif(shutil.which("rauc") is None, reason="there is no rauc")
class TestWhole:
    pytestmark = whole

    async def test_a_good_one_stays_and_a_bad_one_goes(self, updates: Updates, short: Path):
        disk = copy(updates.image, short / "disk", size=LARGER)
        async with Disk(disk, short, more=[updates.stick()]) as machine:
            machine.keep_a_shell()
            machine.write("station.toml", f'name = "Counter 1"\n{LETS_IN}')
            await begin(machine)
            assert await version(machine) == "0.0.1"
            identity = await machine.check("cat /etc/machine-id")
            known = await logs_in(machine)
            await machine.check("mkdir -p /mnt/stick && mount -o ro /dev/vdb /mnt/stick")

            code, said = await machine.run("station update /mnt/stick/stranger.raucb", seconds=SLOW)
            assert code == 1
            assert "nobody whom this station trusts" in said

            # which system starts is root's to say, and nobody else's
            as_station = "runuser --user restore-station --"
            code, _ = await machine.run(f"{as_station} rauc status mark-active other")
            assert code != 0
            assert "B A" not in await machine.check("grub-editenv /boot/firmware/grub/grubenv list | grep ^ORDER")

            # in the middle of a job
            await machine.check("install -d -o restore-station /var/lib/restore-station/jobs/one")
            lock = "/var/lib/restore-station/jobs/one/lock"
            await machine.check(f"touch {lock}; systemd-run --unit=job flock {lock} sleep infinity")
            await machine.check(f"until ! flock --nonblock {lock} true; do :; done")
            code, said = await machine.run("station update --now /mnt/stick/good.raucb", seconds=SLOW)
            assert code == 1
            assert "phones are being worked on" in said
            code, said = await machine.run("rauc install /mnt/stick/good.raucb", seconds=SLOW)
            assert code != 0, said  # whoever goes round `station update` is stopped too
            await machine.check("systemctl stop job")

            await machine.check("station update /mnt/stick/good.raucb", seconds=SLOW)
            await up(machine)
            assert await version(machine) == "0.0.2"
            assert await machine.check("hostname") == "counter-1"
            assert await machine.check("cat /etc/machine-id") == identity
            assert await logs_in(machine) == known
            assert "trial" not in await machine.check("grub-editenv /boot/firmware/grub/grubenv list")

            await machine.check("mkdir -p /mnt/stick && mount -o ro /dev/vdb /mnt/stick")
            await machine.check("station update /mnt/stick/bad.raucb", seconds=SLOW)
            await machine.shell()  # 0.0.3's, for a moment
            await up(machine)
            assert await version(machine) == "0.0.2"
            await machine.check("sync")
            await machine.off()
            said_there = machine.read("update-problem.txt")
            assert said_there is not None
            assert "0.0.3 was tried" in said_there

    async def test_a_power_cut_leaves_what_was(self, updates: Updates, short: Path):
        disk = copy(updates.image, short / "disk", size=LARGER)
        async with Disk(disk, short, more=[updates.stick()]) as machine:
            machine.keep_a_shell()
            await begin(machine)
            await machine.check("mkdir -p /mnt/stick && mount -o ro /dev/vdb /mnt/stick")
            await machine.check("systemd-run --unit=update station update /mnt/stick/good.raucb")
            # until some of it is on the other partition
            written = "awk '{print $7}' /sys/class/block/vda4/stat"
            await machine.check(f"until [ $({written}) -gt 100000 ]; do systemctl is-active -q update || break; done")
            await machine.off()
            await begin(machine)
            assert await version(machine) == "0.0.1"
            assert (await machine.check("systemctl is-active station")) == "active"
