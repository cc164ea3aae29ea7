"""Workers that systemd starts: its side, a socket that starts a process for each connection, is played here."""

import asyncio
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from station.adapters import workers
from station.adapters.jobdir import JobDirectory
from station.adapters.jobshelf import JobShelf
from station.adapters.workers import UnitStarter, Worker
from station.errors import StorageError
from tests.daemon.test_workers import specs

SAYS_HELLO = "import os; os.write(0, b'\\n'); "
WORKER = f"{SAYS_HELLO} import pathlib; pathlib.Path(os.read(0, 4096).decode().strip(), 'told').touch(); os.close(0)"

LASTS = f"{SAYS_HELLO} import time; os.read(0, 4096); time.sleep(60)"


class Systemd:
    """Starts a program for each who connects, as a socket with Accept=yes does."""

    def __init__(self, path: Path) -> None:
        self.program = WORKER
        self.started: list[subprocess.Popen[bytes]] = []
        self._news = threading.Condition()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for process in self.started:
            process.kill()
            process.wait()

    async def nth(self, number: int) -> subprocess.Popen[bytes]:
        """Wait for the one that was started as this one of all: who connects does not wait until it is."""

        def wait() -> subprocess.Popen[bytes]:
            with self._news:
                assert self._news.wait_for(lambda: len(self.started) >= number, 30)
                return self.started[number - 1]

        return await asyncio.to_thread(wait)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection, self._news:
                    self.started.append(
                        subprocess.Popen([sys.executable, "-c", self.program], stdin=connection.fileno())
                    )
                    self._news.notify_all()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path / "systemd")
    yield systemd
    systemd.close()


@pytest.fixture
def reaper(tmp_path: Path) -> Iterator[Systemd]:
    """Where the end of workers is."""
    systemd = Systemd(tmp_path / "reaper")
    systemd.program = f"from station.worker import reaper; reaper.main({pwd.getpwuid(os.getuid()).pw_name!r})"
    yield systemd
    systemd.close()


@pytest.fixture
def directory(tmp_path: Path) -> JobDirectory:
    return JobShelf(tmp_path / "state").create(specs()[1])


async def ended(worker: Worker) -> None:
    async with asyncio.timeout(30):
        await worker.ended()


async def test_a_worker_is_told_its_job_and_known_by_its_process(systemd: Systemd, tmp_path: Path, directory):
    starter = UnitStarter(tmp_path / "systemd", tmp_path / "reaper")
    worker = await asyncio.to_thread(starter.start, directory)
    assert worker.pid == (await systemd.nth(1)).pid
    await ended(worker)
    assert (directory.path / "told").exists()
    await asyncio.to_thread(starter.close)


async def test_one_waits_for_the_next_job_and_ends_when_there_is_none(systemd: Systemd, tmp_path: Path, directory):
    systemd.program = SAYS_HELLO + "os.read(0, 4096)"
    starter = UnitStarter(tmp_path / "systemd", tmp_path / "reaper")
    await asyncio.to_thread(starter.prepare)
    worker = await asyncio.to_thread(starter.start, directory)
    assert worker.pid == (await systemd.nth(1)).pid
    await ended(worker)
    starter.prepare()  # there is one already
    starter.close()
    await asyncio.to_thread((await systemd.nth(2)).wait, 30)
    assert len(systemd.started) == 2


async def test_it_can_be_killed(systemd: Systemd, reaper: Systemd, tmp_path: Path, directory):
    systemd.program = LASTS
    starter = UnitStarter(tmp_path / "systemd", tmp_path / "reaper")
    worker = await asyncio.to_thread(starter.start, directory)
    worker.kill()
    await ended(worker)
    await reaper.nth(1)
    worker.kill()  # nobody is asked for what has ended
    starter.close()
    assert len(reaper.started) == 1


async def test_a_kill_that_was_lost_is_repeated(systemd: Systemd, reaper: Systemd, tmp_path, directory, monkeypatch):
    monkeypatch.setattr(workers, "AGAIN_SECONDS", 0.05)
    systemd.program = LASTS
    ends, reaper.program = reaper.program, "pass"
    starter = UnitStarter(tmp_path / "systemd", tmp_path / "reaper")
    worker = await asyncio.to_thread(starter.start, directory)
    ending = asyncio.create_task(worker.end())
    await reaper.nth(1)
    reaper.program = ends
    await ended(worker)
    async with asyncio.timeout(30):
        await ending  # and is not, when it has come to something
    starter.close()


async def test_who_is_no_worker_is_not_ended(tmp_path: Path, reaper: Systemd):
    reaper.program = "from station.worker import reaper; reaper.main('nobody')"
    process = await asyncio.create_subprocess_exec("sleep", "60")
    UnitStarter(tmp_path / "systemd", tmp_path / "reaper")._have_ended(os.pidfd_open(process.pid))
    assert await asyncio.to_thread((await reaper.nth(1)).wait, 30) == 1
    process.kill()  # it has not ended by then
    assert await process.wait() == -signal.SIGKILL


async def test_one_that_nobody_ends_is_told(systemd: Systemd, tmp_path: Path, directory):
    systemd.program = LASTS
    starter = UnitStarter(tmp_path / "systemd", tmp_path / "reaper")
    worker = await asyncio.to_thread(starter.start, directory)
    with capture_logs() as logs:
        worker.kill()
    assert [(line["event"], line["log_level"]) for line in logs] == [("a worker could not be ended", "critical")]
    worker.release()
    starter.close()


async def test_a_waiting_one_that_died_is_replaced(systemd: Systemd, tmp_path: Path, directory):
    systemd.program = "pass"
    starter = UnitStarter(tmp_path / "systemd", tmp_path / "reaper")
    await asyncio.to_thread(starter.prepare)
    await asyncio.to_thread((await systemd.nth(1)).wait, 30)
    systemd.program = WORKER
    worker = await asyncio.to_thread(starter.start, directory)
    assert worker.pid == (await systemd.nth(2)).pid
    await ended(worker)
    starter.close()


def test_none_can_be_had(tmp_path: Path, directory):
    with pytest.raises(StorageError, match="could not be started"):
        UnitStarter(tmp_path / "nobody", tmp_path / "reaper").start(directory)


def test_one_that_hangs_up_is_none(systemd: Systemd, tmp_path: Path, directory):
    systemd.program = "pass"
    with pytest.raises(StorageError, match="ended before"):
        UnitStarter(tmp_path / "systemd", tmp_path / "reaper").start(directory)


def test_one_that_never_says_hello_is_none(systemd: Systemd, tmp_path: Path, directory, monkeypatch):
    monkeypatch.setattr(workers, "HELLO_SECONDS", 0.1)
    systemd.program = "import os; os.read(0, 1)"
    with pytest.raises(StorageError, match="could not be started"):
        UnitStarter(tmp_path / "systemd", tmp_path / "reaper").start(directory)


@pytest.mark.system
async def test_the_real_one_says_hello_and_goes_when_nobody_is_left():
    ours, its = socket.socketpair()
    with ours, its:
        ours.settimeout(60)
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "station.worker", stdin=its.fileno())
        its.close()
        assert await asyncio.to_thread(ours.recv, 10) == b"\n"
    assert await process.wait() == 0
