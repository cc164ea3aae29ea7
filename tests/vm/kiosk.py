"""A kiosk in the guest: the station's own units on a display, a touchscreen and pins; and a robot before it.

Nothing of the station is pretended: `station.service`, `station-screen.service`, what they say of usbmuxd, their users
and udev's rules are as they are delivered (but for where the program lies and how patient systemd is, `DAEMON` and
`SCREEN`); DRM, evdev and GPIO are the kernel's.

The robot sees the display as whoever stands before it does: by pictures that QEMU takes of it. Where to touch it knows
from the same program: a second kiosk here is told the same snapshots and the same touches, and its picture is what must
be on the guest's display before the robot touches anything.
"""

import asyncio
import io
import itertools
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pygame
from pygame import Rect, Surface
from websockets.asyncio.client import connect

from station.adapters.api import MAX_FRAME, ApiClient
from station.daemon.settings import Gpio
from station.errors import Refused
from station.model.api import Answer, BayState, BayView, Command, Lamp, Snapshot
from station.model.panel import Control
from station.screen.app import boottime
from station.screen.canvas import Target
from station.screen.client import Link
from tests.screen.robot import Eyes, Robot
from tests.vm.guest import DISPLAY, ROOT, Guest

PATIENCE = 240.0
"""Seconds for whatever takes less than twenty on an idle machine."""
UNITS = Path("/run/systemd/system")
USER = "restore-station-screen"
"""Who the screen runs as."""
DAEMONS_USER = "restore-station"
GATEWAYS_USER = "restore-station-gateway"
DELIVERED = ROOT / "deploy/files/base/etc"
RULES = Path("/run/udev/rules.d/70-restore-station.rules")
USBMUXD = UNITS / "usbmuxd.service.d/the-stations.conf"
"""Its name is after that of whatever else tests say of usbmuxd, and so it counts more."""
RUNTIME = Path("/run/restore-station")
STATE = Path("/var/lib/restore-station")
SOCKET = Path("/run/restore-station/station.sock")
PORT = 7000
"""Where the daemon's socket can be reached from outside."""
CPUINFO = Path("/run/cpuinfo")
FIFO = Path("/run/touchscreen")
TOLERANCE = 40
"""By how much of 255 a colour may differ: what is lit at this moment pulses."""
HERE = f"""
ExecStart=
Environment=PYTHONPATH={ROOT} PYTHONUNBUFFERED=1
# Where tests run, the program may lie in /tmp or below somebody's home.
PrivateTmp=no
ProtectHome=no
TimeoutStartSec=300
"""
DAEMON = f"""
[Service]
{HERE}
ExecStart={sys.executable} -m station daemon
WatchdogSec=120
# gpiozero asks which Raspberry Pi this is.
BindReadOnlyPaths={CPUINFO}:/proc/cpuinfo
"""
SCREEN = f"""
[Service]
{HERE}
ExecStart={sys.executable} -m station screen --fullscreen
# Mesa draws in threads, which emulated processors only lose time with.
Environment=LP_NUM_THREADS=0
"""
WORKER = f"""
[Service]
{HERE}
ExecStart={sys.executable} -m station.worker
"""
GATEWAY = f"""
[Service]
{HERE}
ExecStart={sys.executable} -m station.gateway
"""
FETCHER = f"""
[Service]
{HERE}
ExecStart={sys.executable} -m station.fetcher
"""
SERVICES = {
    "station.service": DAEMON,
    "station-screen.service": SCREEN,
    "station-worker@.service": WORKER,
    "station-gateway.service": GATEWAY,
    "station-fetcher@.service": FETCHER,
}
"""What is delivered, and what is different where it is tried."""
LISTENING = ("station-worker.socket", "station-gateway.socket", "station-fetcher.socket")
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
modprobe --all gpio-simulator uinput apple-mfi-fastcharge
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
rm -rf {STATE} {RUNTIME} {FIFO} {CPUINFO} {UNITS}/station.service* {UNITS}/station-*.s* {USBMUXD} {RULES}
rm -f /run/usbmuxd
udevadm control --reload
systemctl daemon-reload
systemctl reset-failed
userdel {USER}
userdel {DAEMONS_USER}
userdel {GATEWAYS_USER}
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
HOLDS = 4


class Pins:
    """The wires of buttons and lamps, from outside."""

    def __init__(self, guest: Guest, lines: str) -> None:
        """Hold the wires. `lines`: the chip's directory in the guest's sysfs."""
        self._guest = guest
        self._lines = lines
        wiring = Gpio()
        self._buttons = {Control.START: wiring.start, Control.CONFIRM: wiring.confirm}
        self._lamps = {getattr(wiring, lamp.value): lamp for lamp in Lamp}

    async def press(self, control: Control) -> None:
        """Put a finger on a button and leave it there: it closes to ground."""
        await self._pull(control, "pull-down")

    async def release(self, control: Control) -> None:
        """Take the finger away: the resistor pulls the line up."""
        await self._pull(control, "pull-up")

    async def lit(self) -> set[Lamp]:
        """The lamps that are lit at this moment."""
        files = [f"{self._lines}/sim_gpio{pin}/value" for pin in self._lamps]
        values = (await self._guest.check("cat", *files)).split()
        return {lamp for lamp, value in zip(self._lamps.values(), values, strict=True) if value == "1"}

    async def show(self, lamp: Lamp) -> None:
        """Wait until this lamp is seen lit, and no other."""
        seen: set[Lamp] = set()
        try:
            async with asyncio.timeout(PATIENCE):
                while seen != {lamp}:  # it may be between two flashes, or in the second between one lamp and the next
                    seen = await self.lit()
        except TimeoutError:
            raise AssertionError(f"{lamp} was never lit alone; in the end: {seen}") from None

    async def _pull(self, control: Control, way: str) -> None:
        await self._guest.check("sh", "-c", f"echo {way} > {self._lines}/sim_gpio{self._buttons[control]}/pull")


class Mirror(Link):
    """What the guest's screen is told, for the kiosk here. What that one would send, the guest's has sent already."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), lambda: None)

    def send(self, command: Command) -> None:
        self.answers.append(Answer(id=command.id))


class Person:
    """The robot: eyes at the display, a finger on the glass, another on the buttons."""

    def __init__(self, guest: Guest, pins: Pins, *, ahead: float, pictures: Path) -> None:
        """Stand before a kiosk.

        Args:
            guest: where it is.
            pins: its buttons and lamps.
            ahead: by how many seconds the guest's CLOCK_BOOTTIME is ahead of ours.
            pictures: where those are kept that are not as they should be.
        """
        self.pins = pins
        self.mirror = Mirror()
        self.worst = 0.0
        """The largest share of a picture that was not as it should be and was taken for right."""
        self._guest = guest
        self._clock = lambda: boottime() + ahead
        self._robot = Robot(self.mirror, self._clock, lambda: None)
        self._pictures = pictures
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        """The screen begins anew: no page is open."""
        self._robot = Robot(self.mirror, self._clock, lambda: None)

    async def sees(self, *, unlike: float = 0.1) -> Eyes:
        """Wait until the display shows what it should.

        Args:
            unlike: how much of what is drawn may be otherwise: the clock, and what moves.
        """
        share, shown, eyes = 1.0, Surface(DISPLAY), self._robot.look()
        try:
            async with asyncio.timeout(PATIENCE):
                while share > unlike:
                    shown = read(await self._guest.picture())
                    eyes = self._robot.look()
                    share = difference(shown, eyes.surface)  # type: ignore[arg-type]  # the robot draws on a Surface
        except TimeoutError:
            number = next(self._numbers)
            for name, surface in (("shown", shown), ("expected", eyes.surface)):
                pygame.image.save(surface, self._pictures / f"{number}-{name}.png")  # type: ignore[arg-type]
            journal = await self._guest.run("journalctl", "--unit=station-screen", "--lines=30", "--no-pager")
            said = f"{share:.1%} of the display is not as it should be: {self._pictures}/{number}-*.png"
            raise AssertionError(f"{said}\n{journal.output}") from None
        self.worst = max(self.worst, share)
        return eyes

    async def touch(self, meant: Callable[[Target], bool], *, hold: float = 0.0) -> None:
        """Tap, or hold, a place of the picture that means this."""
        await self.sees()
        await self._guest.check("sleep", "0.5")  # what appears under a falling finger cannot be touched
        eyes = await self.sees()
        boxes = [box for box, target in eyes.targets if meant(target)]
        assert boxes, [target for _, target in eyes.targets]
        await self._tap(boxes[0], hold or 0.2)

    async def wake(self) -> None:
        """Touch the glass where nothing is: it may be dim, and then a first touch does no more than wake it."""
        corner = Rect(0, DISPLAY[1] - 1, 1, 1)
        assert not any(box.colliderect(corner) for box, _ in self._robot.look().targets)
        await self._tap(corner, 0.2)

    async def _tap(self, box: Rect, seconds: float) -> None:
        x, y = box.center
        await self._guest.check("sh", "-c", f"echo down {x} {y} > {FIFO}; sleep {seconds}; echo up > {FIFO}")
        self._robot.tap(box)


def read(picture: bytes) -> Surface:
    """A picture that QEMU took."""
    return pygame.image.load(io.BytesIO(picture), "display.ppm")


def difference(shown: Surface, expected: Surface) -> float:
    """How much of what is drawn in either picture is not so in the other: 0: nothing; 1: all of it."""
    assert shown.get_size() == expected.get_size(), (shown.get_size(), expected.get_size())
    empty = Surface(DISPLAY, depth=32)
    empty.fill(expected.get_at((0, 0)))
    papers = [Surface(DISPLAY, depth=32) for _ in range(2)]
    for paper, picture in zip(papers, (shown, expected), strict=True):
        paper.blit(picture, (0, 0))
    drawn = max(_other(paper, empty) for paper in papers)
    return _other(*papers) / max(1, drawn)


def _other(one: Surface, two: Surface) -> int:
    """How many pixels are of another colour."""
    near = (TOLERANCE, TOLERANCE, TOLERANCE, 255)
    same: int = pygame.transform.threshold(None, one, None, near, None, 0, two)
    return one.get_width() * one.get_height() - same


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
        wire = socket.create_connection(("127.0.0.1", self._forwarded), timeout=PATIENCE)
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
                await self._guest.check("systemctl", "stop", "station", seconds=PATIENCE)

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
        logs = f"journalctl --unit='station*' --lines=60 --no-pager; tail --lines=30 {STATE}/*/*/log"
        return (await self._guest.run("sh", "-c", logs)).output

    async def hold_confirm(self, bay: str) -> None:
        """Hold CONFIRM until what is armed begins.

        On a machine as slow as this the daemon may look at its clock too late, and then a hold is none: held again.
        """
        for _ in range(HOLDS):
            await self.person.pins.press(Control.CONFIRM)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HOLD):
                        await self._begun(bay)
                        return
            finally:
                await self.person.pins.release(Control.CONFIRM)
        raise AssertionError(f"CONFIRM was held {HOLDS} times, to no effect: {self.snapshot}")

    async def _begun(self, bay: str) -> None:
        async with self._news:
            await self._news.wait_for(
                lambda: (
                    self.snapshot is not None
                    and all(view.state is not BayState.ARMED for view in _bays(self.snapshot, bay))
                )
            )

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
    await guest.check("sh", "-c", PEOPLE, seconds=PATIENCE)


async def install_units(guest: Guest) -> None:
    """Have the guest's systemd know the station's units."""
    for unit in (*SERVICES, *LISTENING):
        await write(guest, UNITS / unit, (ROOT / "systemd" / unit).read_text())
    for unit, more in SERVICES.items():
        await write(guest, UNITS / f"{unit}.d/guest.conf", more)
    await guest.check("systemctl", "daemon-reload")


@asynccontextmanager
async def kiosk_in(guest: Guest, pictures: Path) -> AsyncGenerator[Kiosk, None]:
    """Wire a panel and a touchscreen to the guest, install the units, and run the screen while the context is open."""
    try:
        await prepare(guest)
        lines = (await guest.check("sh", "-c", PINS)).strip()
        service = ("systemd-run", "--quiet", "--unit=touchscreen", "/usr/bin/python3")
        program = Path(__file__).with_name("touchscreen.py")
        await guest.check(*service, str(program), *map(str, DISPLAY), str(FIFO))
        await install_units(guest)
        reach = ("socat", f"TCP-LISTEN:{PORT},fork,reuseaddr", f"UNIX-CONNECT:{SOCKET}")
        await guest.check("systemd-run", "--quiet", "--unit=outside", *reach)
        await guest.check("sh", "-c", f"until [ -p {FIFO} ]; do sleep 0.1; done; udevadm settle")
        # The unit wants the daemon, which is to come later, with a test's settings.
        await guest.check("systemctl", "start", "--job-mode=ignore-dependencies", "station-screen", seconds=PATIENCE)
        before = boottime()
        uptime = float((await guest.check("cat", "/proc/uptime")).split()[0])
        ahead = uptime - (before + boottime()) / 2
        forwarded = await guest.forward(PORT)
        yield Kiosk(guest, Person(guest, Pins(guest, lines), ahead=ahead, pictures=pictures), forwarded)
    finally:
        await guest.run("sh", "-c", AWAY, seconds=PATIENCE)
