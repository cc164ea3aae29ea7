"""Whole restores: the real worker, a real job directory, a virtual phone that believes nothing."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from pyimg4 import IM4M
from pymobiledevice3.exceptions import NotPairedError
from pymobiledevice3.usbmux import PlistMuxConnection, create_mux

from station.model.consent import Act
from station.model.events import Checkpoint, FactsRead, Intent, Operation, PhaseBegan, Progress, Signed, Succeeded
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.virtual.apple.behaviour import AppleService
from station.virtual.phones.phone import VirtualPhone
from tests.worker.station_host import StationHost, Worker, make_firmware, station_host

pytestmark = pytest.mark.system

PHASES = [
    Phase.CONNECT,
    Phase.TICKET,
    Phase.RECOVERY,
    Phase.RAMDISK,
    Phase.RESTORED,
    Phase.PREPARE,
    Phase.IMAGE,
    Phase.FIRMWARE,
]


async def knows_how_to_open(station: StationHost, phone: VirtualPhone) -> bool:
    """Whether usbmuxd still has the record with which whoever has it can read the phone."""
    mux = await create_mux(usbmux_address=station.host.reach.usbmuxd)
    async with mux:
        assert isinstance(mux, PlistMuxConnection)
        try:
            await mux.get_pair_record(phone.identity.udid)
        except NotPairedError:
            return False
        return True


async def assert_restored(worker: Worker, phone: VirtualPhone) -> None:
    events = await worker.events()
    assert isinstance(events[-1], Succeeded), worker.log()
    assert worker.process.returncode == 0
    assert [event.phase for event in events if isinstance(event, PhaseBegan)] == PHASES
    assert len(phone.destructions) == 1
    assert phone.system is not None
    assert (phone.system.build, phone.system.canary, phone.system.activation_state) == ("23C71", None, "Unactivated")
    assert {42, 50, 28, 77} <= {event.operation for event in events if isinstance(event, Operation)}
    signed = [event.ticket for event in events if isinstance(event, Signed)]
    kept = (worker.directory.work / "ticket.im4m").read_bytes()
    assert hashlib.sha256(kept).hexdigest() == signed[-1]
    assert IM4M(kept).ecid == phone.identity.ecid
    checkpoints = [event for event in events if isinstance(event, Checkpoint)]
    assert any(event.name == "seal_system_volume" and event.result == 0 for event in checkpoints)
    assert all(0 <= event.id <= 0xFFFF for event in checkpoints)
    assert list((worker.directory.work / "cwd").iterdir()) == []
    assert not (worker.directory.work / "home").exists()


async def test_restore_from_normal_and_from_recovery_at_once(station: StationHost):
    normal, recovery = station.plug(), station.plug(auto_boot=False)
    inspector = await station.start(station.spec(normal, None))
    await inspector.process.wait()
    assert await knows_how_to_open(station, normal)
    workers = [await station.start(station.spec(phone)) for phone in (normal, recovery)]
    await asyncio.gather(*(worker.process.wait() for worker in workers))
    await assert_restored(workers[0], normal)
    await assert_restored(workers[1], recovery)

    assert not await knows_how_to_open(station, normal)
    events = await workers[0].events()
    acts = [event.act for event in events if isinstance(event, Intent)]
    assert list(dict.fromkeys(acts)) == [
        Act.ENTER_RECOVERY,
        Act.BOOT_RESTORE_SYSTEM,
        Act.SET_AUTO_BOOT,
        Act.ERASE,
    ]
    assert acts.count(Act.ERASE) == 1
    assert {event.ecid for event in events if isinstance(event, Intent)} == {normal.identity.ecid}
    assert not any(isinstance(event, FactsRead) for event in events)
    assert Act.ENTER_RECOVERY not in [event.act for event in await workers[1].events() if isinstance(event, Intent)]
    fractions: dict[Phase, list[float]] = {}
    for event in events:
        if isinstance(event, Progress):
            fractions.setdefault(event.phase, []).append(event.fraction)
    assert all(values == sorted(values) and 0 <= values[0] <= values[-1] <= 1 for values in fractions.values())
    tickets = [seen for seen in station.host.apple.requests if seen.service is AppleService.SIGNING]
    assert len(tickets) >= 2


async def test_restore_from_dfu(station: StationHost):
    phone = station.plug()
    await phone.disappear()
    phone.appear(PhoneMode.DFU)
    worker = await station.start(station.spec(phone))
    await worker.process.wait()
    await assert_restored(worker, phone)


async def test_encrypted_firmware(short_path: Path):
    firmware = make_firmware(short_path / "firmware", os_bytes=1 << 20, cryptex_bytes=1 << 20, aea=True)
    async with station_host(short_path, firmware) as station:
        phone = station.plug(auto_boot=False)
        worker = await station.start(station.spec(phone))
        await worker.process.wait()
        await assert_restored(worker, phone)
        keys = [seen for seen in station.host.apple.requests if seen.service is AppleService.ASSETS]
        assert len(keys) >= 2
        assert phone.mode is PhoneMode.NORMAL
