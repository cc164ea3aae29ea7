"""The composition root: the one place where real or virtual is chosen, and everything is wired together."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import structlog

from station.adapters import clock, notify, power, sticks, udev
from station.adapters.api import ApiServer
from station.adapters.catalogs import Catalogs
from station.adapters.commons import let_group_in
from station.adapters.firmware import FirmwareStore
from station.adapters.gpio import Panel
from station.adapters.health import Machine
from station.adapters.jobshelf import JobShelf
from station.adapters.orders import OrderShelf
from station.adapters.pairings import Pairings
from station.adapters.pins import MockPins, Pins
from station.adapters.releases import Releases
from station.adapters.secrets_in_memory import MemoryShelf
from station.adapters.vault import Vault
from station.adapters.workers import LocalStarter, UnitStarter
from station.core import sounds
from station.core.events import Moment
from station.core.policy import Policy
from station.core.station import Station
from station.daemon.chosen import ChosenFirmware
from station.daemon.custody import Custody
from station.daemon.depot import Depot, rules
from station.daemon.fetching import FetcherChildren, FetcherUnits, Lists
from station.daemon.gateway import OwnGateway
from station.daemon.lease import lease
from station.daemon.loop import Loop, StartsAnew
from station.daemon.office import BOOT_PROBLEM, Office
from station.daemon.ports import Supplies, WorkerStarter
from station.daemon.presets import Preset
from station.daemon.proof import RecordedProof
from station.daemon.running import Running
from station.daemon.settings import Settings, settled
from station.daemon.supply import Supply, Unsupplied
from station.errors import ConfigError, Refused, StationError
from station.model.api import BayState, Snapshot
from station.model.catalog import Fetching
from station.model.lights import Lights
from station.model.operator import Power
from station.model.phone import UsbEvent
from station.virtual.hosting import feed
from station.virtual.hosting.panel import serving_panel

log = structlog.get_logger(__name__)


class Faces:
    """Shows the station on its socket, by its lamps and its buzzer, and to systemd."""

    def __init__(self, server: ApiServer, panel: Panel | None) -> None:
        self._server = server
        self._panel = panel
        self._ready = False
        self._before: Snapshot | None = None

    def light(self, lights: Lights) -> None:
        """Have the lamps show this."""
        if self._panel is not None:
            self._panel.show(lights)

    def show(self, snapshot: Snapshot) -> None:
        """Show this. The first time says that the station is up."""
        self._server.publish(snapshot)
        heard, self._before = sounds.of_change(self._before, snapshot), snapshot
        if self._panel is not None and heard is not None:
            self._panel.play(heard)
        working = sum(bay.state is BayState.WORKING for bay in snapshot.bays)
        occupied = sum(bay.state is not BayState.EMPTY for bay in snapshot.bays)
        status = f"{occupied} of {len(snapshot.bays)} bays in use, {working} working. {snapshot.notice}".strip()
        if self._ready:
            notify.status(status)
        else:
            self._ready = True
            notify.ready(status)
            log.info("station is up", bays=len(snapshot.bays))


def run(settings: Settings, *, starter: WorkerStarter | None = None) -> None:
    """Run the daemon until it is told to end (SIGTERM, SIGINT). Workers go on after that.

    Args:
        settings: everything that can be chosen.
        starter: how workers are started; by default as the settings say.

    When an operator chose another policy, this process is replaced by one that reads its settings anew.

    Raises:
        ConfigError, StorageError: it cannot begin.
    """
    ends = asyncio.Event()
    with lease(settings.state):
        anew = asyncio.run(_serve(settings, starter, ends))
    if anew and not ends.is_set():  # who wants it to end may have said so while it ended to start anew
        # The same process with the same arguments: systemd sees one daemon all the while, workers stay its children.
        notify.reloading()
        os.execv(sys.executable, (sys.executable, *sys.orig_argv[1:]))  # noqa: S606 (no shell is wanted)


async def _serve(settings: Settings, starter: WorkerStarter | None, ends: asyncio.Event) -> bool:
    """Serve until told to end, which sets `ends`. Returns whether the settings are other ones now."""
    store = FirmwareStore(settings.firmware_store)
    firmware = ChosenFirmware(store, pins=settings.supply.pins, denied=settings.supply.denied)
    shelf = await asyncio.to_thread(JobShelf, settings.state)
    policy = await asyncio.to_thread(policy_of, settings)
    custody = await asyncio.to_thread(custody_of, settings, policy, shelf)
    office = await asyncio.to_thread(_office, settings, policy, firmware)
    async with AsyncExitStack() as stack:
        proof = await RecordedProof.open(settings.state)
        stack.push_async_callback(proof.close)
        if (gateway := _gateway(settings)) is not None:
            stack.callback(gateway.close)
            await asyncio.to_thread(gateway.open)
        starter = starter or _starter(settings, gateway)
        stack.callback(starter.close)
        await asyncio.to_thread(_make_room, settings)
        await asyncio.to_thread(starter.prepare)
        loop = Loop(
            Station(policy, instance=_instance()),
            running=Running(shelf, starter, firmware, custody),
            proof=proof,
            firmware=firmware,
            supplies=_supplies(settings, store, firmware),
            orders=OrderShelf(settings.state),
            clock=moment,
            releases=Releases(settings.state),
            office=office,
            health=Machine(settings.state).look,
        )
        server = await stack.enter_async_context(ApiServer(settings.socket, loop.carry_out))
        panel = await stack.enter_async_context(_panel(settings, loop))
        anew = False
        try:
            async with asyncio.TaskGroup() as tasks:
                work = [
                    tasks.create_task(notify.keep_watchdog_fed()),
                    *([] if gateway is None else [tasks.create_task(gateway.run())]),
                    tasks.create_task(loop.run(_usb(settings), Faces(server, panel))),
                ]
                for number in (signal.SIGTERM, signal.SIGINT):
                    asyncio.get_running_loop().add_signal_handler(number, _stop, work, ends)
        except* StartsAnew:
            anew = True
    return anew


def _gateway(settings: Settings) -> OwnGateway | None:
    """The workers' way out, where it is not systemd that sees to that."""
    if settings.gateway is not None:
        return None
    return OwnGateway(settings.gateway_socket, settings.reach_file)


def _starter(settings: Settings, gateway: OwnGateway | None) -> WorkerStarter:
    """Who starts workers: systemd, or this daemon. Raises ConfigError."""
    if settings.workers is not None:
        if settings.reaper is None:  # no deadline could be kept
            raise ConfigError("“workers” is set, and not “reaper”.", remedy="Set both, or neither.")
        return UnitStarter(settings.workers, settings.reaper)
    return LocalStarter(holding=None if gateway is None else gateway.held)


def _make_room(settings: Settings) -> None:
    """Make the directories that a worker is shown: what is not there when its unit starts is not there for it."""
    with suppress(StationError):  # who needs it says why not
        MemoryShelf(settings.runtime).open()
    for directory in (settings.firmware_store, settings.vault_directory, settings.state / "catalogs"):
        if directory.is_relative_to(settings.state):
            with suppress(OSError):
                directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    with suppress(OSError):  # a disk may come later
        let_group_in(settings.firmware_store, write=False)


def _supplies(settings: Settings, store: FirmwareStore, chosen: ChosenFirmware) -> Supplies:
    """Who sees to it that firmware is there; nobody, where none is to be fetched."""
    wanted = settings.supply
    if wanted.fetch is Fetching.NEVER:
        return Unsupplied()
    hosts = settings.firmware_hosts()
    fetchers = FetcherChildren() if settings.fetcher is None else FetcherUnits(settings.fetcher)
    place, days = settings.state / "catalogs", wanted.catalog_days
    depot = Depot(
        store,
        chosen,
        Lists(place, hosts, days=days, here=Catalogs(place, hosts, timedelta(days=days)), asks=fetchers),
        rules=rules(wanted, hosts),
        settings=wanted,
    )
    return Supply(depot, fetchers, fetching=wanted.fetch, hours=wanted.hours, clock=clock.boottime, local=_local_time)


def _local_time() -> datetime | None:
    """The time on the wall here; None while the clock is not known to be right."""
    return datetime.now().astimezone() if clock.trusted() else None


def _office(settings: Settings, policy: Policy, firmware: ChosenFirmware) -> Office:
    """What operators need: of this machine, or of a virtual host, whose sticks are the directories in `sticks`."""
    virtual, file = settings.virtual, settings.model_config.get("toml_file")
    return Office(
        settings.state,
        software=policy.software,
        firmware=firmware,
        health=Machine(settings.state).look,
        sticks=sticks.mounted if virtual is None else lambda: sticks.below(virtual / "sticks"),
        switch=power.switch if virtual is None else _leave_on,
        problem=settings.runtime / BOOT_PROBLEM,
        environment={
            "STATION_STATE": str(settings.state),
            "STATION_SOCKET": str(settings.socket),
            "STATION_FIRMWARE": str(settings.firmware_store),
            "STATION_VAULT": str(settings.vault_directory),
            "STATION_RUNTIME": str(settings.runtime),
            **({} if virtual is None else {"STATION_VIRTUAL": str(virtual)}),
            **({"STATION_CONFIG": str(file.absolute())} if isinstance(file, Path) and file.is_file() else {}),
        },
    )


def _leave_on(how: Power) -> None:
    del how
    raise Refused("This station is a demonstration: the machine stays on.", remedy="Close its window to end it.")


def policy_of(settings: Settings) -> Policy:
    """What the settings mean for decisions. Raises ConfigError when the virtual host is not there."""
    return Policy(
        name=settings.name,
        software=f"restore-station {version('restore-station')}, pymobiledevice3 {version('pymobiledevice3')}",
        reach=settings.reach(),
        bays=settings.bay_sockets,
        cap=settings.cap,
        buttons=tuple(settings.gpio.buttons) if settings.gpio.enabled else (),
        touch_confirms=settings.touch_confirms,
        operator_confirm=settings.operator_confirm,
        deadlines=settings.phase_deadlines,
        observe_seconds=settings.observe_seconds,
        leave_seconds=settings.leave_seconds,
        purpose=settings.purpose,
        backup=settings.backup,
        min_battery=settings.min_battery,
        max_temperature=settings.max_temperature,
        min_free=settings.min_free_mb << 20,
        quarantine_after=settings.quarantine_after,
        fetches=settings.supply.fetch is not Fetching.NEVER,
        preset=settings.policy.value,
        presets=tuple(preset.value for preset in Preset),
        settled=settled(os.environ),
    )


def custody_of(settings: Settings, policy: Policy, shelf: JobShelf) -> Custody:
    """What is held of other people's. Nothing is opened yet: a station whose vault is gone does everything else."""
    return Custody(
        Vault(
            settings.vault_directory,
            secret=settings.vault_secret,
            days=settings.vault_days,
            elsewhere=not settings.vault_directory.is_relative_to(settings.state),
        ),
        MemoryShelf(settings.runtime),
        Pairings(policy.reach.usbmuxd, settings.state / "pairings"),
        shelf,
    )


def moment() -> Moment:
    """Now, on both clocks."""
    return Moment(at=clock.boottime(), utc=clock.utc_now(), trusted=clock.trusted())


def _usb(settings: Settings) -> AsyncIterator[UsbEvent]:
    """Where phones come and go."""
    return udev.usb_events() if settings.virtual is None else feed.usb_events(settings.virtual / "feed")


@asynccontextmanager
async def _panel(settings: Settings, loop: Loop) -> AsyncGenerator[Panel | None, None]:
    """Buttons and lamps: the machine's own, or mock pins whose fingers are at the virtual host's `panel` socket."""
    if not settings.gpio.enabled:
        yield None
        return
    gpio, mock = settings.gpio, None if settings.virtual is None else MockPins()
    panel = Panel(buttons=gpio.buttons, lamps=gpio.lamps, buzzer=gpio.buzzer, report=loop.button, pins=mock or Pins())
    async with AsyncExitStack() as stack:
        stack.callback(panel.close)
        if mock is not None and settings.virtual is not None:
            path = settings.virtual / "panel"
            await stack.enter_async_context(serving_panel(path, mock.pin, buttons=gpio.buttons, lamps=gpio.lamps))
        yield panel


def _instance() -> str:
    """A name for this run that no other run has: the time for people, chance for the rest."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _stop(work: list["asyncio.Task[None]"], ends: asyncio.Event) -> None:
    log.info("stopping; workers go on")
    ends.set()
    notify.stopping()
    for task in work:
        task.cancel()
