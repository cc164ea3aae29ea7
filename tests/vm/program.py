"""The project on a disk of its own (`write_program`), which guests have where a station has it: compiled, read-only.

With a file system that is shared with the host, emulated processors take longer to find modules than to import them.
"""

import subprocess
import sys
from pathlib import Path
from shutil import rmtree

ROOT = Path(__file__).parents[2]
PROGRAM = Path("/opt/restore-station")
"""Where the guest has it, as where it was installed: units see nothing of /tmp."""
PYTHON = PROGRAM / ".venv/bin/python"
PARTS = ("station", "tests", "systemd", "deploy")
SIZE = "2G"
"""What is not used of it takes no room here."""


def write_program(place: Path) -> Path:
    """Write the disk into a directory; blocks for some seconds. Raises CalledProcessError, OSError."""
    tree, disk = place / "program", place / "program.ext4"
    try:
        tree.mkdir()
        _run("cp", "--archive", *(ROOT / part for part in PARTS), tree)
        _run("cp", "--archive", sys.prefix, tree / ".venv")
        compiled = [tree / "station", tree / "tests"]
        _run(sys.executable, "-m", "compileall", "-q", "-j", "2", "-s", tree, "-p", PROGRAM, *compiled)
        _run("chmod", "--recursive", "a+rX", tree)  # whatever umask it was checked out with: many users read it
        _run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, disk, SIZE)
    finally:
        rmtree(tree)
    return disk


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
