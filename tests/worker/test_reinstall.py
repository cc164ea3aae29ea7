"""Reinstalling, which keeps the data: the real worker, and virtual phones whose owners have passcodes, or none."""

import asyncio

import pytest

from station.model.causes import Cause
from station.model.consent import Act
from station.model.events import Intent, PersonNeeded, PhaseBegan, Succeeded
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.model.service import Service
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.hosting.control import Installed
from station.virtual.phones.phone import VirtualPhone
from tests.worker.station_host import OLD, StationHost, Worker, deadlines

pytestmark = pytest.mark.system

INSTALLING = [
    Phase.TICKET,
    Phase.RECOVERY,
    Phase.RAMDISK,
    Phase.RESTORED,
    Phase.PREPARE,
    Phase.IMAGE,
    Phase.FIRMWARE,
]
NEWER = Installed(version="26.3", build="23D60")


async def reinstall(station: StationHost, phone: VirtualPhone) -> Worker:
    """Reinstall it, to the worker's end."""
    worker = await station.start(station.spec(phone, Service.REINSTALL))
    await worker.process.wait()
    return worker


async def acts_of(worker: Worker) -> list[Act]:
    return [event.act for event in await worker.events() if isinstance(event, Intent)]


async def assert_kept(phone: VirtualPhone, worker: Worker) -> None:
    assert phone.destructions == []
    assert phone.system is not None
    assert phone.system.canary is not None
    assert not {Act.ERASE, Act.ERASE_CONTENT} & set(await acts_of(worker))


async def assert_reinstalled(worker: Worker, phone: VirtualPhone, before: list[Phase], asked: list[Cause]) -> None:
    events = await worker.events()
    assert isinstance(events[-1], Succeeded), worker.log()
    assert [event.phase for event in events if isinstance(event, PhaseBegan)] == [*before, *INSTALLING]
    assert [event.cause for event in events if isinstance(event, PersonNeeded)] == asked
    await assert_kept(phone, worker)
    assert Act.INSTALL in await acts_of(worker)
    assert phone.system is not None
    assert phone.system.build == "23C71"


async def test_reinstall_from_every_mode_at_once(station: StationHost):
    passcode, without = station.plug(people=("passcode",)), station.plug()
    recovery, dfu = station.plug(people=("passcode",), auto_boot=False), station.plug()
    await dfu.disappear()
    dfu.appear(PhoneMode.DFU)
    phones = (passcode, without, recovery, dfu)
    workers = await asyncio.gather(*(reinstall(station, phone) for phone in phones))
    normal = [Phase.CONNECT, Phase.PASSCODE]
    await assert_reinstalled(workers[0], passcode, normal, [Cause.TYPE_PASSCODE])
    await assert_reinstalled(workers[1], without, normal, [])
    await assert_reinstalled(workers[2], recovery, [Phase.CONNECT], [])
    await assert_reinstalled(workers[3], dfu, [Phase.CONNECT], [])
    assert [phone.system.recovering for phone in phones if phone.system] == [False, False, True, False]
    acts = await acts_of(workers[0])
    assert acts.count(Act.STASH_PASSCODE) == 2
    assert acts.index(Act.STASH_PASSCODE) < acts.index(Act.ENTER_RECOVERY) < acts.index(Act.INSTALL)


async def test_what_keeps_it_from_being_reinstalled(station: StationHost):
    def passcode(**changes: object) -> VirtualPhone:
        phone = station.plug(people=("passcode",))
        assert phone.system is not None
        for name, value in changes.items():
            setattr(phone.system, name, value)
        return phone

    cases = {
        "declined": (passcode(types_passcode=False), Cause.PASSCODE_NOT_GIVEN),
        "nobody there": (passcode(types_passcode=None), Cause.PASSCODE_NOT_GIVEN),
        "newer already": (station.plug(installed=NEWER), Cause.FIRMWARE_OLDER),
        "half-way": (
            station.plug(Fault(at="asr:payload", kind=FaultKind.STATUS, status=14), auto_boot=False),
            Cause.DEVICE_STATUS,
        ),
    }
    workers = await asyncio.gather(*(reinstall(station, phone) for phone, _ in cases.values()))
    for (name, (phone, cause)), worker in zip(cases.items(), workers, strict=True):
        failed = await worker.failure()
        assert failed.cause is cause, f"{name}: {failed}\n{worker.log()}"
        await assert_kept(phone, worker)
        if name == "half-way":
            assert Act.INSTALL in await acts_of(worker)
            continue
        assert {*await acts_of(worker)} <= {Act.STASH_PASSCODE}
        assert phone.mode is PhoneMode.NORMAL
        assert phone.system is not None
        assert phone.system.build in (OLD.build, NEWER.build)


async def by_hand(worker: Worker, phone: VirtualPhone, asked: Cause, mode: PhoneMode) -> None:
    """Hold its buttons as soon as somebody is asked to."""
    await worker.until(lambda event: isinstance(event, PersonNeeded) and event.cause is asked)
    await phone.disappear()
    phone.appear(mode)


async def test_hands_help_where_a_phone_does_not_go_on_by_itself(station: StationHost):
    refuses = station.plug(Fault(at="lockdown:EnterRecovery", kind=FaultKind.REFUSE, times=9))
    stranger = station.plug(people=("trust-refused",))
    stuck = station.plug(Fault(at="iboot:go", kind=FaultKind.STAY), auto_boot=False)
    phones = (refuses, stranger, stuck)
    services = (Service.REINSTALL, Service.RESTORE, Service.REINSTALL)
    workers = [
        await station.start(station.spec(phone, service, deadlines=deadlines(25, [Phase.RECOVERY])))
        for phone, service in zip(phones, services, strict=True)
    ]
    async with asyncio.TaskGroup() as hands:
        for worker, phone in zip(workers[:2], phones[:2], strict=True):
            hands.create_task(by_hand(worker, phone, Cause.ENTER_RECOVERY, PhoneMode.RECOVERY))
        hands.create_task(by_hand(workers[2], stuck, Cause.ENTER_DFU, PhoneMode.DFU))
    for worker, phone, service in zip(workers, phones, services, strict=True):
        events = await worker.events()
        assert isinstance(events[-1], Succeeded), worker.log()
        assert phone.system is not None
        assert phone.system.build == "23C71"
        assert (phone.system.canary is None) is (service is Service.RESTORE)


async def test_nobody_helps(station: StationHost):
    refuses = station.plug(Fault(at="lockdown:EnterRecovery", kind=FaultKind.REFUSE, times=9))
    stranger = station.plug(people=("trust-refused",))
    short = deadlines(4, [Phase.RECOVERY])
    workers = [await station.start(station.spec(phone, deadlines=short)) for phone in (refuses, stranger)]
    causes = [(await worker.failure()).cause for worker in workers]
    assert causes == [Cause.ENTER_RECOVERY, Cause.NOT_TRUSTED]
    assert refuses.destructions == stranger.destructions == []
