"""The daemon dies at any moment: no job is lost, none is done twice, and what was only asked for is forgotten."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, Start
from station.model.base import Ecid
from station.model.causes import Cause
from station.model.job import Phase
from station.model.record import Outcome
from station.model.service import Service
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.phones.phone import VirtualPhone
from tests.system.faults import ERASE_SENT, LOCKDOWN, OF_PHASE, RESTARTED
from tests.system.firmware import BUILD
from tests.system.rig import Rig, Station, Window, make_rig

pytestmark = pytest.mark.system

TICKET_SECONDS = 8.0
"""How long Apple thinks about the one phone whose daemon dies while it waits for a ticket."""


@dataclass(frozen=True)
class Life:
    """A phone that is held at a step when the daemon dies, what happens before another comes up, and its end."""

    bay: str
    at: str
    meanwhile: Callable[[Rig, Window], Awaitable[None]] | None = None
    after: str | None = None
    outcome: Outcome = Outcome.VERIFIED
    cause: Cause | None = None


async def unplug(rig: Rig, window: Window) -> None:
    """Pull its cable."""
    assert window.phone.socket is not None
    await rig.host.bus.unplug(window.phone.socket)


async def kill_worker(rig: Rig, window: Window) -> None:
    """End its worker; the phone restarts when it notices."""
    os.kill(rig.worker_of(window.phone), signal.SIGKILL)
    window.go()


async def finish(rig: Rig, window: Window) -> None:
    """Let it go on until its worker has ended, with nobody to watch."""
    worker = os.pidfd_open(rig.worker_of(window.phone))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(worker, ended.set)
    window.go()
    async with asyncio.timeout(60):
        await ended.wait()
    asyncio.get_running_loop().remove_reader(worker)
    os.close(worker)


TICKET, QUEUED, ARMED = "7", "8", "9"

ROUNDS = {
    # Those that are reached at about the same time: neither phones nor workers wait for ever.
    "first": (
        Life("1", OF_PHASE[Phase.CONNECT]),
        Life("2", OF_PHASE[Phase.RECOVERY]),
    ),
    "recovery": (
        Life("1", OF_PHASE[Phase.RAMDISK]),
        Life("2", OF_PHASE[Phase.RESTORED]),
        Life("3", OF_PHASE[Phase.RAMDISK], kill_worker, outcome=Outcome.FAILED_UNTOUCHED, cause=Cause.WORKER_DIED),
    ),
    "restore": (
        Life("1", OF_PHASE[Phase.PREPARE]),
        Life("2", OF_PHASE[Phase.PREPARE], unplug, outcome=Outcome.FAILED_ERASED, cause=Cause.DISCONNECTED),
        Life("3", OF_PHASE[Phase.IMAGE]),
        Life("4", OF_PHASE[Phase.IMAGE], kill_worker, outcome=Outcome.FAILED_ERASED, cause=Cause.WORKER_DIED),
        Life("5", OF_PHASE[Phase.FIRMWARE]),
        Life("6", OF_PHASE[Phase.FIRMWARE], finish),
    ),
    "last": (
        Life("1", OF_PHASE[Phase.RETURN]),
        Life("2", "lockdown:GetValue", after=RESTARTED),
    ),
}


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    "lives",
    [
        pytest.param(lives, id=name, marks=() if name == "restore" else (pytest.mark.long,))
        for name, lives in ROUNDS.items()
    ],
)
async def test_the_daemon_is_killed_at_every_phase(store: FirmwareStore, lives: tuple[Life, ...]):
    settings = {"STATION_OBSERVE_SECONDS": "2", "STATION_CAP": str(len(lives))}
    async with make_rig(store, bays=[life.bay for life in lives], settings=settings) as rig:
        async with rig.station() as first:
            windows = await hold_all(first, lives)
            workers = living(rig, windows)
            await first.kill()
        for life, window in zip(lives, windows, strict=True):
            if life.meanwhile is not None:
                await life.meanwhile(rig, window)
        async with rig.station() as second:
            assert living(rig, windows).items() <= workers.items(), "another worker was started"
            for window in windows:
                window.go()
            for life, window in zip(lives, windows, strict=True):
                await check(second, life, window.phone)
            assert len(rig.records()) == len(lives)
            assert rig.processes() == {}


@pytest.mark.timeout(60)
async def test_the_daemon_is_killed_before_anything_was_sent(store: FirmwareStore):
    async with make_rig(store, bays=(TICKET, QUEUED, ARMED), settings={"STATION_CAP": "1"}) as rig:
        rig.host.apple.slow_seconds = TICKET_SECONDS
        async with rig.station() as first:
            signing, queued, armed = (rig.plug(bay, auto_boot=False) for bay in (TICKET, QUEUED, ARMED))
            rig.host.apple.exceptions[AppleService.SIGNING, signing.identity.ecid] = Behaviour.SLOW
            await first.confirm(TICKET, signing)
            await first.confirm(QUEUED, queued)
            await first.until_state(QUEUED, BayState.QUEUED)
            await first.until_state(ARMED, BayState.READY)
            await first.obeyed(Start, ARMED, service=Service.RESTORE)
            await first.until_state(ARMED, BayState.ARMED)
            await first.until_bay(TICKET, lambda view: view.job is not None and view.job.phase is Phase.TICKET)
            await first.kill()
        rig.host.apple.exceptions.clear()  # one slow answer is enough
        await rig.kill_daemon_at_start()
        async with rig.station() as second:
            for bay, phone in ((QUEUED, queued), (ARMED, armed)):
                await second.until_state(bay, BayState.READY)
                assert phone.system is not None
                assert phone.system.canary is not None
            await check(second, Life(TICKET, ""), signing)
            assert len(rig.records()) == 1
            assert queued.history == armed.history == []


async def hold_all(station: Station, lives: tuple[Life, ...]) -> list[Window]:
    """Begin all lives, and have each phone held at its step."""
    windows = []
    for life in lives:
        phone = station.rig.plug(life.bay, auto_boot=life.at in LOCKDOWN and life.after is None)
        windows.append(Window(phone, life.at, after=life.after, armed=False))
    for life, window in zip(lives, windows, strict=True):
        await station.until_state(life.bay, BayState.READY)
        window.arm()
    for life, window in zip(lives, windows, strict=True):
        await station.confirm(life.bay, window.phone)
    async with asyncio.timeout(40):
        for window in windows:
            await window.reached.wait()
    for life in lives:
        if life.at == RESTARTED:
            await station.until_bay(life.bay, lambda view: view.job is not None and view.job.phase is Phase.RETURN)
    return windows


def living(rig: Rig, windows: list[Window]) -> dict[Ecid, int]:
    """The process ids of the restores' living workers."""
    found = {spec.ecid: job.alive() for job, spec in rig.jobs() if spec.service is not None}
    return {window.phone.identity.ecid: pid for window in windows if (pid := found[window.phone.identity.ecid])}


async def check(station: Station, life: Life, phone: VirtualPhone) -> None:
    """It ended as it must: recorded, shown, and true."""
    view = await station.until_recorded(life.bay, seconds=90)
    assert view.result is not None
    (record,) = [record for record in station.rig.records() if record.ecid == phone.identity.ecid]
    assert (record.outcome, record.cause) == (life.outcome, life.cause), f"{life}: {record}"
    assert (view.result.outcome, view.result.title) == (record.outcome, record.title)
    if life.outcome is Outcome.VERIFIED:
        assert phone.history.count(ERASE_SENT) == 1
        assert phone.system is not None
        assert phone.system.build == BUILD
    elif life.outcome is Outcome.FAILED_UNTOUCHED:
        assert phone.destructions == []
