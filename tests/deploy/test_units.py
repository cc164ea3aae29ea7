"""What the delivered units may do, by systemd's own reckoning; and that what they name is there."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from station.model.job import GATEWAY
from station.worker.ready import RUNTIME_SECONDS
from station.worker.reaper import WORKERS
from tests.deploy.conftest import DEBIANS, ROOT

FILES = ROOT / "deploy/files"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")


@needs_systemd
@pytest.mark.parametrize(
    ("unit", "most"), [("station.service", 1.0), ("station-screen.service", 0.8), ("station-gateway.service", 1.2)]
)
def test_exposure(unit: str, most: float):
    assert exposure(ROOT / "systemd" / unit) <= most


@needs_systemd
@pytest.mark.parametrize("template", ["worker", "reaper", "fetcher"])
def test_exposure_of_what_the_daemon_asks_for(tmp_path: Path, template: str):
    instance = tmp_path / f"station-{template}@1.service"
    shutil.copy(ROOT / f"systemd/station-{template}@.service", instance)
    assert exposure(instance) <= 1.2


def test_who_may_ask_for_a_worker_its_end_and_a_way_out():
    daemon, worker = unit("station.service")["User"], unit("station-worker@.service")["User"]
    for name, user in {
        "station-worker.socket": daemon,
        "station-reaper.socket": daemon,
        "station-gateway.socket": worker,
        "station-fetcher.socket": daemon,
    }.items():
        listening = unit(name, "Socket")
        assert (listening["SocketUser"], listening["SocketMode"]) == (user, "0600")
        assert listening["ListenStream"] in unit("station.service")["Environment"]
        assert name in unit("station.service", "Unit")["Wants"].split()
    assert unit("station-gateway.socket", "Socket")["ListenStream"].replace("%t", "/run") == GATEWAY


def test_who_ends_workers_is_neither_they_nor_the_daemon():
    worker, reaper, daemon = map(unit, ("station-worker@.service", "station-reaper@.service", "station.service"))
    assert len({worker["User"], reaper["User"], daemon["User"]}) == 3
    assert worker["User"] == WORKERS
    assert worker["Group"] == daemon["Group"] != reaper["Group"]  # what each of the two leaves for the other
    assert reaper["CapabilityBoundingSet"] == "CAP_KILL"


def test_a_worker_may_work_as_long_as_it_believes():
    assert unit("station-worker@.service")["RuntimeMaxSec"] == f"{RUNTIME_SECONDS // 3600}h"


def test_what_begins_as_root_may_do_as_the_station():
    first_boot = (FILES / "first-boot/etc/systemd/system/restore-station-first-boot.service").read_text()
    (may,) = re.findall("^CapabilityBoundingSet=(.*)", first_boot, re.MULTILINE)
    assert {"CAP_SETUID", "CAP_SETGID"} < set(may.split())


def test_none_takes_all_memory_or_all_processes():
    drop_in = "usbmuxd.service.d/restore-station.conf"
    for name in [file.name for file in (ROOT / "systemd").glob("*.service")] + [drop_in]:
        assert {"MemoryMax", "TasksMax"} <= unit(name).keys(), name


def test_few_units_have_a_network():
    with_network = {
        file.name
        for file in (ROOT / "systemd").glob("*.service")
        if "AF_INET" in unit(file.name).get("RestrictAddressFamilies", "AF_INET")
    }
    # What lets other stations have firmware is there to be reached.
    assert with_network - {"station-share.service"} == {"station-gateway.service", "station-fetcher@.service"}


@needs_systemd
@pytest.mark.parametrize("chore", ["check", "copy"])
def test_exposure_of_what_is_done_at_night(chore: str):
    assert exposure(ROOT / f"systemd/station-{chore}.service") <= 0.5


@pytest.mark.parametrize("chore", ["check", "copy"])
def test_what_is_done_at_night_waits_for_nobody_and_slows_nobody(chore: str):
    timer = (ROOT / f"systemd/station-{chore}.timer").read_text()
    assert "Persistent=true" in timer
    assert "RandomizedDelaySec=" in timer
    service = unit(f"station-{chore}.service")
    assert (service["Nice"], service["IOSchedulingClass"]) == ("19", "idle")
    assert service["User"] == unit("station.service")["User"]
    assert service["PrivateNetwork"] == "yes"
    hours = int(service["ExecStart"].split("--hours ")[1])
    assert service["RuntimeMaxSec"] == f"{hours + 1}h"


@needs_systemd
def test_exposure_of_what_mounts_sticks(tmp_path: Path):
    """It mounts for others, so most of what would confine it is not for it (station-stick@.service)."""
    instance = tmp_path / "station-stick@sda1.service"
    shutil.copy(ROOT / "systemd/station-stick@.service", instance)
    assert exposure(instance) <= 3.8


@needs_systemd
def test_exposure_of_usbmuxd(tmp_path: Path):
    shutil.copytree(ROOT / "systemd/usbmuxd.service.d", tmp_path / "usbmuxd.service.d")
    (tmp_path / "usbmuxd.service").write_text(DEBIANS)
    assert exposure(tmp_path / "usbmuxd.service") <= 1.5


def exposure(unit: Path) -> float:
    """From 0, nothing, to 10, everything."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    found = re.search(r"exposure level for .*: ([0-9.]+)", said)
    assert found, said
    return float(found[1])


def test_each_has_a_user_that_is_made():
    names = re.findall(r"^u +([\w-]+)", sysusers(), re.MULTILINE)
    services = [f"station{name}.service" for name in ("", "-screen", "-worker@", "-reaper@", "-gateway")]
    users = {unit(name)["User"] for name in services}
    assert users == set(names)


def test_the_screen_reaches_the_daemons_socket_and_nobody_else_does():
    daemon = unit("station.service")
    assert daemon["Group"] == "restore-station"
    assert daemon["RuntimeDirectoryMode"] == "0750"
    members = re.findall(r"^m +([\w-]+) +restore-station$", sysusers(), re.MULTILINE)
    assert members == [unit("station-screen.service")["User"]]


def test_power_off_is_for_the_daemons_user():
    rule = (FILES / "base/etc/polkit-1/rules.d/50-restore-station.rules").read_text()
    assert re.findall(r'subject\.user == "([^"]+)"', rule) == [unit("station.service")["User"]]


def sysusers() -> str:
    """Who is made."""
    return (FILES / "base/etc/sysusers.d/restore-station.conf").read_text()


def unit(name: str, section: str = "Service") -> dict[str, str]:
    """What it says in a section; of what is said twice, the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says to
    parser.read(ROOT / "systemd" / name)
    return dict(parser[section])
