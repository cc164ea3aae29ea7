"""Backups through the whole station: made, read back, put back; broken off and gone on with; and nothing left behind.

What a backup holds is looked at by an independent reader, what a phone holds by the library's own client.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, BayView, Dismiss, Start
from station.model.backup import BackupState
from station.model.base import BackupId
from station.model.causes import EXPLANATIONS, Cause
from station.model.gates import Choice
from station.model.record import Outcome, Record
from station.model.service import Service
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.files import CANARY
from tests.processes import until_gone
from tests.system.rig import Rig, Station, Window, bay_of, make_rig
from tests.virtual_services.backups import MESSAGES, PICTURE, contents, media

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

BAYS = ("1", "2", "3")
LONG = 90.0
CANARY_PATH = CANARY.removeprefix("/var/mobile/Media")


class House:
    """A rig, and what there is of others in it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.vault = rig.vault
        self.memory = rig.memory

    def contents(self, phone: VirtualPhone, backup: BackupId) -> dict[tuple[str, str], bytes]:
        """What is in a backup. Beside the vault: the reader leaves what it decrypted in a temporary directory."""
        return contents(self.vault.data(backup), phone, self.vault.password(backup))

    def scan(self) -> None:
        """Nothing of anybody's lies on any disk."""
        leaks = self.rig.leaks()
        assert not leaks, leaks


@pytest.fixture
async def house(store: FirmwareStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    async with make_rig(store, bays=BAYS, settings={"STATION_OBSERVE_SECONDS": "3"}) as rig:
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", rig.host.reach.usbmuxd)
        yield House(rig)


async def give(station: Station, bay: str, phone: VirtualPhone, service: Service) -> Record:
    """Have a service given, and dismiss what came of it."""
    await station.confirm(bay, phone, service)
    return await recorded(station, bay)


async def recorded(station: Station, bay: str) -> Record:
    """What came of the service in a bay; dismissed."""
    view = await station.until_recorded(bay, seconds=LONG)
    assert view.result is not None
    record = station.rig.record(view.result.record)
    await station.obeyed(Dismiss, bay)
    return record


async def refused(station: Station, bay: str, service: Service) -> str:
    """Why a service is not given."""
    await station.until_state(bay, BayState.READY)
    return (await station.command(Start, bay, service=service)).refused


@asynccontextmanager
async def unplugged(station: Station, phone: VirtualPhone) -> AsyncIterator[None]:
    """Out of its bay, and in again."""
    socket = phone.socket
    assert socket is not None
    await station.rig.host.bus.unplug(socket)
    yield
    station.rig.host.bus.plug(phone, socket)


def ready(view: BayView) -> bool:
    return view.state is BayState.READY


async def pictures(phone: VirtualPhone) -> dict[str, bytes]:
    """The owner's files that a client can see; the lock that hosts take is not the owner's."""
    return {path: data for path, data in (await media(phone)).items() if "lock_sync" not in path}


async def station_backups(rig: Rig, *arguments: str) -> str:
    """What `station backups` says; it ends well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "station", "backups", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | rig.environment | {"COLUMNS": "200"},
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return said.decode()


async def test_there_and_back(house: House):
    async with house.rig.station() as station:
        phone = house.rig.plug("1")
        assert await refused(station, "1", Service.PUT_BACK) == EXPLANATIONS[Cause.BACKUP_MISSING].title
        before = await pictures(phone)
        made = await give(station, "1", phone, Service.BACKUP)
        assert (made.outcome, made.cause) == (Outcome.VERIFIED, None), (made.title, made.detail)
        assert made.backup is not None
        (note,) = house.vault.notes()
        assert (note.id, note.state, note.ecid) == (made.backup, BackupState.VERIFIED, phone.identity.ecid)
        found = await asyncio.to_thread(house.contents, phone, made.backup)
        assert phone.system is not None
        assert found[PICTURE] == phone.system.canary
        messages = found[MESSAGES]
        assert made.backup in await station_backups(house.rig, "list")
        assert f"{made.backup}: undamaged." in await station_backups(house.rig, "verify")

        # The backup is what was to be decided about.
        erased = await give(station, "1", phone, Service.ERASE)
        assert erased.outcome is Outcome.VERIFIED, (erased.title, erased.detail)
        assert erased.decision is not None
        assert erased.decision.choice is Choice.MADE_HERE
        assert CANARY_PATH not in await pictures(phone)

        back = await give(station, "1", phone, Service.PUT_BACK)
        assert back.outcome is Outcome.VERIFIED, (back.title, back.detail, back.checks)
        assert back.backup == made.backup
        assert await pictures(phone) == before
        assert phone.system is not None
        assert phone.system.files.read("/var/mobile/Library/SMS/sms.db") == messages
        assert phone.system.backup_password is None, "the station's password came back with it, and is gone"

        await asyncio.to_thread(house.scan)
        assert house.vault.owed() == {}
        assert list((house.memory / "secrets" / "given").iterdir()) == []
        assert await asyncio.to_thread(house.rig.remembers, phone)
        await station_backups(house.rig, "delete", "--yes", made.backup)
        assert house.vault.notes() == []
        async with unplugged(station, phone):
            await station.until_empty("1")
            async with asyncio.timeout(5):
                while await asyncio.to_thread(house.rig.remembers, phone):
                    pass  # each question takes usbmuxd its time


async def test_what_broke_off_is_gone_on_with(house: House):
    async with house.rig.station() as station:
        phone = house.rig.plug("1")
        window = Window(phone, "backup:files")
        await station.confirm("1", phone, Service.BACKUP)
        async with asyncio.timeout(LONG):
            await window.reached.wait()
        async with unplugged(station, phone):
            window.go()
            broke_off = await recorded(station, "1")
        assert (broke_off.outcome, broke_off.cause) == (Outcome.FAILED_UNTOUCHED, Cause.DISCONNECTED)
        assert broke_off.backup is not None
        assert house.vault.owed() == {phone.identity.ecid: broke_off.backup}
        assert house.vault.note(broke_off.backup).state is BackupState.PARTIAL
        assert await refused(station, "1", Service.PUT_BACK) == EXPLANATIONS[Cause.BACKUP_MISSING].title
        await asyncio.to_thread(house.scan)

        whole = await give(station, "1", phone, Service.BACKUP)
        assert (whole.outcome, whole.backup) == (Outcome.VERIFIED, broke_off.backup), whole.detail
        assert house.vault.owed() == {}
        assert phone.system is not None
        assert phone.system.backup_password is None


async def test_what_the_disk_did_not_keep_never_counts(house: House):
    async with house.rig.station() as station:
        phone = house.rig.plug("1")
        window = Window(phone, "backup:ChangePassword", after="backup:removing")
        await station.confirm("1", phone, Service.BACKUP)
        async with asyncio.timeout(LONG):
            await window.reached.wait()
        (note,) = house.vault.notes()
        file = next(path for path in sorted(house.vault.data(note.id).rglob("*")) if len(path.name) == 40)
        file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
        window.go()
        record = await recorded(station, "1")
        assert (record.outcome, record.cause) == (Outcome.NOT_VERIFIED, Cause.BACKUP_FAULTY)
        assert file.name in record.detail
        assert house.vault.notes() == []
        assert await refused(station, "1", Service.PUT_BACK) == EXPLANATIONS[Cause.BACKUP_MISSING].title


async def killed(
    house: House,
    station: Station,
    bay: str,
    phone: VirtualPhone,
    at: str,
    *,
    child: bool,
    service: Service = Service.BACKUP,
) -> Record:
    """A worker, or its keeper, is killed while its phone is at a step."""
    window = Window(phone, at)
    await station.confirm(bay, phone, service)
    async with asyncio.timeout(LONG):
        await window.reached.wait()
    keeper, worker = house.rig.worker_of(phone), house.rig.worker_of(phone, child=True)
    os.kill(worker if child else keeper, signal.SIGKILL)
    await asyncio.gather(
        until_gone(keeper), until_gone(worker)
    )  # each ends with the other, which takes a busy machine its time
    window.go()
    return await recorded(station, bay)


@pytest.mark.long
async def test_nothing_is_left_when_a_worker_is_killed(house: House):
    async with house.rig.station() as station:
        phones = [house.rig.plug("1"), house.rig.plug("2", model="iPhone 13"), house.rig.plug("3", model="iPhone 14")]
        records = await asyncio.gather(
            killed(house, station, "1", phones[0], "backup:ChangePassword", child=True),
            killed(house, station, "2", phones[1], "backup:files", child=False),
            killed(house, station, "3", phones[2], "backup:moving", child=True),
        )
        assert {record.outcome for record in records} == {Outcome.FAILED_UNTOUCHED}
        assert set(house.vault.owed()) == {phone.identity.ecid for phone in phones}
        assert {note.state for note in house.vault.notes()} == {BackupState.PARTIAL}
        assert list((house.memory / "secrets" / "given").iterdir()) == []
        assert list((house.rig.state / "jobs").glob("*/home")) == []
        await asyncio.to_thread(house.scan)
        # The next backup takes off what was owed, and is whole.
        whole = await give(station, "2", phones[1], Service.BACKUP)
        assert whole.outcome is Outcome.VERIFIED, whole.detail
        assert phones[1].system is not None
        assert phones[1].system.backup_password is None
        assert phones[1].identity.ecid not in house.vault.owed()
        # Half-way back on the phone: the backup is whole still, and read once more before it is put back again.
        half = await killed(house, station, "2", phones[1], "restore:files", child=False, service=Service.PUT_BACK)
        assert (half.outcome, half.backup) == (Outcome.FAILED_BETWEEN, whole.backup)
        assert list((house.memory / "secrets" / "given").iterdir()) == []
        await asyncio.to_thread(house.scan)
        back = await give(station, "2", phones[1], Service.PUT_BACK)
        assert back.outcome is Outcome.VERIFIED, (back.title, back.detail)
        assert phones[1].system is not None
        assert phones[1].system.backup_password is None


async def test_nothing_is_left_when_the_daemon_is_killed(house: House):
    phone, other = house.rig.plug("1"), house.rig.plug("2", model="iPhone 13")
    async with house.rig.station() as station:
        await station.until_bay("2", ready)
        window = Window(phone, "backup:moving")
        await station.confirm("1", phone, Service.BACKUP)
        async with asyncio.timeout(LONG):
            await window.reached.wait()
        await station.kill()
    assert other.socket is not None
    assert await asyncio.to_thread(house.rig.remembers, other)
    await house.rig.host.bus.unplug(other.socket)
    (house.memory / "secrets" / "given" / "left.secret").write_text("a password that nobody took")
    async with house.rig.station() as station:
        window.go()
        record = await recorded(station, "1")
        assert record.outcome is Outcome.VERIFIED, record.detail
        assert record.backup is not None
        assert house.vault.note(record.backup).state is BackupState.VERIFIED
        assert list((house.memory / "secrets" / "given").iterdir()) == []
        assert not await asyncio.to_thread(house.rig.remembers, other), "it left while nobody looked"
        assert station.snapshot is not None
        assert bay_of(station.snapshot, "2").phone is None
        await asyncio.to_thread(house.scan)


async def test_a_full_disk_leaves_no_half_backup(house: House):
    async with house.rig.station() as station:
        full = Fault(at="backup:files", kind=FaultKind.STATUS, status=105)
        phone = house.rig.plug("1", faults=(full,))
        record = await give(station, "1", phone, Service.BACKUP)
        assert (record.outcome, record.cause) == (Outcome.FAILED_UNTOUCHED, Cause.DISK_FULL), record.detail
        assert (house.vault.notes(), house.vault.owed()) == ([], {})
        again = await give(station, "1", phone, Service.BACKUP)
        assert again.outcome is Outcome.VERIFIED, again.detail
