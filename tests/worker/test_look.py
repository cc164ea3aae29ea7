"""INSPECT: facts of a phone in normal mode, and people who must do something first."""

import asyncio
import signal
from pathlib import Path

import msgspec
import pytest

from station.errors import InputRejected
from station.model.base import Ecid
from station.model.causes import Cause
from station.model.events import FactsRead, PersonNeeded, Succeeded
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.firmware.image4 import parse_img4
from station.virtual.hosting.control import Installed
from station.worker.services.look import Told, model_name, read_facts
from tests.worker.station_host import OLD, StationHost, Worker, deadlines, reached
from tests.worker.test_firmware import erase_identity

VALUES = {
    "UniqueChipID": 5,
    "UniqueDeviceID": "00008101-0000000000000005",
    "ProductType": "iPhone13,2",
    "HardwareModel": "D53gAP",
    "BuildVersion": "23B85",
    "ProductVersion": "26.1",
    "DeviceName": "Anna’s\u202e iPhone\n\0",
    "PasswordProtected": True,
    "ActivationState": "Activated",
}


def test_facts():
    facts = read_facts(VALUES, Told(percent=82))
    assert (facts.ecid, facts.model_name, facts.name) == (5, "iPhone 12", "Anna’s iPhone")
    assert (facts.passcode, facts.battery_percent, facts.imei, facts.serial_number) == (True, 82, None, "")
    strange = read_facts(
        VALUES | {"PasswordProtected": "yes", "DeviceName": ["a"], "SerialNumber": "x" * 9999}, Told(percent="82")
    )
    assert (strange.passcode, strange.battery_percent, strange.name) == (None, None, "")
    assert len(strange.serial_number) == 64
    assert read_facts(VALUES, Told(percent=True)).battery_percent is None
    assert read_facts(VALUES, Told(percent=101)).battery_percent is None


def test_no_fact_is_longer_than_a_snapshot_bears():
    long = read_facts({key: "\U0001f600" * 9999 if isinstance(value, str) else value for key, value in VALUES.items()})
    assert {len(value) for value in msgspec.to_builtins(long).values() if isinstance(value, str) and value} == {64}


@pytest.mark.parametrize("missing", ["UniqueChipID", "UniqueDeviceID", "ProductType", "HardwareModel", "BuildVersion"])
def test_a_phone_without_a_name_is_rejected(missing):
    for value in (None, "", 0, -1, 1 << 64, b"x"):
        with pytest.raises(InputRejected):
            read_facts(VALUES | {missing: value if missing == "UniqueChipID" else None})
    with pytest.raises(InputRejected):
        read_facts(None)


def test_a_model_nobody_knows_keeps_its_type():
    assert model_name("iPhone99,9") == "iPhone99,9"


async def inspect(station: StationHost, *faults: Fault, installed: Installed = OLD, **changes: object) -> Worker:
    phone = station.plug(*faults, installed=installed)
    changes = {"deadlines": deadlines(6.0, [Phase.CONNECT])} | changes
    return await station.start(station.spec(phone, None, consent=None, firmware=None, **changes))


@pytest.mark.system
async def test_all_sorts_of_phones(station: StationHost):
    """Side by side, because most of the time is spent in starting the workers."""
    workers = await asyncio.gather(
        inspect(station),
        inspect(station, installed=Installed(version="26.1", build="23B85", trusted=False)),
        inspect(station, installed=Installed(version="26.1", build="23B85", locked=True, passcode=True)),
        inspect(station, installed=Installed(version="26.1", build="23B85", denied=True)),
        inspect(station, ecid=Ecid(77)),
        inspect(station, Fault(at="lockdown:GetValue", kind=FaultKind.UNPLUG)),
    )
    fine, untrusting, locked, denied, other, unplugged = workers
    events = await fine.events()
    assert isinstance(events[-1], Succeeded), fine.log()
    (read,) = [event for event in events if isinstance(event, FactsRead)]
    assert (read.facts.product_type, read.facts.build, read.facts.passcode) == ("iPhone13,2", "23B85", False)

    failures = {
        Cause.NOT_TRUSTED: await untrusting.failure(),
        Cause.LOCKED: await locked.failure(),
        Cause.WRONG_PHONE: await other.failure(),
        Cause.DISCONNECTED: await unplugged.failure(),
    }
    assert {cause: failure.cause for cause, failure in failures.items()} == {cause: cause for cause in failures}
    assert (await denied.failure()).cause is Cause.NOT_TRUSTED
    asked = [
        [event.cause for event in await worker.events() if isinstance(event, PersonNeeded)]
        for worker in (untrusting, locked, denied)
    ]
    assert asked == [[Cause.NOT_TRUSTED], [Cause.LOCKED], []]


@pytest.mark.system
async def test_somebody_taps_trust_and_need_not_tap_twice(station: StationHost):
    phone = station.plug(installed=Installed(version="26.1", build="23B85", trusted=False))
    asked = reached(phone, "lockdown:Pair")
    worker = await station.start(station.spec(phone, None))
    await asked.wait()
    assert phone.system is not None
    phone.system.trusted = True
    assert isinstance((await worker.events())[-1], Succeeded), worker.log()
    pairings = phone.history.count("lockdown:Pair")
    again = await station.start(station.spec(phone, None))
    assert isinstance((await again.events())[-1], Succeeded), again.log()
    assert phone.history.count("lockdown:Pair") == pairings


@pytest.mark.system
async def test_a_phone_that_is_being_restored_is_not_inspected(station: StationHost):
    phone = station.plug()
    await phone.disappear()
    _, identity = erase_identity(station.firmware)
    ramdisk = Path(station.firmware.directory) / identity.get_component_path("RestoreRamDisk")
    phone.ramdisk = parse_img4(ramdisk.read_bytes())[0].payload
    phone.appear(PhoneMode.RESTORE)
    worker = await station.start(station.spec(phone, None))
    failure = await worker.failure()
    assert (failure.cause, failure.phone_mode) == (Cause.NOT_RETURNED, PhoneMode.RESTORE), worker.log()


@pytest.mark.system
async def test_a_phone_that_falls_silent_is_not_waited_for(station: StationHost):
    worker = await inspect(
        station,
        Fault(at="lockdown:StartSession", kind=FaultKind.SILENCE),
        deadlines=deadlines(1.5, [Phase.CONNECT]),
    )
    assert await worker.process.wait() == -signal.SIGALRM
