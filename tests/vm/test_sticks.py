"""USB sticks are mounted by themselves, for the units too that were there before, and are gone when they are pulled.

Sticks are played by the kernel's own gadget (dummy_hcd, a USB device and its host controller in one machine); what is
on them was made by mkfs. The units are as delivered, but each only waits: what it sees is looked at from inside.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.vm.guest import Guest
from tests.vm.program import PROGRAM, PYTHON

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

PATIENCE = 200.0
"""Seconds for what takes ten on an idle machine."""
SHORTLY = 90.0
"""Seconds for what takes six in the guest when nobody else is at work here."""
FILES = PROGRAM / "deploy/files"
SCRIPT = "/usr/local/lib/restore-station/stick"
STICKS = "73-restore-station-sticks.rules"
GUARD = "71-restore-station-usb-guard.rules"
UNITS = "/run/systemd/system"
GADGETS = "/sys/kernel/config/usb_gadget"
USER = "restore-station"
WRITERS = ("station.service", "station-worker@1.service", "station-fetcher@1.service", "station-copy.service")
BLIND = ("station-screen.service", "station-gateway.service")
WAITS = """\
[Service]
Type=exec
ExecStart=
ExecStart=/usr/bin/sleep infinity
StandardInput=null
StandardOutput=journal
WatchdogSec=0
"""
SETUP = f"""
set -e
modprobe --all dummy_hcd libcomposite usb_f_mass_storage usb_f_hid
systemd-sysusers {FILES}/base/etc/sysusers.d/restore-station.conf
for one in jobs firmware; do install -d -o {USER} /var/lib/restore-station/$one; done
install -d -o {USER} /run/restore-station /run/restore-station/secrets /run/restore-station/secrets/given
for one in worker reaper gateway fetcher; do touch /run/restore-station-$one.sock; done
install -D {FILES}/base{SCRIPT} {SCRIPT}
install -D -m 644 {FILES}/base/etc/udev/rules.d/{STICKS} /run/udev/rules.d/{STICKS}
cp {PROGRAM}/systemd/station*.service {UNITS}
for unit in {" ".join(WRITERS + BLIND)}; do
    mkdir -p "{UNITS}/$unit.d"
    printf '%s' "$WAITS" > "{UNITS}/$unit.d/waits.conf"
done
udevadm control --reload
systemctl daemon-reload
# Only themselves: what they want would begin the real things.
systemctl start --job-mode=ignore-dependencies {" ".join(WRITERS + BLIND)}
"""
AWAY = f"""
systemctl stop {" ".join(WRITERS + BLIND)} 'station-stick@*'
rm -rf /run/udev/rules.d/{STICKS} {SCRIPT} /var/lib/restore-station /run/restore-station* /run/*.img
rm -rf {UNITS}/station.service* {UNITS}/station-*
udevadm control --reload
systemctl daemon-reload
systemctl reset-failed
for user in {USER} {USER}-screen {USER}-worker {USER}-reaper {USER}-gateway; do userdel $user; done
groupdel gpio
modprobe --remove usb_f_mass_storage usb_f_hid libcomposite dummy_hcd
"""
MAKE = f"""
set -e
mkdir -p {GADGETS}/$0/strings/0x409 {GADGETS}/$0/configs/c.1 {GADGETS}/$0/functions/mass_storage.0
cd {GADGETS}/$0
echo 0x0781 > idVendor
echo 0x5567 > idProduct
echo "Stick $0" > strings/0x409/product
echo 1 > functions/mass_storage.0/lun.0/removable
echo "$1" > functions/mass_storage.0/lun.0/file
ln -s functions/mass_storage.0 configs/c.1/
"""
# A device of the maker's own kind beside the disk (HID): what a keyboard would be.
MORE = f"""
set -e
cd {GADGETS}/$0
mkdir functions/hid.0
echo 8 > functions/hid.0/report_length
printf '\\006\\000\\377\\011\\001\\241\\001\\300' > functions/hid.0/report_desc
ln -s functions/hid.0 configs/c.1/
"""
UNMAKE = f"""
cd {GADGETS}/$0 || exit
echo > UDC
rm -f configs/c.1/*.*
rmdir configs/c.1 functions/* strings/0x409
cd .. && rmdir $0
"""
PLUG = f"ls /sys/class/udc | grep -m1 dummy > {GADGETS}/$0/UDC"
PULL = f"echo > {GADGETS}/$0/UDC"
# What a writer does in a unit: a file, and what it may not.
WRITE = """
set -e
echo told > "$0/one.txt"
sync "$0/one.txt"
chmod 600 "$0/one.txt"
grep -q told "$0/one.txt"
"""
TOLD = """
grep /media /proc/mounts; ls -la /media /run/restore-station-sticks; cat /sys/bus/usb/devices/*-1/authorized
for each in /dev/sd*; do udevadm info --query=property --name=$each | grep -E 'ID_FS|SYSTEMD|UDISKS|TAGS'; done
systemctl list-units --all --no-pager --plain 'station*' '*media*' 'dev-sd*'
journalctl --no-pager --unit='station-stick@*' --lines=40
"""
"""What helps who finds it otherwise."""
# How the daemon finds it, and how it writes there.
FOUND = """
from station.adapters import bundle, durable, sticks
found = sticks.mounted()
for place in found.values():
    bundle.write(place, "logs.zip", [("log", b"said")])
    durable.write(place / "note", b"kept", mode=0o600)
print(found)
"""


class Bench:
    """Sticks, and a hand that plugs them in."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._made: list[str] = []

    async def plug(self, image: Path, *, name: str = "one") -> None:
        """Plug a stick in."""
        inside = f"/run/{name}.img"
        await self.guest.check("cp", str(image), inside)
        await self.guest.check("sh", "-c", MAKE, name, inside)
        self._made.append(name)
        await self.guest.check("sh", "-c", PLUG, name)

    async def pull(self, *, name: str = "one") -> None:
        """Pull it out, whatever is being written."""
        await self.guest.run("sh", "-c", PULL, name)

    async def clear(self) -> None:
        """Nothing is plugged in any more, and nothing is left of it."""
        while self._made:
            await self.guest.run("sh", "-c", UNMAKE, self._made.pop())
        await self.until("! grep -q ' /media/' /proc/mounts")

    async def until(self, condition: str) -> None:
        """Wait for what a shell can see. AssertionError: it never was."""
        wait = f"until {condition}; do sleep 0.2; done"
        if (await self.guest.run("sh", "-c", wait, seconds=SHORTLY)).code != 0:
            told = f"lsblk; {TOLD}"
            raise AssertionError(f"not so: {condition}\n{(await self.guest.run('sh', '-c', told)).output}")

    async def is_at(self, place: str) -> str:
        """Wait until a stick is mounted there; with which options."""
        await self.until(f"findmnt --mountpoint {place}")
        return (await self.guest.check("findmnt", "-n", "-o", "FSTYPE,OPTIONS", "--mountpoint", place)).strip()

    async def is_gone(self, place: str) -> None:
        """Wait until there is nothing of it."""
        await self.until(f"! findmnt --mountpoint {place} && ! test -e {place}")

    async def settled(self, device: str) -> None:
        """Wait until its unit has done what it does."""
        await self.until(f"systemctl --quiet is-active station-stick@{device}")

    async def said(self) -> str:
        """What was said of sticks."""
        await self.guest.check("journalctl", "--sync")
        return await self.guest.check("journalctl", "--no-pager", "--unit=station-stick@*", "--output=cat")

    async def within(self, unit: str, *command: str, seconds: float = 30.0) -> tuple[int | None, str]:
        """Run something where a unit is, as the station's user."""
        number = (await self.guest.check("systemctl", "show", "--property=MainPID", "--value", unit)).strip()
        enter = ("nsenter", f"--target={number}", "--mount", "runuser", "-u", USER, "--", *command)
        outcome = await self.guest.run(*enter, seconds=seconds)
        return outcome.code, outcome.output


def make(place: Path, kind: str, label: str, *, table: bool = False, size: int = 16) -> Path:
    """A stick with a file system of a kind, in a partition or without a table; size in MiB."""
    place.mkdir(exist_ok=True)
    image = place / f"{len(list(place.iterdir()))}.img"
    with image.open("wb") as file:
        file.truncate(size << 20)
    commands = {
        "vfat": ["mkfs.vfat", "-n", label],
        "exfat": ["mkfs.exfat", "-L", label],
        "ext4": ["mkfs.ext4", "-q", "-L", label],
    }
    if not table:
        _run(*commands[kind], str(image))
        return image
    part = place / "part"
    with part.open("wb") as file:
        file.truncate((size - 1 << 20) // 2)
    _run(*commands[kind], str(part))
    half = (size - 1 << 20) // 2 >> 9
    _run(
        "sfdisk", "--quiet", str(image), said=f"label: dos\nstart=2048, size={half}\nstart={2048 + half}, size={half}\n"
    )
    with image.open("r+b") as file:
        for number in range(2):
            file.seek((2048 + number * half) << 9)
            file.write(part.read_bytes())
    part.unlink()
    return image


def _run(*command: str, said: str = "") -> None:
    subprocess.run(command, input=said, text=True, check=True, capture_output=True, timeout=30)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ready(guest: Guest) -> AsyncIterator[Guest]:
    """The units, which run before any stick is there."""
    try:
        await guest.check("env", f"WAITS={WAITS}", "sh", "-c", SETUP, seconds=PATIENCE)
        yield guest
    finally:
        await guest.run("sh", "-c", AWAY, seconds=PATIENCE)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(ready: Guest) -> AsyncIterator[Bench]:
    """Nothing is plugged in; nor afterwards."""
    bench = Bench(ready)
    yield bench
    await bench.clear()


@pytest.fixture(scope="module")
def images(ready: Guest) -> Path:
    """Where both sides see them."""
    return ready.out / "sticks"


async def test_a_stick_is_there_for_all_units_and_pulled_without_warning(bench: Bench, images: Path):
    await bench.plug(make(images, "vfat", "MY STICK"))
    options = await bench.is_at("/media/MY_STICK")
    assert options.startswith("vfat ")
    assert {"rw", "nosuid", "nodev", "noexec", "nosymfollow", "noatime", "flush"} <= set(options.split()[1].split(","))
    for unit in WRITERS:
        assert await bench.within(unit, "sh", "-c", WRITE, "/media/MY_STICK") == (0, ""), unit
    for unit in BLIND:
        code, _ = await bench.within(unit, "ls", "/media/MY_STICK")
        assert code != 0, unit
    code, said = await bench.within(
        "station.service", "env", f"PYTHONPATH={PROGRAM}", str(PYTHON), "-c", FOUND, seconds=PATIENCE
    )
    assert (code, said.strip()) == (0, "{'MY_STICK': PosixPath('/media/MY_STICK')}")
    # While a unit writes, and has a file open.
    writing = asyncio.create_task(
        bench.within(
            "station.service",
            "sh",
            "-c",
            "while echo more; do sync $0 || exit; done >> $0",
            "/media/MY_STICK/log",
            seconds=PATIENCE,
        )
    )
    await bench.until("test -s /media/MY_STICK/log")
    await bench.pull()
    await bench.is_gone("/media/MY_STICK")
    code, _ = await writing
    assert code is not None, "who wrote was stuck"
    for unit in WRITERS:
        assert (await bench.within(unit, "grep", " /media/", "/proc/self/mounts"))[0] == 1, unit
    await bench.guest.check("sh", "-c", PLUG, "one")
    await bench.is_at("/media/MY_STICK")
    failed = ("systemctl", "list-units", "--failed", "--plain", "--no-legend", "media-*", "station-stick@*")
    assert await bench.guest.check(*failed) == ""


async def test_two_of_one_name_in_partitions_and_without(bench: Bench, images: Path):
    await bench.plug(make(images, "exfat", "PHOTOS", table=True))
    first = {await bench.is_at("/media/PHOTOS"), await bench.is_at("/media/PHOTOS-2")}
    assert all("exfat" in options and "dirsync" in options and "noexec" in options for options in first)
    code, _ = await bench.within("station.service", "sh", "-c", WRITE, "/media/PHOTOS-2")
    assert code == 0
    await bench.pull()
    await bench.is_gone("/media/PHOTOS")
    await bench.is_gone("/media/PHOTOS-2")


async def test_a_disk_of_owners_and_a_label_that_leads_elsewhere(bench: Bench, images: Path):
    await bench.plug(make(images, "ext4", "../../etc $(x)"))
    options = await bench.is_at("/media/etc_x")
    assert {"nosuid", "nodev", "noexec", "nosymfollow"} <= set(options.split()[1].split(","))
    code, _ = await bench.within("station.service", "touch", "/media/etc_x/mine")
    assert code != 0
    await bench.guest.check("install", "-d", "-o", USER, "/media/etc_x/backups")
    assert await bench.within("station.service", "sh", "-c", WRITE, "/media/etc_x/backups") == (0, "")


async def test_disks_of_the_machines_own_and_of_fstab_are_left(bench: Bench, images: Path):
    fstab = "cp /etc/fstab /run/fstab.img; echo 'LABEL=COPIES /media/copies vfat noauto 0 0' >> /etc/fstab"
    await bench.guest.check("sh", "-c", fstab)
    try:
        await bench.plug(make(images, "vfat", "COPIES"))
        await bench.until("test -b /dev/disk/by-label/COPIES")
        device = (await bench.guest.check("lsblk", "-ndo", "NAME", "/dev/disk/by-label/COPIES")).strip()
        await bench.settled(device)
        assert "is for /etc/fstab to mount" in await bench.said()
    finally:
        await bench.guest.check("cp", "/run/fstab.img", "/etc/fstab")
    await bench.clear()
    await bench.plug(make(images, "vfat", "OWN", table=True))
    await bench.is_at("/media/OWN")
    await bench.is_at("/media/OWN-2")
    names = (await bench.guest.check("findmnt", "-nlo", "SOURCE", "-t", "vfat")).replace("/dev/", "").split()
    one, two = sorted(names)
    own = f"systemctl stop station-stick@{one} station-stick@{two}; mkdir -p /run/own; mount /dev/{one} /run/own"
    await bench.guest.check("sh", "-c", f"{own}; systemctl start station-stick@{two}", seconds=PATIENCE)
    assert f"{two} is not mounted: it is on a disk of the machine's own" in await bench.said()
    assert (await bench.guest.run("ls", "/media/OWN", "/media/OWN-2")).code != 0
    await bench.guest.check("sh", "-c", "umount /run/own; rmdir /run/own")


async def test_the_guard_lets_a_stick_in_and_nothing_that_is_more(bench: Bench, images: Path):
    unit, guard = "station-usb-guard.service", FILES / "usb-guard/etc"
    copy = f"cp {guard}/udev/rules.d/{GUARD} /run/udev/rules.d; cp {guard}/systemd/system/{unit} {UNITS}"
    reload = "udevadm control --reload; systemctl daemon-reload"
    await bench.guest.check("sh", "-c", f"{copy}; {reload}; systemctl start {unit}; udevadm settle", seconds=PATIENCE)
    let_in = "grep -l 0781 /sys/bus/usb/devices/*/idVendor | xargs dirname | xargs -I@ cat @/authorized"
    try:
        await bench.plug(make(images, "vfat", "LOGS"))
        await bench.is_at("/media/LOGS")
        await bench.pull()
        await bench.is_gone("/media/LOGS")
        await bench.guest.check("sh", "-c", MORE, "one")
        await bench.guest.check("sh", "-c", PLUG, "one")
        await bench.until(f"{let_in} | grep -q .")
        await bench.guest.check("udevadm", "settle")
        assert await bench.guest.check("sh", "-c", let_in) == "0\n"
    finally:
        await bench.clear()
        end = f"systemctl stop {unit}; rm /run/udev/rules.d/{GUARD} {UNITS}/{unit}; {reload}"
        await bench.guest.check("sh", "-c", end, seconds=PATIENCE)
