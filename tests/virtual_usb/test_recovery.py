"""The library's whole way into restore mode: its Recovery, a virtual IPSW, virtual Apple, a phone on USB."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from ipsw_parser.ipsw import IPSW
from pymobiledevice3.irecv import IRecv
from pymobiledevice3.restore import recovery as library_recovery
from pymobiledevice3.restore import tss as library_tss
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.device import Device
from pymobiledevice3.restore.recovery import Recovery

from station.model.phone import PhoneMode
from station.virtual.apple.servers import AppleServers
from station.virtual.firmware.components import MIB
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.phones.models import find_model
from station.virtual.restore.ramdisk import read_ramdisk
from tests.virtual_usb.helpers import Lab, arrival


@pytest.fixture(scope="module")
def ipsw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one."""
    return make_ipsw(
        tmp_path_factory.mktemp("firmware") / "ipsw",
        version="26.2.1",
        build="23C71",
        models=[find_model("iPhone 12")],
        os_bytes=MIB,
        cryptex_bytes=MIB,
        ramdisk_bytes=MIB,
    )


@pytest.mark.parametrize(
    ("start", "behavior"), [(PhoneMode.RECOVERY, Behavior.Erase), (PhoneMode.DFU, Behavior.Update)]
)
async def test_the_library_boots_the_restore_system(
    lab: Lab, ipsw: Path, start: PhoneMode, behavior: Behavior, monkeypatch: pytest.MonkeyPatch
):
    # The library waits for real phones; a virtual one at pace 0 needs no such time.
    monkeypatch.setattr(library_recovery, "asyncio", SimpleNamespace(sleep=lambda _: asyncio.sleep(0)))

    async def restore() -> None:
        recovery = Recovery(IPSW.create_from_path(str(ipsw)), Device(irecv=IRecv(ecid=1, timeout=5)), behavior=behavior)
        await recovery.boot_ramdisk()

    async with AppleServers() as apple, lab.bus.watch() as events:
        apple.register(ipsw)
        monkeypatch.setattr(library_tss, "TSS_CONTROLLER_ACTION_URL", apple.signing_url)
        phone = lab.plug(apple=apple.public_key)
        lab.plug(2)
        if start is PhoneMode.DFU:
            phone.restart_into(PhoneMode.DFU)
            await arrival(events)
        async with asyncio.timeout(15):
            # USB is blocking in the library, so it gets a loop of its own.
            await asyncio.to_thread(lambda: asyncio.run(restore()))
            while phone.mode is not PhoneMode.RESTORE:
                await events.get()
    assert read_ramdisk(phone.ramdisk).behavior == behavior.value
    assert phone.nvram["auto-boot"] == "false"
    assert phone.history[-3:] == ["iboot:upload:rkrn", "iboot:setenv", "iboot:bootx"]
    assert ("dfu:upload:ibss" in phone.history) is (start is PhoneMode.DFU)
