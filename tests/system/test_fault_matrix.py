"""Whatever goes wrong ends in time, in one named way, and disturbs nobody. The table is in `faults`.

One daemon, several bays: faulted phones side by side, and in bay 1, all the while, phones that nothing is wrong
with. Each phone gets one job, and so must have exactly one record at the end.
"""

import asyncio
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest
from msgspec.structs import replace

from station.adapters.firmware import FirmwareStore
from station.adapters.signing import StationKey
from station.model.api import BayState
from station.model.record import Outcome, Record
from station.virtual.apple.behaviour import Behaviour
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.phones.phone import VirtualPhone
from tests.system.faults import ANY, CASES, DEADLINES, ERASE_SENT, OBSERVE_SECONDS, RESTARTED, STEPS, Case, Harm
from tests.system.firmware import BUILD, copy_store, spoil
from tests.system.rig import Rig, Station, Window, make_rig

pytestmark = pytest.mark.system

BYSTANDER = "1"
FAULTED = tuple(str(number) for number in range(2, 12))
SETTINGS = {
    "STATION_CAP": str(len(FAULTED) + 1),
    "STATION_DEADLINES": msgspec.json.encode(DEADLINES).decode(),
    "STATION_OBSERVE_SECONDS": str(OBSERVE_SECONDS),
}
BYSTANDER_SECONDS = 120.0
"""For a phone that nothing is wrong with, on a machine that is busy with ten others."""


@dataclass
class Report:
    """How it went."""

    wrong: list[str] = field(default_factory=list)
    took: list[tuple[float, str]] = field(default_factory=list)
    bystanders: int = 0

    @property
    def slowest(self) -> str:
        """In lines, for people."""
        lines = [f"{len(self.took)} cases beside {self.bystanders} phones without a fault; the slowest:"]
        lines += [f"  {seconds:5.1f} s  {name}" for seconds, name in sorted(self.took, reverse=True)[:5]]
        return "\n".join(lines)


@pytest.mark.timeout(500)
async def test_every_fault_ends_in_one_named_way_and_disturbs_nobody(store: FirmwareStore, tmp_path, capsys):
    report, cases = Report(), deque(CASES)
    spoilt = await asyncio.to_thread(copy_store, store, tmp_path / "store")
    async with make_rig(spoilt, bays=(BYSTANDER, *FAULTED), settings=SETTINGS) as rig, rig.station() as station:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(_stand_by(station, report, over))
            await asyncio.wait([group.create_task(_run_some(station, bay, cases, report)) for bay in FAULTED])
            over.set()
            await beside
        report.wrong += await asyncio.to_thread(lambda: list(_left_over(rig, len(CASES) + report.bystanders)))
    with capsys.disabled():
        sys.stdout.write(f"\n{report.slowest}\n")
    assert not report.wrong, "\n\n".join(report.wrong)


async def _stand_by(station: Station, report: Report, over: asyncio.Event) -> None:
    """Restore phones that nothing is wrong with, one after the other, until it is over."""
    while not over.is_set():
        first = not report.bystanders
        report.bystanders += 1
        phone = station.rig.plug(BYSTANDER, auto_boot=first)
        await station.until_state(BYSTANDER, BayState.READY)
        before = len(phone.history)
        await station.confirm(BYSTANDER, phone)
        view = await station.until_recorded(BYSTANDER, seconds=BYSTANDER_SECONDS)
        assert view.result is not None
        if view.result.outcome is not Outcome.VERIFIED or phone.history.count(ERASE_SENT) != 1:
            report.wrong.append(f"a phone without a fault, number {report.bystanders}: {view.result}")
        if first:  # the table is of this very restore: no step is forgotten, none has gone
            taken = phone.history[before : phone.history.index(RESTARTED) + 1]
            report.wrong += [f"{step}: in one of table and restore only" for step in {*taken} ^ {*STEPS} if fixed(step)]
        await station.clear(BYSTANDER)


def fixed(step: str) -> bool:
    """Whether a step is the same in every restore; ports that the phone makes up are not."""
    return not step.startswith("connect:491")


async def _run_some(station: Station, bay: str, cases: "deque[Case]", report: Report) -> None:
    """Run one case after the other in a bay."""
    while cases:
        case = cases.popleft()
        began = time.monotonic()
        try:
            await _run(station, bay, case)
        except (AssertionError, ExceptionGroup) as error:
            errors = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
            said = "\n".join(line for each in errors for line in traceback.format_exception_only(each))
            report.wrong.append(f"{case.name}: {said}")
        await station.clear(bay)
        report.took.append((time.monotonic() - began, case.name))


async def _run(station: Station, bay: str, case: Case) -> None:
    """Run one case. Raises AssertionError, with all that may help, when it does not end as it must."""
    rig = station.rig
    phone = rig.plug(bay, model=case.model, auto_boot=case.normal)
    await station.until_state(bay, BayState.READY)
    async with _harm(rig, phone, case):
        await station.confirm(bay, phone)
        view = await station.until_recorded(bay, seconds=case.seconds)
    shown = view.result
    assert shown is not None
    record = await asyncio.to_thread(rig.record, shown.record)
    wrong = [*_differences(case, record, phone), *_lies(record, phone)]
    if (shown.outcome, shown.title, shown.remedy) != (record.outcome, record.title, record.remedy):
        wrong.append(f"the screen says {shown}")
    directory = rig.job(record.job)
    if (pid := directory.alive()) is not None:
        wrong.append(f"worker {pid} lives on")
    assert not wrong, f"{'; '.join(wrong)}\n{record}\n{phone.history[-4:]}\n{rig.worker_log(record.job)[-1500:]}"


@asynccontextmanager
async def _harm(rig: Rig, phone: VirtualPhone, case: Case) -> AsyncGenerator[None, None]:
    """Have it go wrong while the context is open."""
    apple = rig.host.apple.exceptions
    async with asyncio.TaskGroup() as group:
        match case.what:
            case Behaviour():
                apple[case.service, phone.identity.ecid] = case.what
            case FaultKind():
                fault = Fault(at=case.at, kind=case.what, times=case.times)
                if fault.kind is FaultKind.STATUS:
                    fault = replace(fault, status=case.status or 0)
                if case.after is None:
                    phone.faults.add(fault)
                else:
                    Window(phone, case.after, hold=False, then=lambda: phone.faults.add(fault))
            case Harm.SPOIL | Harm.DECAY:
                decay = case.what is Harm.DECAY
                await asyncio.to_thread(spoil, rig.store, phone.identity.product_type, case.file, unseen=decay)
            case Harm.KILL_WORKER | Harm.KILL_CHILD:
                window = Window(phone, case.at, after=case.after)
                group.create_task(_kill(rig, window, child=case.what is Harm.KILL_CHILD))
            case Harm.REPLUG:
                group.create_task(_replug(rig, Window(phone, case.at)))
        yield
    apple.pop((case.service, phone.identity.ecid), None)


async def _kill(rig: Rig, window: Window, *, child: bool) -> None:
    """kill -9 a phone's worker when the phone is at a step: its keeper, or the keeper's child that does the work."""
    await window.reached.wait()
    os.kill(rig.worker_of(window.phone, child=child), signal.SIGKILL)
    window.go()


async def _replug(rig: Rig, window: Window) -> None:
    """Pull a phone's cable at a step, and plug it in again at once."""
    await window.reached.wait()
    socket = window.phone.socket
    assert socket is not None
    await rig.host.bus.unplug(socket)
    rig.host.bus.plug(window.phone, socket)


def _differences(case: Case, record: Record, phone: VirtualPhone) -> Iterator[str]:
    """What is not as the table says, and what a person would miss."""
    if record.ecid != phone.identity.ecid:
        yield "of another phone"
    if (record.outcome, record.cause) != (case.outcome, case.cause):
        yield f"ended {record.outcome} because of {record.cause}"
    if case.status not in (record.status, ANY):
        yield f"status {record.status}"
    if not record.title or not record.remedy:
        yield "no words for a person"
    really = phone.mode if phone.running is not None else None
    if record.observed.mode is not really:
        yield f"observed {record.observed.mode}, but it is {really}"
    if len(phone.destructions) > 1:
        yield f"erased more than once: {phone.destructions}"


def _lies(record: Record, phone: VirtualPhone) -> Iterator[str]:  # noqa: C901 one arm an outcome
    """What the record says that is not true of the phone."""
    match record.outcome:
        case Outcome.FAILED_UNTOUCHED:
            if phone.destructions or phone.system is None or phone.system.canary is None:
                yield f"said to be untouched, but {phone.destructions}"
        case Outcome.FAILED_ERASED:
            if ERASE_SENT not in phone.history:
                yield "said to be erased, but nothing was sent"
            if "Nothing was erased" in record.remedy:
                yield "the remedy denies it"
        case Outcome.VERIFIED:
            if phone.system is None or phone.system.build != BUILD or phone.system.canary is not None:
                yield f"said to be verified, but {phone.system}"
        case Outcome.FAILED_BETWEEN:
            yield "said to be half-way, which no restore is"
        case Outcome.NOT_VERIFIED:
            if not phone.destructions:
                yield "said to be restored, but it was never erased"


def _left_over(rig: Rig, phones: int) -> Iterator[str]:
    """One record for each phone, in the chain of emulated ones, and no process left."""
    records = rig.records()
    recorded = {record.ecid for record in records}
    if not len(records) == len(recorded) == phones:
        yield f"{len(records)} records of {len(recorded)} phones; there were {phones}"
    if rig.sealed(StationKey):
        yield "emulated phones are in the station's own chain"
    if processes := rig.processes():
        yield f"processes are left: {processes}"
