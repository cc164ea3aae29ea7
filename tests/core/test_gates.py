"""Every gate: open, closed, opened by an operator where that can be, and in words that a person can act upon."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from station.core.events import FirmwareFound, HealthChanged, RecordNotWritten, RecordWritten, TroubleChanged
from station.core.gates import RULES
from station.core.policy import BackupRule
from station.core.situation import Health
from station.errors import Refused
from station.model.api import BayState, Choose, Decide, Dismiss, Lamp, OfferView, Overrule, Release, Start
from station.model.base import JobId, PlugId
from station.model.causes import Cause
from station.model.consent import Consent, Hand, Options
from station.model.gates import Choice, Gate, Purpose
from station.model.job import Phase
from station.model.phone import ActivationLock, LockReading, PhoneFacts, UsbArrived
from station.model.record import Observed, Outcome, Record
from station.model.service import SERVICES, Keeps, Service
from tests.core.helpers import DFU, FIRMWARE, ONE, RECOVERY, TWO, A, B, Bench, arrived, facts, gone, serial

AT = "2026-01-01T00:00:00Z"


def lock(state: ActivationLock) -> LockReading:
    return LockReading(state=state, at=AT, signs=("com.apple.fmip IsAssociated: true",))


def locked(**changes: Any) -> PhoneFacts:
    return facts(lock=lock(ActivationLock.LOCKED), **changes)


def clear(**changes: Any) -> PhoneFacts:
    return facts(lock=lock(ActivationLock.NOT_DETECTED), **changes)


def real(product_id: int = RECOVERY) -> Callable[[Bench], object]:
    return lambda bench: bench.do(arrived(A, product_id=product_id))


def health(**told: Any) -> Callable[[Bench], object]:
    return lambda bench: bench.do(HealthChanged(health=Health(**told)))


def emulated(bench: Bench) -> None:
    event = arrived(A)
    bench.do(UsbArrived(socket=event.socket, product_id=event.product_id, serial=event.serial, emulated=True))
    bench.inspect(clear())
    bench.do(HealthChanged(health=Health(clock_trusted=False)))


def failed_wipe(job: str = "old-1", *, outcome: Outcome = Outcome.FAILED_ERASED, **changes: Any) -> Record:
    service = changes.pop("service", Service.RESTORE)
    record = Record(
        job=JobId(job),
        station="Test",
        software="test 1",
        bay=ONE,
        ecid=A,
        service=service,
        emulated=False,
        consent=Consent(ecid=A, bay=ONE, plug=PlugId("p"), service=service, by=Hand.BUTTONS, at=AT),
        firmware=None,
        before=None,
        observed=Observed(mode=None),
        outcome=outcome,
        cause=Cause.DEVICE_STATUS,
        title="The phone's storage failed (6).",
        remedy="",
        detail="",
        status=6,
        last_phase=Phase.IMAGE,
        operations=(),
        checks=(),
        started=AT,
        ended=AT,
        duration_seconds=1.0,
        clock_trusted=True,
    )
    return replace(record, **changes)


def recorded(*records: Record) -> Callable[[Bench], object]:
    def tell(bench: Bench) -> None:
        bench.do(*(RecordWritten(record=record, number=n, certificate=None) for n, record in enumerate(records, 1)))

    return tell


def decided(choice: Choice) -> Callable[[Bench], object]:
    return lambda bench: bench.do(Decide(id=1, bay=ONE, ecid=A, choice=choice))


def newer_here(bench: Bench) -> None:
    bench.firmware = replace(FIRMWARE, version="28.0", build="25A1")
    bench.plug()


def nameless(bench: Bench) -> None:
    bench.do(replace(arrived(A), serial="0" * 40))
    bench.inspect(Cause.LOCKED)


def without_firmware(bench: Bench) -> None:
    bench.firmware = None
    bench.plug()


@dataclass(frozen=True)
class Table:
    """One line: a gate in some circumstances."""

    gate: Gate
    what: str
    closed: bool
    service: Service = Service.RESTORE
    overrulable: bool = False
    phone: PhoneFacts | None = field(default_factory=clear)
    """None: `before` plugs one in, or nobody does."""
    before: Callable[[Bench], object] = lambda _: None
    policy: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.gate.value}, {self.what}"

    def bench(self) -> Bench:
        bench = Bench(operator_confirm=True, **self.policy)
        if self.phone is not None:
            bench.do(arrived(A))
            bench.inspect(self.phone)
        self.before(bench)
        return bench


OPEN: dict[str, Any] = {"closed": False}
CLOSED: dict[str, Any] = {"closed": True}
SALE, RECYCLING, OWNER = ({"purpose": purpose} for purpose in (Purpose.SALE, Purpose.RECYCLING, Purpose.OWNER))
ASK: dict[str, Any] = {"backup": BackupRule.ASK}
STRICT = {"quarantine_after": 1}
OLDER = {"version": "26.3", "build": "23D100"}

TABLE = [
    Table(Gate.TROUBLE, "all is well", **OPEN),
    Table(Gate.TROUBLE, "broken records", **CLOSED, before=lambda bench: bench.do(TroubleChanged(trouble="Broken."))),
    Table(
        Gate.TROUBLE,
        "a record that could not be written",
        **CLOSED,
        before=lambda bench: bench.do(RecordNotWritten(job=JobId("x"), detail="The disk is full.")),
    ),
    Table(Gate.RESULT, "no result", **OPEN),
    Table(Gate.BUSY, "nothing goes on", **OPEN),
    Table(Gate.BUSY, "it is being read", **CLOSED, phone=None, before=lambda bench: bench.do(arrived(A))),
    Table(Gate.PHONE, "one is there", **OPEN),
    Table(Gate.PHONE, "it was unplugged", **CLOSED, before=lambda bench: bench.do(gone())),
    Table(Gate.IDENTITY, "it says who it is", **OPEN),
    Table(Gate.IDENTITY, "it does not", **CLOSED, phone=None, before=nameless),
    Table(Gate.TWIN, "it is alone", **OPEN),
    Table(Gate.TWIN, "another bay shows it too", **CLOSED, before=lambda bench: bench.do(arrived(A, TWO))),
    Table(Gate.QUARANTINE, "nothing failed", **OPEN, policy=STRICT),
    Table(Gate.QUARANTINE, "its restore failed", **CLOSED, policy=STRICT, before=recorded(failed_wipe())),
    Table(
        Gate.QUARANTINE,
        "its erase was not verified",
        **CLOSED,
        policy=STRICT,
        before=recorded(failed_wipe(service=Service.ERASE, outcome=Outcome.NOT_VERIFIED)),
    ),
    Table(
        Gate.QUARANTINE,
        "it stayed half-way",
        **CLOSED,
        service=Service.RESTART,
        policy=STRICT,
        before=recorded(failed_wipe(service=Service.REINSTALL, outcome=Outcome.FAILED_BETWEEN)),
    ),
    Table(
        Gate.QUARANTINE,
        "only a restart was not verified",
        **OPEN,
        policy=STRICT,
        before=recorded(failed_wipe(service=Service.RESTART, outcome=Outcome.NOT_VERIFIED)),
    ),
    Table(
        Gate.QUARANTINE,
        "nothing was touched",
        **OPEN,
        policy=STRICT,
        before=recorded(failed_wipe(outcome=Outcome.FAILED_UNTOUCHED)),
    ),
    Table(
        Gate.QUARANTINE,
        "it was mended since",
        **OPEN,
        policy=STRICT,
        before=recorded(failed_wipe(), failed_wipe("old-2", outcome=Outcome.VERIFIED)),
    ),
    Table(
        Gate.QUARANTINE,
        "it was only reinstalled since, with what was on it",
        **CLOSED,
        policy=STRICT,
        before=recorded(failed_wipe(), failed_wipe("old-2", service=Service.REINSTALL, outcome=Outcome.VERIFIED)),
    ),
    Table(
        Gate.QUARANTINE,
        "its reinstall was mended by another",
        **OPEN,
        policy=STRICT,
        before=recorded(
            failed_wipe(service=Service.REINSTALL, outcome=Outcome.FAILED_BETWEEN),
            failed_wipe("old-2", service=Service.REINSTALL, outcome=Outcome.VERIFIED),
        ),
    ),
    Table(Gate.QUARANTINE, "a virtual phone's", **OPEN, policy=STRICT, before=recorded(failed_wipe(emulated=True))),
    Table(Gate.QUARANTINE, "the first of two", **OPEN, before=recorded(failed_wipe(), failed_wipe())),
    Table(Gate.QUARANTINE, "the second of two", **CLOSED, before=recorded(failed_wipe(), failed_wipe("old-2"))),
    Table(Gate.QUARANTINE, "switched off", **OPEN, policy={"quarantine_after": 0}, before=recorded(failed_wipe())),
    Table(Gate.MODE, "an erase needs a phone that runs", **OPEN, service=Service.ERASE),
    Table(Gate.MODE, "one in DFU does not", **CLOSED, service=Service.ERASE, phone=None, before=real(DFU)),
    Table(Gate.MODE, "a rescue is for recovery", **CLOSED, service=Service.RESCUE),
    Table(Gate.MODEL, "a known one", **OPEN),
    Table(Gate.MODEL, "of the future", **CLOSED, overrulable=True, phone=clear(product_type="iPhone99,1")),
    Table(
        Gate.MODEL, "of the future, only restarted", **OPEN, service=Service.RESTART, phone=clear(product_type="X1,1")
    ),
    Table(Gate.MODEL, "an iOS of the future", **CLOSED, overrulable=True, phone=None, before=newer_here),
    Table(Gate.FIRMWARE, "it is here", **OPEN),
    Table(Gate.FIRMWARE, "it is not", **CLOSED, phone=None, before=without_firmware),
    Table(Gate.FIRMWARE, "none is needed", **OPEN, service=Service.ERASE, phone=None, before=without_firmware),
    Table(Gate.VERSION, "newer than the phone's", **OPEN, service=Service.REINSTALL),
    Table(Gate.VERSION, "older than the phone's", **CLOSED, service=Service.REINSTALL, phone=clear(**OLDER)),
    Table(Gate.VERSION, "the same", **OPEN, service=Service.REINSTALL, phone=clear(version="26.2", build="23C55")),
    Table(
        Gate.VERSION,
        "the same, an earlier build",
        **CLOSED,
        service=Service.REINSTALL,
        phone=clear(version="26.2", build="23C60"),
    ),
    Table(Gate.VERSION, "nothing is kept", **OPEN, phone=clear(**OLDER)),
    Table(Gate.VERSION, "not told in recovery", **OPEN, service=Service.REINSTALL, phone=None, before=real()),
    Table(Gate.BACKUP, "decided by the settings", **OPEN),
    Table(Gate.BACKUP, "asked for", **CLOSED, policy=ASK),
    Table(Gate.BACKUP, "asked for, before a reinstall", **CLOSED, policy=ASK, service=Service.REINSTALL),
    Table(Gate.BACKUP, "asked for, before another one is put back", **CLOSED, policy=ASK, service=Service.PUT_BACK),
    Table(Gate.BACKUP, "a restart risks nothing", **OPEN, policy=ASK, service=Service.RESTART),
    Table(Gate.BACKUP, "made elsewhere", **OPEN, policy=ASK, before=decided(Choice.MADE_ELSEWHERE)),
    Table(Gate.BACKUP, "declined", **OPEN, policy=ASK, before=decided(Choice.DECLINED)),
    Table(Gate.BACKUP, "impossible", **OPEN, policy=ASK, before=decided(Choice.IMPOSSIBLE)),
    Table(Gate.VAULT, "no backup to put back", **CLOSED, service=Service.PUT_BACK),
    Table(Gate.VAULT, "nothing to do with it", **OPEN),
    Table(Gate.ACTIVATION_LOCK, "for sale, none found", **OPEN, policy=SALE),
    Table(Gate.ACTIVATION_LOCK, "for sale, locked", **CLOSED, policy=SALE, phone=locked()),
    Table(Gate.ACTIVATION_LOCK, "for sale, not read", **CLOSED, policy=SALE, phone=facts()),
    Table(Gate.ACTIVATION_LOCK, "for sale, in recovery", **CLOSED, policy=SALE, phone=None, before=real()),
    Table(Gate.ACTIVATION_LOCK, "for sale, in DFU", **CLOSED, policy=SALE, phone=None, before=real(DFU)),
    Table(
        Gate.ACTIVATION_LOCK,
        "for sale, erased, which shows nothing",
        **CLOSED,
        policy=SALE,
        phone=clear(activation_state="Unactivated"),
    ),
    Table(
        Gate.ACTIVATION_LOCK, "for sale, only restarted", **OPEN, policy=SALE, phone=locked(), service=Service.RESTART
    ),
    Table(Gate.ACTIVATION_LOCK, "recycled, locked", **CLOSED, overrulable=True, policy=RECYCLING, phone=locked()),
    Table(Gate.ACTIVATION_LOCK, "recycled, not read", **OPEN, policy=RECYCLING, phone=facts()),
    Table(Gate.ACTIVATION_LOCK, "the owner's, locked", **OPEN, policy=OWNER, phone=locked()),
    Table(Gate.BATTERY, "enough", **OPEN, policy={"min_battery": 80}),
    Table(Gate.BATTERY, "too little", **CLOSED, overrulable=True, policy={"min_battery": 81}),
    Table(Gate.BATTERY, "too little, only restarted", **OPEN, service=Service.RESTART, policy={"min_battery": 81}),
    Table(Gate.BATTERY, "not told", **OPEN, phone=clear(battery_percent=None), policy={"min_battery": 81}),
    Table(Gate.BATTERY, "not told in recovery", **OPEN, phone=None, before=real(), policy={"min_battery": 81}),
    Table(Gate.DISK, "room", **OPEN, before=health(free=1 << 40)),
    Table(Gate.DISK, "full", **CLOSED, before=health(free=1 << 20)),
    Table(Gate.DISK, "full, for anything", **CLOSED, service=Service.RESTART, before=health(free=1 << 20)),
    Table(Gate.POWER, "sound", **OPEN, before=health(under_voltage=False)),
    Table(Gate.POWER, "too weak", **CLOSED, overrulable=True, before=health(under_voltage=True)),
    Table(Gate.POWER, "too weak, only restarted", **OPEN, service=Service.RESTART, before=health(under_voltage=True)),
    Table(Gate.TEMPERATURE, "warm", **OPEN, before=health(temperature=79)),
    Table(Gate.TEMPERATURE, "hot", **CLOSED, overrulable=True, before=health(temperature=80)),
    Table(
        Gate.TEMPERATURE,
        "hot for this one",
        **CLOSED,
        overrulable=True,
        before=health(temperature=60),
        policy={"max_temperature": 60},
    ),
    Table(Gate.CLOCK, "right", **OPEN, before=health(clock_trusted=True)),
    Table(Gate.CLOCK, "perhaps wrong", **CLOSED, overrulable=True, before=health(clock_trusted=False)),
    Table(
        Gate.CLOCK, "perhaps wrong, nothing ends", **OPEN, service=Service.REINSTALL, before=health(clock_trusted=False)
    ),
    Table(Gate.CLOCK, "perhaps wrong, a virtual phone", **OPEN, phone=None, before=emulated),
]


def offer(bench: Bench, service: Service) -> OfferView:
    return next(offer for offer in bench.bay().offers if offer.service is service)


def refusal(bench: Bench, service: Service) -> Refused | None:
    """Why START is refused; None: it is not."""
    try:
        bench.do(Start(id=1, bay=ONE, service=service))
    except Refused as refused:
        return refused
    return None


@pytest.mark.parametrize("line", TABLE, ids=str)
def test_every_gate(line: Table):
    bench = line.bench()
    bay = bench.station.bays.get(ONE)
    assert bay is not None
    case = bench.station.desk.case(bay, line.service)
    found = RULES[line.gate](case)
    assert (found is not None) == line.closed
    if found is None:
        return
    assert found.gate is line.gate
    assert found.overrulable == line.overrulable
    assert found.title.endswith(".")
    assert line.gate is Gate.TROUBLE or found.remedy.endswith(".")
    assert len(found.title) < 110
    assert refusal(bench, line.service) is not None
    assert not bench.all_jobs()


@pytest.mark.parametrize("line", [line for line in TABLE if line.closed and line.overrulable], ids=str)
def test_what_an_operator_can_open(line: Table):
    bench = line.bench()
    overrule = Overrule(id=1, bay=ONE, ecid=A, gate=line.gate, reason="  The owner\nknows ")
    bench.do(overrule)
    gates = {finding.gate for finding in offer(bench, line.service).findings}
    assert line.gate not in gates
    if line.gate is Gate.MODEL and line.phone is not None:
        return  # and yet there is no firmware that fits it
    assert refusal(bench, line.service) is None
    bench.hold()
    (spec,) = bench.all_jobs()
    assert [(opened.gate, opened.reason) for opened in spec.overruled] == [(line.gate, "The owner knows")]
    bench.do(gone(), arrived(A))
    bench.inspect(line.phone or clear())
    bay = bench.station.bays.get(ONE)
    assert bay is not None
    assert bay.stay is not None
    assert not bay.stay.overruled  # it held for that stay


def test_a_gate_that_only_the_chosen_build_closes_can_be_opened_too():
    bench = Bench(operator_confirm=True)
    bench.plug()
    old = replace(FIRMWARE, version="12.5", build="16H20")
    bench.do(FirmwareFound(product_type="iPhone13,2", firmware=FIRMWARE, older=(old,)))
    options = Options(build=old.build)
    bench.do(Choose(id=1, bay=ONE, service=Service.RESTORE, options=options))
    bench.do(Overrule(id=2, bay=ONE, ecid=A, gate=Gate.MODEL, reason="its owner wants it"))
    bench.press()
    bench.hold()
    assert [spec.firmware for spec in bench.all_jobs()] == [old]


FINAL = [line for line in TABLE if line.closed and not line.overrulable and line.gate is not Gate.VAULT]
"""Whether the vault has room is another question, and an operator may know better."""


@pytest.mark.parametrize("line", FINAL, ids=str)
def test_what_nobody_can_open(line: Table):
    bench = line.bench()
    with pytest.raises(Refused):
        bench.do(Overrule(id=1, bay=ONE, ecid=A, gate=line.gate, reason="I want it"))


def test_every_gate_has_a_rule_and_is_in_the_table():
    assert set(RULES) == set(Gate)
    shut = {line.gate for line in TABLE if line.closed}
    assert set(Gate) - shut == {Gate.RESULT}  # told below, with a job that ends
    assert {line.gate for line in TABLE if not line.closed} == set(Gate)


def test_a_result_that_nobody_has_seen_keeps_the_bay():
    bench = Bench()
    spec = bench.confirm()
    bench.fail(spec.job, Cause.SIGNING_REFUSED)
    bench.inspect(facts())
    refused = refusal(bench, Service.RESTORE)
    assert refused is not None
    assert "dismiss" in refused.remedy
    bench.do(Dismiss(id=1, bay=ONE))
    assert refusal(bench, Service.RESTORE) is None


# -- operators


@pytest.mark.parametrize(
    ("reason", "words"), [("", "reason"), ("  ", "reason"), ("x" * 201, "record"), ("ring \a bell", "record")]
)
def test_an_operator_says_why(reason, words):
    bench = Bench(operator_confirm=True, quarantine_after=1)
    bench.plug()
    recorded(failed_wipe())(bench)
    with pytest.raises(Refused, match=words):
        bench.do(Overrule(id=1, bay=ONE, ecid=A, gate=Gate.BATTERY, reason=reason))
    with pytest.raises(Refused, match=words):
        bench.do(Release(id=1, ecid=A, reason=reason))


def test_only_where_the_policy_allows_it():
    bench = Bench(quarantine_after=1, min_battery=90)
    bench.plug()
    recorded(failed_wipe())(bench)
    for command in (
        Overrule(id=1, bay=ONE, ecid=A, gate=Gate.BATTERY, reason="so it is"),
        Release(id=1, ecid=A, reason="so it is"),
    ):
        with pytest.raises(Refused, match="Only an operator"):
            bench.do(command)


def test_the_lamp_of_a_phone_that_is_set_aside_is_red():
    bench = Bench(quarantine_after=1)
    bench.plug()
    bench.inspect(facts())
    assert bench.bay().lamp is Lamp.READY
    recorded(failed_wipe())(bench)
    assert bench.bay().lamp is bench.view().lamp is Lamp.FAULT


def test_an_operator_names_the_phone_and_opens_only_what_is_closed():
    bench = Bench(operator_confirm=True, min_battery=90)
    bench.plug()
    with pytest.raises(Refused, match="Another phone"):
        bench.do(Overrule(id=1, bay=ONE, ecid=B, gate=Gate.BATTERY, reason="so it is"))
    with pytest.raises(Refused, match="Nothing needs"):
        bench.do(Overrule(id=1, bay=ONE, ecid=A, gate=Gate.POWER, reason="so it is"))
    with pytest.raises(Refused, match="not set aside"):
        bench.do(Release(id=1, ecid=A, reason="so it is"))


# -- backups


def test_a_decision_goes_with_the_job_and_ends_with_the_stay():
    bench = Bench(**ASK)
    bench.plug()
    assert refusal(bench, Service.RESTORE) is not None
    decided(Choice.DECLINED)(bench)
    bench.press()
    bench.hold()
    (spec,) = bench.all_jobs()
    assert spec.decided is not None
    assert spec.decided.choice is Choice.DECLINED
    bench.fail(spec.job, Cause.SIGNING_REFUSED)
    bench.inspect(facts())
    assert bench.records[-1].decision == spec.decided
    bench.do(Dismiss(id=1, bay=ONE), gone())
    bench.plug()
    assert refusal(bench, Service.RESTORE) is not None


@pytest.mark.parametrize("choice", [Choice.MADE_HERE, Choice.STANDING])
def test_what_the_station_knows_better_is_not_claimed(choice):
    bench = Bench(**ASK)
    bench.plug()
    with pytest.raises(Refused):
        decided(choice)(bench)


def test_a_standing_decision_is_on_record_where_data_is_at_risk():
    bench = Bench()
    spec = bench.confirm()
    assert spec.decided is not None
    assert spec.consent is not None
    assert (spec.decided.choice, spec.decided.at) == (Choice.STANDING, spec.consent.at)
    quiet = Bench()
    quiet.plug()
    quiet.do(Start(id=1, bay=ONE, service=Service.RESTART))
    (restart,) = quiet.all_jobs()
    assert restart.decided is None


# -- quarantine


def test_a_released_phone_may_go_on_and_the_next_record_says_so():
    bench = Bench(operator_confirm=True, quarantine_after=1)
    bench.plug()
    recorded(failed_wipe())(bench)
    refused = refusal(bench, Service.RESTORE)
    assert refused is not None
    assert "set aside" in str(refused)
    bench.do(Release(id=1, ecid=A, reason="new cable"))
    recorded(failed_wipe())(bench)  # told twice: it is the same failure
    bench.press()
    bench.hold()
    (spec,) = bench.all_jobs()
    assert [(opened.gate, opened.reason) for opened in spec.overruled] == [(Gate.QUARANTINE, "new cable")]
    bench.erase(spec.job)
    bench.fail(spec.job, Cause.DEADLINE)
    bench.wait(600)
    assert bench.records[-1].outcome is Outcome.FAILED_ERASED
    bench.do(Dismiss(id=1, bay=ONE))
    refused = refusal(bench, Service.RESTORE)
    assert refused is not None
    assert "set aside" in str(refused)


# -- what is told, and what is seen


@pytest.mark.parametrize(
    ("phone", "policy", "words"),
    [
        (locked(), OWNER, "Apple Account"),
        (facts(), OWNER, "could not be read"),
        (clear(), OWNER, ""),
        (locked(), RECYCLING, ""),
        (clear(**OLDER), {}, "older"),
    ],
)
def test_what_is_told_without_closing_anything(phone, policy, words):
    bench = Bench(**policy)
    bench.do(arrived(A))
    bench.inspect(phone)
    told = " ".join(f"{finding.title} {finding.remedy}" for finding in offer(bench, Service.RESTORE).told)
    assert words in told
    assert bool(words) == bool(told)
    assert not any(offer.told for offer in bench.bay().offers if SERVICES[offer.service].keeps is Keeps.ALL)


def test_a_phone_without_firmware_is_not_called_ready_for_it():
    bench = Bench()
    without_firmware(bench)
    bay = bench.bay()
    assert bay.state is BayState.READY
    assert bay.title == "Not ready to erase it and install iOS"
    assert "no firmware for this model" in bay.hint
    assert bay.hint.endswith("Or choose something else.")
    bench.do(Choose(id=1, bay=ONE, service=Service.ERASE))
    assert bench.bay().title == "Ready"


def test_what_ails_the_station_is_on_its_screen_and_lamp():
    bench = Bench()
    bench.plug()
    assert bench.view().lamp is Lamp.READY
    health(under_voltage=True, temperature=91, free=1)(bench)
    assert bench.view().lamp is Lamp.FAULT
    for words in ("disk is nearly full", "supply is too weak", "too hot: 91 °C"):
        assert words in bench.view().notice
    health(under_voltage=False, temperature=50, free=1 << 40)(bench)
    assert not bench.view().notice
    assert bench.view().lamp is Lamp.READY


@pytest.mark.parametrize(
    ("ill", "well"), [({"temperature": 85}, {"temperature": 70}), ({"free": 1 << 20}, {"free": 1 << 40})], ids=str
)
def test_what_waits_for_its_turn_waits_until_the_station_is_well(ill, well):
    bench = Bench(cap=1)
    bench.confirm(A, ONE)
    bench.plug(B, TWO)
    bench.do(Start(id=1, bay=TWO, service=Service.RESTORE))
    bench.hold()
    health(**ill)(bench)
    first = bench.all_jobs()[0]
    bench.fail(first.job, Cause.SIGNING_REFUSED)
    bench.inspect(facts(A))
    assert bench.bay(TWO).state is BayState.QUEUED
    health(**well)(bench)
    assert bench.bay(TWO).state is BayState.WORKING


def test_a_serial_of_recovery_names_an_ipad():
    bench = Bench()
    line = serial(A, RECOVERY).replace("CPID:8101", "CPID:8132").replace("BDID:0C", "BDID:08")
    bench.do(replace(arrived(A, product_id=RECOVERY), serial=line))
    phone = bench.bay().phone
    assert phone is not None
    assert phone.model_name == "iPad Pro 11-inch (M4)"
