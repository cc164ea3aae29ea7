"""The station's disk is full: before START, at the confirmation, in the middle of a restore.

The state directory is a small file system of its own, which anybody may mount in a user namespace of their own
(unshare(1)); it is made smaller than what is in it to be full. Where the kernel allows no such namespaces there is
nothing to test with.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, Lamp, OperatorConfirm, Start
from station.model.causes import EXPLANATIONS, Cause
from station.model.record import Outcome
from station.model.service import Service
from tests.system.firmware import BUILD
from tests.system.rig import Rig, Station, Window, make_rig

pytestmark = pytest.mark.system

ROOM = 300 << 20
"""Bytes; the daemon wants 256 MiB free before it starts a job. Nothing of it is really taken."""
FULL = EXPLANATIONS[Cause.DISK_FULL]
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


def namespaces_are_allowed() -> bool:
    """Whether this user may make a namespace and mount something in it."""
    if shutil.which("unshare") is None:
        return False
    mounting = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(mounting, check=False, capture_output=True, timeout=10).returncode == 0


class SmallDisk:
    """A file system at one path, which only the processes in a namespace of its own see."""

    def __init__(self, path: Path, holder: asyncio.subprocess.Process) -> None:
        self.seen = Path(f"/proc/{holder.pid}/root{path}")
        """Where this process sees it."""
        self.inside = ("nsenter", "--target", str(holder.pid), "--user", "--mount", "--preserve-credentials")
        self._path = path

    async def fill(self) -> None:
        """Leave not one page free."""
        while not await self._resize(self._used()):
            pass  # something was written in between

    async def make_room(self) -> None:
        """Have room again."""
        assert await self._resize(ROOM)

    def _used(self) -> int:
        blocks = os.statvfs(self.seen)
        return (blocks.f_blocks - blocks.f_bfree) * blocks.f_frsize

    async def _resize(self, size: int) -> bool:
        # Source and place are both given, so that mount(8) adds no options that are not ours to set.
        command = (*self.inside, "mount", "-t", "tmpfs", "-o", f"remount,size={size}", "station", str(self._path))
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        return await process.wait() == 0


@asynccontextmanager
async def small_disk(path: Path) -> AsyncGenerator[SmallDisk, None]:
    """Mount a small file system at `path`, for whoever is started `inside`."""
    await asyncio.to_thread(path.mkdir)
    holder = await asyncio.create_subprocess_exec(
        *UNSHARE,
        *("sh", "-c", f'mount -t tmpfs -o size={ROOM} station "$1" && echo mounted && exec cat', "sh", str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"mounted\n"
        yield SmallDisk(path, holder)
    finally:
        assert holder.stdin is not None
        holder.stdin.close()
        await holder.wait()


@asynccontextmanager
async def rig_on_small_disk(store: FirmwareStore) -> AsyncGenerator[tuple[Rig, SmallDisk], None]:
    """A rig whose state directory is a small disk."""
    settings = {"STATION_OBSERVE_SECONDS": "1", "STATION_DEADLINES": '{"verify": 8}'}
    async with make_rig(store, settings=settings) as rig, small_disk(rig.state) as disk:
        rig.program = (*disk.inside, *rig.program)
        rig.state_seen = disk.seen
        yield rig, disk


@pytest.mark.timeout(120)
@pytest.mark.skipif(not namespaces_are_allowed(), reason="this kernel lets nobody mount a file system of their own")
async def test_a_full_disk(store: FirmwareStore):
    async with rig_on_small_disk(store) as (rig, disk), rig.station() as station:
        phone = rig.plug("1", auto_boot=False)
        await station.until_state("1", BayState.READY)

        # Before START: refused, with the reason, and the lamp shows it.
        await disk.fill()
        answer = await station.command(Start, "1", service=Service.RESTORE)
        assert "disk is nearly full" in answer.refused
        assert "Free some space" in answer.remedy
        await station.until(lambda snapshot: "disk is nearly full" in snapshot.notice and snapshot.lamp is Lamp.FAULT)

        # Between START and the confirmation: nothing is sent, and the record follows when there is room for it.
        await disk.make_room()
        await station.obeyed(Start, "1", service=Service.RESTORE)
        await station.until(lambda snapshot: not snapshot.notice)
        await disk.fill()
        await station.obeyed(OperatorConfirm, "1", ecid=phone.identity.ecid)
        await ends(station, "1", Outcome.FAILED_UNTOUCHED)
        await station.until(lambda snapshot: bool(snapshot.notice))  # that the record could not be written
        assert phone.history == []
        await disk.make_room()
        await station.until_recorded("1")

        # In the middle of a restore: it goes on to its end, and what cannot be checked is not said to be right.
        second = rig.plug("2", auto_boot=False)
        window = Window(second, "restored:NORData")
        await station.confirm("2", second)
        await window.reached.wait()
        await disk.fill()
        window.go()
        await ends(station, "2", Outcome.NOT_VERIFIED)
        assert second.system is not None
        assert second.system.build == BUILD
        await disk.make_room()
        await station.until_recorded("2")

        # Then everything is as ever.
        await station.clear("1")
        third = rig.plug("1", auto_boot=False)
        await station.confirm("1", third)
        await station.until_recorded("1", seconds=60)
        assert [(record.outcome, record.cause, record.ecid) for record in rig.records()] == [
            (Outcome.FAILED_UNTOUCHED, Cause.DISK_FULL, phone.identity.ecid),
            (Outcome.NOT_VERIFIED, Cause.DISK_FULL, second.identity.ecid),
            (Outcome.VERIFIED, None, third.identity.ecid),
        ]


async def ends(station: Station, bay: str, outcome: Outcome) -> None:
    """A job ends so because the disk is full, and says so, whether or not it can be recorded yet."""
    view = await station.until_bay(bay, lambda view: view.result is not None, seconds=60)
    assert view.result is not None
    assert view.result.outcome is outcome
    assert (view.result.title, view.result.remedy) == (FULL.title, FULL.remedy)
