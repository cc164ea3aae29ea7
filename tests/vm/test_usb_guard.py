"""What is not a phone is not let in at the USB sockets, where that was chosen (`deploy/install --usb-guard`).

A keyboard is played by the kernel's own gadget (dummy_hcd, a USB device and its host controller in one machine).
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.vm.guest import Guest
from tests.vm.program import PROGRAM
from tests.vm.sockets import Sockets

pytestmark = [pytest.mark.vm, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

GUARD = PROGRAM / "deploy/files/usb-guard/etc"
RULES = "udev/rules.d/71-restore-station-usb-guard.rules"
UNIT = "station-usb-guard.service"
GADGET = "/sys/kernel/config/usb_gadget/keyboard"
# A keyboard that types (HID 1.11, appendix B.1 and E.6).
REPORT = (
    "05 01 09 06 a1 01 05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 03"
    " 95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 c0"
)
MAKE = f"""
set -e
modprobe --all dummy_hcd libcomposite usb_f_hid usbhid hid-generic
mkdir -p {GADGET}/strings/0x409 {GADGET}/configs/c.1 {GADGET}/functions/hid.usb0
cd {GADGET}
echo 0x046d > idVendor
echo 0xc31c > idProduct
echo "Keyboard" > strings/0x409/product
cd functions/hid.usb0
echo 1 > protocol
echo 1 > subclass
echo 8 > report_length
printf '{"".join(chr(92) + "x" + byte for byte in REPORT.split())}' > report_desc
ln -s {GADGET}/functions/hid.usb0 {GADGET}/configs/c.1/
"""
THERE = "grep --quiet --no-messages 046d /sys/bus/usb/devices/*/idVendor"
PLUG = f"ls /sys/class/udc | grep -m1 dummy > {GADGET}/UDC; until {THERE}; do sleep 0.1; done; udevadm settle"
UNPLUG = f"echo > {GADGET}/UDC; udevadm settle"
UNMAKE = f"""
cd {GADGET}
rm configs/c.1/hid.usb0
rmdir configs/c.1 functions/hid.usb0 strings/0x409
cd .. && rmdir keyboard
modprobe --remove usb_f_hid libcomposite dummy_hcd
"""
LET_IN = "grep -l 046d /sys/bus/usb/devices/*/idVendor | xargs dirname | xargs -I@ cat @/authorized"
KEYBOARDS = "grep -c Keyboard /proc/bus/input/devices"


@pytest_asyncio.fixture(loop_scope="session")
async def keyboard(guest: Guest) -> AsyncIterator[None]:
    """A keyboard that lies there, not plugged in."""
    await guest.check("bash", "-c", MAKE)
    yield
    await guest.run("sh", "-c", f"{UNPLUG}; {UNMAKE}")


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(guest: Guest) -> AsyncIterator[None]:
    """The guard as it is delivered, from boot on."""
    install = f"cp {GUARD}/{RULES} /run/{RULES}; cp {GUARD}/systemd/system/{UNIT} /run/systemd/system/{UNIT}"
    reload = "udevadm control --reload; systemctl daemon-reload"
    begin = f"mkdir -p /run/udev/rules.d; {install}; {reload}; systemctl start {UNIT}; udevadm settle"
    await guest.check("sh", "-c", begin, seconds=120)
    yield
    end = f"systemctl stop {UNIT}; rm /run/{RULES} /run/systemd/system/{UNIT}; {reload}"
    await guest.check("sh", "-c", end, seconds=120)


async def test_without_the_guard_a_keyboard_types(guest: Guest, keyboard: None, sockets: Sockets):
    del keyboard
    before = int((await guest.run("sh", "-c", KEYBOARDS)).output)
    await guest.check("sh", "-c", PLUG)
    assert await guest.check("sh", "-c", LET_IN) == "1\n"
    await sockets.until("sh", "-c", KEYBOARDS, says=f"{before + 1}\n")


async def test_with_the_guard_it_does_not_and_a_phone_is_let_in(
    guest: Guest, keyboard: None, guarded: None, sockets: Sockets
):
    del keyboard, guarded
    before = (await guest.run("sh", "-c", KEYBOARDS)).output
    await guest.check("sh", "-c", PLUG)
    assert await guest.check("sh", "-c", LET_IN) == "0\n"
    assert (await guest.run("sh", "-c", KEYBOARDS)).output == before
    phone = await sockets.plug()
    place = await sockets.enumerated(phone.mode)
    assert await guest.check("cat", f"/sys{place['DEVPATH']}/authorized") == "1\n"
