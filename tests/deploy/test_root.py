"""`deploy/install` in a fresh Debian: packages, Python, users, units. Twice, and away again."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT, listing

pytestmark = [
    pytest.mark.system,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.getuid() != 0, reason="makes a root file system, with owners and device nodes"),
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="there is no mmdebstrap"),
]

RELEASES = ("bookworm", "trixie")
"""Of Debian, and so of Raspberry Pi OS."""
HERE = "/src"
"""Where the project is in there."""
ENTER = """
set -e
mount --make-rprivate /
mount --rbind /dev "$0/dev"
mount -t proc proc "$0/proc"
for path in $SHARED; do mount --rbind "$path" "$0$path"; done
exec chroot "$0" "$@"
"""
"""Whatever is mounted is gone with the namespaces, and was never seen by anybody outside."""

NAMED = re.compile("restore.station|/station")
"""What is the station's by its name."""

Run = Callable[..., str]


@pytest.fixture(scope="module", params=RELEASES)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Debian with an init, and nothing else: Raspberry Pi OS Lite has more."""
    place = tmp_path_factory.mktemp("root")
    root, release = place / "root", request.param
    ours = next(Path("/etc/apt", name) for name in ("sources.list.d/debian.sources", "sources.list"))
    sources = place / ours.name  # this machine's mirrors
    sources.write_text(ours.read_text().replace(platform.freedesktop_os_release()["VERSION_CODENAME"], release))
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", '--aptopt=APT::Sandbox::User "root"']
    subprocess.run([*command, "--include=systemd-sysv,udev,ca-certificates", release, root, sources], check=True)
    (root / "etc/apt/apt.conf.d/90root").write_text('APT::Sandbox::User "root";\n')
    (root / "src").mkdir()
    for part in (
        "station",
        "deploy",
        "systemd",
        "README.md",
        "LICENSE",
        "pyproject.toml",
    ):  # as they are at this moment
        subprocess.run(["cp", "--recursive", "--no-dereference", ROOT / part, root / "src"], check=True)
    for path in _shared():
        if path.is_dir():
            (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
        else:
            (root / path.relative_to("/")).touch()
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def run(fresh: Path) -> Run:
    """Runs a program in there as root, to its end; what it says."""

    def run(*command: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        environment |= {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "SHARED": " ".join(map(str, _shared())),
        }
        unshared = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, str(fresh), *command]
        done = subprocess.run(unshared, env=environment, capture_output=True, text=True, check=False, timeout=2400)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def _shared() -> list[Path]:
    """How this machine reaches the network and Python's packages, and those that it has already."""
    asked = subprocess.run(["pip", "cache", "dir"], capture_output=True, text=True, check=False, timeout=60)
    cache = asked.stdout.strip()
    found = [Path(path) for path in ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs", cache, *_links())]
    return [path.resolve() if str(path) == cache else path for path in found if path.is_absolute() and path.exists()]


def _links() -> list[str]:
    return os.environ.get("PIP_FIND_LINKS", "").split()


def test_installed_twice_and_uninstalled(fresh: Path, run: Run):
    install = f"{HERE}/deploy/install"
    before = listing(fresh)
    says = run(install, "--dry-run", "--name", "Counter 1")
    assert listing(fresh) == before, "a dry run changed something"
    assert "Debian packages:" in says

    says = run(install, "--name", "Counter 1", "--policy", "walk-up")
    assert "Python packages" in says
    assert "Usage" in run("station", "--help")
    run("/opt/restore-station/.venv/bin/python", "-c", "import lgpio")  # where there is no wheel of it, it was built
    groups = run("runuser", "-u", "restore-station", "--", "id", "-nG").split()
    assert {"restore-station", "plugdev", "gpio", "systemd-journal"} == set(groups)
    assert run("systemctl", "is-enabled", "station.service", "station-screen.service").split() == ["enabled"] * 2
    for program in (fresh / "opt/restore-station/station").rglob("*"):
        assert program.stat().st_uid == 0, program
        assert not program.stat().st_mode & 0o022, program

    installed = listing(fresh)
    assert "Nothing to change" in run(install)
    assert different(installed, listing(fresh)) == []

    record = fresh / "var/lib/restore-station/records.db"
    record.parent.mkdir()
    record.write_text("a record")
    shutil.chown(record, 990, 990)
    says = run("/opt/restore-station/deploy/install", "--uninstall")  # as whoever has no other copy any more does
    left = [path for path in listing(fresh) if NAMED.search(path) and path not in before]
    assert sorted(left) == [
        "etc/restore-station",
        "etc/restore-station/station.toml",
        "var/lib/restore-station",
        "var/lib/restore-station/records.db",
    ]
    assert speaking_of_it(fresh) == []
    assert "Left: /var/lib/restore-station" in says
    assert "Left: /etc/restore-station/station.toml" in says
    assert "Left: Debian packages" in says
    assert not os.path.lexists(fresh / "etc/systemd/system/getty@tty1.service")


def different(one: dict[str, tuple[object, ...]], two: dict[str, tuple[object, ...]]) -> list[str]:
    """What is not in both, or not alike."""
    return sorted(path for path in one.keys() | two.keys() if one.get(path) != two.get(path))


def speaking_of_it(root: Path) -> list[str]:
    """The configuration in which the station, or one of its users, is named."""
    command = ["grep", "-rlIE", "restore-station|Restore Station", "etc", "usr/local", "opt"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout.split()
    return sorted(path for path in found if not path.endswith("-"))  # /etc/passwd- is how it was before the last change
