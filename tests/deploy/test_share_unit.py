"""What the unit that shares firmware may do; and that nobody shares who did not ask for it."""

import shutil
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT, Install
from tests.deploy.test_units import exposure, unit


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_exposure():
    assert exposure(ROOT / "systemd/station-share.service") <= 1.5


def test_it_sees_the_store_and_can_be_reached_at_its_port_only():
    shares = unit("station-share.service")
    assert shares["ExecStart"].endswith("--store ${STORE}")
    store = shares["Environment"].removeprefix("STORE=")
    assert store.removesuffix("/firmware") == f"/var/lib/{unit('station.service')['StateDirectory']}"
    assert f"BindReadOnlyPaths=-{store}\n" in (ROOT / "systemd/station-share.service").read_text()
    assert shares["SocketBindAllow"] == "tcp:8750"


@pytest.mark.system
def test_it_does_not_start_by_itself_and_stays_started(system: Path, install: Install):
    install()
    wants = system / "etc/systemd/system/multi-user.target.wants"
    assert {each.name for each in wants.iterdir() if each.name.startswith("station")} >= {"station.service"}
    assert not (wants / "station-share.service").is_symlink()
    (wants / "station-share.service").symlink_to("../station-share.service")
    install("--no-kiosk")
    assert (wants / "station-share.service").is_symlink()
