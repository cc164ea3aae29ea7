"""What the kernel holds a worker to."""

import configparser
import resource
import subprocess
import sys
from pathlib import Path

CONFINED = """
import os, resource
from pathlib import Path
from station.model.service import Service
from station.worker.confine import confine
confine(Path({directory!r}), service={service}, keeper=os.getppid(), log=os.dup(1))
"""


def confined(directory: Path, program: str, service: str = "None") -> str:
    """What a confined process prints."""
    code = CONFINED.format(directory=str(directory), service=service) + program
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=30, stdout=subprocess.PIPE, text=True)
    return ended.stdout


def test_memory_has_an_end(tmp_path):
    program = "print(len(bytearray(200 << 20)), flush=True)\ntry: bytearray(384 << 20)\nexcept MemoryError: print('no')"
    assert confined(tmp_path, program).split() == [str(200 << 20), "no"]


def test_a_worker_dies_of_want_before_the_daemon(tmp_path):
    ours = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(confined(tmp_path, "print(Path('/proc/self/oom_score_adj').read_text())")) == max(500, ours)
    units = Path(__file__).parents[2] / "systemd"
    unit = configparser.ConfigParser(strict=False)
    unit.read(units / "station-worker@.service")  # which is a memory of its own: the daemon is not in it
    assert (unit["Service"]["MemoryMax"], unit["Service"]["OOMPolicy"]) == ("1G", "kill")


def test_its_files_are_its_own(tmp_path):
    printed = confined(tmp_path, "print(os.environ['HOME'], os.environ['TMPDIR'], os.getcwd(), os.umask(0))").split()
    assert printed == [str(tmp_path / "home"), str(tmp_path / "home"), str(tmp_path / "cwd"), str(0o007)]


def test_only_a_backup_has_large_files(tmp_path):
    program = "print(resource.getrlimit(resource.RLIMIT_FSIZE)[0])"
    assert int(confined(tmp_path, program)) == 64 << 20
    assert int(confined(tmp_path, program, "Service.RESTORE")) == 64 << 20
    assert int(confined(tmp_path, program, "Service.BACKUP")) == resource.getrlimit(resource.RLIMIT_FSIZE)[1]
