"""A USB keyboard, by the kernel's own gadget (dummy_hcd, a USB device and its host controller in one machine)."""

from types import TracebackType
from typing import Self

from tests.vm.guest import Guest

GADGET = "/sys/kernel/config/usb_gadget/keyboard"
# A keyboard that types (HID 1.11, appendix B.1 and E.6).
REPORT = (
    "05 01 09 06 a1 01 05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 03"
    " 95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 c0"
)
MAKE = f"""
set -e
modprobe --all dummy_hcd libcomposite usb_f_hid usbhid hid-generic
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
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
udevadm settle
"""
THERE = "grep --quiet --no-messages 046d /sys/bus/usb/devices/*/idVendor"
PLUG = f"ls /sys/class/udc | grep -m1 dummy > {GADGET}/UDC; until {THERE}; do sleep 0.1; done; udevadm settle"
UNMAKE = f"""
cd {GADGET}
echo > UDC
rm configs/c.1/hid.usb0
rmdir configs/c.1 functions/hid.usb0 strings/0x409
cd .. && rmdir keyboard
modprobe --remove usb_f_hid libcomposite dummy_hcd
"""
FILE = "$(dirname $(grep -l 046d /sys/bus/usb/devices/*/idVendor))/authorized"
TYPES = "until grep --quiet Keyboard /proc/bus/input/devices; do sleep 0.1; done"


class Keyboard:
    """A keyboard that lies there until it is plugged in. An async context manager; it is gone afterwards."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    async def plug(self) -> None:
        """Plug it in. The kernel has seen it then, and udev has said what is to become of it."""
        await self._guest.check("sh", "-c", PLUG)

    async def is_let_in(self) -> bool:
        """Whether the kernel lets it be used."""
        return await self._guest.check("sh", "-c", f"cat {FILE}") == "1\n"

    async def is_felt(self) -> bool:
        """Whether some program could hear it type."""
        return (await self._guest.run("grep", "Keyboard", "/proc/bus/input/devices")).code == 0

    async def let_in(self) -> None:
        """Let it in by hand, and wait until it is felt. AssertionError: it never is."""
        await self._guest.check("sh", "-c", f"echo 1 > {FILE}; {TYPES}", seconds=60)

    async def __aenter__(self) -> Self:
        await self._guest.check("bash", "-c", MAKE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._guest.run("sh", "-c", UNMAKE)
