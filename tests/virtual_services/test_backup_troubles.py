"""MBErrorDomain's numbers, as the unmodified library sees them when a phone is told to answer so."""

import pytest

from station.virtual.faults.troubles import TROUBLES
from tests.virtual_services.backups import asking, back_up, refused

BACKUPS = {trouble.name: trouble for trouble in TROUBLES if trouble.where.startswith("backup:")}


@pytest.mark.parametrize("name", BACKUPS)
async def test_a_host_is_told_the_number(plug, tmp_path, name):
    trouble = BACKUPS[name]
    phone = plug()
    if trouble.where == "backup:Restore":
        await back_up(phone, tmp_path)
    for fault in trouble.faults:
        phone.faults.add(fault)
    async with asking(phone) as service:
        with refused(int(trouble.code), "MBErrorDomain"):
            match trouble.where:
                case "backup:Backup":
                    await service.backup(full=True, backup_directory=tmp_path)
                case "backup:Restore":
                    await service.restore(tmp_path)
                case _:
                    await service.change_password(tmp_path, old="", new="secret")
    assert trouble.where in phone.history
