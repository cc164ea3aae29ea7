"""The station's disk is full: before START, at the confirmation, in the middle of a restore or of a backup.

The state directory, or the vault, is a small file system of its own, which anybody may mount in a user namespace of
their own (unshare(1)); it is made smaller than what is in it to be full. Where the kernel allows no such namespaces
there is nothing to test with.
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
from station.model.api import BayState, Cancel, Dismiss, Lamp, OperatorConfirm, Start
from station.model.backup import BackupState
from station.model.causes import EXPLANATIONS, Cause
from station.model.record import Outcome
from station.model.service import Service
from station.worker.backups import KEEP_FREE, LOOK_EVERY
from tests.system.faults import EVERY_STEP
from tests.system.firmware import BUILD
from tests.system.rig import Rig, Station, Window, make_rig
from tests.virtual_services.backups import PICTURE, contents

pytestmark = pytest.mark.system

ROOM = 300 << 20
"""Bytes; the daemon wants 256 MiB free before it starts a job. Nothing of it is really taken."""
PLENTY = 1 << 40
"""The same, for a backup, which wants as much as is on the phone."""
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

    def __init__(self, path: Path, holder: asyncio.subprocess.Process, room: int) -> None:
        self.seen = Path(f"/proc/{holder.pid}/root{path}")
        """Where this process sees it."""
        self.inside = ("nsenter", "--target", str(holder.pid), "--user", "--mount", "--preserve-credentials")
        self._path = path
        self._room = room

    async def fill(self, *, leave: int = 0) -> None:
        """Leave so many bytes free, in whole pages; not one page by default."""
        while not await self._resize(self._used() + leave):
            pass  # something was written in between

    async def make_room(self) -> None:
        """Have room again."""
        assert await self._resize(self._room)

    def _used(self) -> int:
        blocks = os.statvfs(self.seen)
        return (blocks.f_blocks - blocks.f_bfree) * blocks.f_frsize

    async def _resize(self, size: int) -> bool:
        # Source and place are both given, so that mount(8) adds no options that are not ours to set.
        command = (*self.inside, "mount", "-t", "tmpfs", "-o", f"remount,size={size}", "station", str(self._path))
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        return await process.wait() == 0


@asynccontextmanager
async def small_disk(path: Path, room: int = ROOM) -> AsyncGenerator[SmallDisk, None]:
    """Mount a small file system at `path`, with so many bytes, for whoever is started `inside`."""
    await asyncio.to_thread(path.mkdir)
    holder = await asyncio.create_subprocess_exec(
        *UNSHARE,
        *("sh", "-c", f'mount -t tmpfs -o size={room} station "$1" && echo mounted && exec cat', "sh", str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"mounted\n"
        yield SmallDisk(path, holder, room)
    finally:
        assert holder.stdin is not None
        holder.stdin.close()
        await holder.wait()


@asynccontextmanager
async def rig_on_small_disk(
    store: FirmwareStore, room: int = ROOM, *, only_vault: bool = False
) -> AsyncGenerator[tuple[Rig, SmallDisk], None]:
    """A rig whose state directory, or only the vault, is a small disk."""
    settings = {"STATION_OBSERVE_SECONDS": "1", "STATION_DEADLINES": '{"verify": 8}'}
    async with make_rig(store, settings=settings) as rig:
        async with small_disk(rig.directory / "disk" if only_vault else rig.state, room) as disk:
            rig.program = (*disk.inside, *rig.program)
            if only_vault:
                rig.environment["STATION_VAULT"] = str(rig.directory / "disk")
                rig.vault_seen = disk.seen
            else:
                rig.state_seen, rig.vault_seen = disk.seen, disk.seen / "vault"
            yield rig, disk
            leaks = await asyncio.to_thread(rig.leaks)  # while it can be seen
            assert not leaks, leaks
        rig.state_seen, rig.vault_seen = rig.state, rig.state / "vault"


@pytest.mark.long
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

        # Between START and the confirmation: the same, and nothing is sent.
        await disk.make_room()
        await station.obeyed(Start, "1", service=Service.RESTORE)
        await station.until(lambda snapshot: not snapshot.notice)
        await disk.fill()
        answer = await station.command(OperatorConfirm, "1", ecid=phone.identity.ecid)
        assert "disk is nearly full" in answer.refused
        assert phone.history == []
        await station.obeyed(Cancel, "1")
        await disk.make_room()

        # In the middle of a restore: it goes on to its end, and what cannot be checked is not said to be right. The
        # record follows when there is room for it.
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
            (Outcome.NOT_VERIFIED, Cause.DISK_FULL, second.identity.ecid),
            (Outcome.VERIFIED, None, third.identity.ecid),
        ]


async def ends(station: Station, bay: str, outcome: Outcome) -> None:
    """A job ends so because the disk is full, and says so, whether or not it can be recorded yet."""
    view = await station.until_bay(bay, lambda view: view.result is not None, seconds=60)
    assert view.result is not None
    assert view.result.outcome is outcome
    assert (view.result.title, view.result.remedy) == (FULL.title, FULL.remedy)


AT = (
    # Nothing of the phone's is there yet; a part of a file; all files, and not what says so; all, and the password is
    # to be taken off the phone again.
    ("backup:ChangePassword", None, 0),
    ("backup:files", None, 48 << 10),
    ("backup:moving:manifest", None, 0),
    ("backup:ChangePassword", "backup:removing", 0),
)
"""Where the phone is when the disk becomes full, after which step, and how many bytes are left."""
SOME = AT if EVERY_STEP else AT[1::2]
FILM = "/var/mobile/Media/DCIM/100APPLE/IMG_0003.MOV"


@pytest.mark.timeout(180)
@pytest.mark.skipif(not namespaces_are_allowed(), reason="this kernel lets nobody mount a file system of their own")
@pytest.mark.parametrize(
    "only_vault",
    [
        pytest.param(True, id="the vault's own disk"),
        pytest.param(False, id="one disk for everything", marks=pytest.mark.long),
    ],
)
async def test_a_disk_that_becomes_full_during_a_backup(store: FirmwareStore, only_vault: bool):
    async with rig_on_small_disk(store, PLENTY, only_vault=only_vault) as (rig, disk), rig.station() as station:
        for at, after, leave in SOME:
            phone = rig.plug("1")
            window = Window(phone, at, after=after)
            await station.confirm("1", phone, Service.BACKUP)
            async with asyncio.timeout(60):
                await window.reached.wait()
            await disk.fill(leave=leave)
            window.go()
            await station.until_bay("1", lambda view: view.result is not None, seconds=60)
            # It did not count for a moment, also while nothing can be written down.
            notes = [note for note in rig.vault.notes() if note.ecid == phone.identity.ecid]
            assert all(note.state is BackupState.PARTIAL for note in notes)
            await disk.make_room()
            view = await station.until_recorded("1", seconds=60)
            assert view.result is not None
            record = rig.record(view.result.record)
            assert (record.outcome, record.cause) == (Outcome.FAILED_UNTOUCHED, Cause.DISK_FULL), (at, record)
            assert (view.result.title, view.result.remedy) == (FULL.title, FULL.remedy)
            assert phone.system is not None
            owed = phone.system.backup_password is not None
            assert (phone.identity.ecid in rig.vault.owed()) >= owed, f"{at}: nobody knows the phone's password"
            await station.obeyed(Dismiss, "1")
            await station.until_state("1", BayState.READY)
            missing = await station.command(Start, "1", service=Service.PUT_BACK)
            assert missing.refused == EXPLANATIONS[Cause.BACKUP_MISSING].title

            # There is room again: it is gone on with or begun anew, and then it counts.
            await station.confirm("1", phone, Service.BACKUP)
            view = await station.until_recorded("1", seconds=60)
            assert view.result is not None
            whole = rig.record(view.result.record)
            assert (whole.outcome, whole.cause) == (Outcome.VERIFIED, None), (at, whole)
            assert phone.system.backup_password is None
            assert phone.identity.ecid not in rig.vault.owed()
            assert whole.backup is not None
            assert rig.vault.note(whole.backup).state is BackupState.VERIFIED
            found = await asyncio.to_thread(
                contents, rig.vault.data(whole.backup), phone, rig.vault.password(whole.backup)
            )
            assert found[PICTURE] == phone.system.canary
            await station.clear("1")
        assert len(rig.records()) == 2 * len(SOME)


@pytest.mark.timeout(120)
@pytest.mark.skipif(not namespaces_are_allowed(), reason="this kernel lets nobody mount a file system of their own")
async def test_a_backup_that_is_too_large_leaves_room_for_the_records(store: FirmwareStore):
    async with rig_on_small_disk(store, PLENTY) as (rig, disk), rig.station() as station:
        phone = rig.plug("1")
        assert phone.system is not None
        phone.system.files.write(FILM, bytes(LOOK_EVERY + (1 << 20)))
        window = Window(phone, "backup:files")
        await station.confirm("1", phone, Service.BACKUP)
        async with asyncio.timeout(60):
            await window.reached.wait()
        await disk.fill(leave=KEEP_FREE)
        window.go()
        view = await station.until_recorded("1", seconds=60)  # nobody has made room
        assert view.result is not None
        record = rig.record(view.result.record)
        assert (record.outcome, record.cause) == (Outcome.FAILED_UNTOUCHED, Cause.DISK_FULL), record
        assert (view.result.title, view.result.remedy) == (FULL.title, FULL.remedy)
        assert rig.vault.notes() == []
        assert rig.vault.owed() == {}
        assert phone.system.backup_password is None
