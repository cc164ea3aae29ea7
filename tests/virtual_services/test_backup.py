"""com.apple.mobilebackup2 backs phones up, for the unmodified library; pyiosbackup judges what comes of it."""

import shutil
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from pymobiledevice3.exceptions import ConnectionTerminatedError, NotEnoughDiskSpaceError

from station.model.base import SocketPath
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.system.files import CANARY
from tests.virtual_services.backups import (
    MESSAGES,
    PICTURE,
    SECRET,
    asking,
    back_up,
    change_password,
    contents,
    read,
    refused,
    stored,
)
from tests.virtual_services.helpers import introduce

SMS = "/var/mobile/Library/SMS/sms.db"


async def test_a_backup_holds_the_owners_files(plug, tmp_path):
    phone = plug()
    await back_up(phone, tmp_path)
    found = contents(tmp_path, phone)
    assert found[PICTURE] == phone.system.canary
    assert found[MESSAGES] == phone.system.files.read(SMS)
    assert not any("CrashReporter" in path for _, path in found), "crash reports are in no backup"
    status = read(tmp_path, phone, "Status.plist")
    assert (status["SnapshotState"], status["IsFullBackup"], status["Version"]) == ("finished", False, "3.3")
    assert read(tmp_path, phone, "Manifest.plist")["IsEncrypted"] is False
    assert not (tmp_path / phone.identity.udid / "Snapshot").exists()


@pytest.mark.parametrize("password", [pytest.param(None, marks=pytest.mark.long), SECRET])
async def test_the_next_backup_sends_only_what_changed(plug, tmp_path, password):
    phone = plug(backup_password=password)
    files = phone.system.files
    await back_up(phone, tmp_path)
    picture = stored(tmp_path, phone, PICTURE, password or "")
    messages = stored(tmp_path, phone, MESSAGES, password or "")
    kept = picture.stat().st_ino
    files.write(SMS, b"another message", offset=files.find(SMS).size)
    files.write("/var/mobile/Library/SMS/new.db", b"new")
    files.remove("/var/mobile/Library/Notes/notes.sqlite")
    changed = messages.read_bytes()

    await back_up(phone, tmp_path, full=False)

    found = contents(tmp_path, phone, password or "")
    assert found[MESSAGES] == files.read(SMS)
    assert found["HomeDomain", "Library/SMS/new.db"] == b"new"
    assert ("HomeDomain", "Library/Notes/notes.sqlite") not in found
    assert picture.stat().st_ino == kept, "sent again"
    assert messages.read_bytes() != changed
    names = {path.name for path in (tmp_path / phone.identity.udid).glob("??/*")}
    assert len(names) == len(found), "what is gone from the phone is gone from the backup"


async def test_an_encrypted_backup_opens_with_its_password_only(plug, tmp_path):
    phone = plug(backup_password=SECRET)
    await back_up(phone, tmp_path)
    assert contents(tmp_path, phone, SECRET)[PICTURE] == phone.system.canary
    with pytest.raises(InvalidUnwrap):
        contents(tmp_path, phone, "wrong")
    assert read(tmp_path, phone, "Manifest.plist")["IsEncrypted"] is True
    for path in (tmp_path / phone.identity.udid).rglob("*"):
        assert path.is_dir() or b"somebody's" not in path.read_bytes(), path


@pytest.mark.system
async def test_a_new_password_means_a_new_full_backup(plug, tmp_path):
    phone = plug(backup_password=SECRET)
    await back_up(phone, tmp_path)
    await change_password(phone, tmp_path, old=SECRET, new="another")
    await back_up(phone, tmp_path, full=False)
    assert contents(tmp_path, phone, "another")[PICTURE] == phone.system.canary


async def will_encrypt(phone):
    async with asking(phone) as service:
        return await service.get_will_encrypt()


async def test_the_password_is_changed_with_the_old_one_only(plug, tmp_path):
    phone = plug()
    assert not await will_encrypt(phone)
    await change_password(phone, tmp_path, new=SECRET)
    assert await will_encrypt(phone)
    for wrong in ({"new": "another"}, {"old": "wrong", "new": "another"}, {"old": "wrong"}):
        with refused(207, "Invalid password"):
            await change_password(phone, tmp_path, **wrong)
    assert phone.system.backup_password == SECRET
    await change_password(phone, tmp_path, old=SECRET)
    assert not await will_encrypt(phone)


@pytest.mark.system
async def test_a_management_can_insist_on_encryption(plug, tmp_path):
    phone = plug(backup_encryption_required=True)
    with refused(207, "required by device management"):
        await back_up(phone, tmp_path)
    phone.system.backup_password = SECRET
    with refused(1, "Encrypted Backup MDM setting"):
        await change_password(phone, tmp_path, old=SECRET)
    assert phone.system.backup_password == SECRET


async def test_a_phone_that_was_not_set_up_has_no_backup(plug, tmp_path):
    with refused(212, "Setup"):
        await back_up(plug(set_up=False), tmp_path)


async def ask_for_backup(phone, directory):
    """What the library does, without what it does about synchronisation: a locked phone refuses that by itself."""
    (directory / phone.identity.udid).mkdir(exist_ok=True)
    async with asking(phone) as service, service.device_link(directory) as link:
        await link.send_process_message({"MessageName": "Backup", "TargetIdentifier": phone.identity.udid})
        await link.dl_loop()


async def test_nobody_types_the_passcode(plug, tmp_path):
    phone = plug(passcode=True)
    await introduce(phone)
    phone.system.locked = True
    with refused(208, "Device locked"):
        await ask_for_backup(phone, tmp_path)
    phone.system.locked = False
    phone.faults.add(Fault(at="backup:passcode", kind=FaultKind.REFUSE))
    with refused(208, "Device locked"):
        await ask_for_backup(phone, tmp_path)


async def test_somebody_types_the_passcode(plug, tmp_path):
    phone = plug(1, Fault(at="backup:passcode", kind=FaultKind.CHANGE, changes={"locked": False}), passcode=True)
    await introduce(phone)
    phone.system.locked = True
    asked = "com.apple.LocalAuthentication.ui.presented"
    with phone.system.notifications.observe({asked}) as observer:
        await ask_for_backup(phone, tmp_path)
        assert observer.waiting.get_nowait() == asked


@pytest.mark.system
async def test_an_earlier_system_asks_nobody_but_must_be_unlocked(plug, tmp_path):
    phone = plug(version="15.8.2", build="19H384", model="iPhone 8", passcode=True)
    await back_up(phone, tmp_path)
    assert "backup:passcode" not in phone.history
    phone.system.locked = True
    with refused(208):
        await ask_for_backup(phone, tmp_path)


async def test_a_host_without_room_is_told_how_much_is_missing(plug, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 20))
    phone = plug()
    with pytest.raises(NotEnoughDiskSpaceError, match="MBErrorDomain/105"):
        await back_up(phone, tmp_path)


@pytest.mark.system
async def test_a_backup_whose_manifest_cannot_be_read_is_refused(plug, tmp_path):
    phone = plug()
    await back_up(phone, tmp_path)
    (tmp_path / phone.identity.udid / "Manifest.plist").write_bytes(b"garbage")
    with refused(205, "Error reading backup properties"):
        await back_up(phone, tmp_path, full=False)


@pytest.mark.system
async def test_a_corrupt_backup_is_made_anew(plug, tmp_path):
    phone = plug()
    await back_up(phone, tmp_path)
    stored(tmp_path, phone, PICTURE).unlink()
    await back_up(phone, tmp_path, full=False)
    assert contents(tmp_path, phone)[PICTURE] == phone.system.canary


@pytest.mark.system
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("moment", ["uploading", "files", "moving", "moving:files", "moving:manifest", "removing"])
async def test_a_pulled_cable_costs_nothing(plug, bus, tmp_path, first, moment):
    phone = plug(backup_password=SECRET)
    if not first:
        await back_up(phone, tmp_path)
        before = contents(tmp_path, phone, SECRET)
    phone.system.files.write(CANARY, b"another picture")
    phone.faults.add(Fault(at=f"backup:{moment}", kind=FaultKind.UNPLUG))
    with pytest.raises((ConnectionTerminatedError, OSError)):
        await back_up(phone, tmp_path, full=False)
    if not first and moment in {"uploading", "files"}:
        assert contents(tmp_path, phone, SECRET) == before, "the old backup is whole until the new one is complete"
    bus.plug(phone, SocketPath("1-1.1"))
    await back_up(phone, tmp_path, full=False)
    found = contents(tmp_path, phone, SECRET)
    assert found[PICTURE] == b"another picture"
    assert found[MESSAGES] == phone.system.files.read(SMS)
    assert read(tmp_path, phone, "Status.plist")["SnapshotState"] == "finished"


@pytest.mark.system
@pytest.mark.parametrize("moment", ["moving:files", "moving:manifest"])
async def test_what_was_sent_before_the_cable_was_pulled_is_not_sent_again(plug, bus, tmp_path, moment):
    phone = plug()
    await back_up(phone, tmp_path)
    phone.system.files.write(CANARY, b"another picture")
    phone.faults.add(Fault(at=f"backup:{moment}", kind=FaultKind.UNPLUG))
    with pytest.raises((ConnectionTerminatedError, OSError)):
        await back_up(phone, tmp_path, full=False)
    path = stored(tmp_path, phone, PICTURE).relative_to(tmp_path / phone.identity.udid)
    place = tmp_path / phone.identity.udid / ("Snapshot" if moment == "moving:files" else "") / path
    sent = place.stat().st_ino
    bus.plug(phone, SocketPath("1-1.1"))
    await back_up(phone, tmp_path, full=False)
    assert (tmp_path / phone.identity.udid / path).stat().st_ino == sent
    assert contents(tmp_path, phone)[PICTURE] == b"another picture"


@pytest.mark.system
@pytest.mark.parametrize("after", [0, 2_000, 50_000, 100_000, 150_000])
async def test_a_cable_may_be_pulled_at_any_byte(plug, bus, tmp_path, after):
    phone = plug()
    await back_up(phone, tmp_path)
    phone.system.files.write(CANARY, bytes(100_000))
    phone.faults.add(Fault(at="backup:Backup", kind=FaultKind.CUT, after_bytes=after))
    with pytest.raises((ConnectionTerminatedError, OSError)):
        await back_up(phone, tmp_path, full=False)
    bus.plug(phone, SocketPath("1-1.1"))
    await back_up(phone, tmp_path, full=False)
    found = contents(tmp_path, phone)
    assert found[PICTURE] == bytes(100_000)
    assert found[MESSAGES] == phone.system.files.read(SMS)
