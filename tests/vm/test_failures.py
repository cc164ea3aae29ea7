"""What fails around a station that is switched on: its daemon hangs, the disk is full, the clock is not set.

One station (`tests.vm.appliance`); the tests are one story, in this order. Its clock begins in 1970, as on a machine
without a battery. How fast something is ready is measured by the guest's own clock, whose processors are emulated.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, Lamp, Start
from station.model.service import Service
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import VirtualPhone
from tests.vm.appliance import STATE, Appliance, connect_cables, installed, switched_on
from tests.vm.firmware import NEW
from tests.vm.guest import HOST
from tests.vm.sockets import RESTART

pytestmark = [
    pytest.mark.vm,
    pytest.mark.long,
    pytest.mark.story,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(1200),
]

Measured = Callable[[str], None]

BEGUN = "1970-01-01T00:00:20"
BOOT_SECONDS = 60.0
BUSY = 10.0
"""Seconds of waiting for a processor from which on a boot is held to nothing: they can only be guessed at."""
OLD = Installed(version="26.1", build="23B85")
FILL = f"""
free=$(stat --file-system --format='%a %S' {STATE} | {{ read -r blocks size; echo $((blocks * size)); }})
fallocate --length $((free - (100 << 20))) /filled
"""


class Story:
    """The station and its plug."""

    def __init__(self, directory: Path, host: VirtualHost, disk: Path, measured: Measured) -> None:
        self.host = host
        self.measured = measured
        self._directory = directory
        self._disk = disk
        self._times = 0
        self._power = AsyncExitStack()

    async def switch_on(self, *, clock: str) -> Appliance:
        """Give it power, and put cables into its sockets when its daemon is ready (`ready`, see `since_boot`)."""
        self._times += 1
        directory = self._directory / str(self._times)
        directory.mkdir()
        self.appliance = await self._power.enter_async_context(
            switched_on(directory, self.host, self._disk, firmware=self._disk.parent / "firmware", clock=clock)
        )
        self.ready = await self.appliance.since_boot("station")
        self.waited = self.appliance.guest.waited()
        await connect_cables(self.appliance.guest, self.host)
        return self.appliance

    async def cut_power(self) -> None:
        """Take it away: QEMU is killed, and what the guest has not brought to its disk is gone."""
        await self._power.aclose()

    def plug(self) -> VirtualPhone:
        """Plug a phone into the first socket that is free: in recovery mode, with somebody's data on it."""
        phone = self.host.hands.plug(Plug(model="iPhone 12", installed=OLD, auto_boot=False))
        phone.pace.least_restart = RESTART
        return phone


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def story(tmp_path_factory: pytest.TempPathFactory, measured: Measured) -> AsyncIterator[Story]:
    """A station that was just switched on for the first time, with cables in its sockets, and firmware."""
    directory = tmp_path_factory.mktemp("station")
    place = directory / "made"
    place.mkdir()
    async with VirtualHost(tmp_path_factory.mktemp("phones"), tcp=True, name=HOST) as host:
        unpacked, _ = await asyncio.to_thread(NEW.make, place)
        host.apple.register(unpacked)
        await asyncio.to_thread(FirmwareStore(place / "firmware", reserve=0).import_ipsw, unpacked)
        disk = await installed(host, place / "firmware").make(place)
        story = Story(directory, host, disk, measured)
        try:
            await story.switch_on(clock=BEGUN)
            yield story
        finally:
            await story.cut_power()
            await asyncio.to_thread(disk.unlink)


async def test_boot_to_ready(story: Story):
    story.measured(f"boot: the daemon ready after {story.ready:.1f} s, without {story.waited:.1f} s of waiting")
    assert not (await story.appliance.until(lambda snapshot: True)).clock_trusted
    assert story.ready < BOOT_SECONDS or story.waited > BUSY


async def test_the_watchdog_bites_a_daemon_that_hangs(story: Story):
    seconds = await story.appliance.kill("station", "STOP")
    story.measured(f"the daemon hung: another was ready after {seconds:.1f} s of the guest's clock")
    said = await story.appliance.guest.check("journalctl", "--unit=station", "--no-pager", "--lines=200")
    assert "Watchdog timeout" in said


async def test_the_disk_is_full(story: Story):
    station = story.appliance
    phone, bay = story.plug(), "1"
    await station.until_bay(bay, lambda view: view.state is BayState.READY)
    await station.guest.check("sh", "-c", FILL)
    await station.until(lambda snapshot: "disk is nearly full" in snapshot.notice)
    answer = await station.give(Start, bay, service=Service.RESTORE)
    assert "disk is nearly full" in answer.refused
    assert answer.remedy
    await station.until_lit(Lamp.FAULT)
    await station.guest.check("rm", "/filled")
    await station.until(lambda snapshot: not snapshot.notice)
    assert phone.history == []


async def test_the_clock_is_trusted_once_somebody_has_set_it(story: Story):
    station = story.appliance
    assert not (await station.until(lambda snapshot: True)).clock_trusted
    # What systemd-timesyncd does after the first answer of an NTP server.
    mark = "mkdir --parents /run/systemd/timesync && touch /run/systemd/timesync/synchronized"
    await station.guest.check("sh", "-c", mark)
    await station.until(lambda snapshot: snapshot.clock_trusted)
