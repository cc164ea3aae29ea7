"""What the timers run, under the real systemd and as delivered; and what the real journal makes of a job's lines."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from station.adapters.firmware import FirmwareStore
from tests.firmware.tiny import tiny_ipsw
from tests.records.conftest import fill
from tests.vm.guest import Guest
from tests.vm.program import PROGRAM, PYTHON

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1200)]

PATIENCE = 400.0
"""Seconds for whatever takes less than forty on an idle machine: three times Python, and what it imports."""
UNITS = "/run/systemd/system"
STATE = "/var/lib/restore-station"
PLACE = "/media/copies"
PEOPLE = PROGRAM / "deploy/files/base/etc/sysusers.d/restore-station.conf"
CHORES = ("check", "copy")
HERE = f"""
[Service]
Environment=PYTHONPATH={PROGRAM} STATION_RECORDS_COPIES={PLACE} STATION_FIRMWARE={STATE}/firmware
ExecStart=
ExecStart={PYTHON} -m station upkeep CHORE --quiet 0
"""
SETUP = f"""
set -e
systemd-sysusers {PEOPLE}
cp {PROGRAM}/systemd/station-check.* {PROGRAM}/systemd/station-copy.* {UNITS}
for chore in {" ".join(CHORES)}; do
    mkdir -p {UNITS}/station-$chore.service.d
    printf '%s' "$HERE" | sed "s/CHORE/$chore/" >{UNITS}/station-$chore.service.d/here.conf
done
mkdir -p {STATE} {PLACE}
cp -r "$1"/. {STATE}
chown -R restore-station:restore-station {STATE}
mount -t tmpfs -o size=64m,uid=$(id -u restore-station),mode=700 copies {PLACE}
systemctl daemon-reload
"""
AWAY = f"""
systemctl stop station-check.timer station-copy.timer station-check station-copy
umount {PLACE}
rm -rf {PLACE} {STATE} {UNITS}/station-check.* {UNITS}/station-copy.*
systemctl daemon-reload
systemctl reset-failed
for one in screen worker reaper gateway; do userdel restore-station-$one; done
userdel restore-station
groupdel gpio
"""


@pytest_asyncio.fixture(loop_scope="session")
async def night(guest: Guest) -> AsyncIterator[Guest]:
    """A guest with the chores' units, a chain of records, and firmware."""
    state = guest.out / "state"
    await fill(state)
    source = tiny_ipsw(guest.out / "source", "26.2.1", "23C71", ("iPhone13,2",), {"000-1.dmg": b"image" * 9999})
    FirmwareStore(state / "firmware", reserve=0).import_ipsw(source)
    await guest.check("env", f"HERE={HERE}", "sh", "-c", SETUP, "sh", str(state))
    yield guest
    await guest.run("sh", "-c", AWAY, seconds=PATIENCE)


async def test_all_is_read_again_and_copied(night: Guest):
    await night.check("systemctl", "start", "--wait", "station-check", seconds=PATIENCE)
    said = await entries(night, "_SYSTEMD_UNIT=station-check.service")
    assert any("Everything is as it was written" in each for each in said), said
    for chore in ("records", "firmware"):
        note = json.loads(await night.check("cat", f"{STATE}/upkeep/{chore}.json"))
        assert note["good"], note
    await night.check("systemctl", "start", "--wait", "station-copy", seconds=PATIENCE)
    names = (await night.check("ls", PLACE)).split()
    assert len(names) == 1
    assert names[0].startswith("restore-station-records-")
    await night.check("sed", "-i", "s/job-2/job-9/", f"{STATE}/proof/station/records/000002.json")
    assert (await night.run("systemctl", "start", "--wait", "station-check", seconds=PATIENCE)).code != 0
    note = json.loads(await night.check("cat", f"{STATE}/upkeep/records.json"))
    assert not note["good"]
    assert "000002.json" in note["detail"]
    for chore in CHORES:
        await night.check("systemctl", "start", f"station-{chore}.timer")
    listed = await night.check("systemctl", "list-timers", "--no-pager", "station-*")
    assert all(f"station-{chore}.timer" in listed for chore in CHORES)


async def test_lines_about_a_job_are_found_by_it(guest: Guest):
    program = (
        "import structlog; from station.cli.logs import log_to_stderr; log_to_stderr();"
        " structlog.get_logger().info('worker started', job='job-7', bay='3', ecid=0x1A2B)"
    )
    options = ("--property=Type=oneshot", "--collect", f"--setenv=PYTHONPATH={PROGRAM}", "--quiet", "--wait")
    await guest.check("systemd-run", *options, str(PYTHON), "-c", program, seconds=PATIENCE)
    for match in ("JOB=job-7", "BAY=3", "ECID=0x0000000000001A2B"):
        (only,) = await entries(guest, match)
        assert "worker started" in only


async def entries(guest: Guest, match: str) -> list[str]:
    """The messages of all entries that fit."""
    await guest.check("journalctl", "--sync")
    told = await guest.check("journalctl", "--output=json", "--no-pager", match)
    return [json.loads(line)["MESSAGE"] for line in told.splitlines()]
