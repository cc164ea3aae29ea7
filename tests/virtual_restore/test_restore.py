"""The unmodified library restores a phone in restore mode; what it sends wrong, the phone does not accept."""

import asyncio
from pathlib import PurePosixPath

import pytest
from pymobiledevice3.restore import restore_options
from pymobiledevice3.restore.base_restore import Behavior

from station.model.phone import PhoneMode
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.phones.models import find_model
from station.virtual.restore.ramdisk import make_options
from station.virtual.restore.script import request_steps, steps
from station.virtual.services.preboard import COMMITTED
from tests.virtual_restore.helpers import History, comes_back, in_restore_mode, spoilt

ERASED = ["restored format_media"]
RESTORE_IMAGE, WIPE_STORAGE_DEVICE, CREATE_SYSTEM_KEYBAG = 13, 42, 50
REQUESTED = [
    "RootTicket",
    "NORData",
    "FDRTrustData",
    "SystemImageData",
    "FUDData",
    "ReceiptManifest",
    "BuildIdentityDict",
    "FirmwareUpdaterPreflight",
    "FirmwareUpdaterData",
    "SourceBootObjectV4",
    "BasebandData",
    "KernelCache",
    "DeviceTree",
    "PersonalizedBootObjectV3",
    "SystemImageRootHash",
    "SystemImageCanonicalMetadata",
]


async def test_an_erase_restore(phone, ipsw):
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 0
    assert await comes_back(phone) is PhoneMode.NORMAL
    system = phone.system
    assert (system.version, system.build, system.activation_state) == ("26.2.1", "23C71", "Unactivated")
    assert (system.passcode, system.canary) == (False, None)
    assert phone.nvram["auto-boot"] == "true"
    assert phone.destructions == ERASED
    assert set(steps("Erase")) <= set(phone.history)
    asked = [message["DataType"] for message in restore.said("DataRequestMsg") + restore.said("AsyncDataRequestMsg")]
    assert set(REQUESTED) | {"URLAsset"} == set(asked)
    main = list(dict.fromkeys(message["DataType"] for message in restore.messages if "DataType" in message))
    main.remove("URLAsset")  # it stands where the image has got to
    assert main == REQUESTED


@pytest.mark.system
async def test_what_the_phone_reports(phone, ipsw):
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 0
    open_ones: list[int] = []
    for message in restore.said("CheckpointMsg"):
        if message["CHECKPOINT_COMPLETE"]:
            assert open_ones.pop() == message["CHECKPOINT_ID"]
        else:
            open_ones.append(message["CHECKPOINT_ID"])
    assert not open_ones
    operations = {message["Operation"] for message in restore.said("ProgressMsg")}
    assert {WIPE_STORAGE_DEVICE, CREATE_SYSTEM_KEYBAG} <= operations
    image = [m["Progress"] for m in restore.said("ProgressMsg") if m["Operation"] == RESTORE_IMAGE]
    assert image == sorted(image)
    assert image[-1] == 100


async def test_an_update_keeps_what_the_owner_has(phone, ipsw):
    phone.ramdisk = make_options("Update")
    before = phone.system
    restore = await in_restore_mode(phone, ipsw, Behavior.Update)
    assert await restore.status() == 0
    assert await comes_back(phone) is PhoneMode.NORMAL
    assert (phone.system.version, phone.system.build) == ("26.2.1", "23C71")
    assert (phone.system.canary, phone.system.name) == (before.canary, before.name)
    assert phone.system.activation_state == "Activated"
    assert phone.destructions == []
    operations = {message["Operation"] for message in restore.said("ProgressMsg")}
    assert not operations & {WIPE_STORAGE_DEVICE, CREATE_SYSTEM_KEYBAG}


@pytest.mark.parametrize("bag", [True, False])
async def test_after_an_update_a_passcode_shuts_the_data_unless_a_stash_bag_opens_it(phone, ipsw, bag):
    phone.ramdisk = make_options("Update")
    phone.system.passcode = True
    if bag:
        phone.system.files.make_directories(str(PurePosixPath(COMMITTED).parent))
        phone.system.files.write(COMMITTED, b"stash bag")
    restore = await in_restore_mode(phone, ipsw, Behavior.Update)
    assert await restore.status() == 0
    assert await comes_back(phone) is PhoneMode.NORMAL
    assert (phone.system.recovering, phone.system.locked) == (not bag, not bag)
    assert not phone.system.files.exists(COMMITTED)  # it is good for one update
    assert phone.system.canary is not None


async def test_an_update_needs_something_to_update(phone, ipsw):
    phone.ramdisk = make_options("Update")
    phone.system = None
    restore = await in_restore_mode(phone, ipsw, Behavior.Update)
    assert await restore.status() == 68
    assert await comes_back(phone) is PhoneMode.RECOVERY


@pytest.mark.parametrize(
    ("path", "status", "erased"),
    [
        ("000-00001-001.dmg", 6, True),
        pytest.param("000-00002-001.dmg", 100, True, marks=pytest.mark.long),
        pytest.param("Firmware/000-00003-001.dmg.trustcache", 100, True, marks=pytest.mark.long),
        ("Firmware/all_flash/sep-firmware.d53g.RELEASE.im4p", 50, False),
        ("Firmware/all_flash/iBoot.d53g.RELEASE.im4p", 14, False),
        pytest.param("Firmware/AOP/d53g_aop.im4p", 14, True, marks=pytest.mark.long),
        pytest.param("Firmware/SE/Stockholm7.RELEASE.sefw", 14, True, marks=pytest.mark.long),
        pytest.param("kernelcache.release.iphone13", 14, True, marks=pytest.mark.long),
    ],
)
async def test_a_flipped_bit_is_never_installed(phone, ipsw, tmp_path, path, status, erased):
    restore = await in_restore_mode(phone, spoilt(ipsw, tmp_path / "ipsw", path))
    assert await restore.status() == status
    assert await comes_back(phone) is PhoneMode.RECOVERY
    assert (phone.system is None) is erased
    assert phone.destructions == (ERASED if erased else [])
    (final,) = restore.said("StatusMsg")
    assert final["Successful"] is False
    assert final["AMRError"] == status
    assert "CHECKPOINT BEGIN" in final["Log"]
    failed = [m for m in restore.said("CheckpointMsg") if m["CHECKPOINT_RESULT"] == status]
    assert failed
    assert all("CHECKPOINT_ERROR" in message for message in failed)


async def test_a_ticket_for_another_restore_is_refused(phone, ipsw):
    restore = await in_restore_mode(phone, ipsw)
    phone.restore_ticket = b"another"
    assert await restore.status() == 14
    assert phone.destructions == []


@pytest.mark.system
async def test_an_erase_ramdisk_takes_no_update_identity(phone, ipsw):
    restore = await in_restore_mode(phone, ipsw, Behavior.Update)
    assert await restore.status() == 14
    assert phone.system is None


async def test_a_host_that_is_too_old(phone, ipsw, monkeypatch):
    restore = await in_restore_mode(phone, ipsw)
    monkeypatch.delitem(restore_options.SUPPORTED_DATA_TYPES, "URLAsset")
    assert await restore.status() == 10
    assert phone.destructions == []


@pytest.mark.long
async def test_an_encrypted_cryptex_needs_a_key_of_its_own(phone, apple, tmp_path):
    ipsw = make_ipsw(
        tmp_path / "ipsw",
        version="26.3",
        build="23D1",
        models=[find_model("iPhone 12")],
        os_bytes=100_000,
        cryptex_bytes=100_000,
        ramdisk_bytes=10_000,
        aea=True,
    )
    apple.register(ipsw)
    phone.ramdisk = make_options("Erase", version="26.3", build="23D1")
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 0
    assert phone.history.count("restored:URLAsset") == 2
    assert phone.system.build == "23D1"


@pytest.mark.system
async def test_without_apple_there_is_no_key(phone, ipsw, apple):
    apple.behaviours[AppleService.ASSETS] = Behaviour.UNAVAILABLE
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 1100
    assert "restored:StreamedImageDecryptionKey" in phone.history


@pytest.mark.long
async def test_a_key_that_is_refused_once_is_fetched_the_other_way(phone, ipsw):
    phone.faults.add(Fault(at="restored:URLAsset", kind=FaultKind.REFUSE))
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 0
    assert "restored:StreamedImageDecryptionKey" in phone.history


@pytest.mark.system
async def test_without_apple_there_is_no_factory_data(phone, ipsw, apple):
    apple.behaviours[AppleService.FDR] = Behaviour.UNAVAILABLE
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 53


@pytest.mark.parametrize(
    "at",
    [
        "restored:StartRestore",
        "fdr:ctrl",
        pytest.param("restored:status", marks=pytest.mark.long),
        pytest.param("asr:payload", marks=pytest.mark.long),
        pytest.param("restored:checkpoint:0x669", marks=pytest.mark.long),
    ],
)
async def test_a_phone_that_gives_up_says_so(phone, ipsw, at):
    phone.faults.add(Fault(at=at, kind=FaultKind.STATUS, status=27))
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 27
    assert await comes_back(phone) is PhoneMode.RECOVERY


@pytest.mark.parametrize(
    "at",
    [
        "restored:StartRestore",
        "asr:payload",
        pytest.param("restored:KernelCache", marks=pytest.mark.long),
        pytest.param("fdr:proxy", marks=pytest.mark.long),
    ],
)
async def test_an_unplugged_phone_is_gone(phone, ipsw, bus, at):
    phone.faults.add(Fault(at=at, kind=FaultKind.UNPLUG))
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() is None
    assert bus.phones == []
    assert phone.history[-1] == at


@pytest.mark.long
async def test_a_silent_phone_restarts_when_the_host_hangs_up(phone, ipsw):
    phone.history = history = History()
    phone.faults.add(Fault(at="restored:KernelCache", kind=FaultKind.SILENCE))
    restore = await in_restore_mode(phone, ipsw)
    restoring = asyncio.create_task(restore.status())
    await history.until(lambda steps: "restored:KernelCache" in steps)
    assert not restoring.done()
    assert phone.running is not None
    await restore.hang_up()
    assert await comes_back(phone) is PhoneMode.RECOVERY
    assert phone.system is None
    assert await restoring is None


@pytest.mark.system
async def test_a_refused_data_port(phone, ipsw):
    phone.history = history = History()
    phone.faults.add(Fault(at="restored:BuildIdentityDict", kind=FaultKind.REFUSE))
    restore = await in_restore_mode(phone, ipsw)
    restoring = asyncio.create_task(restore.status())
    refused = set(map("connect:{}".format, range(49152, 49200)))
    # The library tries again and again, without a pause.
    await history.until(lambda steps: any(steps.count(step) > 3 for step in refused & set(steps)))
    restoring.cancel()
    await asyncio.gather(restoring, return_exceptions=True)
    await restore.hang_up()
    assert await comes_back(phone) is PhoneMode.RECOVERY


async def test_firmware_updates_that_are_skipped(phone, ipsw, monkeypatch):
    restore = await in_restore_mode(phone, ipsw)

    async def skip(*_):
        assert restore._restored is not None
        await restore._restored.send({"FUDImageList": []})

    monkeypatch.setattr(restore, "send_image_data", skip)
    assert await restore.status() == 14
    (final,) = restore.said("StatusMsg")
    assert "missing: ANE, AOP, AVE" in final["Log"]
    assert await comes_back(phone) is PhoneMode.RECOVERY
    assert phone.system is None


@pytest.mark.long
async def test_a_phone_that_falls_back_to_recovery(phone, ipsw):
    phone.faults.add(Fault(at="restored:restart", kind=FaultKind.STAY))
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 0
    assert await comes_back(phone) is PhoneMode.RECOVERY
    assert phone.system is not None


def test_steps_can_be_listed():
    assert set(request_steps()) < set(steps())
    assert "restored:checkpoint:0x621" in steps("Erase", ios=17)
    assert "restored:checkpoint:0x621" not in steps("Update", ios=17)
    assert not any("checkpoint" in step for step in request_steps())
