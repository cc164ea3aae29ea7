"""What goes wrong ends in one named cause, in time, and never with an act that nobody consented to.

Every case is a phone and a worker of its own; they run side by side, and none disturbs another.
"""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from station.adapters.jobdir import EventReader
from station.model.base import Ecid, PlugId
from station.model.causes import Cause
from station.model.consent import Act
from station.model.events import Failed, Intent, Succeeded
from station.model.job import JobSpec, Phase
from station.virtual.faults.kinds import Fault, FaultKind
from tests.worker.station_host import StationHost, deadlines, reached

QUICK = {Phase.RAMDISK: 12.0, Phase.RESTORED: 4.0, Phase.PREPARE: 6.0, Phase.RECOVERY: 4.0}

Change = Callable[[JobSpec], JobSpec]


def change(**values: object) -> Change:
    """Another value for fields of the spec."""
    return lambda spec: msgspec.structs.replace(spec, **values)


def consent(**values: object) -> Change:
    """A consent that differs in some fields."""

    def changed(spec: JobSpec) -> JobSpec:
        assert spec.consent is not None
        return msgspec.structs.replace(spec, consent=msgspec.structs.replace(spec.consent, **values))

    return changed


def reach(**values: object) -> Change:
    """A reach that differs in some fields."""
    return lambda spec: msgspec.structs.replace(spec, reach=msgspec.structs.replace(spec.reach, **values))


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong, and how it must end."""

    cause: Cause | signal.Signals
    """The cause it ends with, or the signal when only the deadline can end it."""
    fault: Fault | None = None
    changes: tuple[Change, ...] = ()
    order: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    erased: bool = False
    """Whether the owner's data may be gone."""
    revoke_at: str | None = None
    """The step at which the daemon voids the consent."""


def fault(at: str, kind: FaultKind, **values: Any) -> Fault:
    return Fault(at=at, kind=kind, **values)


UNPLUG, SILENCE, STATUS, REFUSE, STAY = (
    FaultKind.UNPLUG,
    FaultKind.SILENCE,
    FaultKind.STATUS,
    FaultKind.REFUSE,
    FaultKind.STAY,
)
RECOVERY: dict[str, Any] = {"auto_boot": False}

CASES = {
    "nobody confirmed": Case(Cause.CONSENT_VOID, changes=(change(consent=None),)),
    "another phone confirmed": Case(Cause.CONSENT_VOID, changes=(consent(ecid=Ecid(1)),)),
    "another stay confirmed": Case(Cause.CONSENT_VOID, changes=(consent(plug=PlugId("plug-0")),), order=RECOVERY),
    "revoked before the ramdisk": Case(Cause.CONSENT_VOID, order=RECOVERY, revoke_at="iboot:upload:ibec"),
    "revoked before the erase": Case(Cause.CONSENT_VOID, order=RECOVERY, revoke_at="restored:QueryType"),
    "another phone expected": Case(Cause.WRONG_PHONE, changes=(change(ecid=Ecid(7)),)),
    "another phone expected in recovery": Case(
        Cause.WRONG_PHONE, changes=(change(ecid=Ecid(7), udid=None),), order=RECOVERY
    ),
    "unplugged in lockdown": Case(Cause.DISCONNECTED, fault("lockdown:StartSession", UNPLUG)),
    "unplugged in recovery": Case(Cause.DISCONNECTED, fault("iboot:upload:rdsk", UNPLUG), order=RECOVERY),
    "unplugged in restored": Case(Cause.DISCONNECTED, fault("restored:NORData", UNPLUG), order=RECOVERY),
    "unplugged in the image": Case(Cause.DISCONNECTED, fault("asr:payload", UNPLUG), order=RECOVERY, erased=True),
    "silent in recovery": Case(Cause.DEADLINE, fault("iboot:upload:rdsk", SILENCE), order=RECOVERY),
    "silent restored": Case(signal.SIGALRM, fault("restored:NORData", SILENCE), order=RECOVERY),
    "status 53": Case(Cause.DEVICE_STATUS, fault("restored:NORData", STATUS, status=53), order=RECOVERY, status=53),
    "status in the image": Case(
        Cause.DEVICE_STATUS, fault("asr:payload", STATUS, status=14), order=RECOVERY, status=14, erased=True
    ),
    "status in a Cryptex": Case(
        Cause.DEVICE_STATUS,
        fault("restored:SourceBootObjectV4:Cryptex1,SystemOS", STATUS, status=27),
        order=RECOVERY,
        status=27,
        erased=True,
    ),
    "port refused": Case(
        Cause.PORT_REFUSED, fault("restored:BuildIdentityDict", REFUSE, times=1000), order=RECOVERY, erased=True
    ),
    "iBEC does not start": Case(Cause.STAYED_IN_RECOVERY, fault("iboot:go", STAY), order=RECOVERY),
    "back in recovery": Case(Cause.STAYED_IN_RECOVERY, fault("iboot:bootx", STAY), order=RECOVERY),
    "forbidden asset": Case(Cause.ASSET_REFUSED, changes=(reach(asset_hosts=()),), order=RECOVERY, erased=True),
    "forbidden factory data": Case(Cause.ASSET_REFUSED, changes=(reach(fdr_hosts=()),), order=RECOVERY, erased=True),
    "no usbmuxd": Case(Cause.USB_SERVICE, changes=(reach(usbmuxd="/nowhere"),), order=RECOVERY),
    "another model's firmware": Case(Cause.FIRMWARE_MISSING, order={"model": "iPhone 13"}),
}


async def run(station: StationHost, name: str, case: Case) -> str:
    """Run one case; what is wrong with how it ended, or nothing."""
    phone = station.plug(*([case.fault] if case.fault else []), **case.order)
    spec = station.spec(phone, deadlines=deadlines(30) | QUICK)
    for each in case.changes:
        spec = each(spec)
    watch = reached(phone, case.revoke_at) if case.revoke_at else None
    worker = await station.start(spec)
    if watch:
        await watch.wait()
        worker.directory.revoke()
    await worker.process.wait()
    events = EventReader(worker.directory).read()
    last, intents = events[-1], [event for event in events if isinstance(event, Intent)]
    if isinstance(case.cause, signal.Signals):
        ended = worker.process.returncode == -case.cause
    else:
        ended = isinstance(last, Failed) and (last.cause, last.status) == (case.cause, case.status)
    wrong = [] if ended else [f"ended with {last} and {worker.process.returncode}"]
    if phone.destructions and not case.erased:
        wrong.append(f"it was erased: {phone.destructions}")
    if phone.destructions and Act.ERASE not in [intent.act for intent in intents]:
        wrong.append("it was erased without an intent")
    if case.cause is Cause.CONSENT_VOID and "restored:StartRestore" in phone.history:
        wrong.append("the restore was started")
    if spec.consent and any(intent.ecid != spec.consent.ecid for intent in intents):
        wrong.append("an intent for another phone")
    if any(isinstance(event, Succeeded) for event in events):
        wrong.append("it says it succeeded")
    return f"{name}: {', '.join(wrong)}\n{worker.log()[-3000:]}" if wrong else ""


@pytest.mark.system
@pytest.mark.timeout(180)
async def test_every_fault_ends_in_its_cause(station: StationHost):
    bystander = station.plug(auto_boot=False)
    beside = await station.start(station.spec(bystander))
    slots = asyncio.Semaphore(6)

    async def one(name: str, case: Case) -> str:
        async with slots:
            return await run(station, name, case)

    wrong = await asyncio.gather(*(one(name, case) for name, case in CASES.items()))
    assert not any(wrong), "\n".join(filter(None, wrong))
    assert isinstance((await beside.events())[-1], Succeeded)
    assert len(bystander.destructions) == 1
