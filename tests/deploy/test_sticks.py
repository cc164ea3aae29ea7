"""What mounts USB sticks: its rule, its unit, and what the directory of a stick is called."""

import re
import subprocess

import pytest

from tests.deploy.conftest import ROOT
from tests.deploy.test_units import unit

BASE = ROOT / "deploy/files/base"
SCRIPT = BASE / "usr/local/lib/restore-station/stick"
STICKS = (BASE / "etc/udev/rules.d/73-restore-station-sticks.rules").read_text()
GUARD = (ROOT / "deploy/files/usb-guard/etc/udev/rules.d/71-restore-station-usb-guard.rules").read_text()
STICK = "station-stick@.service"
OWN_MOUNTS = re.compile(
    "(Protect(System|Home|Kernel|Control|Proc|Hostname)|ProcSubset|Private(Tmp|Devices|Mounts|Network|Users|IPC)|Mount"
    "|Root|Temporary|.*Paths$)"
)
"""What systemd gives a unit mounts of its own for: nobody else would see what is mounted there."""


@pytest.mark.system
def test_a_label_is_made_harmless():
    names = {
        "KINGSTON": "KINGSTON",
        "MY STICK": "MY_STICK",
        "v1.2_a+b-c": "v1.2_a+b-c",
        "": "USB",
        "备份": "USB",
        "MÜLLER": "M_LLER",
        "..": "USB",
        "../../etc": "etc",
        ".hidden": "hidden",
        "-rf *": "rf",
        "$(reboot)`x`;'\"": "reboot_x",
        "one\ntwo\x1b[2J": "one_two_2J",
        "%n%s\\x2f": "n_s_x2f",
        "x" * 300: "x" * 32,
    }
    assert {label: called(label) for label in names} == names


def called(label: str) -> str:
    done = subprocess.run([SCRIPT, "name", label], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.removesuffix("\n")


def test_what_udev_asks_for_is_what_is_mounted():
    (kinds,) = re.findall(r'ENV\{ID_FS_TYPE\}=="([^"]+)"', STICKS)
    mounted = re.findall(r"^    (\w+)\) more=", SCRIPT.read_text(), re.MULTILINE)
    assert kinds.split("|") == mounted
    (wanted,) = re.findall(r'ENV\{SYSTEMD_WANTS\}\+="([^"]+)"', STICKS)
    assert wanted.replace("%k", "") == STICK
    # With != it would be true of any device: itself, or one of those that it is behind, is something else.
    assert re.findall(r'SUBSYSTEMS(..)"usb"', STICKS) == ["=="]
    path = "/" + str(SCRIPT.relative_to(BASE))
    assert unit(STICK)["ExecStart"] == f"{path} mount %i"
    assert unit(STICK)["ExecStopPost"] == f"{path} unmount %i"
    assert unit(STICK)["RuntimeDirectory"] in SCRIPT.read_text()


def test_what_is_mounted_is_for_all_to_see_and_goes_with_its_device():
    assert [name for name in unit(STICK) if OWN_MOUNTS.match(name)] == []
    assert unit(STICK, "Unit")["BindsTo"] == "dev-%i.device"


def test_nothing_on_a_stick_is_run():
    (options,) = re.findall(r'--options "([^"]+)"', SCRIPT.read_text())
    assert {"nosuid", "nodev", "noexec", "nosymfollow"} <= set(options.split(","))


def test_the_guard_lets_in_what_is_a_disk_and_nothing_else():
    rules = [line for line in GUARD.splitlines() if 'ENV{STATION_LET_IN}="stick"' in line]
    said = {re.findall(r'ENV\{ID_USB_INTERFACES\}=="([^"]+)"', line)[0] for line in rules}
    assert len(rules) == 2
    (interfaces,) = said
    assert re.fullmatch(r"(:0806(50|62))+:(\|(:0806(50|62))+:)*", interfaces)
    # At a root hub's own socket, or behind a Raspberry Pi 4's own hub; never behind another.
    assert [re.findall(r'KERNEL(..)"([^"]+)"', line) for line in rules] == [[("!=", "*.*")], [("==", "1-1.[1-4]")]]
