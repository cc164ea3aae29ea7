"""com.apple.mobilebackup2, used by Debian's idevicebackup2 and by pymobiledevice3's command line."""

import pytest

from tests.virtual_services.backups import (
    PICTURE,
    SECRET,
    contents,
    erased,
    media,
    read,
    restarting,
)
from tests.virtual_services.helpers import introduce, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

PHONE = "iPhone 12, iOS 18.5"
SECONDS = 60.0


async def idevicebackup2(phone, *arguments):
    """Run it. Its exit code is the phone's error code, negated and cut to a byte."""
    return await run("idevicebackup2", "-u", phone.identity.udid, *arguments, seconds=SECONDS)


@pytest.mark.client("idevicebackup2", "full backup, then an incremental one", phone=PHONE)
async def test_backs_up(plug, tmp_path):
    phone = plug()
    await introduce(phone)
    ran = await idevicebackup2(phone, "backup", "--full", str(tmp_path))
    assert "Backup Successful." in ran.out
    assert ran.code == 0
    assert contents(tmp_path, phone)[PICTURE] == phone.system.canary
    phone.system.files.write("/var/mobile/Library/SMS/new.db", b"new")
    ran = await idevicebackup2(phone, "backup", str(tmp_path))
    assert "Incremental backup mode." in ran.out
    assert "Backup Successful." in ran.out
    assert contents(tmp_path, phone)["HomeDomain", "Library/SMS/new.db"] == b"new"


@pytest.mark.client("idevicebackup2", "encryption on, encrypted backup, restore to an erased phone", phone=PHONE)
async def test_restores_an_encrypted_backup(plug, bus, tmp_path):
    old = plug(1)
    await introduce(old)
    ran = await idevicebackup2(old, "encryption", "on", SECRET, str(tmp_path))
    assert "Backup encryption has been enabled successfully." in ran.out
    ran = await idevicebackup2(old, "backup", "--full", str(tmp_path))
    assert "Backup will be encrypted." in ran.out
    assert "Backup Successful." in ran.out
    assert read(tmp_path, old, "Manifest.plist")["IsEncrypted"]
    before = await media(old)

    new = plug(2, **erased())
    await introduce(new)
    options = ("-s", old.identity.udid, "restore", "--system", "--settings", "--password")
    ran = await idevicebackup2(new, *options, "wrong", str(tmp_path))
    assert "ErrorCode 207: Invalid password when restoring encrypted backup" in ran.out
    async with restarting(bus):
        ran = await idevicebackup2(new, *options, SECRET, str(tmp_path))
    assert "Restore Successful." in ran.out
    assert ran.code == 0
    after = await media(new)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() <= {"/iTunesRestore/RestoreApplications.plist"}


@pytest.mark.client("idevicebackup2", "change password, encryption off", phone=PHONE)
async def test_changes_the_password(plug, tmp_path):
    phone = plug(backup_password="old one")
    await introduce(phone)
    ran = await idevicebackup2(phone, "changepw", "wrong", SECRET)
    assert "ErrorCode 207: Invalid password (MBErrorDomain/207)" in ran.out
    ran = await idevicebackup2(phone, "changepw", "old one", SECRET)
    assert "Backup encryption password has been changed successfully." in ran.out
    ran = await idevicebackup2(phone, "encryption", "off", SECRET, str(tmp_path))
    assert "Backup encryption has been disabled successfully." in ran.out
    assert phone.system.backup_password is None


@pytest.mark.client("idevicebackup2", "info", phone=PHONE)
async def test_tells_of_a_backup(plug, tmp_path):
    phone = plug()
    await introduce(phone)
    await idevicebackup2(phone, "backup", str(tmp_path))
    ran = await idevicebackup2(phone, "info", str(tmp_path))
    assert "MBStatus" in ran.out
    assert ran.code == 0


@pytest.mark.client(
    "idevicebackup2",
    "list, unback",
    phone=PHONE,
    fails="phones with iOS 10 or later do not do it: libimobiledevice#422, #517",
    log="ErrorCode 205: Error reading backup database (MBErrorDomain/205). Underlying error: …",
)
async def test_lists_and_unpacks_no_backup(plug, tmp_path):
    phone = plug()
    await introduce(phone)
    await idevicebackup2(phone, "backup", str(tmp_path))
    ran = await idevicebackup2(phone, "list", str(tmp_path))
    assert "ErrorCode 205: Error reading backup database (MBErrorDomain/205)." in ran.out
    assert "Manifest.mbdb" in ran.out
    ran = await idevicebackup2(phone, "unback", str(tmp_path))
    assert "Could not receive from mobilebackup2" in ran.out


@pytest.mark.client("idevicebackup2", "is refused while Find My is on", phone=PHONE)
async def test_find_my_must_be_off(plug, tmp_path):
    phone = plug(find_my=True)
    await introduce(phone)
    await idevicebackup2(phone, "backup", str(tmp_path))
    ran = await idevicebackup2(phone, "restore", "--system", str(tmp_path))
    assert "ErrorCode 211: Find My iPhone must be disabled before restoring (MBErrorDomain/211)" in ran.out


@pytest.mark.long
@pytest.mark.client("pymobiledevice3", "backup2: encryption, backup, restore, erase-device", phone=PHONE)
async def test_the_librarys_command_line(plug, bus, mux_path, tmp_path):
    phone = plug(1)
    await introduce(phone)

    async def backup2(*arguments):
        # Without the word UNIX in front, which `run` puts there for libusbmuxd.
        address = f"USBMUXD_SOCKET_ADDRESS={mux_path}"
        ran = await run("env", address, "pymobiledevice3", "--no-color", "backup2", *arguments, seconds=SECONDS)
        assert ran.code == 0, ran
        assert "ERROR" not in ran.err, ran
        return ran

    await backup2("encryption", "on", SECRET)
    await backup2("backup", "--full", str(tmp_path))
    assert contents(tmp_path, phone, SECRET)[PICTURE] == phone.system.canary
    before = await media(phone)
    async with restarting(bus):
        await backup2("restore", str(tmp_path), "--system", "--password", SECRET)
    assert before.items() <= (await media(phone)).items()
    async with restarting(bus):
        await backup2("erase-device", str(tmp_path))
    assert await media(phone) == {}
