"""Whole ways through several clients, at the end of which every file is compared, as a client sees it."""

from pathlib import Path

import pytest

from tests.clients.kinds import NEW, OLD, on
from tests.clients.programs import debian, said
from tests.virtual_services.backups import contents, restarting
from tests.virtual_services.helpers import introduce

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

PASSWORD = "correct horse"
WAY = "backup → erased by pymobiledevice3 → restore; all files compared by pymobiledevice3's afc pull"


def files(directory: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def pulled(into: Path) -> dict[str, bytes]:
    """Every file in the phone's media directory."""
    await said("afc", "pull", "/", str(into))
    return files(into)


async def run_backup2(phone, *arguments, last):
    """Run idevicebackup2, whose last line must be this."""
    ran = await debian("idevicebackup2", "-u", phone.identity.udid, *arguments)
    assert ran.code == 0, ran
    assert ran.out.rstrip().endswith(last), ran


@pytest.mark.long
@pytest.mark.client("idevicebackup2", f"encrypted {WAY}")
@on(OLD, NEW)
async def test_what_was_backed_up_comes_back(phone, host, tmp_path):
    directory = tmp_path / "backups"
    directory.mkdir()
    before = await pulled(tmp_path / "before")
    assert before["DCIM/100APPLE/IMG_0001.JPG"] == phone.system.canary
    await run_backup2(phone, "encryption", "on", PASSWORD, str(directory), last="has been enabled successfully.")
    await run_backup2(phone, "backup", "--full", str(directory), last="Backup Successful.")
    kept = contents(directory, phone, PASSWORD)
    assert phone.system.canary not in files(directory).values()

    async with restarting(host.bus):
        await said("profile", "erase-device")
    await introduce(phone)
    assert await pulled(tmp_path / "between") == {}

    restore = ("restore", "--system", "--settings", "--remove", "--password", PASSWORD)
    async with restarting(host.bus):
        await run_backup2(phone, *restore, str(directory), last="Restore Successful.")
    await introduce(phone)
    after = await pulled(tmp_path / "after")
    assert {name: after.get(name) for name in before} == before
    phone.system.set_up = True  # before somebody went through the setup assistant, it makes no backups
    await run_backup2(phone, "backup", "--full", str(directory), last="Backup Successful.")
    again = contents(directory, phone, PASSWORD)
    assert {name: again.get(name) for name in kept} == kept


@pytest.mark.long
@pytest.mark.client("pymobiledevice3", "backup2: backup --unback, change-password, info")
@on(NEW)
async def test_the_library_unpacks_its_backup(phone, tmp_path):
    before = await pulled(tmp_path / "before")
    directory = tmp_path / "backups"
    await said("backup2", "backup", "--full", "--unback", str(directory))
    (unpacked,) = directory.glob("*.unback")
    (media,) = unpacked.rglob("DCIM")
    assert files(media) == {name.removeprefix("DCIM/"): data for name, data in before.items() if "DCIM/" in name}
    assert "SnapshotState=finished" in await said("backup2", "info", str(directory))
    phone.system.backup_password = "old one"
    await said("backup2", "change-password", "old one", PASSWORD)
    assert phone.system.backup_password == PASSWORD
