"""The one door: what a consent to one service lets through, act by act."""

from pathlib import Path

import pytest

from station.adapters.jobdir import EventReader, EventWriter, JobDirectory
from station.errors import ConsentVoid
from station.model.base import BayId, Ecid, JobId, PlugId, SocketPath
from station.model.consent import Act, Consent, Hand
from station.model.events import Intent
from station.model.job import DEADLINES, JobSpec, Reach
from station.model.service import Service
from station.worker.deadline import Deadline
from station.worker.guard import Guard
from station.worker.reporter import Reporter

ECID = Ecid(0x1234)
INSTALLING = {Act.ENTER_RECOVERY, Act.SET_AUTO_BOOT, Act.BOOT_RESTORE_SYSTEM}
COVERED = {
    # Written out once more, so that nobody widens a consent by accident.
    Service.RESTART: {Act.RESTART},
    Service.RESCUE: {Act.SET_AUTO_BOOT},
    Service.BACKUP: {Act.CHANGE_BACKUP_PASSWORD},
    Service.PUT_BACK: {Act.PUT_BACK, Act.CHANGE_BACKUP_PASSWORD},
    Service.ACTIVATE: {Act.ACTIVATE},
    Service.REINSTALL: INSTALLING | {Act.STASH_PASSCODE, Act.INSTALL},
    Service.ERASE: {Act.ERASE_CONTENT},
    Service.RESTORE: INSTALLING | {Act.ERASE},
}


def guard_of(directory: Path, service: Service | None) -> tuple[Guard, JobDirectory]:
    """The guard of a job that was confirmed as it should be."""
    bay, plug = BayId("1"), PlugId("plug-1")
    spec = JobSpec(
        job=JobId("job-1"),
        service=service,
        bay=bay,
        socket=SocketPath("1-1.1"),
        plug=plug,
        ecid=ECID,
        udid=None,
        emulated=True,
        reach=Reach(usbmuxd="/nowhere"),
        deadlines=dict(DEADLINES),
        consent=service
        and Consent(ecid=ECID, bay=bay, plug=plug, service=service, by=Hand.BUTTONS, at="2026-01-01T00:00:00Z"),
    )
    job = JobDirectory.create(directory, spec)
    return Guard(job, spec, Reporter(EventWriter(job), Deadline(DEADLINES))), job


def test_every_service_is_in_the_table():
    assert set(COVERED) == set(Service)


@pytest.mark.parametrize("service", [*Service, None])
def test_a_consent_covers_the_acts_of_its_service_and_no_other(tmp_path, service):
    guard, job = guard_of(tmp_path, service)
    through = set()
    for act in Act:
        try:
            guard.authorise(act, ECID)
        except ConsentVoid:
            continue
        through.add(act)
    assert through == COVERED.get(service, set())
    told = [event for event in EventReader(job).read() if isinstance(event, Intent)]
    assert {event.act for event in told} == through
    assert {event.ecid for event in told} <= {ECID}


@pytest.mark.parametrize("observed", [None, ECID + 1])
def test_it_covers_one_phone(tmp_path, observed):
    guard, job = guard_of(tmp_path, Service.RESTORE)
    with pytest.raises(ConsentVoid):
        guard.authorise(Act.ERASE, observed)
    assert EventReader(job).read() == []


def test_it_ends_when_it_is_revoked(tmp_path):
    guard, job = guard_of(tmp_path, Service.REINSTALL)
    job.revoke()
    with pytest.raises(ConsentVoid):
        guard.authorise(Act.INSTALL, ECID)
    assert EventReader(job).read() == []
