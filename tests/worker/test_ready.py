"""A worker that waits: it has nothing of anybody's yet, does the job that it is told, and goes when there is none."""

import asyncio
import os
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from station.adapters.jobdir import EventReader, JobDirectory
from station.model.events import FactsRead, Succeeded
from tests.worker.station_host import StationHost

STATE = """
import io, os, pathlib, sys, tempfile, threading
from station.worker import ready
sys.stdin = io.StringIO("")
assert ready.await_job() is None
assert not os.path.exists(ready.HOME)
from pymobiledevice3 import common
job = sys.argv[1]
os.makedirs(job + "/home"), os.makedirs(job + "/cwd"), os.chdir(job + "/cwd")
print(tempfile.tempdir, threading.active_count(), common._HOMEFOLDER.resolve())
"""


def test_getting_ready_settles_nothing_that_is_a_jobs_own(tmp_path: Path):
    home, beside = tmp_path / "home", tmp_path / "beside"  # as /home is beside where systemd starts it
    home.mkdir()
    beside.mkdir()
    environment = os.environ | {"HOME": str(home)}
    command = [sys.executable, "-c", STATE, str(tmp_path / "job")]
    told = subprocess.run(command, cwd=beside, env=environment, check=True, capture_output=True, timeout=30)
    temporary, threads, kept = told.stdout.decode().split()
    assert (temporary, threads) == ("None", "1")
    assert Path(kept).is_relative_to(tmp_path / "job" / "home")
    assert list(home.iterdir()) == []


@pytest.mark.system
async def test_a_waiting_worker_does_the_job_it_is_told(station: StationHost):
    phone = station.plug()
    directory = await asyncio.to_thread(JobDirectory.create, station.jobs, station.spec(phone, None))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "station.worker", stdin=PIPE, stdout=PIPE)
    await process.communicate(f"{directory.path}\n".encode())
    assert process.returncode == 0
    events = EventReader(directory).read()
    assert isinstance(events[-1], Succeeded)
    assert [event.facts.ecid for event in events if isinstance(event, FactsRead)] == [phone.identity.ecid]
    assert (directory.work / "log").exists()


@pytest.mark.system
@pytest.mark.parametrize("told", [b"", b"/half/a/li"])
async def test_a_worker_that_is_told_no_job_goes(told):
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "station.worker", stdin=PIPE)
    await process.communicate(told)
    assert process.returncode == 0


@pytest.mark.system
async def test_a_worker_whose_daemon_was_killed_goes():
    ours, its = socket.socketpair()
    with ours, its:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "station.worker", stdin=its.fileno(), stderr=PIPE
        )
        await asyncio.to_thread(ours.recv, 1, socket.MSG_PEEK)  # its hello, which nobody has read when the line is cut
    _, said = await process.communicate()
    assert (process.returncode, said) == (0, b"")


KEPT = """
import os
from station.worker import ready
ready._NEEDED, before = (), os.fstat(2).st_ino
ready.journal.is_connected = lambda: True
path = ready.await_job()
assert os.fstat(2).st_ino == before
assert os.fstat(1).st_ino == (path / "work" / "log").stat().st_ino
"""


def test_a_unit_keeps_the_journal_at_its_standard_error(tmp_path: Path):
    (tmp_path / "work").mkdir()
    line = f"{tmp_path}\n".encode()
    subprocess.run([sys.executable, "-c", KEPT], input=line, check=True, capture_output=True, timeout=30)
