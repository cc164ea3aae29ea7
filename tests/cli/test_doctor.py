"""`station doctor` as a process of its own, on machines that really lack what it is to find.

They are made with namespaces (unshare(1)): a network without a way out, or with a stranger at its end; a library that
is not there; a disk that is full. Where the kernel allows no such namespaces there is nothing to test with.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

import certifi
import pytest

from station.cli.hands_checkup import examine_pins, examine_screen
from station.cli.machine_checkup import examine_strength
from station.daemon.settings import load
from tests.cli.certificates import certificate
from tests.namespaces import UNSHARE, namespaces_are_allowed, needs_namespaces

pytestmark = pytest.mark.system

DOCTOR = (sys.executable, "-m", "station", "doctor")
APPLES = (
    *("gs.apple.com", "albert.apple.com", "wkms-public.apple.com", "gg.apple.com", "skl.apple.com"),
    *("itunes.apple.com", "captive.apple.com"),
    *("updates.cdn-apple.com", "secure-appldnld.apple.com", "appldnld.apple.com", "api.ipsw.me", "api.appledb.dev"),
)
STRANGER = Path(__file__).with_name("stranger.py")


NO_NETWORK = ("unshare", "--net") if os.getuid() == 0 and namespaces_are_allowed() else ()


def seen(said: str) -> dict[str, tuple[bool, str, str]]:
    """What it said: of each thing whether it is fine, what was found, and the remedy."""
    found: dict[str, tuple[bool, str, str]] = {}
    last = ""
    for line in said.splitlines():
        if line[:2] in ("✔ ", "✘ "):
            last, _, words = line[2:].partition(": ")
            found[last] = line[0] == "✔", words, ""
        elif line.startswith("    "):
            found[last] = (*found[last][:2], line.strip())
    return found


def run(tmp_path: Path, *around: str, before: str = "", user: tuple[str, ...] = (), **environment: str):
    """Run the doctor, in namespaces if some are named, after a shell command that makes them what they are to be."""
    settings = {"STATION_STATE": str(tmp_path / "state"), "STATION_SOCKET": str(tmp_path / "none")}
    settings |= {"STATION_RUNTIME": "/dev/shm", "USBMUXD_SOCKET_ADDRESS": str(tmp_path / "usbmuxd")}
    shell = ("sh", "-c", f'{before or ":"} && exec "$@"', "sh") if around else ()
    command = (*around, *shell, *user, *DOCTOR)
    told = os.environ | {"PYTHONPATH": str(Path.cwd())} | settings | environment
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=120, check=False, cwd="/")
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr, done.stderr
    return seen(done.stdout)


@needs_namespaces
def test_no_network_no_usbmuxd_and_no_disk_to_write_on(tmp_path):
    (tmp_path / "state").mkdir()
    full = (
        f"mount -t tmpfs -o size=64k tmpfs {tmp_path}/state && {{ head -c 1M /dev/zero >{tmp_path}/state/x || true; }}"
    )
    found = run(tmp_path, *UNSHARE, "--net", before=f"{full} 2>/dev/null", STATION_SUPPLY__FETCH="needed")
    fine, words, remedy = found["network"]
    assert not fine
    assert words == "No cable and no Wi-Fi leads out of here."
    assert "cable" in remedy
    assert "Apple's signing server" not in found  # one thing that is wrong is said once
    fine, words, remedy = found["disk for state"]
    assert not fine
    assert words == f"{tmp_path}/state: full"
    assert "larger disk" in remedy
    fine, words, remedy = found["usbmuxd"]
    assert not fine
    assert "does not answer" in words
    assert "apt install usbmuxd" in remedy or "systemctl restart usbmuxd" in remedy


@needs_namespaces
@pytest.mark.parametrize("portal", [True, False])
def test_a_stranger_at_the_end_of_the_network(tmp_path, portal):
    """All names lead to one machine: with a login page, or that opens what is encrypted and looks into it."""
    certificate(tmp_path, organization="Example Inspection", names=APPLES)
    (tmp_path / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *APPLES)))
    page = "Please log in" if portal else "<BODY>Success</BODY>"
    before = (
        f"mount --bind {tmp_path}/hosts /etc/hosts && ip link set lo up && ip address add 192.0.2.2/24 dev lo"
        f" && ip route add default via 192.0.2.1 dev lo && {sys.executable} {STRANGER} {tmp_path}/both.pem '{page}'"
    )
    found = run(tmp_path, *UNSHARE, "--net", "--pid", "--fork", "--kill-child", before=before)
    assert found["network"][0]
    fine, words, remedy = found["internet"]
    assert not fine
    if portal:
        assert "a login page answers in their place" in words
        assert "wants a login" in remedy
    else:
        assert "the certificate is from “Example Inspection”" in words
        assert "exempt these hosts" in remedy


@needs_namespaces
def test_one_host_that_is_blocked_is_named(tmp_path):
    """Whose name leads nowhere; all others lead to somebody who is trusted here."""
    certificate(tmp_path, organization="Example", names=APPLES)
    blocked = "gs.apple.com"
    hosts = "".join(f"{'127.0.0.2' if name == blocked else '127.0.0.1'} {name}\n" for name in ("localhost", *APPLES))
    (tmp_path / "hosts").write_text(hosts)
    before = (
        f"mount --bind {tmp_path}/hosts /etc/hosts && mount --bind {tmp_path}/certificate.pem {certifi.where()}"
        " && ip link set lo up && ip address add 192.0.2.2/24 dev lo && ip route add default via 192.0.2.1 dev lo"
        f" && {sys.executable} {STRANGER} {tmp_path}/both.pem '<BODY>Success</BODY>'"
    )
    around = (*UNSHARE, "--net", "--pid", "--fork", "--kill-child")
    found = run(tmp_path, *around, before=before, SSL_CERT_FILE=str(tmp_path / "certificate.pem"))
    fine, words, remedy = found["Apple's signing server"]
    assert not fine
    assert words == "gs.apple.com refuses the connection"
    assert "firewall" in remedy
    for others in ("Apple's activation server", "Apple's calibration servers", "firmware lists", "firmware servers"):
        assert found[others][0], found[others]


@needs_namespaces
@pytest.mark.skipif(not any(Path("/usr/lib").glob("*/libgbm.so.1")), reason="libgbm is not installed")
def test_no_gl(tmp_path):
    """The kiosk is set up, and a library is a file that is none."""
    (library,) = {path.resolve() for path in Path("/usr/lib").glob("*/libgbm.so.1")}
    units = tmp_path / "units"
    units.mkdir()
    (units / "station-screen.service").touch()
    before = f"mount --bind {units} /etc/systemd/system && mount --bind /dev/null {library}"
    found = run(tmp_path, *UNSHARE, "--net", before=before)
    fine, words, remedy = found["drawing (GL, EGL, GBM)"]
    assert not fine
    assert "black" in words
    assert "apt install libgl1-mesa-dri libgbm1;" in remedy


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="becomes a user without groups")
def test_a_missing_group_and_a_socket_that_is_not_for_everybody():
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    reading = [*as_nobody, sys.executable, "-c", "import station.cli.main"]
    if subprocess.run(reading, check=False, capture_output=True, timeout=60, cwd=Path.cwd()).returncode:
        pytest.skip("nobody may not read the program here")
    with TemporaryDirectory(dir="/tmp") as place:  # the directory of tests is root's alone
        open_to_all = Path(place)
        open_to_all.chmod(0o755)
        shut = open_to_all / "shut"
        shut.mkdir(mode=0o700)
        socket = {"USBMUXD_SOCKET_ADDRESS": str(shut / "usbmuxd")}
        found = run(open_to_all, *NO_NETWORK, user=as_nobody, before="", **socket)
    fine, words, remedy = found["group plugdev"]
    assert not fine
    assert words in (
        "this user is not in it, and may not read phones in recovery mode",
        "does not exist, so this user may not read phones in recovery mode",
    )
    assert "usermod -aG plugdev" in remedy
    fine, words, remedy = found["usbmuxd"]
    assert not fine
    assert "does not let this user speak with it" in words
    assert "sudo station doctor" in remedy


def test_a_clock_that_was_never_set(tmp_path):
    compiler = sysconfig.get_config_var("CC").split()[0]
    if shutil.which(compiler) is None:
        pytest.skip("there is no compiler")
    around = (*UNSHARE, "--net") if namespaces_are_allowed() else ()
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <time.h>\n"
        "int clock_gettime(clockid_t which, struct timespec *now) {\n"
        '  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");\n'
        "  int told = real(which, now);\n"
        "  if (which == CLOCK_REALTIME) now->tv_sec = 86400;\n"
        "  return told;\n}\n"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    found = run(tmp_path, *around, before="", LD_PRELOAD=str(library), STATION_SUPPLY__FETCH="never")
    fine, words, remedy = found["clock"]
    assert not fine
    assert words == "it says 02 January 1970: it was never set"
    assert "RTC" in remedy


def test_a_machine_without_pins_and_without_a_display(tmp_path):
    found = {each.what: each for each in examine_pins(load(state=tmp_path), daemon_runs=False, root=tmp_path)}
    assert not found["pins (GPIO)"].fine
    assert "Raspberry Pi OS" in found["pins (GPIO)"].remedy
    (only,) = examine_screen(tmp_path)
    assert only.fine  # none is set up here, so none is missed
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/station-screen.service").touch()
    found = {each.what: each for each in examine_screen(tmp_path)}
    assert not found["display (KMS)"].fine
    assert "vc4-kms-v3d" in found["display (KMS)"].remedy
    (tmp_path / "dev/dri").mkdir(parents=True)
    (tmp_path / "dev/dri/card1").touch()
    for socket, status in (("HDMI-A-1", "disconnected"), ("Writeback-1", "unknown")):
        (tmp_path / f"sys/class/drm/card1-{socket}").mkdir(parents=True)
        (tmp_path / f"sys/class/drm/card1-{socket}/status").write_text(f"{status}\n")
    found = {each.what: each for each in examine_screen(tmp_path)}
    assert found["display (KMS)"].found == "none is connected (looked at: HDMI-A-1)"
    (tmp_path / "sys/class/drm/card1-HDMI-A-1/status").write_text("connected\n")
    found = {each.what: each for each in examine_screen(tmp_path)}
    assert found["display (KMS)"].fine


def test_who_may_use_no_network_does_not_say_that_there_is_none(tmp_path):
    """The daemon gathers the logs for a stick, and what the doctor says is among them."""
    found = run(tmp_path, user=(sys.executable, str(Path(__file__).with_name("without_inet.py"))))
    fine, words, _ = found["network"]
    assert fine
    assert "cannot be looked at from here" in words
    assert "internet" not in found


def test_a_socket_that_systemd_does_not_listen_at(tmp_path):
    sockets = {"STATION_WORKERS": str(tmp_path / "w"), "STATION_GATEWAY": "/dev/null", "STATION_FETCHER": "/nowhere"}
    found = run(tmp_path, *NO_NETWORK, before="", user=(), **sockets)
    for what in ("workers", "downloads", "way out (gateway)"):
        fine, words, remedy = found[what]
        assert not fine
        assert "nobody listens" in words
        assert "systemctl restart station-" in remedy


def test_a_supply_that_is_too_weak(tmp_path, monkeypatch):
    monitor = tmp_path / "sys/class/hwmon/hwmon0"
    monitor.mkdir(parents=True)
    (monitor / "name").write_text("rpi_volt\n")
    (monitor / "in0_lcrit_alarm").write_text("0\n")
    settings = load(state=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # without the firmware's program
    (supply, *_) = examine_strength(settings, root=tmp_path)
    assert supply.fine
    (monitor / "in0_lcrit_alarm").write_text("1\n")
    (supply, *_) = examine_strength(settings, root=tmp_path)
    assert supply.found == "gives too little now"
    assert "hub with a supply of its own" in supply.remedy
    (monitor / "in0_lcrit_alarm").write_text("0\n")
    program = tmp_path / "vcgencmd"
    program.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50000\n')
    program.chmod(0o755)
    (supply, *_) = examine_strength(settings, root=tmp_path)
    assert supply.found == "gave too little since the machine was switched on"
    assert not supply.fine
