"""What else com.apple.mobilebackup2 is asked for: what is in a backup, and to erase the phone."""

import pytest
from pymobiledevice3.exceptions import ConnectionTerminatedError

from tests.virtual_services.backups import SECRET, asking, back_up, media, refused, restarting
from tests.virtual_services.helpers import trusted


async def test_erases_the_phone(plug, bus, tmp_path):
    phone = plug(find_my=True, backup_password=SECRET)
    async with restarting(bus), asking(phone) as service:
        await service.erase_device(tmp_path)
    assert phone.destructions == ["mobilebackup2 EraseDevice"]
    assert phone.activation_lock
    assert phone.system.backup_password is None
    assert await media(phone) == {}


async def test_tells_of_a_backup(plug, tmp_path):
    phone = plug()
    await back_up(phone, tmp_path)
    async with asking(phone) as service:
        told = await service.info(tmp_path)
    assert "MBStatus" in told
    assert "SnapshotState=finished" in told


@pytest.mark.system
async def test_tells_nothing_of_an_encrypted_backup(plug, tmp_path):
    phone = plug(backup_password=SECRET)
    await back_up(phone, tmp_path)
    async with asking(phone) as service:
        with refused(207, "MKBKeyBagUnlock"):
            await service.info(tmp_path)


@pytest.mark.system
async def test_looks_for_a_list_that_no_backup_has_any_more(plug, tmp_path):
    phone = plug()
    await back_up(phone, tmp_path)
    async with asking(phone) as service:
        with refused(205, "Manifest.mbdb"):
            await service.list(tmp_path)


@pytest.mark.system
async def test_crashes_when_it_unpacks_a_backup(plug, tmp_path):
    phone = plug(backup_password=SECRET)
    await back_up(phone, tmp_path)
    async with asking(phone) as service:
        with refused(207):
            await service.unback(tmp_path, password="wrong")
    async with asking(phone) as service:
        with pytest.raises(ConnectionTerminatedError):
            await service.unback(tmp_path, password=SECRET)
    assert phone.history.count("backup:Unback") == 2


@pytest.mark.parametrize("versions", [[], [1.0], "2.1"])
async def test_a_host_of_other_times_is_told_so(plug, versions):
    phone = plug()
    async with trusted(phone) as client, await client.start_lockdown_service("com.apple.mobilebackup2") as service:

        async def tell(message):
            await service.send_plist(["DLMessageProcessMessage", message])
            name, answer = await service.recv_plist()
            assert name == "DLMessageProcessMessage"
            return answer

        greeting: object = await service.recv_plist()
        assert greeting == ["DLMessageVersionExchange", 300, 0]
        await service.send_plist(["DLMessageVersionExchange", "DLVersionsOk", 300])
        ready: object = await service.recv_plist()
        assert ready == ["DLMessageDeviceReady"]
        hello = await tell({"MessageName": "Hello", "SupportedProtocolVersions": versions})
        assert hello["ErrorCode"] == 1
        assert "Unknown message" in (await tell({"MessageName": "Nonsense"}))["ErrorDescription"]
