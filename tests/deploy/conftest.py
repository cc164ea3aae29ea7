"""What the tests of `deploy/install` share: the program itself, and a root file system that it may fill."""

import os
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "deploy/install"
COMMAND_LINE = "console=serial0,115200 console=tty1 root=PARTUUID=1-02 rootwait"
LOGINS = "UID_MAX 60000\nGID_MAX 60000\nUSERGROUPS_ENAB yes\n"
DEBIANS = "[Service]\nExecStart=/usr/sbin/usbmuxd --user usbmux --systemd\n"
"""What Debian's own unit of usbmuxd says."""

Install = Callable[..., str]


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """What `deploy/install --root` needs of a Raspberry Pi's system."""
    system = tmp_path / "system"
    (system / "etc").mkdir(parents=True)
    (system / "boot/firmware").mkdir(parents=True)
    (system / "boot/firmware/cmdline.txt").write_text(COMMAND_LINE + "\n")
    (system / "etc/hostname").write_text("raspberrypi\n")
    (system / "etc/hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n")
    (system / "etc/login.defs").write_text(LOGINS)
    for file in ("passwd", "group"):
        (system / "etc" / file).write_bytes(Path("/etc", file).read_bytes())
    return system


@pytest.fixture
def install(system: Path) -> Install:
    """Runs it there, and gives what it says."""

    def install(*options: str) -> str:
        done = subprocess.run(
            [INSTALL, "--root", system, *options], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return install


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything in a directory: path to kind, mode, owner, time of change and content."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            status = path.lstat()
            content = ""
            if path.is_symlink():
                content = str(path.readlink())
            elif path.is_file():
                content = sha256(path.read_bytes()).hexdigest()
            attributes = (oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns)
            found[str(path.relative_to(root))] = (*attributes, content)
    return found
