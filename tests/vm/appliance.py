"""A station that is switched on, and off by pulling the plug: a guest with a disk of its own, and what is on it.

The units, users and rules are as they are delivered; they lie where `deploy/install` lays them, and systemd starts them
at boot. Otherwise are only how long systemd waits on emulated processors, Apple's address, and how Python finds the
program, of which one half lies on another file system.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from station.adapters.api import MAX_FRAME, ApiClient
from station.daemon.settings import Gpio
from station.errors import Refused
from station.model.api import Answer, BayState, BayView, Command, Lamp, OperatorConfirm, Snapshot, Start
from station.model.base import BayId
from station.model.job import Phase, Reach
from station.model.service import Service
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import VirtualPhone
from tests.vm import delivered
from tests.vm.disk import Disk
from tests.vm.guest import HOST, PROGRAM_DISK, Guest
from tests.vm.kiosk import TOUCHSCREEN
from tests.vm.program import PROGRAM, PYTHON, ROOT

PATIENCE = 300.0
"""Seconds for whatever takes less than thirty on an idle machine."""
STATE = Path("/var/lib/restore-station")
SOCKET = Path("/run/restore-station/station.sock")
PORT = 7000
"""Where the daemon's socket can be reached from outside."""
CHIP = Path("/run/gpio-chip")
BAYS = {str(number): f"1-{number}" for number in range(1, 5)}
"""vhci's USB sockets: the first is that of the first phone since boot."""
PARTS = [ROOT / "deploy/files" / part / "etc" for part in ("base", "usb-guard")]
"""What `deploy/install --usb-guard` lays in /etc."""
WATCHDOG = 20
"""Seconds. What is delivered has ten; emulated processors take ten times as long for everything."""

HERE = f"""\
[Unit]
RequiresMountsFor={PROGRAM}
[Service]
ExecStart=
Environment=PYTHONPATH={PROGRAM} PYTHONUNBUFFERED=1
TimeoutStartSec=300
"""
SETTINGS = {
    "policy": "bench",
    "bays": msgspec.json.encode(BAYS).decode(),
    # A phone is held at a step for as long as a test has something to do meanwhile.
    "deadlines": msgspec.json.encode({phase.value: 3000 for phase in Phase}).decode(),
    "supply": '{"fetch": "never"}',
    "operator_confirm": "true",
    "cap": "4",
    "observe_seconds": "5",
    "quarantine_after": "0",
}
DAEMON = f"""\
WatchdogSec={WATCHDOG}
# gpiozero asks which Raspberry Pi this is.
BindReadOnlyPaths=/run/cpuinfo:/proc/cpuinfo
""" + "".join(f"Environment='STATION_{name.upper()}={value}'\n" for name, value in SETTINGS.items())
MORE = {
    "station.service": DAEMON,
    # Mesa draws in threads, which emulated processors only lose time with.
    "station-screen.service": "Environment=LP_NUM_THREADS=0\n",
}
COMMAND = PROGRAM / ".venv/bin/station"
PROGRAMS = {
    # How what units start is started here. The first that fits counts.
    f"{COMMAND} daemon": f"{PYTHON} -m tests.vm.delivered daemon",
    f"{PYTHON} -m station.gateway": f"{PYTHON} -m station.gateway --reach {delivered.APPLE}",
    # It says with which Python it begins: with that of the host's.
    f"{COMMAND}": f"{PYTHON} -m station",
}
BEGIN = ("station.service", "station-screen.service")
"""What is enabled; what else they need they want."""
WORLD = """\
# What is a machine's own, before the station is started on it: users, as the packages make them; a Raspberry Pi's pins.
[Unit]
DefaultDependencies=no
After=systemd-remount-fs.service
# Its rules name groups.
Before=systemd-udevd.service sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/world.sh
[Install]
WantedBy=sysinit.target
"""
PINS = f"""\
set -e
systemd-sysusers
systemd-tmpfiles --create restore-station.conf
# The last one udev would load for the first phone: the kernel takes that from usbmuxd then, which misses it for good.
modprobe --all gpio-simulator apple-mfi-fastcharge
{{ cat /proc/cpuinfo; printf '\\nRevision\\t: c03114\\n'; }} > /run/cpuinfo
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
cd /sys/kernel/config/gpio-sim
mkdir -p pi/header
echo pinctrl-bcm2711 > pi/header/label
echo 54 > pi/header/num_lines
echo 1 > pi/live
echo /sys/devices/platform/$(cat pi/dev_name)/$(cat pi/header/chip_name) > {CHIP}
"""
FIRMWARE = f"""\
[Unit]
RequiresMountsFor={{firmware}}
ConditionPathExists=!{STATE}/firmware
Before=station.service
[Service]
Type=oneshot
ExecStart=mkdir -p {STATE}
# Whose it is, systemd sees to when it starts the daemon (StateDirectory=).
ExecStart=cp --recursive {{firmware}} {STATE}/firmware
[Install]
WantedBy=multi-user.target
"""
OUTSIDE = f"""\
[Service]
ExecStart=socat TCP-LISTEN:{PORT},fork,reuseaddr UNIX-CONNECT:{SOCKET}
[Install]
WantedBy=multi-user.target
"""
GLASS = f"""\
# The touchscreen of this machine.
[Unit]
RequiresMountsFor={PROGRAM}
[Service]
ExecStartPre=modprobe uinput
ExecStart={" ".join(TOUCHSCREEN)}
[Install]
WantedBy=multi-user.target
"""
NINE = "9p trans=virtio,version=9p2000.L,msize=512000,ro,cache=loose"
WORKERS = f"""
import fcntl, json, pathlib
for job in sorted(pathlib.Path("{STATE}/jobs").iterdir()):
    spec = json.loads((job / "spec.json").read_bytes())
    try:
        with (job / "work/lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if spec["service"]:
                    print(spec["bay"], int(lock.read()))
    except OSError:
        pass
"""
"""Which process works in which bay: whoever holds the lock of the job's directory (`JobDirectory.alive`)."""
RESTARTED = """
unit=$1; action=$2
since() { systemctl show --property=ActiveEnterTimestampMonotonic --value $unit; }
was=$(since)
read -r begun _ < /proc/uptime
systemctl kill --signal=$action $unit
is_back() { [ "$(systemctl show --property=ActiveState --value $unit)" = active ] && [ "$(since)" -gt $was ]; }
until is_back; do sleep 1; done  # when it was, systemd knows
echo $begun $(since)
"""


class Appliance:
    """A station that is switched on."""

    def __init__(self, guest: Guest, host: VirtualHost, forwarded: int) -> None:
        self.guest = guest
        self.host = host
        self.forwarded = forwarded
        """The port here that leads to the daemon's socket."""
        self._numbers = count(1)

    # -- eyes

    async def until(self, seen: Callable[[Snapshot], bool], *, seconds: float = PATIENCE) -> Snapshot:
        """Wait until something is to be seen of the station, whatever becomes of its daemon meanwhile."""
        snapshot = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        async with self._connected() as client:
                            while True:
                                snapshot = await client.snapshot()
                                if seen(snapshot):
                                    return snapshot
                    except (OSError, WebSocketException, Refused, EOFError):
                        await self.guest.check("systemctl", "start", "station", seconds=seconds)  # waits until it is up
        except TimeoutError:
            raise AssertionError(f"in the end: {snapshot}\n{await self.logs()}") from None

    async def until_bay(self, bay: str, seen: Callable[[BayView], bool], *, seconds: float = PATIENCE) -> BayView:
        """Wait until something is to be seen in a bay."""
        snapshot = await self.until(lambda now: any(map(seen, _bays(now, bay))), seconds=seconds)
        return next(_bays(snapshot, bay))

    async def until_recorded(self, bay: str) -> BayView:
        """Wait until a bay shows a result that is recorded."""
        return await self.until_bay(bay, lambda view: view.result is not None and view.result.record > 0)

    async def lit(self) -> set[Lamp]:
        """The lamps that are lit at this moment."""
        wiring = Gpio()
        look = " ".join(f'"$chip/sim_gpio{getattr(wiring, lamp.value)}/value"' for lamp in Lamp)
        values = (await self.guest.check("sh", "-c", f"chip=$(cat {CHIP}); cat {look}")).split()
        return {lamp for lamp, value in zip(Lamp, values, strict=True) if value == "1"}

    async def until_lit(self, lamp: Lamp) -> None:
        """Wait until this lamp is seen lit, and no other."""
        async with asyncio.timeout(PATIENCE):
            while await self.lit() != {lamp}:
                pass  # between two flashes

    async def workers(self) -> dict[str, int]:
        """The process that works in each bay."""
        said = await self.guest.check("/usr/bin/python3", "-c", WORKERS)
        return {bay: int(pid) for bay, pid in (line.split() for line in said.splitlines())}

    async def records(self, *command: str) -> str:
        """What `station records` says, of emulated phones, as the station's own user."""
        program = ("runuser", "--user", "restore-station", "--", "env", f"PYTHONPATH={PROGRAM}", str(PYTHON))
        options = ("--state", str(STATE), "--emulated")
        return await self.guest.check(*program, "-m", "station", "records", *command, *options, seconds=PATIENCE)

    async def logs(self) -> str:
        """What the daemon said, and its workers."""
        logs = f"journalctl --unit='station*' --lines=40 --no-pager; tail --lines=30 {STATE}/*/*/work/log"
        return (await self.guest.run("sh", "-c", logs)).output

    # -- hands

    async def give(self, kind: type[Command], bay: str, **fields: object) -> Answer:
        """Give a command for a bay."""
        async with self._connected() as client:
            return await client.command(kind(id=next(self._numbers), bay=BayId(bay), **fields))  # type: ignore[arg-type, call-arg]  # tests know

    async def obeyed(self, kind: type[Command], bay: str, **fields: object) -> None:
        """Give a command that must not be refused."""
        answer = await self.give(kind, bay, **fields)
        assert not answer.refused, f"{kind.__name__} in bay {bay}: {answer.refused} {answer.remedy}"

    async def restore(self, bay: str, phone: VirtualPhone) -> None:
        """Have a phone restored."""
        await self.until_bay(bay, lambda view: view.state is BayState.READY)
        await self.obeyed(Start, bay, service=Service.RESTORE)
        await self.obeyed(OperatorConfirm, bay, ecid=phone.identity.ecid)

    async def kill(self, unit: str, signal: str = "KILL") -> float:
        """Send a signal to a unit's processes; seconds of the guest's clock until another one was ready."""
        restarted = ("sh", "-c", RESTARTED, "sh", unit, signal)
        begun, active = map(float, (await self.guest.check(*restarted, seconds=PATIENCE)).split())
        return active / 1e6 - begun

    async def since_boot(self, unit: str) -> float:
        """Seconds of the guest's clock from the kernel's first moment until a unit was ready.

        Without those for which the guest stood still, because other programs had this machine's processors.
        """
        wait = f"systemctl start {unit}; systemctl show --property=ActiveEnterTimestampMonotonic --value {unit}"
        return int(await self.guest.check("sh", "-c", wait, seconds=PATIENCE)) / 1e6 - self.guest.waited()

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[ApiClient, None]:
        wire = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", self.forwarded), timeout=30)
        async with connect("ws://station/", sock=wire, max_size=MAX_FRAME, compression=None) as connection:
            yield ApiClient(connection)


def _bays(snapshot: Snapshot, bay: str) -> Iterator[BayView]:
    return (view for view in snapshot.bays if view.bay == bay)


def _program(unit: str) -> str:
    """What a unit starts, as it is started here."""
    *_, line = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    there = next((there for there in PROGRAMS if there in line), line)
    return f"{line.replace(there, PROGRAMS.get(there, line))}\n"


def installed(host: VirtualHost, firmware: Path) -> Disk:
    """A disk with a station on it, which begins by itself when it is booted from.

    Args:
        host: whose servers are Apple's.
        firmware: a store, which the station has as its own from the first boot on.
    """
    disk = Disk()
    for file in sorted((ROOT / "systemd").glob("station*.s*")):
        text = file.read_text()
        disk.unit(file.name, text, wanted_by="multi-user.target" if file.name in BEGIN else "")
        if file.suffix == ".service":
            disk.unit(f"{file.name}.d/guest.conf", HERE + _program(text) + MORE.get(file.name, ""))
    drop_in = "usbmuxd.service.d/restore-station.conf"
    text = (ROOT / "systemd" / drop_in).read_text()
    disk.unit(drop_in, text)
    disk.unit("usbmuxd.service.d/the-guests.conf", HERE + _program(text))
    for etc in PARTS:
        for file in [*etc.glob("*.d/*.conf"), *etc.glob("udev/rules.d/*")]:
            disk.lay(f"/etc/{file.relative_to(etc)}", file.read_text())
        for file in etc.glob("systemd/system/*-usb-guard.service"):
            disk.unit(file.name, file.read_text(), wanted_by="multi-user.target")
    disk.lay("/etc/world.sh", PINS)
    disk.unit("world.service", WORLD, wanted_by="sysinit.target")
    disk.unit("outside.service", OUTSIDE, wanted_by="multi-user.target")
    disk.unit("glass.service", GLASS, wanted_by="multi-user.target")
    apple = host.apple
    reach = Reach(
        usbmuxd="/var/run/usbmuxd",
        signing_url=apple.signing_url,
        activation_url=apple.activation_url,
        asset_hosts=apple.asset_hosts,
        fdr_hosts=(apple.fdr_host,),
    )
    disk.lay(str(delivered.APPLE), msgspec.json.encode(reach).decode())
    disk.unit("firmware.service", FIRMWARE.format(firmware=firmware), wanted_by="multi-user.target")
    mounts = ["/dev/vda / ext4 noatime 0 0", f"{PROGRAM_DISK} {PROGRAM} ext4 ro 0 0", f"share0 {firmware} {NINE} 0 0"]
    disk.lay("/etc/fstab", "\n".join([*mounts, ""]))
    for path in (PROGRAM, firmware):
        disk.directory(str(path))
    return disk


@asynccontextmanager
async def switched_on(
    directory: Path, host: VirtualHost, disk: Path, *, program: Path, firmware: Path, clock: str = "utc"
) -> AsyncGenerator[Appliance, None]:
    """Switch a station on that is on this disk. When the context ends, the plug is pulled."""
    async with Guest(directory, program=program, shares=[firmware], disk=disk, clock=clock) as guest:
        yield Appliance(guest, host, await guest.forward(PORT))


async def connect_cables(guest: Guest, host: VirtualHost) -> None:
    """Have the guest's USB sockets be those of the virtual phones."""
    assert host.tcp is not None
    addresses = [str(address).replace("127.0.0.1", HOST) for address in (host.tcp.feed, host.tcp.usbip)]
    service = ["systemd-run", "--quiet", "--unit=attacher", f"--working-directory={PROGRAM}"]
    await guest.check(*service, str(PYTHON), "-m", "station.virtual.usb.vhci", *addresses)
