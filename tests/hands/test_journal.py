"""The journal's fields, as a real datagram socket at the journal's place gets them from real processes.

libsystemd knows one place only, below /run: it is another one in a namespace of its own.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from station.adapters.journal import MOST_JOBS, Fields, JournalLogger, is_connected
from tests.hands.journal_reader import parse, receive
from tests.namespaces import UNSHARE, needs_namespaces

Entries = list[dict[str, str]]

END = ("END", b"1")
"""Nobody's line but the test's own, the last."""

DAEMON = """
import structlog
from station.cli.logs import log_to_stderr
log_to_stderr()
log = structlog.get_logger("station.daemon")
log.info("station is up", bays=2)
log.info("worker started", job="job-1", bay="3", ecid=0x1A2B, pid=7)
log.warning("worker killed", job="job-1")
log.info("ruling", ecid=0x1A2B, bay="3", reason="two\\nlines", password="hunter2", PRIORITY="0", pin="1234")
try:
    raise ValueError("deep")
except ValueError:
    log.exception("broken", job="job-2", bay="x" * 300000)
"""


@pytest.fixture
def under_systemd() -> Iterator[Callable[[str], Entries]]:
    """Runs a program as systemd would: its standard error is a stream that it is told of, and the journal listens."""
    with TemporaryDirectory(dir="/tmp") as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        at = f"{place}/systemd/journal/socket"
        Path(at).parent.mkdir(parents=True)
        journal.bind(at)

        def listen(entries: Entries) -> None:
            while END not in (fields := receive(journal)):
                assert len(dict(fields)) == len(fields)  # none twice: a second PRIORITY would count too
                entries.append({name: value.decode() for name, value in fields})

        def run(program: str) -> Entries:
            ours, theirs = socket.socketpair()
            entries: Entries = []
            listening = threading.Thread(target=listen, args=(entries,))
            with ours, theirs, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                there = os.fstat(theirs.fileno())
                stream = {"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino}", "PYTHONPATH": str(Path.cwd())}
                inside = (*UNSHARE, "sh", "-c", f'mount --bind {place} /run && exec "$@"', "sh")
                command = [*inside, sys.executable, "-c", program]
                listening.start()
                try:
                    subprocess.run(command, env=os.environ | stream, stderr=theirs.fileno(), check=True, timeout=60)
                finally:
                    last.sendto(b"END=1\n", at)
                    listening.join()
            return entries

        yield run


@needs_namespaces
@pytest.mark.system
def test_the_daemons_lines_have_fields(under_systemd):
    up, started, killed, ruling, broken = under_systemd(DAEMON)
    assert up["MESSAGE"] == 'level=info event="station is up" bays=2'
    assert not {"JOB", "BAY", "ECID"} & up.keys()
    whose = {"JOB": "job-1", "BAY": "3", "ECID": "0x0000000000001A2B"}
    assert {name: started[name] for name in whose} == whose
    assert started["PRIORITY"] == "6"
    assert {name: killed[name] for name in whose} == whose  # known from the line before
    assert killed["PRIORITY"] == "4"
    # Whatever else is said is words, whoever chose them: it is no field, and stands for none.
    assert ruling.keys() == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "CODE_FILE", "BAY", "ECID"}
    assert ruling["PRIORITY"] == "6"
    assert broken["PRIORITY"] == "3"
    assert "ValueError: deep" in broken["MESSAGE"]
    assert len(broken["BAY"]) == 300000  # longer than a datagram: it came as a file


@needs_namespaces
@pytest.mark.system
def test_the_workers_own_words_have_fields_and_nobody_elses_are_there(under_systemd):
    entries = under_systemd(
        """
import logging
from station.worker import job
from tests.hands.worker_spec import SPEC
logging.getLogger("station").addHandler(job._Journal(SPEC))
logging.getLogger("station").setLevel(logging.INFO)
logging.getLogger("station.worker.look").info("the phone says %s", "x\\x1b[31m\\nJOB=other")
logging.getLogger("pymobiledevice3").warning("EscrowBag: %s", "secret")
for number in range(2000):
    logging.getLogger("station.worker.look").info("again")
"""
    )
    first = entries[0]
    assert {name: first[name] for name in ("JOB", "BAY", "ECID")} == {
        "JOB": "job-1",
        "BAY": "3",
        "ECID": "0x0000000000001A2B",
    }
    assert first["MESSAGE"].isprintable()
    assert not any("secret" in json.dumps(entry) for entry in entries)
    assert len(entries) == 1000
    assert entries[-1]["MESSAGE"] == "The rest is in the job's own log."


@needs_namespaces
@pytest.mark.system
def test_a_worker_of_its_own_tells_what_became_of_its_job(under_systemd, tmp_path):
    entries = under_systemd(
        f"""
from pathlib import Path
from station.adapters.jobdir import JobDirectory
from station.worker import keeper
from tests.hands.worker_spec import SPEC
keeper.main(JobDirectory.create(Path({str(tmp_path)!r}), SPEC).path)
"""
    )
    assert entries[-1]["MESSAGE"].startswith("failed: ")
    assert entries[-1]["PRIORITY"] == "3"
    assert {entry["JOB"] for entry in entries} == {"job-1"}
    assert (tmp_path / "job-1/work/log").read_text()


def test_a_stream_that_systemd_did_not_give_is_none(monkeypatch):
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert not is_connected()
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")  # of the terminal that this was started in
    assert not is_connected()
    assert not is_connected(os.getppid())


def test_a_line_that_is_no_text_is_written_all_the_same(capfd):
    line = "odd: " + os.fsdecode(b"Andr\xe9")
    JournalLogger().msg(line, level="info", about={"job": line})
    assert capfd.readouterr().err == "odd: Andr?\n"


def test_what_is_known_of_jobs_is_bounded():
    fields = Fields(lambda *_: "text")
    for number in range(3 * MOST_JOBS):
        fields(None, "info", {"job": f"job-{number}", "bay": "1", "ecid": number})
    assert len(fields._jobs) == MOST_JOBS
    _, told = fields(None, "info", {"job": f"job-{3 * MOST_JOBS - 1}"})
    assert told["about"] == {"job": f"job-{3 * MOST_JOBS - 1}", "bay": "1", "ecid": 3 * MOST_JOBS - 1}


def test_the_reader_knows_the_protocol():
    assert parse(b"A=1\nB\n\x03\0\0\0\0\0\0\0x\ny\nC=\n") == [("A", b"1"), ("B", b"x\ny"), ("C", b"")]
    with pytest.raises(ValueError, match="does not end"):
        parse(b"A=1")
