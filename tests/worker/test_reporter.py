"""What the worker says, and what feeds its deadline."""

import errno
import os
import signal
import subprocess
import sys
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from station.adapters import jobdir
from station.adapters.jobdir import EventReader, EventWriter, JobDirectory
from station.errors import ConsentVoid, InputRejected, StorageError
from station.model.base import BayId, Ecid, JobId, PlugId, SocketPath
from station.model.causes import Cause
from station.model.consent import Act, Consent, Hand
from station.model.events import Checkpoint, Intent, Operation, PersonNeeded, Progress
from station.model.job import DEADLINES, JobSpec, Phase, Reach
from station.model.service import Service
from station.worker import reporter as reporter_module
from station.worker.deadline import Deadline
from station.worker.guard import Guard
from station.worker.reporter import MAX_CHECKPOINTS, Reporter

SPEC = JobSpec(
    job=JobId("j"),
    service=Service.RESTORE,
    bay=BayId("1"),
    socket=SocketPath("1-1"),
    plug=PlugId("p"),
    ecid=Ecid(5),
    udid=None,
    emulated=True,
    reach=Reach(usbmuxd=""),
    deadlines=DEADLINES,
)


class Fed(Deadline):
    """A deadline that only counts how often it was fed; the real one would end the tests."""

    count = 0

    def begin(self, phase: Phase) -> None:
        self.count = 0

    def feed(self) -> None:
        self.count += 1


@pytest.fixture
def directory(tmp_path) -> JobDirectory:
    return JobDirectory.create(tmp_path, SPEC)


@pytest.fixture
def deadline() -> Fed:
    return Fed(DEADLINES)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(reporter_module, "boottime", lambda: now[0])
    return now


@pytest.fixture
def reporter(directory, deadline, clock) -> Reporter:
    reporter = Reporter(EventWriter(directory), deadline)
    reporter.enter(Phase.IMAGE)
    return reporter


def told(directory: JobDirectory, kind: type) -> list[Any]:
    return [event for event in EventReader(directory).read() if isinstance(event, kind)]


def test_progress_is_told_four_times_a_second_at_most(reporter, directory, deadline, clock):
    for step in range(1, 1001):
        clock[0] += 0.01
        reporter.progress(step / 1000, "image")
    events = told(directory, Progress)
    assert 35 <= len(events) <= 40
    assert all(later.at - earlier.at >= 0.25 for earlier, later in pairwise(events))
    assert [event.fraction for event in events] == sorted(event.fraction for event in events)
    assert deadline.count == 1000


def test_standing_still_is_no_progress(reporter, directory, deadline, clock):
    for _ in range(10):
        clock[0] += 10
        reporter.progress(0.5, "image")
        reporter.progress(0.2, "image")
        reporter.progress(float("nan"), "image")
    assert deadline.count == 1
    assert len(told(directory, Progress)) == 1


def test_going_back_is_never_told(reporter, directory, clock):
    for fraction in (0.5, 0.1, 7.0):
        clock[0] += 10
        reporter.progress(fraction, f"at {fraction}")
    assert [event.fraction for event in told(directory, Progress)] == [0.5, 0.5, 1.0]


def test_a_phone_that_goes_round_in_circles_starves(reporter, directory, deadline):
    for _ in range(100):
        reporter.checkpoint(0x130D, "update_savage", None)
        reporter.checkpoint(0x130D, "update_savage", 0)
        reporter.operation(60)
    assert deadline.count == 3
    assert len(told(directory, Operation)) == 1
    assert len(told(directory, Checkpoint)) == 200
    for _ in range(MAX_CHECKPOINTS - 200):
        reporter.checkpoint(0x130D, "update_savage", None)
    with pytest.raises(InputRejected):
        reporter.checkpoint(0x130D, "update_savage", None)


def test_a_person_is_asked_once_for_each_thing(reporter, directory, deadline):
    for cause in (Cause.NOT_TRUSTED, Cause.NOT_TRUSTED, Cause.LOCKED, Cause.NOT_TRUSTED):
        reporter.person_needed(cause)
    assert [event.cause for event in told(directory, PersonNeeded)] == [
        Cause.NOT_TRUSTED,
        Cause.LOCKED,
        Cause.NOT_TRUSTED,
    ]
    assert deadline.count == 0


def test_the_name_of_the_events_is_durable_before_the_first(directory, monkeypatch):
    synced = []
    monkeypatch.setattr("station.adapters.durable.sync_directory", lambda path: synced.extend(path.iterdir()))
    EventWriter(directory).close()
    assert directory.work / "events.jsonl" in synced


@pytest.mark.parametrize("last", ["succeeded", "failed"])
def test_the_last_words_get_the_room_that_was_kept_for_them(tmp_path, last):
    job = JobDirectory.create(tmp_path, SPEC)
    assert (job.work / "reserve").stat().st_blocks > 0
    reporter = Reporter(EventWriter(job), Fed(DEADLINES))
    reporter.operation(42)
    assert (job.work / "reserve").exists()
    reporter.succeeded() if last == "succeeded" else reporter.failed(Cause.DISK_FULL, "", None)
    assert not (job.work / "reserve").exists()


def test_a_job_that_cannot_be_written_down_leaves_nothing(tmp_path, monkeypatch):
    def full(path, data, **_):
        raise StorageError("The disk is full.")

    monkeypatch.setattr("station.adapters.jobdir.durable.write", full)
    with pytest.raises(StorageError):
        JobDirectory.create(tmp_path, SPEC)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_what_must_be_written_down_and_nothing_else(directory, reporter, monkeypatch):
    write, room = os.write, [20]
    monkeypatch.setattr(jobdir, "MAX_UNWRITTEN", 2000)

    def full(fd: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= (count := min(room[0], len(data)))
        return write(fd, bytes(data[:count]))

    monkeypatch.setattr(os, "write", full)
    reporter.operation(42)
    reporter.operation(50)
    with pytest.raises(StorageError):
        reporter.intent(Act.ERASE, Ecid(5))
    with pytest.raises(StorageError):  # noqa: PT012 (one of them, and it does not matter which)
        for number in range(1000):
            reporter.operation(number)
    room[0] = 1 << 30
    reporter.operation(7777)
    operations = [event.operation for event in told(directory, Operation)]
    assert (operations[:2], operations[-1]) == ([42, 50], 7777)
    assert len(told(directory, Intent)) == 1


@pytest.fixture
def guard(directory, reporter) -> Guard:
    ecid, bay, plug = Ecid(5), BayId("1"), PlugId("p")
    consent = Consent(ecid=ecid, bay=bay, plug=plug, service=Service.RESTORE, by=Hand.BUTTONS, at="")
    spec = msgspec.structs.replace(SPEC, bay=bay, plug=plug, ecid=ecid, consent=consent)
    return Guard(directory, spec, reporter)


def test_an_act_that_is_covered_leaves_its_intent(guard, directory):
    guard.authorise(Act.ERASE, 5)
    (intent,) = told(directory, Intent)
    assert (intent.act, intent.ecid) == (Act.ERASE, 5)


@pytest.mark.parametrize("observed", [6, None, 0])
def test_an_act_on_another_phone_is_not_covered(guard, directory, observed):
    with pytest.raises(ConsentVoid):
        guard.authorise(Act.ERASE, observed)
    assert told(directory, Intent) == []


def test_a_revoked_consent_covers_nothing(guard, directory):
    directory.revoke()
    with pytest.raises(ConsentVoid):
        guard.authorise(Act.ERASE, 5)
    assert told(directory, Intent) == []


def test_a_consent_that_is_revoked_while_the_intent_is_written_covers_nothing(guard, directory, monkeypatch):
    sync = os.fsync

    def slow(fd: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        directory.revoke()
        sync(fd)

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(ConsentVoid):
        guard.authorise(Act.ERASE, 5)
    assert len(told(directory, Intent)) == 1


def test_a_revocation_is_seen_before_it_is_durable(guard, directory, monkeypatch):
    seen = []

    def slow(_: int) -> None:
        with pytest.raises(ConsentVoid):
            guard.authorise(Act.ERASE, 5)
        seen.append(True)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(StorageError):
        directory.revoke()
    assert seen


def test_a_job_that_is_not_there_any_more_covers_nothing(guard, directory):
    directory.path.rename(directory.path.with_name("away"))
    with pytest.raises(ConsentVoid):
        guard.authorise(Act.ERASE, 5)
    directory.path.mkdir()
    with pytest.raises(ConsentVoid):
        guard.authorise(Act.ERASE, 5)


SILENCE = "deadline.begin(Phase.CONNECT)\nwhile True: pass"
CHATTER = "deadline.begin(Phase.CONNECT)\nwhile True: deadline.feed()"


@pytest.mark.parametrize(("seconds", "behaviour"), [(0.2, SILENCE), (0.02, CHATTER)])
def test_silence_and_endless_chatter_end_the_process(seconds, behaviour):
    program = (
        "from station.model.job import Phase\n"
        "from station.worker.deadline import Deadline\n"
        f"deadline = Deadline({{Phase.CONNECT: {seconds}}})\n{behaviour}"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=15)
    assert ended.returncode == -signal.SIGALRM
