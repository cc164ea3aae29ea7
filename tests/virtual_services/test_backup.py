"""com.apple.mobilebackup2, asked by the unmodified library; pyiosbackup judges what comes of it."""

from pathlib import Path

from pymobiledevice3.services.mobilebackup2 import Mobilebackup2Service

from station.virtual.system.files import CANARY
from tests.virtual_services.helpers import trusted

PICTURE = "Media/DCIM/100APPLE/IMG_0001.JPG"


async def test_a_backup_holds_the_owners_files(plug, tmp_path: Path):
    phone = plug()
    async with trusted(phone) as client:
        await Mobilebackup2Service(client).backup(backup_directory=tmp_path)
    backup = Backup.from_path(tmp_path / phone.identity.udid)
    assert not backup.is_encrypted
    entry = backup.get_entry_by_domain_and_path("CameraRollDomain", PICTURE)
    assert entry.read_bytes() == phone.system.files.read(CANARY)
