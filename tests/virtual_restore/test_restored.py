"""restored before a restore: who it is, what it refuses, and that it does not wait for ever."""

import asyncio
import plistlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymobiledevice3.restore.restored_client import RestoredClient
from pymobiledevice3.service_connection import ServiceConnection

from station.model.phone import PhoneMode
from station.virtual.framing import BadMessageError
from station.virtual.restore import restored
from station.virtual.restore.link import _piece
from station.virtual.restore.ramdisk import make_options, read_ramdisk
from tests.virtual_restore.helpers import comes_back


@pytest.fixture
async def waiting(phone):
    """The phone in restore mode."""
    await phone.disappear()
    phone.appear(PhoneMode.RESTORE)
    return phone


async def connected(phone) -> ServiceConnection:
    return await ServiceConnection.create_using_usbmux(phone.identity.udid, restored.PORT)


async def test_the_library_finds_it_by_ecid(waiting):
    client = await RestoredClient.create(waiting.identity.ecid)
    assert client.hardware_info["UniqueChipID"] == client.ecid == waiting.identity.ecid
    assert client.saved_debug_info == {"PreviousExitStatus": "0x100"}
    assert int(client.version) == 15


async def test_lockdowns_requests_are_not_its_own(waiting):
    service = await connected(waiting)
    answer = await service.send_recv_plist({"Request": "GetValue", "Key": "UniqueChipID"})
    assert answer == {"Error": "unrecognized request 'GetValue'"}
    assert (await service.send_recv_plist({"Request": "QueryType"}))["Type"] == "com.apple.mobile.restored"


async def test_one_restore_at_a_time(waiting):
    first, second = await connected(waiting), await connected(waiting)
    await first.send_plist({"Request": "StartRestore", "RestoreOptions": {}})
    assert (await first.recv_plist())["MsgType"] == "CheckpointMsg"
    assert "Error" in await second.send_recv_plist({"Request": "StartRestore", "RestoreOptions": {}})


async def test_reboot(waiting):
    service = await connected(waiting)
    assert (await service.send_recv_plist({"Request": "Reboot"}))["Result"] == "Success"
    assert await comes_back(waiting) is PhoneMode.RECOVERY


async def test_a_host_that_hangs_up_at_once(waiting):
    service = await connected(waiting)
    await service.send_plist({"Request": "StartRestore", "RestoreOptions": {}})
    await service.close()
    assert await comes_back(waiting) is PhoneMode.RECOVERY
    assert waiting.system is not None
    assert waiting.destructions == []


async def test_nobody_starts_a_restore(phone, apple):
    await phone.disappear()
    phone.appear(PhoneMode.RESTORE, lambda phone: restored.boot(phone, apple=apple, start_seconds=0.01))
    async with asyncio.timeout(5):
        assert await comes_back(phone) is PhoneMode.RECOVERY


async def test_nonsense_is_cut_off(waiting):
    service = await connected(waiting)
    await service.sendall(b"\xff\xff\xff\xff")
    assert await service.recv_any() == b""


@pytest.mark.parametrize("behavior", ["Erase", "Update"])
def test_a_ramdisk_says_how_to_restore(behavior):
    ramdisk = read_ramdisk(make_options(behavior, version="15.7", build="19H12") + b"\0" * 5000)
    assert (ramdisk.behavior, ramdisk.version, ramdisk.build, ramdisk.ios) == (behavior, "15.7", "19H12", 15)


@pytest.mark.parametrize(
    "payload", [b"", b"\0" * 100, make_options("Other"), plistlib.dumps({}), make_options("Erase", version="x")]
)
def test_a_ramdisk_that_says_nothing(payload):
    with pytest.raises(ValueError, match="ramdisk"):
        read_ramdisk(payload)


@given(st.binary(max_size=300), st.sampled_from(list(plistlib.PlistFormat)))
def test_file_data_in_any_form(data, form):
    assert _piece(plistlib.dumps({"FileData": data}, fmt=form)) == data


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=200), st.integers(0, 300))
def test_what_is_no_file_data_is_never_taken_for_it(junk, data, at):
    body = plistlib.dumps({"FileData": data}, fmt=plistlib.FMT_BINARY)
    body = body[:at] + junk + body[at:]
    try:
        piece = _piece(body)
    except BadMessageError:
        return
    assert piece == plistlib.loads(body)["FileData"]


def test_the_end_of_file_data():
    assert _piece(plistlib.dumps({"FileDataDone": True})) is None
