"""A kiosk in the guest: the station's own units on a display, a touchscreen and pins; and a robot before it.

Nothing of the station is pretended: `station.service`, `station-screen.service`, what they say of usbmuxd, their users
and udev's rules are as they are delivered (but for how patient systemd is and how Python finds the program, `HERE`);
DRM, evdev and GPIO are the kernel's.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from websockets.asyncio.client import connect

from station.adapters.api import MAX_FRAME, ApiClient
from station.errors import Refused
from station.model.api import BayState, BayView, Lamp, Snapshot
from station.model.panel import Control
from station.screen.app import boottime
from tests.vm.guest import DISPLAY, Guest
from tests.vm.person import FIFO, PATIENCE, TRIES, Person, Pins
from tests.vm.program import PROGRAM, PYTHON, ROOT

UNITS = Path("/run/systemd/system")
USER = "restore-station-screen"
"""Who the screen runs as."""
DAEMONS_USER = "restore-station"
WORKERS_USER = "restore-station-worker"
REAPERS_USER = "restore-station-reaper"
GATEWAYS_USER = "restore-station-gateway"
DELIVERED = PROGRAM / "deploy/files/base/etc"
RULES = Path("/run/udev/rules.d/70-restore-station.rules")
USBMUXD = UNITS / "usbmuxd.service.d/the-stations.conf"
"""Its name is after that of whatever else tests say of usbmuxd, and so it counts more."""
RUNTIME = Path("/run/restore-station")
STATE = Path("/var/lib/restore-station")
SOCKET = Path("/run/restore-station/station.sock")
PORT = 7000
"""Where the daemon's socket can be reached from outside."""
CPUINFO = Path("/run/cpuinfo")
TOUCHSCREEN = ("/usr/bin/python3", f"{PROGRAM}/tests/vm/touchscreen.py", *map(str, DISPLAY), str(FIFO))
"""The program that is one, to the kernel's uinput."""
HERE = f"""
ExecStart=
Environment=PYTHONPATH={PROGRAM} PYTHONUNBUFFERED=1
TimeoutStartSec=300
"""
DAEMON = f"""
[Service]
{HERE}
ExecStart={PYTHON} -m station daemon
WatchdogSec=120
# gpiozero asks which Raspberry Pi this is.
BindReadOnlyPaths={CPUINFO}:/proc/cpuinfo
"""
SCREEN = f"""
[Service]
{HERE}
ExecStart={PYTHON} -m station screen --fullscreen
# Mesa draws in threads, which emulated processors only lose time with.
Environment=LP_NUM_THREADS=0
"""
WORKER = f"""
[Service]
{HERE}
ExecStart={PYTHON} -m station.worker
"""
REAPER = f"""
[Service]
{HERE}
ExecStart={PYTHON} -m station.worker.reaper
"""
GATEWAY = f"""
[Service]
{HERE}
ExecStart={PYTHON} -m station.gateway
"""
FETCHER = f"""
[Service]
{HERE}
ExecStart={PYTHON} -m station.fetcher
"""
USBMUXDS = f"""
[Service]
{HERE}
ExecStart={PYTHON} -m station usbmuxd -- /usr/sbin/usbmuxd --foreground --no-preflight
"""
SERVICES = {
    "station.service": DAEMON,
    "station-screen.service": SCREEN,
    "station-worker@.service": WORKER,
    "station-reaper@.service": REAPER,
    "station-gateway.service": GATEWAY,
    "station-fetcher@.service": FETCHER,
}
"""What is delivered, and what is different where it is tried."""
LISTENING = tuple(f"station-{name}.socket" for name in ("worker", "reaper", "gateway", "fetcher"))
PEOPLE = f"""
set -e
systemd-sysusers {DELIVERED}/sysusers.d/restore-station.conf
mkdir -p {RULES.parent}
cp {DELIVERED}/udev/rules.d/{RULES.name} {RULES}
udevadm control --reload
systemctl daemon-reload
systemctl kill --signal=KILL usbmuxd || true
systemctl stop usbmuxd
systemd-tmpfiles --create {DELIVERED}/tmpfiles.d/restore-station.conf
systemctl start usbmuxd
"""
PINS = f"""
# The last one udev would load for the first phone: the kernel takes that from usbmuxd then, which misses it for good.
modprobe --all gpio-simulator apple-mfi-fastcharge
{{ cat /proc/cpuinfo; printf '\\nRevision\\t: c03114\\n'; }} > {CPUINFO}
cd /sys/kernel/config/gpio-sim
mkdir -p pi/header
echo pinctrl-bcm2711 > pi/header/label
echo 54 > pi/header/num_lines
echo 1 > pi/live
echo /sys/devices/platform/$(cat pi/dev_name)/$(cat pi/header/chip_name)
"""

AWAY = f"""
systemctl stop station-screen station touchscreen outside {" ".join(LISTENING)} station-gateway 'station-worker@*'
systemctl kill --signal=KILL usbmuxd
systemctl stop usbmuxd
rm -rf {STATE} {RUNTIME} {FIFO} {CPUINFO} {UNITS}/station.service* {UNITS}/station-*.s* {RULES}
rm -f /run/usbmuxd {USBMUXD.with_suffix("")}.*
udevadm control --reload
systemctl daemon-reload
systemctl reset-failed
userdel {USER}
userdel {DAEMONS_USER}
userdel {GATEWAYS_USER}
userdel {WORKERS_USER}
userdel {REAPERS_USER}
groupdel gpio
cd /sys/kernel/config/gpio-sim
echo 0 > pi/live
rmdir pi/header pi
modprobe --remove gpio-simulator
"""
DEADLINES = '{"connect": 900, "erase_content": 600, "return": 900, "verify": 900}'
"""Seconds: until a worker has loaded its libraries it says nothing, and on these processors that takes a minute."""
SUPPLY = '{"fetch": "never"}'
"""From here no list of firmware can be reached; that it is looked for would change the picture under the finger."""
HOLD = 5.0
"""Seconds of a hold: it takes two, and a button that is held for ten is taken for broken."""


class Kiosk:
    """The units in the guest, and the person before them."""

    def __init__(self, guest: Guest, person: Person, forwarded: int) -> None:
        self.person = person
        self._guest = guest
        self._forwarded = forwarded
        self._news = asyncio.Condition()

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest; None: there is no daemon."""
        return self.person.mirror.snapshot

    @asynccontextmanager
    async def station(self, **settings: object) -> AsyncGenerator[None, None]:
        """Run the daemon with these settings and an empty memory, while the context is open."""
        settings = {"deadlines": DEADLINES, "supply": SUPPLY, **settings}
        lines = [f"Environment='STATION_{name.upper()}={value}'" for name, value in settings.items()]
        await write(self._guest, UNITS / "station.service.d/settings.conf", "\n".join(["[Service]", *lines]))
        start = f"systemctl daemon-reload; systemctl stop station; rm -rf {STATE}; systemctl start station"
        await self._guest.check("sh", "-c", start, seconds=PATIENCE)
        async with self.following():
            yield
        await self._guest.check("systemctl", "stop", "station", seconds=PATIENCE)

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[None, None]:
        """Know what the daemon says, as long as it runs, while the context is open; and wake the screen."""
        wire = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", self._forwarded), timeout=PATIENCE)
        async with connect("ws://station/", sock=wire, max_size=MAX_FRAME, compression=None) as connection:
            client = ApiClient(connection)
            await self._tell(await client.snapshot())
            await self.person.wake()
            following = asyncio.create_task(self._follow(client))
            try:
                yield
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                await self._tell(None)

    async def restart_screen(self) -> None:
        """End the screen as systemd does; systemd starts it anew."""
        self.person.forget()
        await self._guest.check("systemctl", "kill", "--signal=TERM", "station-screen")

    async def until(self, seen: Callable[[BayView], bool], bay: str = "1", *, seconds: float = PATIENCE) -> BayView:
        """Wait until something is to be seen in a bay."""
        snapshot = await self.until_station(
            lambda snapshot: any(seen(view) for view in _bays(snapshot, bay)), seconds=seconds
        )
        return next(_bays(snapshot, bay))

    async def until_station(self, seen: Callable[[Snapshot], bool], *, seconds: float = PATIENCE) -> Snapshot:
        """Wait until something is to be seen of the station. AssertionError: it never was."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: self.snapshot is not None and seen(self.snapshot))
        except TimeoutError:
            raise AssertionError(f"in the end: {self.snapshot}\n{await self.logs()}") from None
        assert self.snapshot is not None
        return self.snapshot

    async def logs(self) -> str:
        """What the daemon said, and its workers."""
        logs = f"journalctl --unit='station*' --lines=60 --no-pager; tail --lines=30 {STATE}/*/*/work/log"
        return (await self._guest.run("sh", "-c", logs)).output

    async def start_and_confirm(self, bay: str = "1") -> None:
        """Press START, and hold CONFIRM until the phone is worked on.

        What nobody confirms in time is taken back: on a machine as slow as this it may be while the display is looked
        at, and then all is begun again.
        """
        for _ in range(TRIES):
            await self.person.sees()  # a press right after what it means has changed is none
            if await self._press_start(bay) and await self._asks(bay):
                await self.person.sees()
                if await self._hold_confirm(bay):
                    return
        raise AssertionError(f"START and CONFIRM came to nothing {TRIES} times: {self.snapshot}")

    async def _press_start(self, bay: str) -> bool:
        """Press START; whether the bay was armed by that."""
        await self.person.pins.press(Control.START)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(HOLD), self._news:
                    await self._news.wait_for(
                        lambda: self._sees(bay, lambda view: view.state is BayState.ARMED),
                    )
        finally:
            await self.person.pins.release(Control.START)
        return self._sees(bay, lambda view: view.state is BayState.ARMED)

    async def _asks(self, bay: str) -> bool:
        """Wait until no lamp is lit but the one that asks for a person; False: the bay is no more armed."""
        while self._sees(bay, lambda view: view.state is BayState.ARMED):
            if await self.person.pins.lit() == {Lamp.PERSON}:
                return True
        return False

    async def _hold_confirm(self, bay: str) -> bool:
        """Hold CONFIRM until the phone is worked on; False: the bay is no more armed.

        The daemon may look at its clock too late, and then a hold is none: held again.
        """
        while self._sees(bay, lambda view: view.state is BayState.ARMED):
            await self.person.pins.press(Control.CONFIRM)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HOLD), self._news:
                        await self._news.wait_for(lambda: self._sees(bay, lambda view: view.job is not None))
            finally:
                await self.person.pins.release(Control.CONFIRM)
        return self._sees(bay, lambda view: view.job is not None)

    def _sees(self, bay: str, seen: Callable[[BayView], bool]) -> bool:
        """Whether that is to be seen in a bay now."""
        return self.snapshot is not None and any(map(seen, _bays(self.snapshot, bay)))

    async def _follow(self, client: ApiClient) -> None:
        try:
            while True:
                await self._tell(await client.snapshot())
        except Refused:
            await self._tell(None)

    async def _tell(self, snapshot: Snapshot | None) -> None:
        self.person.mirror.snapshot = snapshot
        async with self._news:
            self._news.notify_all()


def _bays(snapshot: Snapshot, bay: str) -> Iterator[BayView]:
    return (view for view in snapshot.bays if view.bay == bay)


async def write(guest: Guest, file: Path, text: str) -> None:
    """Write a file of the guest's."""
    await guest.check("sh", "-c", f'mkdir -p "{file.parent}"; printf %s "$0" > "{file}"', text)


async def prepare(guest: Guest) -> None:
    """Make the station's users, have usbmuxd run as it does in a station, and bring udev's rules."""
    drop_in = ROOT / "systemd/usbmuxd.service.d/restore-station.conf"
    await write(guest, USBMUXD, drop_in.read_text())
    await write(guest, USBMUXD.with_suffix(".guest.conf"), USBMUXDS)
    await guest.check("sh", "-c", PEOPLE, seconds=PATIENCE)


async def install_units(guest: Guest) -> None:
    """Have the guest's systemd know the station's units."""
    for unit in (*SERVICES, *LISTENING):
        await write(guest, UNITS / unit, (ROOT / "systemd" / unit).read_text())
    for unit, more in SERVICES.items():
        await write(guest, UNITS / f"{unit}.d/guest.conf", more)
    await guest.check("systemctl", "daemon-reload")


async def kiosk_before(guest: Guest, lines: str, forwarded: int, pictures: Path) -> Kiosk:
    """Stand before a screen, which is started if it does not run yet.

    Args:
        guest: where the units are installed, pins wired, and a touchscreen plugged in.
        lines: the pins, as `Pins` takes them.
        forwarded: the port here that leads to the daemon's socket.
        pictures: where those are kept that are not as they should be.
    """
    await guest.check("sh", "-c", f"until [ -p {FIFO} ]; do sleep 0.1; done; udevadm settle")
    # The unit wants the daemon, which may be meant to come later, with a test's settings. A screen that has no picture
    # in time begins anew by itself, and on these processors it may not have one.
    start = "until systemctl start --job-mode=ignore-dependencies station-screen; do :; done"
    await guest.check("sh", "-c", start, seconds=PATIENCE)
    before = boottime()
    uptime = float((await guest.check("cat", "/proc/uptime")).split()[0])
    ahead = uptime - (before + boottime()) / 2
    return Kiosk(guest, Person(guest, Pins(guest, lines), ahead=ahead, pictures=pictures), forwarded)


@asynccontextmanager
async def kiosk_in(guest: Guest, pictures: Path) -> AsyncGenerator[Kiosk, None]:
    """Wire a panel and a touchscreen to the guest, install the units, and run the screen while the context is open."""
    try:
        await prepare(guest)
        lines = (await guest.check("sh", "-c", PINS)).strip()
        await install_units(guest)
        reach = ("socat", f"TCP-LISTEN:{PORT},fork,reuseaddr", f"UNIX-CONNECT:{SOCKET}")
        await guest.check("systemd-run", "--quiet", "--unit=outside", *reach)
        await guest.check("modprobe", "uinput")
        await guest.check("systemd-run", "--quiet", "--unit=touchscreen", *TOUCHSCREEN)
        yield await kiosk_before(guest, lines, await guest.forward(PORT), pictures)
    finally:
        await guest.run("sh", "-c", AWAY, seconds=PATIENCE)
