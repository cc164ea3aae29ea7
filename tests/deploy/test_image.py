"""The image for PCs: built, and booted as a whole disk by its own boot loader, to a station that is ready."""

import hashlib
import json
import lzma
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT
from tests.deploy.owner import LETS_IN, logs_in
from tests.deploy.whole import ARM, PC, Disk, copy

IMAGE = ROOT / "deploy/image"
PI = ROOT / "deploy/image-pi"
READY_SECONDS = 60.0
"""Boot to ready, on two idle emulated cores; here others may use them, and then it is only told."""
LARGER = 8 << 30
"""Bytes of the disk that the image is written to."""
GROWN = 2 << 30
"""Bytes of the data partition then, at least: what the image has no use for."""
BUILT = {"amd64": "STATION_IMAGE", "arm64": "STATION_IMAGE_ARM64"}
"""Name images that were built before, for whoever tries these tests again and again."""
ON_ARM = platform.machine() == "aarch64"

OWNERS = f"""\
name = "Counter 1"
pin = "2580"
{LETS_IN}[wifi]
name = "N"
password = "12345678"
"""
"""What its owner has written into the boot partition's file."""

whole = [
    pytest.mark.system,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.getuid() != 0, reason="makes a root file system, with owners and device nodes"),
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="there is no QEMU for PCs"),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh image for PCs."""
    with _built("amd64", tmp_path_factory) as image:
        yield image


@pytest.fixture(scope="module")
def arm_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh image for ARM machines."""
    with _built("arm64", tmp_path_factory) as image:
        yield image


@contextmanager
def _built(arch: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if built := os.environ.get(BUILT[arch]):
        yield Path(built)
        return
    out = tmp_path_factory.mktemp("image")
    done = subprocess.run([IMAGE, "--arch", arch, "--version", "0.0.1", "--out", out], check=False, timeout=3000)
    assert done.returncode == 0
    yield out / f"restore-station-0.0.1-{arch}.img"
    shutil.rmtree(out)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disk")


async def boots_to_a_station_that_is_ready(machine: Disk, said: Callable[[str], object]) -> None:
    """Switch it on, and wait until daemon and screen are ready and nothing has failed."""
    machine.keep_a_shell()
    begin = time.monotonic()
    await machine.start()
    await machine.shell()
    await machine.check("until systemctl start station; do :; done", seconds=900)
    said(f"\nboot to ready: {time.monotonic() - begin:.0f} s (aim: {READY_SECONDS:.0f})\n")
    await machine.check("until systemctl start station-screen; do :; done", seconds=900)
    assert (await machine.check("systemctl is-active station station-screen")).split() == ["active"] * 2
    workers = await machine.check("systemctl show --property=SubState --value 'station-worker@*'")
    assert workers.split() == ["running"]  # it waits for a job
    failed = await machine.check("systemctl --failed --plain --no-legend")
    assert not failed, failed


class TestWhole:
    pytestmark = whole

    async def test_it_boots_to_a_station_that_is_ready(
        self, image: Path, short: Path, capsys: pytest.CaptureFixture[str]
    ):
        disk = copy(image, short / "disk", size=LARGER)
        async with Disk(disk, short) as machine:
            machine.write("station.toml", OWNERS)
            with capsys.disabled():
                await boots_to_a_station_that_is_ready(machine, sys.stdout.write)
            # first boot
            assert await machine.check("hostname") == "counter-1"
            assert "Counter 1" in await machine.check("cat /etc/restore-station/station.toml")
            network = await machine.check("nmcli -g 802-11-wireless.ssid connection show restore-station")
            assert network == "N"
            assert "gpio" in await machine.check("cat /etc/restore-station/station.toml")  # deploy/install's, kept
            await logs_in(machine)
            # the data partition has the whole disk, and what must outlive an update
            size = int(await machine.check("df --output=size -B1 /data | tail -1"))
            assert size > GROWN
            assert "/kept/var/lib/restore-station" in await machine.check("findmnt -no SOURCE /var/lib/restore-station")
            await machine.check("sync")
            await machine.off()
            left = machine.read("station.toml")
            assert left is not None
            assert "2580" not in left
            assert "12345678" not in left
            assert machine.read("station-problem.txt") is None

    async def test_what_is_wrong_is_said_on_the_boot_partition(self, image: Path, short: Path):
        disk = copy(image, short / "disk", size=LARGER)
        async with Disk(disk, short) as machine:
            machine.keep_a_shell()
            machine.write("station.toml", 'polcy = "bench"\n')
            await machine.start()
            await machine.shell()
            await machine.check("until systemctl start station; do :; done", seconds=900)
            # nobody may log in who was not named
            assert (await machine.run("systemctl start ssh; systemctl is-active ssh"))[1] == "inactive"
            assert not await machine.check("ss --no-header --listening --tcp --numeric 'sport = :22'")
            assert not await machine.check("find /etc -name 'ssh_host_*'")
            await machine.check("sync")
            await machine.off()
            said = machine.read("station-problem.txt")
            assert said is not None
            assert "Is it “policy” that is meant?" in said

    @pytest.mark.skipif(not PC.efi.exists(), reason="there is no EFI for QEMU (ovmf)")
    async def test_it_boots_by_efi_too(self, image: Path, short: Path):
        disk = copy(image, short / "disk", size=LARGER)
        async with Disk(disk, short, efi=True) as machine:
            machine.keep_a_shell()
            await machine.start()
            await machine.shell()
            assert await machine.check("ls -d /sys/firmware/efi") == "/sys/firmware/efi"

    async def test_what_is_not_on_the_data_partition_is_as_new_at_each_start(
        self, image: Path, short: Path, capsys: pytest.CaptureFixture[str]
    ):
        disk = copy(image, short / "disk", size=LARGER)
        async with Disk(disk, short) as machine:
            words = machine.read("grub/words.cfg")
            assert words is not None
            machine.write("grub/words.cfg", words.replace('"\n', ' overlayroot=tmpfs:recurse=0"\n'))
            machine.write("station.toml", OWNERS)
            known = []
            for _ in range(2):
                with capsys.disabled():
                    await boots_to_a_station_that_is_ready(machine, sys.stdout.write)
                assert await machine.check("findmnt -no FSTYPE /") == "overlay"
                await machine.check("! test -e /etc/changed && touch /etc/changed")
                # what its owner has set is there still, though it is taken once
                assert await machine.check("hostname") == "counter-1"
                assert await machine.check("nmcli -g 802-11-wireless.ssid connection show restore-station") == "N"
                known.append(await logs_in(machine))
                # the data partition: it is no part of that, and has the whole disk
                where = await machine.check("findmnt -no SOURCE /var/lib/restore-station")
                assert where.endswith("[/kept/var/lib/restore-station]")
                assert int(await machine.check("df --output=size -B1 /data | tail -1")) > GROWN
                await machine.check("echo start >>/var/lib/restore-station/starts; sync")
                starts = await machine.check("cat /var/lib/restore-station/starts")
                await machine.off()
            assert starts.split() == ["start"] * 2
            assert known[0] == known[1]


@pytest.mark.skipif(not ARM.efi.exists(), reason="there is no EFI for QEMU's ARM machines (qemu-efi-aarch64)")
@pytest.mark.skipif(
    not ON_ARM and not Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists(),
    reason="this machine cannot run programs for arm64 (qemu-user-static, binfmt-support)",
)
class TestArm:
    pytestmark = whole

    async def test_it_boots_to_a_station_that_is_ready(
        self, arm_image: Path, short: Path, capsys: pytest.CaptureFixture[str]
    ):
        disk = copy(arm_image, short / "disk", size=LARGER)
        async with Disk(disk, short, kind=ARM, efi=True) as machine:
            machine.write("station.toml", OWNERS)
            with capsys.disabled():
                await boots_to_a_station_that_is_ready(machine, sys.stdout.write)
            assert await machine.check("uname -m") == "aarch64"
            assert await machine.check("hostname") == "counter-1"
            await logs_in(machine)


@pytest.mark.system
def test_imagers_list_says_what_is_written_to_the_card(tmp_path: Path):
    content = os.urandom(100_000)
    image = tmp_path / "station.img.xz"
    image.write_bytes(lzma.compress(content))
    command = [
        sys.executable,
        str(ROOT / "deploy/image-manifest"),
        str(image),
        "--url",
        "https://example.org/station.img.xz",
    ]
    said = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    (entry,) = said["os_list"]
    assert entry["extract_size"] == len(content)
    assert entry["extract_sha256"] == hashlib.sha256(content).hexdigest()
    assert entry["image_download_size"] == image.stat().st_size
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry["release_date"])
    # What rpi-imager's schema requires of an entry.
    required = {"name", "description", "icon", "url", "extract_size", "extract_sha256", "image_download_size"}
    assert required < entry.keys()


@pytest.mark.system
@pytest.mark.parametrize(("options", "devices"), [([], ["pi5-64bit", "pi4-64bit"]), (["--device", "none"], None)])
def test_an_image_for_pcs_is_not_offered_for_a_pi(tmp_path: Path, options: list[str], devices: list[str] | None):
    (tmp_path / "station.img").write_bytes(b"an image")
    command = [sys.executable, str(ROOT / "deploy/image-manifest"), str(tmp_path / "station.img"), *options]
    (entry,) = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)["os_list"]
    assert entry.get("devices") == devices


@pytest.mark.system
def test_an_image_that_is_none_is_said_in_words(tmp_path: Path):
    (tmp_path / "x.xz").write_bytes(b"no")
    command = [sys.executable, str(ROOT / "deploy/image-manifest"), str(tmp_path / "x.xz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.system
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--arch", "riscv"], "amd64 or arm64"),
        (["--policy", "none"], "walk-up, bench or overnight"),
        (["--version", "a b"], "letters, digits"),
        (["--nonsense"], "--help"),
        (["--out"], "needs a value"),
        (["--bundle", "one"], "a certificate and its key"),
        (["--keyring", "/nowhere"], "cannot be read"),
        (["--bundle", "/dev/null", "/dev/null"], "needs --keyring"),
    ],
)
def test_nonsense_is_refused(options: list[str], says: str):
    done = subprocess.run([IMAGE, *options], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert says in done.stderr


def test_the_pis_image_is_made_of_the_same_parts():
    layer = (PI / "layer/restore-station.yaml").read_text()
    for path in re.findall(r'IGconf_station_source}/(\S+?)"', layer):
        assert (ROOT / path).is_file(), path
    assert (PI / "layer" / "../../.." / "deploy/install").resolve() == ROOT / "deploy/install"
    name = re.search("X-Env-Layer-Name: (.*)", layer)
    assert name is not None
    assert f"app: {name[1]}" in (PI / "config/restore-station.yaml").read_text()


def test_the_example_on_the_boot_partition_is_toml():
    assert tomllib.loads((ROOT / "deploy/files/boot/station.toml").read_text()) == {}
