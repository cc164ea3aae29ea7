"""Worker processes and job directories, without a daemon around them."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from station.adapters import jobshelf
from station.adapters.jobdir import JobDirectory
from station.adapters.jobshelf import Finished, JobShelf
from station.adapters.workers import LocalStarter
from station.core.actions import StartWorker
from station.errors import Refused, StorageError
from station.model.base import JobId
from station.model.causes import Cause
from station.model.job import JobSpec
from tests.core.helpers import Bench, facts
from tests.daemon.helpers import House


def specs() -> tuple[JobSpec, JobSpec]:
    """An inspection's and a restore's."""
    bench = Bench()
    restore = bench.confirm()
    return bench.all(StartWorker)[0].spec, restore


def finished(job: JobId) -> Finished:
    bench = Bench()
    spec = bench.confirm()
    bench.fail(spec.job, Cause.SIGNING_REFUSED)
    bench.inspect(facts())
    return Finished(record=msgspec.structs.replace(bench.records[0], job=job), number=1, certificate=None)


@pytest.fixture
def shelf(tmp_path):
    return JobShelf(tmp_path)


@pytest.fixture
def directory(shelf):
    return shelf.create(specs()[1])


async def test_a_worker_is_started_in_a_session_of_its_own_and_its_end_is_noticed(house: House):
    directory = await asyncio.to_thread(lambda: JobShelf(house.state).create(specs()[1]))
    worker = LocalStarter(house.conductor.program).start(directory)
    conducted = await house.conductor.worker()
    assert conducted.pid == worker.pid == directory.alive()
    assert os.getsid(worker.pid) == worker.pid
    ended = asyncio.create_task(worker.ended())
    await conducted.exit(0)
    async with asyncio.timeout(10):
        await ended
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)  # no zombie is left
    worker.kill()  # nothing, and nobody else's process
    assert directory.alive() is None


async def test_a_living_worker_is_adopted_and_can_be_killed(house: House):
    directory = await asyncio.to_thread(lambda: JobShelf(house.state).create(specs()[1]))
    started = LocalStarter(house.conductor.program).start(directory)
    conducted = await house.conductor.worker()
    adopted = LocalStarter().adopt(directory)
    assert adopted is not None
    assert adopted.pid == conducted.pid
    adopted.kill()
    async with asyncio.timeout(10):
        await asyncio.gather(adopted.ended(), started.ended())
    assert LocalStarter().adopt(directory) is None


def test_a_job_without_a_worker_can_no_longer_be_taken(directory):
    assert LocalStarter().adopt(directory) is None
    with pytest.raises(Refused):
        directory.claim()


def test_a_worker_that_cannot_be_started_is_told(directory):
    with pytest.raises(StorageError):
        LocalStarter(("/nowhere/at/all",)).start(directory)


async def test_a_worker_waits_for_the_next_job_and_ends_when_there_is_none(house: House):
    before = children()
    starter = LocalStarter(house.conductor.program)
    worker = starter.start(await asyncio.to_thread(lambda: JobShelf(house.state).create(specs()[1])))
    assert (await house.conductor.worker()).pid == worker.pid
    (spare,) = children() - {worker.pid} - before
    starter.prepare()
    assert children() - before == {worker.pid, spare}  # one is enough
    starter.close()
    assert children() - before == {worker.pid}
    worker.discard()


async def test_a_waiting_worker_that_died_is_replaced(house: House):
    before = children()
    starter = LocalStarter(house.conductor.program)
    starter.prepare()
    (spare,) = children() - before
    os.kill(spare, signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, spare, os.WEXITED | os.WNOWAIT)
    worker = starter.start(await asyncio.to_thread(lambda: JobShelf(house.state).create(specs()[1])))
    assert (await house.conductor.worker()).pid == worker.pid != spare
    worker.discard()
    starter.close()
    assert children() - before == set()


async def test_a_worker_has_its_signals_back(directory):
    script = (
        "import signal, sys, pathlib; path = pathlib.Path(input()); (path / 'said').write_text("
        "f'{signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL} {signal.pthread_sigmask(0, [])}')"
    )
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    starter = LocalStarter((sys.executable, "-c", script))
    try:
        worker = starter.start(directory)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    async with asyncio.timeout(10):
        await worker.ended()
    starter.close()
    assert "SIGTERM" not in (directory.path / "said").read_text()


def children() -> set[int]:
    """The processes that this one started and that are still there."""
    return {int(pid) for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()}


def test_open_jobs_are_found_oldest_first(shelf):
    inspection, restore = specs()
    for age, spec in ((10, restore), (20, inspection)):
        os.utime(shelf.create(spec).path, (1e9 - age, 1e9 - age))
    shelf.finish(restore.job, finished(restore.job))
    found = shelf.found()
    assert [job.spec for job in found] == [inspection, restore]
    assert found[0].finished is None
    assert found[1].finished == finished(restore.job)


def test_what_is_no_job_is_cleared_away(shelf, tmp_path):
    (tmp_path / "jobs" / "torn").mkdir()
    (tmp_path / "jobs" / "torn" / "spec.json").write_text("{")
    assert shelf.found() == []
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_closed_restore_is_kept_without_what_is_private(shelf, tmp_path):
    spec = specs()[1]
    directory = shelf.create(spec)
    (directory.work / "home" / "pair-record").write_text("opens the phone")
    shelf.close(spec.job)
    assert shelf.found() == []
    closed = tmp_path / "closed" / spec.job
    assert (closed / "spec.json").exists()
    assert not (closed / "work" / "home").exists()
    shelf.close(spec.job)  # twice is once


def test_a_closed_inspection_is_gone(shelf, tmp_path):
    spec = specs()[0]
    shelf.create(spec)
    shelf.close(spec.job)
    assert list((tmp_path / "jobs").iterdir()) == list((tmp_path / "closed").iterdir()) == []


def test_only_so_many_closed_jobs_are_kept(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(jobshelf, "CLOSED_KEPT", 2)
    spec = specs()[1]
    for number in range(4):
        job = JobId(f"job-{number}")
        path = shelf.create(msgspec.structs.replace(spec, job=job)).path
        shelf.close(job)
        os.utime(tmp_path / "closed" / path.name, (1e9 + number, 1e9 + number))
    assert len(list((tmp_path / "closed").iterdir())) == 2


def test_a_result_of_a_job_without_a_directory_is_no_trouble(shelf):
    shelf.finish(JobId("never-written-down"), finished(JobId("never-written-down")))
    assert shelf.found() == []


def test_the_state_directory_must_be_usable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        JobShelf(tmp_path / "file")


def test_directories_are_private(directory):
    assert directory.path.stat().st_mode & 0o027 == 0  # a worker's user, of our group, may look and not write
    assert directory.path.parent.stat().st_mode & 0o067 == 0  # nor see whose jobs there are
    assert isinstance(directory, JobDirectory)
