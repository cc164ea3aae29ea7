"""The cable is pulled at random steps of each service: whatever it was, the end has a name, and the words are true.

TESTS_PULLS sets how many steps of each service (20 by default), TESTS_PULLS_SEED which ones.
TESTS_PULLS_OF names the services, with commas between them (all by default).
"""

import asyncio
import os
import random
import sys
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from station.adapters.firmware import FirmwareStore
from station.adapters.vault import Vault
from station.model.api import BayState
from station.model.backup import BackupState
from station.model.base import BayId
from station.model.job import Phase
from station.model.record import Outcome, Record
from station.model.service import SERVICES, Keeps, Service
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.phones.phone import VirtualPhone
from tests.system.faults import DEADLINES, OBSERVE_SECONDS
from tests.system.rig import Rig, Station, make_rig

pytestmark = [pytest.mark.system, pytest.mark.long]

PULLS = int(os.environ.get("TESTS_PULLS", "20"))
SEED = int(os.environ.get("TESTS_PULLS_SEED", "20261121"))
SERVICES_PULLED = tuple(
    service for service in Service if service.value in os.environ.get("TESTS_PULLS_OF", service.value).split(",")
)
BAYS = tuple(str(number) for number in range(1, 8))
SHORT = dict.fromkeys(Phase, 8.0) | DEADLINES
SETTINGS = {
    "STATION_CAP": "4",
    "STATION_DEADLINES": msgspec.json.encode(SHORT).decode(),
    "STATION_OBSERVE_SECONDS": str(OBSERVE_SECONDS),
    "STATION_LEAVE_SECONDS": "4",
}
PATIENCE = 120.0
"""For one record, on a machine that is busy with six others."""

BEGINS: dict[Service, dict[str, Any]] = {
    # How its phone is before it; where it can begin in several modes, in the one that is reached fastest.
    Service.RESTART: {},
    Service.RESCUE: {"auto_boot": False},
    Service.BACKUP: {},
    Service.PUT_BACK: {},
    Service.ACTIVATE: {"people": ("not-activated",)},
    Service.REINSTALL: {"auto_boot": False},
    Service.ERASE: {},
    Service.RESTORE: {"auto_boot": False},
}


@dataclass(frozen=True)
class Pull:
    """One cable, at one step of one service."""

    service: Service
    step: int | None
    """Counts from START; None: it is not pulled, and tells how many steps there are."""


@dataclass
class Report:
    """How it went."""

    steps: dict[Service, int] = field(default_factory=dict)
    ends: dict[Service, list[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    phones: int = 0
    jobs: int = 0


def test_every_service_is_in_the_table():
    assert set(BEGINS) == set(Service)


@pytest.mark.timeout(900)
async def test_a_cable_pulled_anywhere_ends_in_one_named_way(store: FirmwareStore, capsys):
    chance, report = random.Random(SEED), Report()
    async with make_rig(store, bays=BAYS, settings=SETTINGS) as rig, rig.station() as station:
        await _run_all(station, [Pull(service, None) for service in SERVICES_PULLED], report)
        assert not report.wrong, "\n\n".join(report.wrong)
        pulls = [
            Pull(service, step)
            for service, steps in report.steps.items()
            for step in sorted(chance.sample(range(1, steps + 1), min(PULLS, steps)))
        ]
        await _run_all(station, pulls, report)
        report.wrong += await asyncio.to_thread(lambda: list(_left_over(rig, report)))
    with capsys.disabled():
        sys.stdout.write(f"\ncables pulled (TESTS_PULLS_SEED={SEED}):\n")
        for service, steps in report.steps.items():
            at = ", ".join(str(pull.step) for pull in pulls if pull.service is service)
            ends = sorted({(report.ends[service].count(end), end) for end in report.ends[service]}, reverse=True)
            words = "; ".join(f"{count} {end}" for count, end in ends)
            sys.stdout.write(f"  {service.value}, of {steps} steps at {at}\n    {words}\n")
    assert not report.wrong, "\n\n".join(report.wrong)


async def _run_all(station: Station, pulls: list[Pull], report: Report) -> None:
    """Run them, as many side by side as there are bays."""
    waiting = deque(pulls)

    async def run(bay: str) -> None:
        while waiting:
            pull = waiting.popleft()
            try:
                await _run(station, bay, pull, report)
                await station.clear(bay)
            except (AssertionError, TimeoutError) as error:
                why = "".join(traceback.format_exception_only(error))
                report.wrong.append(f"{pull.service.value} at step {pull.step}: {why}")
                await station.clear(bay)

    async with asyncio.TaskGroup() as group:
        for bay in BAYS:
            group.create_task(run(bay))


async def _run(station: Station, bay: str, pull: Pull, report: Report) -> None:
    """Run one. Raises AssertionError, with all that may help, when it does not end as it must."""
    rig, service = station.rig, pull.service
    phone = rig.plug(bay, **BEGINS[service])
    report.phones += 1
    if service is Service.PUT_BACK:
        made = await _give(station, bay, phone, Service.BACKUP, report)
        assert made.outcome is Outcome.VERIFIED, made
        await station.clear(bay)
        rig.host.bus.plug(phone, rig.sockets[BayId(bay)])
    canary = None if phone.system is None else phone.system.canary
    cable = _Cable(phone, pull.step)
    record = await _give(station, bay, phone, service, report, cable)
    if pull.step is None:
        assert record.outcome is Outcome.VERIFIED, (record, rig.worker_log(record.job)[-1500:])
        report.steps[service] = cable.steps
        return
    report.ends.setdefault(service, []).append(_named(record))
    wrong = [*_lies(record, phone, canary, pulled=cable.pulled), *_unsaid(record)]
    helpful = (cable.at, record, phone.history[-4:], rig.worker_log(record.job)[-1500:])
    assert not wrong, f"{'; '.join(wrong)}\n{helpful}"
    if service is Service.BACKUP and cable.pulled and record.outcome is not Outcome.VERIFIED:
        await _resume(station, bay, phone, report)


async def _resume(station: Station, bay: str, phone: VirtualPhone, report: Report) -> None:
    """A backup that broke off is gone on with, and then it counts."""
    await station.clear(bay)
    station.rig.host.bus.plug(phone, station.rig.sockets[BayId(bay)])
    record = await _give(station, bay, phone, Service.BACKUP, report)
    assert record.outcome is Outcome.VERIFIED, (record, station.rig.worker_log(record.job)[-1500:])


async def _give(
    station: Station, bay: str, phone: VirtualPhone, service: Service, report: Report, cable: "_Cable | None" = None
) -> Record:
    """Have it done, or begun; its record."""
    ecid = phone.identity.ecid
    await station.until_state(bay, BayState.READY, seconds=PATIENCE)
    if cable is not None:
        cable.watch()
    await station.confirm(bay, phone, service)
    report.jobs += 1
    # A verified result goes with its phone: pulled late, it may be gone before it was seen.
    await station.until_bay(
        bay,
        lambda view: (view.result is not None and view.result.record > 0) or view.state is BayState.EMPTY,
        seconds=PATIENCE,
    )
    if cable is not None:
        cable.let_be()
    records = await asyncio.to_thread(station.rig.records)
    return next(record for record in reversed(records) if (record.ecid, record.service) == (ecid, service))


class _Cable:
    """Counts a phone's steps, and is pulled at one of them."""

    def __init__(self, phone: VirtualPhone, step: int | None) -> None:
        self.steps = 0
        self.at = ""
        self._phone = phone
        self._step = step

    @property
    def pulled(self) -> bool:
        return bool(self.at)

    def watch(self) -> None:
        self._phone.passers_by.add(self._saw)

    def let_be(self) -> None:
        self._phone.passers_by.discard(self._saw)

    def _saw(self, name: str) -> None:
        if name == "unplugged":
            return
        self.steps += 1
        if self.steps == self._step:
            self.at = name
            self._phone.faults.add(Fault(at=name, kind=FaultKind.UNPLUG))  # it is looked for after this, at this step


def _named(record: Record) -> str:
    cause = "" if record.cause is None else f" ({record.cause.value})"
    return f"{record.outcome.value}{cause}"


def _unsaid(record: Record) -> Iterator[str]:
    """What a person would miss."""
    if not record.title:
        yield "no words for a person"
    if record.outcome is not Outcome.VERIFIED and not record.remedy:
        yield "no remedy"


def _lies(record: Record, phone: VirtualPhone, canary: bytes | None, *, pulled: bool) -> Iterator[str]:  # noqa: C901 one arm an outcome
    """What the record says that is not true of the phone."""
    keeps, ended = SERVICES[record.service].keeps, bool(phone.destructions)
    whole = phone.system is not None and phone.system.canary == canary
    if ended and keeps is not Keeps.NOTHING:
        yield f"data ended: {phone.destructions}"
    if len(phone.destructions) > 1:
        yield f"erased more than once: {phone.destructions}"
    match record.outcome:
        case Outcome.VERIFIED if keeps is Keeps.NOTHING:
            if whole and canary is not None:
                yield "said to be erased, and the data is there"
        case Outcome.VERIFIED | Outcome.FAILED_UNTOUCHED:
            if ended or not (whole or phone.system is None):
                yield f"said to be as it was: {phone.destructions}"
        case Outcome.FAILED_ERASED:
            if keeps is not Keeps.NOTHING:
                yield "said to be erased, which this service does not do"
            if "Nothing was erased" in record.remedy:
                yield "the remedy denies it"
        case Outcome.FAILED_BETWEEN:
            if keeps not in (Keeps.MEANT_TO, Keeps.REPLACED):
                yield "said to be half-way, which this service never is"
        case Outcome.NOT_VERIFIED:
            if not SERVICES[record.service].returns and record.service is not Service.ACTIVATE:
                yield "said to be done, and not seen; there was nothing to come back"
    if record.observed.mode is not None and phone.socket is None:
        yield f"observed in {record.observed.mode.value} mode, and it was pulled"
    if not pulled and record.outcome is not Outcome.VERIFIED:
        yield f"nothing was pulled, and yet {_named(record)}"


def _left_over(rig: Rig, report: Report) -> Iterator[str]:
    """One record a job, no process, and no backup that counts without its record."""
    records = rig.records()
    if len(records) != report.jobs:
        yield f"{len(records)} records of {report.jobs} jobs"
    if processes := rig.processes():
        yield f"processes are left: {processes}"
    made = {
        record.backup for record in records if (record.service, record.outcome) == (Service.BACKUP, Outcome.VERIFIED)
    }
    vault = Vault(rig.state / "vault", secret=rig.state / "keys" / "vault-secret", days=30)
    counts = {note.id for note in vault.notes() if note.state is BackupState.VERIFIED}
    if not counts <= made:
        yield f"backups count that no record knows: {counts - made}"
