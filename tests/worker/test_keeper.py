"""The keeper: a job is taken once, a worker ends with its keeper, and how it ended is written down."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from station.adapters.jobdir import EventReader
from station.model.events import Succeeded, WorkerStarted
from station.model.job import Phase
from station.virtual.faults.kinds import Fault, FaultKind
from station.worker import keeper
from tests.worker.station_host import StationHost, Worker, deadlines, reached

SILENT = Fault(at="lockdown:QueryType", kind=FaultKind.SILENCE)


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


async def gone(worker: Worker) -> None:
    """Wait until nobody holds the job's lock any more."""

    def wait() -> None:
        with worker.directory.living():
            pass

    async with asyncio.timeout(10):
        await asyncio.to_thread(wait)


@pytest.mark.system
async def test_a_job_is_taken_once(station: StationHost):
    phone = station.plug()
    first = await station.start(station.spec(phone, None))
    events = await first.events()
    second = await station.start_in(first.directory)
    assert await second.process.wait() == 2
    assert EventReader(first.directory).read() == events
    ended = first.directory.ended()
    assert (first.process.returncode, ended and ended.code) == (0, 0)
    assert isinstance(events[0], WorkerStarted)
    assert isinstance(events[-1], Succeeded)


@pytest.mark.system
async def test_a_second_worker_leaves_the_first_alone(station: StationHost):
    phone = station.plug(SILENT)
    silent = reached(phone, SILENT.at)
    first = await station.start(station.spec(phone, None))
    await silent.wait()
    second = await station.start_in(first.directory)
    assert await second.process.wait() == 2
    assert first.directory.alive() == first.process.pid


@pytest.mark.system
async def test_the_worker_dies_with_its_keeper(station: StationHost):
    phone = station.plug(SILENT)
    silent = reached(phone, SILENT.at)
    worker = await station.start(station.spec(phone, None))
    await silent.wait()
    worker.process.kill()
    await worker.process.wait()
    await gone(worker)
    assert worker.directory.alive() is None
    assert worker.directory.ended() is None


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_the_keeper_tells_how_the_worker_died(station: StationHost, number):
    phone = station.plug(SILENT)
    silent = reached(phone, SILENT.at)
    worker = await station.start(station.spec(phone, None))
    await silent.wait()
    os.kill(child_of(worker.process.pid), number)
    assert await worker.process.wait() == -number
    ended = worker.directory.ended()
    assert ended is not None
    assert ended.signal == number


@pytest.mark.system
async def test_a_stopped_keeper_stops_the_worker(station: StationHost):
    phone = station.plug(SILENT)
    silent = reached(phone, SILENT.at)
    worker = await station.start(station.spec(phone, None))
    await silent.wait()
    worker.process.terminate()
    assert await worker.process.wait() == -signal.SIGTERM
    await gone(worker)


@pytest.mark.system
async def test_silence_ends_the_worker(station: StationHost):
    phone = station.plug(SILENT)
    worker = await station.start(station.spec(phone, None, deadlines=deadlines(1.5, [Phase.CONNECT])))
    assert await worker.process.wait() == -signal.SIGALRM
    ended = worker.directory.ended()
    assert ended is not None
    assert ended.signal == signal.SIGALRM


@pytest.mark.system
async def test_nothing_of_the_worker_lies_about(station: StationHost):
    phone = station.plug()
    worker = await station.start(station.spec(phone, None))
    await worker.events()
    assert not (worker.directory.work / "home").exists()
    assert list((worker.directory.work / "cwd").iterdir()) == []


def test_the_log_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "LOG_LIMIT", 100)
    reading, writing = os.pipe()
    os.write(writing, b"x" * 60 + b"y" * 60)
    os.close(writing)
    keeper._keep_log(reading, tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == b"x" * 60 + b"y" * 40


def test_no_job(tmp_path):
    assert keeper.main(tmp_path) == 2
    assert list(tmp_path.iterdir()) == []
