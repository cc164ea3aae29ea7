"""Debian's idevicerestore 1.0.0 (June 2020) restores phones of its time; what came of it, other programs tell.

It gives nothing a second chance: five seconds without a word of usbmuxd's, or of a phone that takes a system image
(`asr_receive`), are the end (libusbmuxd's default). When a phone comes up in restore mode it is asked once which one it
is (`idevice_event_cb`); without an answer then, three minutes later it “failed to enter restore mode”. A guest that is
given no processor lets five seconds pass with nothing done: so nothing else may run beside these tests.
"""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from station.model.phone import PhoneMode
from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.files import CANARY, owners_files
from tests.vm.firmware import OLD, Release
from tests.vm.guest import Guest
from tests.vm.media import PICTURE, lockdown_values, media
from tests.vm.sockets import Sockets

pytestmark = [
    pytest.mark.vm,
    pytest.mark.long,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),
]

Firmware = Callable[[Release], Awaitable[Path]]
BEFORE = ("13.5.1", "17F80")
SECONDS = 300.0
"""It takes 15 s when nothing else runs; when it fails, it is to be heard why, and it waits for up to 180 s."""
KEPT = "GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.mxfast=160"
"""libirecovery 1.0.0 reads on in a list that it has freed (see test_irecovery.py). So freed lists stay as they were."""
STATE = ("ProductVersion", "BuildVersion", "ActivationState")


async def restore(guest: Guest, sockets: Sockets, phone: VirtualPhone, ipsw: Path, *options: str) -> str:
    """Restore a phone, to the end; what the program said."""
    await sockets.keep_usbmuxd()
    command = ["env", KEPT, "idevicerestore", "--no-input", "--plain-progress", f"--ecid={phone.identity.ecid:#x}"]
    output = await guest.check(*command, "--cache-path=/tmp/cache", *options, str(ipsw), seconds=SECONDS)
    assert "Status: Restore Finished" in output
    return output


@pytest.mark.client("idevicerestore", "erase, from normal mode", phone="iPhone 11, iOS 13.5.1 → 13.7")
@pytest.mark.client("ifuse", "lists and reads all media", phone="iPhone 11, iOS 13.5.1")
async def test_erase_from_normal(guest: Guest, sockets: Sockets, firmware: Firmware):
    ipsw = await firmware(OLD)
    phone = await sockets.plug_known("iPhone 11", *BEFORE)
    assert (await media(guest, phone))[PICTURE] == hashlib.sha256(owners_files().read(CANARY)).hexdigest()
    await restore(guest, sockets, phone, ipsw, "--erase")
    await sockets.listed(phone)
    assert await lockdown_values(guest, phone, *STATE) == [OLD.version, OLD.build, "Unactivated"]
    assert await media(guest, phone) == {}


@pytest.mark.client("idevicerestore", "erase, from recovery mode", phone="iPhone 8, iOS 13.5.1 → 13.7")
@pytest.mark.client("idevicerestore", "erase, from DFU mode", phone="iPhone 6s, iOS 13.5.1 → 13.7")
@pytest.mark.parametrize(
    ("model", "mode"),
    [("iPhone 8", PhoneMode.RECOVERY), ("iPhone 6s", PhoneMode.DFU)],
)
async def test_erase(guest: Guest, sockets: Sockets, firmware: Firmware, model: str, mode: PhoneMode):
    ipsw = await firmware(OLD)
    phone = await sockets.plug(model, *BEFORE, mode=mode)
    await restore(guest, sockets, phone, ipsw, "--erase")
    await sockets.listed(phone)
    assert await lockdown_values(guest, phone, *STATE) == [OLD.version, OLD.build, "Unactivated"]
    assert await media(guest, phone) == {}


@pytest.mark.client("idevicerestore", "update, from normal mode", phone="iPhone 8, iOS 13.5.1 → 13.7")
async def test_update(guest: Guest, sockets: Sockets, firmware: Firmware):
    ipsw = await firmware(OLD)
    phone = await sockets.plug_known("iPhone 8", *BEFORE)
    before = await media(guest, phone)
    assert PICTURE in before
    await restore(guest, sockets, phone, ipsw)
    await sockets.listed(phone)
    assert await lockdown_values(guest, phone, *STATE) == [OLD.version, OLD.build, "Activated"]
    assert await media(guest, phone) == before
