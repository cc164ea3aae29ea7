"""A backup in the core: where it goes, when it counts, what is forgotten, and what the vault's gate says."""

from msgspec import structs

from station.core.actions import Action, ForgetPhone
from station.core.events import VaultSeen, WorkerEnded
from station.core.gates.vault import HEADROOM
from station.core.jobs import OWED
from station.core.situation import VaultState
from station.errors import Refused
from station.model.api import Overrule, Start
from station.model.backup import BackupNote, BackupState
from station.model.base import BackupId
from station.model.causes import EXPLANATIONS, Cause
from station.model.events import BackupRead, PasswordOwed, Succeeded
from station.model.gates import Choice, Gate
from station.model.job import JobSpec
from station.model.record import Outcome
from station.model.service import Service
from tests.core.helpers import ALL_FINE, ONE, A, Bench, arrived, facts, gone, udid

OLD = BackupId("old")
ROOM = 100 << 30
NOTE = BackupNote(id=OLD, ecid=A, udid=udid(A), model="", made="", state=BackupState.PARTIAL, keep_until="")


def bench(**vault: object) -> Bench:
    """A phone is in bay 1, and the vault is so."""
    bench = Bench(operator_confirm=True)
    bench.do(VaultSeen(vault=structs_of(vault)))
    bench.plug()
    return bench


def structs_of(changes: dict[str, object]) -> VaultState:
    return VaultState(**({"directory": "/vault", "secrets": "/memory", "free": ROOM} | changes))  # type: ignore[arg-type]  # tests know


def start(bench: Bench, service: Service = Service.BACKUP) -> JobSpec | str:
    """START, and CONFIRM where it takes one; the job, or why there is none."""
    try:
        bench.do(Start(id=1, bay=ONE, service=service))
    except Refused as refused:
        return str(refused)
    bench.hold()
    return bench.all_jobs()[-1]


def back_up(bench: Bench, *faults: str) -> JobSpec:
    spec = start(bench)
    assert isinstance(spec, JobSpec)
    read = BackupRead(at=bench.now, files=3, size=1000, faults=faults)
    bench.say(spec.job, PasswordOwed(at=bench.now, owed=True), PasswordOwed(at=bench.now, owed=False))
    bench.say(spec.job, read, Succeeded(at=bench.now))
    bench.do(WorkerEnded(job=spec.job, exit=ALL_FINE))
    return spec


def test_a_backup_that_was_read_back_decides_what_was_to_be_decided():
    station = bench()
    spec = back_up(station)
    assert spec.backup is not None
    assert spec.backup.directory == f"/vault/{spec.job}/data"
    assert (spec.backup.secret, spec.backup.owed) == (f"/memory/{spec.job}.secret", "")
    (record,) = station.records
    assert (record.outcome, record.backup) == (Outcome.VERIFIED, spec.backup.id)
    stay = next(iter(station.station.bays)).stay
    assert stay is not None
    assert stay.decided is not None
    assert stay.decided.choice is Choice.MADE_HERE


def test_a_backup_with_faults_decides_nothing():
    station = bench()
    back_up(station, "file 3 is missing")
    (record,) = station.records
    assert (record.outcome, record.cause) == (Outcome.NOT_VERIFIED, Cause.BACKUP_FAULTY)
    stay = next(iter(station.station.bays)).stay
    assert stay is not None
    assert stay.decided is None


def test_what_broke_off_is_gone_on_with():
    spec = start(bench(partial={A: NOTE}, owed={A: OLD}))
    assert isinstance(spec, JobSpec)
    assert spec.backup is not None
    assert (spec.backup.id, spec.backup.owed) == (OLD, f"/memory/{spec.job}.owed")


def test_only_what_counts_is_put_back():
    assert start(bench(partial={A: NOTE}), Service.PUT_BACK) == EXPLANATIONS[Cause.BACKUP_MISSING].title
    counts = structs.replace(NOTE, state=BackupState.VERIFIED)
    spec = start(bench(verified={A: counts}), Service.PUT_BACK)
    assert isinstance(spec, JobSpec)
    assert spec.backup is not None
    assert spec.backup.directory == "/vault/old/data"


def test_a_vault_in_trouble_stops_what_needs_it_only():
    station = bench(trouble="It is gone.", verified={A: NOTE})
    assert start(station) == "It is gone."
    assert start(station, Service.PUT_BACK) == "It is gone."
    assert isinstance(start(station, Service.RESTART), JobSpec)


def test_a_small_vault_takes_no_backup_unless_an_operator_knows_better():
    station = bench(free=HEADROOM + (20 << 30) - 1)
    used = facts(capacity=64 << 30, free=44 << 30)
    stay = next(iter(station.station.bays)).stay
    assert stay is not None
    stay.facts = used
    assert "may need 23 GB" in str(start(station))
    station.do(Overrule(id=2, bay=ONE, ecid=A, gate=Gate.VAULT, reason="mostly music"))
    assert isinstance(start(station), JobSpec)


def test_a_password_that_is_still_on_the_phone_is_told():
    station = bench()
    spec = start(station)
    assert isinstance(spec, JobSpec)
    station.say(spec.job, PasswordOwed(at=station.now, owed=True))
    station.fail(spec.job, Cause.PROTOCOL)
    station.wait(200)
    assert station.records[0].remedy.endswith(OWED)


def forgotten(actions: list[Action]) -> list[str]:
    return [action.udid for action in actions if isinstance(action, ForgetPhone)]


def test_a_phone_that_leaves_is_forgotten():
    station = bench()
    assert forgotten(station.do(gone())) == [udid(A)]
    assert forgotten(station.do(arrived(A))) == []


def test_a_phone_is_not_forgotten_while_something_works_on_it():
    station = bench()
    spec = start(station)
    assert isinstance(spec, JobSpec)
    assert forgotten(station.do(gone())) == [], "its worker may still pair"
    station.say(spec.job)
    station.fail(spec.job, Cause.DISCONNECTED)
    assert forgotten(station.actions) == []
    assert forgotten(station.wait(120)) == [udid(A)]
