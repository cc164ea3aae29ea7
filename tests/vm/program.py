"""The project on a disk of its own (`write_program`), which guests have where a station has it: compiled, read-only.

With a file system that is shared with the host, emulated processors take longer to find modules than to import them.
"""

import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

ROOT = Path(__file__).parents[2]
PROGRAM = Path("/opt/restore-station")
"""Where the guest has it, as where it was installed: units see nothing of /tmp."""
PYTHON = PROGRAM / ".venv/bin/python"
PARTS = ("station", "tests", "systemd", "deploy")
ONLY_FOR_DEVELOPERS = ("mypy", "*__mypyc*", "jedi", "pip", "ruff")
"""Of the virtual environment, what is large and not asked for in a guest."""
SIZE = "2G"
"""What is not used of it takes no room here."""


def write_program(place: Path) -> Path:
    """Write the disk into a directory; blocks for some seconds. Raises CalledProcessError, OSError."""
    tree, disk = place / "program", place / "program.ext4"
    try:
        for part in PARTS:
            copytree(ROOT / part, tree / part, symlinks=True)
        copytree(sys.prefix, tree / ".venv", symlinks=True, ignore=ignore_patterns(*ONLY_FOR_DEVELOPERS))
        _run(
            sys.executable,
            "-m",
            "compileall",
            "-q",
            "-j",
            "2",
            "-s",
            tree,
            "-p",
            PROGRAM,
            tree / "station",
            tree / "tests",
        )
        _run("chmod", "--recursive", "a+rX", tree)  # whatever umask it was checked out with: many users read it
        _run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, disk, SIZE)
    finally:
        rmtree(tree)
    return disk


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
