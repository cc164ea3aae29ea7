"""The whole station at work: booted, used by touch and buttons; then everything around it fails.

One station, switched on twice (`tests.vm.appliance`); the tests are one story, in this order. Its clock begins in 1970
each time, as on a machine without a battery. Each failure ends in the same way: nothing that was written is lost, every
phone's job is found, what became of it has a name, a person is told, and the records verify.

How fast something is back is measured by the guest's own clock. Its processors are emulated, and so the limits are
those of a machine as fast as the one that emulates it: five seconds there are `slowness` times five seconds here.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pygame
import pytest
import pytest_asyncio

from station.adapters.chain import ChainFiles, record_of
from station.adapters.firmware import FirmwareStore
from station.adapters.signing import DemonstrationKey
from station.model.api import BayState, Choose, Dismiss, Lamp, OfferView, Select, Start
from station.model.causes import Cause
from station.model.certificate import Certificate
from station.model.job import Phase
from station.model.record import Outcome, Record, SealedRecord
from station.model.service import Service
from station.screen.pages import Page
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import VirtualPhone
from tests.system.faults import ERASE_SENT, OF_PHASE
from tests.system.rig import Window
from tests.vm.appliance import CHIP, PATIENCE, STATE, Appliance, connect_cables, installed, switched_on
from tests.vm.firmware import NEW
from tests.vm.gadgets import keyboard, phone_that_shares
from tests.vm.guest import DISPLAY, HOST
from tests.vm.kiosk import Kiosk, kiosk_before
from tests.vm.person import opens, sends
from tests.vm.program import PROGRAM, PYTHON, ROOT
from tests.vm.sockets import RESTART

pytestmark = [
    pytest.mark.vm,
    pytest.mark.story,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(1200),
]

Measured = Callable[[str], None]

BEGUN = "1970-01-01T00:00:20"
BOOT_SECONDS = 60.0
BUSY = 10.0
"""Seconds of waiting for a processor from which on a boot is held to nothing: they can only be guessed at."""
BACK_SECONDS = 5.0
"""From the death of the daemon, or of the screen, until it is ready again, on a machine that is not emulated."""
OLD = Installed(version="26.1", build="23B85")
AT_RAMDISK, AT_IMAGE, AT_RETURN = (OF_PHASE[phase] for phase in (Phase.RAMDISK, Phase.IMAGE, Phase.RETURN))
OUTSIDE = 600.0
"""Seconds until phones are where they are to be held."""
CUTS = 4
"""How often a disk is cut off while records are written on it."""
SEED = 20261121
RECORDS = 32 << 20
"""Bytes of that disk."""
CUT_SECONDS = 400.0
"""For what takes a quarter of that."""
KEYBOARDS = ("grep", "Keyboard", "/proc/bus/input/devices")
NETWORKS = ("sh", "-c", "grep --files-with-matches DRIVER=cdc_ether /sys/class/net/*/device/uevent")
FILL = f"""
free=$(stat --file-system --format='%a %S' {STATE} | {{ read -r blocks size; echo $((blocks * size)); }})
fallocate --length $((free - (100 << 20))) /filled
"""
TIME = f"""
systemd-run --quiet --unit=ntp /usr/bin/python3 {PROGRAM}/tests/vm/ntp.py {{now}}
mkdir -p /etc/systemd/timesyncd.conf.d
printf '[Time]\\nNTP=127.0.0.1\\n' >/etc/systemd/timesyncd.conf.d/here.conf
systemctl unmask systemd-timesyncd
systemctl start systemd-timesyncd
"""
AMISS = 60.0
"""Seconds by which a clock may differ that was just set, where everything takes its time."""
WORK = "import station.model.api"
"""A tenth of what a daemon does until it is ready."""


class Story:
    """The station and its plug."""

    def __init__(self, directory: Path, host: VirtualHost, program: Path, disk: Path, measured: Measured) -> None:
        self.host = host
        self.measured = measured
        self.slowness = 0.0
        """0: not measured yet."""
        self.phones: dict[str, VirtualPhone] = {}
        """The last that was plugged into each bay."""
        self.told = 0
        """Records that somebody was told of."""
        self._directory = directory
        self._program = program
        self._disk = disk
        self._times = 0
        self._power = AsyncExitStack()

    async def switch_on(self, *, clock: str) -> Appliance:
        """Give it power, and put cables into its sockets when its daemon is ready (`ready`, see `since_boot`)."""
        self._times += 1
        directory = self._directory / str(self._times)
        directory.mkdir()
        firmware = self._disk.parent / "firmware"
        station = switched_on(directory, self.host, self._disk, program=self._program, firmware=firmware, clock=clock)
        self.appliance = await self._power.enter_async_context(station)
        self.ready = await self.appliance.since_boot("station")
        self.waited = self.appliance.guest.waited()
        await connect_cables(self.appliance.guest, self.host)
        return self.appliance

    async def is_back(self, unit: str) -> None:
        """Kill a unit's process; another is ready soon."""
        if not self.slowness:
            self.slowness = await _slowness(self.appliance)
            self.measured(f"the guest takes {self.slowness:.1f} times as long as this machine")
        seconds = await self.appliance.kill(unit)
        self.measured(f"{unit} was killed: another was ready after {seconds:.1f} s of the guest's clock")
        assert seconds < BACK_SECONDS * self.slowness, f"{unit}, slowness {self.slowness:.1f}"

    async def cut_power(self) -> None:
        """Take it away: QEMU is killed, and what the guest has not brought to its disk is gone."""
        await self._power.aclose()

    async def plug(self, bay: str) -> VirtualPhone:
        """Plug a phone into the first socket that is free: in recovery mode, with somebody's data on it."""
        phone = self.host.hands.plug(Plug(model="iPhone 12", installed=OLD, auto_boot=False))
        phone.pace.least_restart = RESTART
        self.phones[bay] = phone
        view = await self.appliance.until_bay(bay, lambda view: view.state is BayState.READY)
        assert view.phone is not None
        assert view.phone.ecid == phone.identity.ecid
        return phone

    async def held(self, *windows: Window) -> None:
        """Wait until all these phones are where they are to be held."""
        try:
            async with asyncio.timeout(OUTSIDE):
                for window in windows:
                    await window.reached.wait()
        except TimeoutError:
            histories = [window.phone.history[-3:] for window in windows]
            raise AssertionError(f"{histories}\n{await self.appliance.logs()}") from None

    async def ended(self, bay: str, *outcomes: Outcome) -> Record:
        """A job's end: it has a name, it is told, and it is on the disk."""
        view = await self.appliance.until_recorded(bay)
        assert view.result is not None
        assert view.result.title
        file = ChainFiles(STATE / "proof" / DemonstrationKey.name).record(view.result.record)
        record = record_of(msgspec.json.decode(await self.appliance.guest.check("cat", str(file)), type=SealedRecord))
        assert record.outcome in outcomes, f"{record}\n{await self.appliance.logs()}"
        assert (view.result.outcome, view.result.cause) == (record.outcome, record.cause)
        assert record.cause is not Cause.INTERNAL
        assert record.outcome is Outcome.VERIFIED or view.result.remedy
        self.told = max(self.told, view.result.record)
        return record

    async def clear(self, bay: str, phone: VirtualPhone) -> None:
        """Take a phone away, and put away what was said of it."""
        if phone.socket is not None:
            await self.host.bus.unplug(phone.socket)
        await self.appliance.give(Dismiss, bay)
        await self.appliance.until_bay(bay, lambda view: view.state is BayState.EMPTY)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def story(program: Path, tmp_path_factory: pytest.TempPathFactory, measured: Measured) -> AsyncIterator[Story]:
    """A station that was just switched on for the first time, with cables in its sockets, and firmware."""
    directory = tmp_path_factory.mktemp("station")
    place = directory / "made"
    place.mkdir()
    async with VirtualHost(tmp_path_factory.mktemp("phones"), tcp=True, name=HOST) as host:
        unpacked, _ = await asyncio.to_thread(NEW.make, place)
        host.apple.register(unpacked)
        await asyncio.to_thread(FirmwareStore(place / "firmware", reserve=0).import_ipsw, unpacked)
        disk = await installed(host, place / "firmware").make(place)
        story = Story(directory, host, program, disk, measured)
        try:
            await story.switch_on(clock=BEGUN)
            yield story
        finally:
            await story.cut_power()
            await asyncio.to_thread(disk.unlink)


@asynccontextmanager
async def screen_of(station: Appliance, pictures: Path) -> AsyncGenerator[Kiosk, None]:
    """Its screen, and who stands before it."""
    pygame.display.init()
    pygame.display.set_mode(DISPLAY)
    try:
        lines = (await station.guest.check("cat", str(CHIP))).strip()
        yield await kiosk_before(station.guest, lines, station.forwarded, pictures)
    finally:
        pygame.display.quit()


def _will_do(offer: OfferView, service: Service) -> bool:
    """Whether START will do for this service: no gate is closed."""
    return offer.service is service and not offer.findings


async def _slowness(station: Appliance) -> float:
    """How many times as long the guest takes now for what a daemon does when it starts. (It has: all is in memory.)"""
    work = f"{PYTHON} -c '{WORK}'"
    there = f"cd {PROGRAM} && read -r a _ < /proc/uptime && {work} && read -r b _ < /proc/uptime"
    here = []
    for _ in range(3):
        begun = time.monotonic()
        program = await asyncio.create_subprocess_exec(sys.executable, "-c", WORK, cwd=ROOT)
        assert await program.wait() == 0
        here.append(time.monotonic() - begun)
    begun_there, ended = (await station.guest.check("sh", "-c", f"{there} && echo $a $b", seconds=300)).split()
    return (float(ended) - float(begun_there)) / min(here)


async def _cut_off(station: Appliance) -> str:
    """Cut a disk off at random moments while records are written on it (`tests.vm.power_cuts`); what was seen."""
    made, disk = station.guest.out / "records", "/dev/shm/records"
    process = await asyncio.create_subprocess_exec("mke2fs", "-q", "-t", "ext4", str(made), f"{RECORDS >> 10}k")
    assert await process.wait() == 0
    prepare = f"cp {made} {disk} && modprobe --all loop dm-flakey && cd {PROGRAM}"
    cut = f"{prepare} && exec {PYTHON} -m tests.vm.power_cuts {disk} {SEED} {CUTS}"
    said = await station.guest.check("sh", "-c", cut, seconds=CUT_SECONDS)
    assert said.count("told") == CUTS
    told, kept = (sum(int(line.split()[at]) for line in said.splitlines()) for at in (2, 4))
    return f"{CUTS} power cuts while records are written, {told} records told to be durable, {kept} kept, none lost"


async def test_boot_to_ready(story: Story):
    story.measured(f"boot: the daemon ready after {story.ready:.1f} s, without {story.waited:.1f} s")
    assert not (await story.appliance.until(lambda snapshot: True)).clock_trusted
    assert story.ready < BOOT_SECONDS or story.waited > BUSY


async def test_a_keyboard_at_a_phones_socket_is_not_let_in(story: Story):
    """Phones are let in beside it: those of all this story."""
    guest = story.appliance.guest
    await guest.check("systemctl", "start", "station-usb-guard", seconds=PATIENCE)  # waits until it is up
    async with keyboard(guest) as gadget:
        await gadget.plug()
        assert await gadget.let_in() == [False]
        assert (await guest.run(*KEYBOARDS)).code != 0
        await gadget.let_in_by_hand()
        await guest.check(*KEYBOARDS)  # it would have been one


async def test_a_phone_that_shares_its_network_is_none_of_ours(story: Story):
    guest = story.appliance.guest
    async with phone_that_shares(guest) as gadget:
        await gadget.plug()
        assert await gadget.let_in() == [True, False, False]
        assert (await guest.run(*NETWORKS)).code != 0
        await gadget.let_in_by_hand()  # as where there is no guard
        network = Path(await guest.check(*NETWORKS)).parents[1]
        said = await guest.check("udevadm", "info", "--query=property", str(network))
        assert "NM_UNMANAGED=1" in said.splitlines()


async def test_a_restore_outlives_screen_daemon_usbmuxd_and_its_neighbours_worker(story: Story, tmp_path: Path):
    """Chosen by touch, confirmed by the buttons. Another phone is at work beside it."""
    station = story.appliance
    phone, neighbour = await story.plug("1"), await story.plug("2")
    image, back, other = Window(phone, AT_IMAGE), Window(phone, AT_RETURN), Window(neighbour, AT_IMAGE)
    await station.restore("2", neighbour)
    async with screen_of(station, tmp_path) as kiosk:
        async with kiosk.following():
            await kiosk.until(lambda view: view.state is BayState.READY)
            first, restore = sends(Select, bay="1"), sends(Choose, service=Service.RESTORE)
            await kiosk.person.go(first, opens(Page.PHONE), opens(Page.SERVICES), restore)
            await kiosk.until(lambda view: view.chosen is Service.RESTORE)
            await kiosk.start_and_confirm()
        await story.held(image, other)
        workers = await station.workers()
        assert workers.keys() == {"1", "2"}

        await story.is_back("station-screen")
        kiosk.person.forget()
        await story.is_back("station")
        for bay in workers:
            await station.until_bay(bay, lambda view: view.state is BayState.WORKING)
        assert await station.workers() == workers
        async with kiosk.following():
            await kiosk.person.sees()
    await station.guest.check("systemctl", "stop", "station-screen")  # to draw takes the processors of all others

    # A worker dies, and with it one phone's job.
    await station.guest.check("kill", "-KILL", str(workers["2"]))
    assert (await story.ended("2", Outcome.FAILED_ERASED)).cause is Cause.WORKER_DIED
    assert await station.workers() == {"1": workers["1"]}
    other.go()

    # With usbmuxd, a phone that has all of its image is lost for a moment, and found again.
    image.go()
    await story.held(back)
    seconds = await station.kill("usbmuxd")
    story.measured(f"usbmuxd was killed: another was ready after {seconds:.1f} s of the guest's clock")
    back.go()
    record = await story.ended("1", Outcome.VERIFIED)
    assert phone.history.count(ERASE_SENT) == 1
    assert phone.system is not None
    assert (phone.system.build, phone.system.canary) == (NEW.build, None)

    # No certificate says when, before the clock is known to be right.
    assert not record.clock_trusted
    view = await station.until_recorded("1")
    assert view.result is not None
    assert view.result.certificate is not None
    paper = await station.guest.check("cat", str(Path(view.result.certificate).with_suffix(".json")))
    assert not msgspec.json.decode(paper, type=Certificate).clock_trusted
    await story.clear("1", phone)


async def test_a_hub_drops_and_the_power_goes(story: Story):
    station, host = story.appliance, story.host
    neighbour = story.phones["2"]
    cut, hub = await asyncio.gather(story.plug("1"), story.plug("3"))
    at_image, at_ramdisk = Window(cut, AT_IMAGE), Window(hub, AT_RAMDISK)
    await station.restore("1", cut)
    await station.restore("3", hub)

    # A hub: its phones leave at the same moment, one of them at work. Others' jobs go on.
    await story.held(at_ramdisk)
    workers = await station.workers()
    assert workers.keys() == {"1", "3"}
    await asyncio.gather(*(host.bus.unplug(phone.socket) for phone in (neighbour, hub) if phone.socket is not None))
    assert (await story.ended("3", Outcome.FAILED_UNTOUCHED)).cause is Cause.DISCONNECTED
    assert await station.workers() == {"1": workers["1"]}
    at_ramdisk.go()
    await story.clear("2", neighbour)
    await story.clear("3", hub)

    # The power, with a phone in the middle of its image. The phone itself has a battery.
    await story.held(at_image)
    await story.cut_power()
    at_image.go()
    station = await story.switch_on(clock=BEGUN)
    story.measured(f"after a power cut: the daemon ready after {story.ready:.1f} s, without {story.waited:.1f} s")
    assert story.ready < BOOT_SECONDS or story.waited > BUSY
    record = await story.ended("1", Outcome.FAILED_ERASED)
    story.measured(f"after a power cut: the restore ended as {record.outcome.value}, because of {record.cause}")
    assert record.ecid == cut.identity.ecid
    assert await station.workers() == {}
    await station.until_lit(Lamp.FAULT)
    await station.obeyed(Dismiss, "1")


async def test_the_disk_is_full(story: Story):
    station = story.appliance
    # It was found again only just now: nothing else than the disk is to be in the way.
    await station.until_bay("1", lambda view: any(_will_do(offer, Service.RESTORE) for offer in view.offers))
    phone = story.phones["1"]
    before = list(phone.history)
    await station.guest.check("sh", "-c", FILL)
    await station.until(lambda snapshot: "disk is nearly full" in snapshot.notice)
    answer = await station.give(Start, "1", service=Service.RESTORE)
    assert "disk is nearly full" in answer.refused
    assert answer.remedy
    await station.until_lit(Lamp.FAULT)
    await station.guest.check("rm", "/filled")
    await station.until(lambda snapshot: not snapshot.notice)
    assert phone.history == before
    await story.clear("1", phone)


async def test_the_watchdog_bites_a_daemon_that_hangs_while_another_disk_is_cut_off(story: Story):
    """Two things that have nothing to do with each other: for one of them the processors only wait."""
    station = story.appliance
    seconds, seen = await asyncio.gather(station.kill("station", "STOP"), _cut_off(station))
    story.measured(f"the daemon hung: another was ready after {seconds:.1f} s of the guest's clock")
    story.measured(seen)
    said = await station.guest.check("journalctl", "--unit=station", "--no-pager", "--lines=200")
    assert "Watchdog timeout" in said


async def test_the_clock_is_trusted_once_a_server_has_told_the_time(story: Story):
    station = story.appliance
    assert not (await station.until(lambda snapshot: True)).clock_trusted
    await station.guest.check("sh", "-c", TIME.format(now=time.time()))
    await station.until(lambda snapshot: snapshot.clock_trusted)
    assert abs(float(await station.guest.check("date", "+%s")) - time.time()) < AMISS


async def test_nothing_that_was_told_is_lost(story: Story):
    said = await story.appliance.records("verify")
    assert f"Records: {story.told}." in said, said
    assert "Everything is as it was written." in said
