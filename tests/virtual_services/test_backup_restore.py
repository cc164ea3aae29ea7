"""Backups that the unmodified library puts back; what came of it is read by a client."""

import plistlib
import sqlite3

import pytest
from pymobiledevice3.exceptions import ConnectionTerminatedError
from pymobiledevice3.services.afc import AfcService

from station.model.base import SocketPath
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.system.files import CANARY, MEDIA
from tests.virtual_services.backups import (
    MESSAGES,
    PICTURE,
    SECRET,
    asking,
    back_up,
    contents,
    erased,
    media,
    put_back,
    read,
    refused,
    restarting,
    stored,
)
from tests.virtual_services.helpers import started

PATH = CANARY.removeprefix(MEDIA)


@pytest.mark.parametrize("password", [pytest.param(None, marks=pytest.mark.long), SECRET])
async def test_an_erased_phone_gets_everything_back(plug, bus, tmp_path, password):
    old = plug(1, backup_password=password)
    await back_up(old, tmp_path)
    before = await media(old)
    assert PATH in before
    new = plug(2, **erased())
    async with restarting(bus):
        await put_back(new, tmp_path, old, password=password or "")
    assert await media(new) == before
    await back_up(new, tmp_path)
    assert contents(tmp_path, new, password or "") == contents(tmp_path, old, password or "")
    assert new.system.name == old.system.name
    assert new.system.backup_password == password, "the keychain came with it"


@pytest.mark.system
async def test_a_wrong_password_is_refused(plug, tmp_path):
    phone = plug(backup_password=SECRET)
    await back_up(phone, tmp_path)
    before = await media(phone)
    with refused(207, "Invalid password when restoring encrypted backup .*MKBKeyBagUnlock"):
        await put_back(phone, tmp_path, password="wrong")
    assert await media(phone) == before


@pytest.mark.system
async def test_find_my_must_be_off(plug, tmp_path):
    phone = plug(find_my=True)
    await back_up(phone, tmp_path)
    with refused(211, "Find My iPhone must be disabled"):
        await put_back(phone, tmp_path)


@pytest.mark.system
async def test_a_locked_phone_is_left_alone(plug, tmp_path):
    phone = plug(passcode=True)
    await back_up(phone, tmp_path)
    udid = phone.identity.udid
    phone.system.locked = True
    async with asking(phone) as service, service.device_link(tmp_path) as link:
        request = {"MessageName": "Restore", "TargetIdentifier": udid, "SourceIdentifier": udid}
        await link.send_process_message(request)
        with refused(208, "Device locked"):
            await link.dl_loop()


@pytest.mark.system
async def test_a_later_systems_backup_is_refused(plug, tmp_path):
    old = plug(1)
    await back_up(old, tmp_path)
    with refused(203, "incompatible OS version"):
        await put_back(plug(2, version="17.5.1", build="21F90"), tmp_path, old)


@pytest.mark.system
async def test_a_phone_that_is_full_is_left_alone(plug, tmp_path):
    old = plug(1)
    await back_up(old, tmp_path)
    new = plug(2, **erased())
    new.system.files.capacity = new.system.files.taken + 10_000
    with refused(106, "Insufficient free disk space on device"):
        await put_back(new, tmp_path, old)


def _cut(path):
    path.write_bytes(path.read_bytes()[:100])


def _garble(path):
    path.write_bytes(b"garbage" * 100)


def _forget_keybag(path):
    path.write_bytes(plistlib.dumps({**plistlib.loads(path.read_bytes()), "BackupKeyBag": 1}))


@pytest.mark.parametrize(
    ("name", "damage", "code", "text"),
    [
        (PICTURE, lambda path: path.unlink(), 205, "Multiple errors downloading files"),
        (PICTURE, _cut, 205, "Digest"),
        (PICTURE, lambda path: path.write_bytes(bytes(path.stat().st_size)), 205, "Digest"),
        ("Manifest.db", _cut, 205, "manifest database"),
        ("Manifest.db", _garble, 205, "manifest database"),
        ("Manifest.db", lambda path: path.unlink(), 205, "No such file or directory at path"),
        ("Manifest.plist", lambda path: path.write_bytes(b""), None, ""),
        ("Manifest.plist", _garble, None, ""),
        ("Manifest.plist", _forget_keybag, 205, "No keybag"),
        ("Status.plist", _garble, 205, "Error reading status"),
    ],
)
@pytest.mark.long
async def test_a_damaged_backup_is_refused(plug, tmp_path, name, damage, code, text):
    phone = plug()
    await back_up(phone, tmp_path)
    before = await media(phone)
    damage(stored(tmp_path, phone, name) if isinstance(name, tuple) else tmp_path / phone.identity.udid / name)
    with refused(code, text) if code else pytest.raises(plistlib.InvalidFileException):
        await put_back(phone, tmp_path)
    assert await media(phone) == before


@pytest.mark.system
@pytest.mark.parametrize("database", ["CREATE TABLE Other (x)", "CREATE TABLE Files (domain, relativePath, file)"])
async def test_a_manifest_of_other_shape_is_refused(plug, tmp_path, database):
    phone = plug()
    await back_up(phone, tmp_path)
    path = tmp_path / phone.identity.udid / "Manifest.db"
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute(database)
    if "Files" in database:
        connection.execute("INSERT INTO Files VALUES ('HomeDomain', 'Library/x', x'00')")
    connection.commit()
    connection.close()
    with refused(205, "manifest database"):
        await put_back(phone, tmp_path)


async def test_without_a_restart_everything_waits_for_one(plug, bus, tmp_path):
    phone = plug()
    await back_up(phone, tmp_path)
    phone.system.files.write(CANARY, b"another picture")
    await put_back(phone, tmp_path, reboot=False)
    assert (await media(phone))[PATH] == b"another picture"
    with refused(102, "backup.i"):
        await put_back(phone, tmp_path)
    await bus.unplug(SocketPath("1-1.1"))
    bus.plug(phone, SocketPath("1-1.1"))
    assert (await media(phone))[PATH] == contents(tmp_path, phone)[PICTURE]


@pytest.mark.system
@pytest.mark.parametrize("remove", [True, False])
async def test_what_is_not_in_the_backup_goes_when_asked(plug, bus, tmp_path, remove):
    phone = plug()
    await back_up(phone, tmp_path)
    phone.system.files.write(f"{MEDIA}/DCIM/100APPLE/IMG_9999.JPG", b"later")
    async with restarting(bus):
        await put_back(phone, tmp_path, remove=remove)
    assert ("/DCIM/100APPLE/IMG_9999.JPG" in await media(phone)) is not remove


@pytest.mark.system
async def test_without_system_files_only_pictures_and_apps_come_back(plug, bus, tmp_path):
    old = plug(1)
    await back_up(old, tmp_path)
    new = plug(2, **erased())
    async with restarting(bus):
        await put_back(new, tmp_path, old, system=False)
    await back_up(new, tmp_path)
    found = contents(tmp_path, new)
    assert PICTURE in found
    assert MESSAGES not in found


@pytest.mark.system
async def test_settings_stay_when_asked(plug, bus, tmp_path):
    old = plug(1)
    old.system.files.write("/var/mobile/Library/Preferences/com.apple.springboard.plist", b"old")
    await back_up(old, tmp_path)
    new = plug(2, **erased())
    async with restarting(bus):
        await put_back(new, tmp_path, old, settings=True)
    await back_up(new, tmp_path)
    assert ("HomeDomain", "Library/Preferences/com.apple.springboard.plist") not in contents(tmp_path, new)
    assert new.system.name == "iPhone"


@pytest.mark.system
async def test_a_pulled_cable_leaves_the_phone_as_it_was(plug, bus, tmp_path):
    phone = plug()
    await back_up(phone, tmp_path)
    phone.system.files.write(CANARY, b"another picture")
    phone.faults.add(Fault(at="restore:batch", kind=FaultKind.UNPLUG))
    with pytest.raises((ConnectionTerminatedError, OSError)):
        await put_back(phone, tmp_path)
    bus.plug(phone, SocketPath("1-1.1"))
    assert (await media(phone))[PATH] == b"another picture"
    async with restarting(bus):
        await put_back(phone, tmp_path)
    assert (await media(phone))[PATH] == contents(tmp_path, phone)[PICTURE]


@pytest.mark.long
@pytest.mark.parametrize(
    ("moment", "comes_back"), [("moving", b"first"), ("moving:files", b"second"), ("moving:manifest", b"second")]
)
async def test_a_backup_that_broke_off_can_be_put_back(plug, bus, tmp_path, moment, comes_back):
    phone = plug()
    phone.system.files.write(CANARY, b"first")
    await back_up(phone, tmp_path)
    phone.system.files.write(CANARY, b"second")
    phone.faults.add(Fault(at=f"backup:{moment}", kind=FaultKind.UNPLUG))
    with pytest.raises((ConnectionTerminatedError, OSError)):
        await back_up(phone, tmp_path, full=False)
    new = plug(2, **erased())
    async with restarting(bus):
        await put_back(new, tmp_path, phone)
    assert (await media(new))[PATH] == comes_back


@pytest.mark.system
async def test_the_host_keeps_a_copy_when_asked(plug, bus, tmp_path):
    phone = plug()
    await back_up(phone, tmp_path)
    async with restarting(bus):
        await put_back(phone, tmp_path, copy=True)
    (copy,) = tmp_path.glob(f"{phone.identity.udid}-????????-??????")
    assert {path.name for path in copy.glob("??/*")} == {
        path.name for path in (tmp_path / phone.identity.udid).glob("??/*")
    }


@pytest.mark.system
async def test_a_path_out_of_its_domain_is_not_followed(plug, bus, tmp_path):
    phone = plug()
    phone.system.files.write(f"{MEDIA}/DCIM/evil", b"evil")
    await back_up(phone, tmp_path)
    path = tmp_path / phone.identity.udid / "Manifest.db"
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE Files SET relativePath = 'Media/DCIM/../../../evil' WHERE relativePath = 'Media/DCIM/evil'"
    )
    connection.commit()
    connection.close()
    async with restarting(bus):
        await put_back(phone, tmp_path)
    assert not phone.system.files.exists("/var/evil")
    assert read(tmp_path, phone, "Status.plist")["SnapshotState"] == "finished"
    async with started(phone, AfcService) as afc:
        assert await afc.get_file_contents(PATH) == phone.system.canary
