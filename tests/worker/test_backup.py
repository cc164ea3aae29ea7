"""BACKUP and PUT_BACK: a worker, a virtual phone, and a vault; pyiosbackup judges what lies in it."""

import asyncio
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from station.adapters.vault import Vault
from station.model.base import BackupId
from station.model.causes import Cause
from station.model.events import BackupRead, Intent, PasswordOwed, PersonNeeded, PhaseBegan, Succeeded
from station.model.job import BackupPlace, Phase
from station.model.service import Service
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.phones.phone import VirtualPhone
from station.virtual.services.afc_files import Handle
from station.virtual.services.backup.placing import Plan, Staging
from station.virtual.system.files import CANARY
from tests.virtual_services.backups import PICTURE, contents
from tests.worker.station_host import OLD, SECONDS, StationHost, Worker

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

NOW = "2026-01-01T00:00:00Z"
BACKUP = BackupId("first")
SYNC_LOCK = "/var/mobile/Media/com.apple.itunes.lock_sync"


@dataclass
class Place:
    """A vault, and where its passwords wait."""

    vault: Vault
    secrets: Path

    def of(self, phone: VirtualPhone, *, owed: BackupId | None = None, backup: BackupId = BACKUP) -> BackupPlace:
        """What the daemon does before it starts a worker."""
        identity = phone.identity
        self.vault.begin(backup, ecid=identity.ecid, udid=identity.udid, model="iPhone 12", now=NOW, trusted=True)
        secret, old = self.secrets / "job.secret", self.secrets / "job.owed"
        secret.write_text(self.vault.password(backup))
        if owed is not None:
            old.write_text(self.vault.password(owed))
        return BackupPlace(
            id=backup,
            directory=str(self.vault.data(backup)),
            secret=str(secret),
            owed="" if owed is None else str(old),
        )

    def contents(self, phone: VirtualPhone, backup: BackupId = BACKUP) -> dict[tuple[str, str], bytes]:
        """What an independent reader sees."""
        return contents(self.vault.data(backup), phone, self.vault.password(backup))


@pytest.fixture
def place(tmp_path) -> Place:
    vault = Vault(tmp_path / "vault", secret=tmp_path / "secret", days=30)
    vault.open()
    (tmp_path / "secrets").mkdir()
    return Place(vault, tmp_path / "secrets")


async def back_up(station: StationHost, place: Place, phone: VirtualPhone, **changes: object) -> Worker:
    return await station.start(station.spec(phone, Service.BACKUP, firmware=None, backup=place.of(phone), **changes))


async def test_a_backup_is_made_and_read_back(station, place):
    phone = station.plug()
    worker = await back_up(station, place, phone)
    events = await worker.events()
    assert isinstance(events[-1], Succeeded), worker.log()
    assert [event.phase for event in events if isinstance(event, PhaseBegan)] == [
        Phase.CONNECT,
        Phase.BACKUP,
        Phase.REREAD,
    ]
    assert [event.owed for event in events if isinstance(event, PasswordOwed)] == [True, False]
    (read,) = (event for event in events if isinstance(event, BackupRead))
    assert read.faults == ()
    found = place.contents(phone)
    assert found[PICTURE] == phone.system.canary
    assert read.files == len(found)
    assert phone.system.backup_password is None
    assert list(place.secrets.iterdir()) == []
    assert not any("somebody's" in path.read_text("latin-1") for path in place.vault.path.rglob("*") if path.is_file())


async def test_the_backup_is_put_back(station, place):
    phone = station.plug()
    assert phone.system is not None
    await (await back_up(station, place, phone)).events()
    before = place.contents(phone)
    phone.system.files.write(CANARY, b"another picture")
    phone.system.files.write("/var/mobile/Library/SMS/new.db", b"new")
    spec = station.spec(phone, Service.PUT_BACK, firmware=None, backup=place.of(phone))
    worker = await station.start(spec)
    events = await worker.events()
    assert isinstance(events[-1], Succeeded), worker.log()
    assert [event.phase for event in events if isinstance(event, PhaseBegan)] == [
        Phase.CONNECT,
        Phase.REREAD,
        Phase.PUT_BACK,
        Phase.TIDY,
    ]
    assert [event.owed for event in events if isinstance(event, PasswordOwed)] == [True, False]
    assert phone.system is not None
    assert phone.system.backup_password is None
    assert phone.system.files.read(CANARY) == before[PICTURE]
    assert not phone.system.files.exists("/var/mobile/Library/SMS/new.db")


async def test_a_consent_that_is_void_by_the_time_the_phone_is_free_puts_nothing_back(station, place):
    """Another program has the phone: the library waits for it, right before it asks the phone to take the backup."""
    phone = station.plug()
    assert phone.system is not None
    await (await back_up(station, place, phone)).events()
    phone.system.files.write(CANARY, b"another picture")
    locks = phone.system.files.find(SYNC_LOCK).locks
    other = Handle(phone.system.files, phone.system.files.find(SYNC_LOCK), os.O_RDWR)
    other.lock(fcntl.LOCK_EX)
    with phone.system.notifications.observe({"com.apple.itunes-mobdev.syncLockRequest"}) as observer:
        spec = station.spec(phone, Service.PUT_BACK, firmware=None, backup=place.of(phone))
        worker = await station.start(spec)
        async with asyncio.timeout(SECONDS):
            await observer.waiting.get()
    worker.directory.revoke()
    other.close()
    assert (await worker.failure()).cause is Cause.CONSENT_VOID, worker.log()
    assert not [event for event in await worker.events() if isinstance(event, Intent)]
    assert phone.system.files.read(CANARY) == b"another picture"
    assert not locks, "it let go of the phone"


async def pulled(station: StationHost, place: Place, phone: VirtualPhone, at: str, **options: object) -> Worker:
    """A backup during which the cable is pulled; it is plugged in again afterwards."""
    socket = phone.socket
    assert socket is not None
    phone.faults.add(Fault(at=at, kind=FaultKind.UNPLUG))
    worker = await back_up(station, place, phone, **options)
    failed = await worker.failure()
    assert failed.cause is Cause.DISCONNECTED, worker.log()
    station.host.bus.plug(phone, socket)
    return worker


@pytest.mark.parametrize("moment", ["backup:files", "backup:removing"])
async def test_a_pulled_cable_is_gone_on_from(station, place, moment):
    phone = station.plug()
    assert phone.system is not None
    worker = await pulled(station, place, phone, moment)
    owed = [event.owed for event in await worker.events() if isinstance(event, PasswordOwed)]
    assert owed == [True], "nobody could take it off"
    assert phone.system.backup_password == place.vault.password(BACKUP)

    spec = station.spec(phone, Service.BACKUP, firmware=None, backup=place.of(phone, owed=BACKUP))
    again = await station.start(spec)
    events = await again.events()
    assert isinstance(events[-1], Succeeded), again.log()
    (read,) = (event for event in events if isinstance(event, BackupRead))
    assert read.faults == ()
    assert [event.owed for event in events if isinstance(event, PasswordOwed)] == [False]
    assert phone.system.backup_password is None
    assert place.contents(phone)[PICTURE] == phone.system.canary


async def test_a_password_that_is_owed_for_another_backup_is_taken_off_first(station, place):
    phone = station.plug()
    assert phone.system is not None
    phone.system.backup_password = place.vault.password(BackupId("another"))
    spec = station.spec(phone, Service.BACKUP, firmware=None, backup=place.of(phone, owed=BackupId("another")))
    worker = await station.start(spec)
    events = await worker.events()
    assert isinstance(events[-1], Succeeded), worker.log()
    assert [event.owed for event in events if isinstance(event, PasswordOwed)] == [False, True, False]
    assert place.contents(phone)[PICTURE] == phone.system.canary


@pytest.mark.parametrize("owed", [None, BackupId("another")])
async def test_a_password_that_somebody_else_has_set_is_left_alone(station, place, owed):
    phone = station.plug()
    assert phone.system is not None
    phone.system.backup_password = "theirs"
    spec = station.spec(phone, Service.BACKUP, firmware=None, backup=place.of(phone, owed=owed))
    failed = await (await station.start(spec)).failure()
    assert failed.cause is Cause.BACKUP_PASSWORD_UNKNOWN
    assert phone.system.backup_password == "theirs"
    assert [path for path in place.vault.data(BACKUP).rglob("*") if path.is_file()] == []


async def test_a_person_is_asked_for_the_passcode_each_time_the_phone_does(station, place):
    phone = station.plug(installed=msgspec.structs.replace(OLD, passcode=True))
    phone.pace.factor = 0.2  # whoever types needs a moment, and what the phone shows is told meanwhile
    worker = await back_up(station, place, phone)
    events = await worker.events()
    assert isinstance(events[-1], Succeeded), worker.log()
    asked = [event.cause for event in events if isinstance(event, PersonNeeded)]
    # To be trusted; then to set the password, to make the backup, and to take the password away.
    assert asked == [Cause.NOT_TRUSTED, *[Cause.TYPE_PASSCODE] * 3]


async def test_what_goes_wrong_has_a_name(station, place):
    phone = station.plug(Fault(at="backup:Backup", kind=FaultKind.STATUS, status=105))
    assert phone.system is not None
    worker = await back_up(station, place, phone)
    failed = await worker.failure()
    assert (failed.cause, failed.detail[:4]) == (Cause.DISK_FULL, "105:")
    assert phone.system.backup_password is None, "taken off all the same"


async def test_a_garbled_backup_is_not_put_back(station, place):
    phone = station.plug()
    assert phone.system is not None
    await (await back_up(station, place, phone)).events()
    file = next(path for path in sorted(place.vault.data(BACKUP).rglob("*")) if len(path.name) == 40)
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    phone.system.files.write(CANARY, b"another picture")
    spec = station.spec(phone, Service.PUT_BACK, firmware=None, backup=place.of(phone))
    worker = await station.start(spec)
    failed = await worker.failure()
    assert (failed.cause, "not what came from the phone" in failed.detail) == (Cause.BACKUP_FAULTY, True)
    assert phone.system.files.read(CANARY) == b"another picture"
    assert "backup:Restore" not in phone.history


async def test_a_phone_that_was_left_before_its_restart_says_so_and_takes_the_backup_after_it(station, place):
    """Its host was lost when all was laid out, and only the restart that puts it in place was missing."""
    phone = station.plug()
    assert phone.system is not None
    await (await back_up(station, place, phone)).events()
    waiting = Staging(phone.system.files)
    waiting.begin()
    waiting.finish(Plan(removals=[CANARY], name=None, password=None))
    spec = station.spec(phone, Service.PUT_BACK, firmware=None, backup=place.of(phone))
    failed = await (await station.start(spec)).failure()
    assert failed.cause is Cause.EARLIER_PUT_BACK
    assert phone.system.files.read(CANARY) == phone.system.canary
    restarted = await station.start(station.spec(phone, Service.RESTART, firmware=None))
    assert isinstance((await restarted.events())[-1], Succeeded), restarted.log()
    assert not phone.system.files.exists(CANARY), "what waited is in place"
    again = station.spec(phone, Service.PUT_BACK, firmware=None, backup=place.of(phone))
    worker = await station.start(again)
    assert isinstance((await worker.events())[-1], Succeeded), worker.log()
    assert phone.system.files.read(CANARY) == phone.system.canary


async def test_a_phone_that_was_not_set_up_says_so(station, place):
    phone = station.plug()
    assert phone.system is not None
    phone.system.set_up = False
    worker = await back_up(station, place, phone)
    assert (await worker.failure()).cause is Cause.NOT_SET_UP, worker.log()


@pytest.mark.parametrize(
    ("status", "cause"),
    [(None, Cause.FIND_MY_ON), (106, Cause.PHONE_FULL), (205, Cause.BACKUP_FAULTY)],
)
async def test_a_phone_that_takes_no_backup_back_keeps_no_password(station, place, status, cause):
    phone = station.plug()
    assert phone.system is not None
    await (await back_up(station, place, phone)).events()
    if status is None:
        phone.system.find_my = True
    else:
        phone.faults.add(Fault(at="backup:Restore", kind=FaultKind.STATUS, status=status))
    worker = await station.start(station.spec(phone, Service.PUT_BACK, firmware=None, backup=place.of(phone)))
    failed = await worker.failure()
    assert failed.cause is cause, worker.log()
    owed = [event.owed for event in await worker.events() if isinstance(event, PasswordOwed)]
    assert owed == [True, False]
    assert phone.system.backup_password is None
