"""Debian's irecovery 1.0.0, at a phone in recovery and in DFU mode."""

from pathlib import Path

import pytest

from station.model.phone import PhoneMode
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import VirtualPhone
from tests.virtual_usb.helpers import image, ticket_for
from tests.vm.guest import Guest
from tests.vm.sockets import Sockets

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

MODEL = ("iPhone 8", "13.7", "17H35")
CRASH = -11
"""By SIGSEGV."""


def signed(host: VirtualHost, phone: VirtualPhone, fourcc: str, file: Path) -> str:
    """Write an image that this phone runs; its path."""
    file.write_bytes(image(fourcc, ticket_for(phone, key=host.apple.signing.key)))
    return str(file)


@pytest.mark.client("irecovery", "script, shell with console, upload, commands", phone="iPhone 8, recovery mode")
async def test_all_it_does_in_recovery(guest: Guest, host: VirtualHost, sockets: Sockets):
    phone = await sockets.plug(*MODEL, mode=PhoneMode.RECOVERY)
    assert await guest.check("irecovery", "--mode") == "Recovery Mode\n"

    typed = "getenv build-style\\ngo\\n/deviceinfo\\n/exit\\n"
    shell = await guest.check("sh", "-c", f"printf '{typed}' | irecovery --shell")
    for said in ("BUILD_STYLE: RELEASE", "starting command prompt", "\nRELEASE\n", "Memory image not valid"):
        assert said in shell
    assert f"ECID: {phone.identity.ecid:#018x}" in shell

    script = guest.out / "script"
    script.write_text("# not a command\nsetenv backlight-level 0\nsaveenv\n")
    await guest.check("irecovery", "--script", str(script))
    await guest.check("irecovery", "--reset")  # of the port; the phone stays what it is

    upload = await guest.check("irecovery", "--file", signed(host, phone, "ibec", guest.out / "iBEC"))
    assert "100.0%" in upload
    await guest.check("irecovery", "--command", "go")
    await sockets.until("sh", "-c", "printf '/exit\\n' | irecovery --shell", says=":: iBEC for d201ap")
    await guest.check("irecovery", "--command", "setenv auto-boot true")
    await guest.check("irecovery", "--command", "saveenv")
    await guest.check("irecovery", "--command", "reboot")
    await sockets.enumerated(PhoneMode.NORMAL)


@pytest.mark.client("irecovery", "upload of an iBSS", phone="iPhone 8, DFU mode")
async def test_upload_in_dfu(guest: Guest, host: VirtualHost, sockets: Sockets):
    phone = await sockets.plug(*MODEL, mode=PhoneMode.DFU)
    assert await guest.check("irecovery", "--mode") == "DFU Mode\n"
    before = (await sockets.enumerated(PhoneMode.DFU))["DEVNUM"]
    await guest.check("irecovery", "--file", signed(host, phone, "ibec", guest.out / "not-iBSS"))
    while (await sockets.enumerated(PhoneMode.DFU))["DEVNUM"] == before:
        pass  # it starts anew: that was no iBSS
    await guest.check("irecovery", "--file", signed(host, phone, "ibss", guest.out / "iBSS"))
    await sockets.enumerated(PhoneMode.RECOVERY)


@pytest.mark.client(
    "irecovery",
    "queries, while freed memory does not stay as it was",
    phone="iPhone 8, recovery mode",
    fails="libirecovery 1.0.0 reads its list of devices on after freeing it, so idevicerestore too crashes at times",
    log="irecovery: Segmentation fault",
)
async def test_reads_what_it_has_freed(guest: Guest, sockets: Sockets):
    await sockets.plug(*MODEL, mode=PhoneMode.RECOVERY)
    perturbed = await guest.run("env", "GLIBC_TUNABLES=glibc.malloc.perturb=85", "irecovery", "--query")
    assert perturbed.code == CRASH
