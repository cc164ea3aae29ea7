"""USB devices that are no virtual phones, by the kernel's own gadget (dummy_hcd, a device and its host in one)."""

from types import TracebackType
from typing import Self

from tests.vm.guest import Guest

GADGET = "/sys/kernel/config/usb_gadget/one"
# A keyboard that types (HID 1.11, appendix B.1 and E.6).
REPORT = (
    "05 01 09 06 a1 01 05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 03"
    " 95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 c0"
)
KEYBOARD = f"""
echo 1 > protocol
echo 1 > subclass
echo 8 > report_length
printf '{"".join(chr(92) + "x" + byte for byte in REPORT.split())}' > report_desc
"""
# $0: its function, $1: vendor, $2: product, $3: name
MAKE = f"""
set -e
modprobe --all dummy_hcd libcomposite usb_f_hid usb_f_ecm usbhid hid-generic cdc_ether
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
mkdir -p {GADGET}/strings/0x409 {GADGET}/configs/c.1 "{GADGET}/functions/$0"
cd {GADGET}
echo "0x$1" > idVendor
echo "0x$2" > idProduct
echo "$3" > strings/0x409/product
cd "functions/$0"
%s
ln -s "{GADGET}/functions/$0" {GADGET}/configs/c.1/
udevadm settle
"""
PLACE = "$(dirname $(grep --files-with-matches {} /sys/bus/usb/devices/*-*/product))"
PLUG = f"""
ls /sys/class/udc | grep -m1 dummy > {GADGET}/UDC
until grep --quiet --no-messages "$0" /sys/bus/usb/devices/*-*/product; do sleep 0.1; done
udevadm settle
"""
UNMAKE = f"""
cd {GADGET}
echo > UDC
rm "configs/c.1/$0"
rmdir configs/c.1 "functions/$0" strings/0x409
cd .. && rmdir one
modprobe --remove usb_f_hid usb_f_ecm libcomposite dummy_hcd
"""


class Gadget:
    """A device that lies there until it is plugged in. An async context manager; gone afterwards. One at a time."""

    def __init__(self, guest: Guest, name: str, *, ids: str, function: str, setup: str = ":") -> None:
        """Define one.

        Args:
            guest: into which it can be plugged.
            name: what it says to be.
            ids: vendor and product, as in `046d:c31c`.
            function: the kernel's name for what it does (configfs, usb_f_…), and an instance of that.
            setup: what the shell is to write in that one's directory.
        """
        self._guest = guest
        self._name = name
        self._ids = ids.split(":")
        self._function = function
        self._setup = setup
        self._place = PLACE.format(name)

    async def plug(self) -> None:
        """Plug it in. The kernel has seen it then, and udev has said what is to become of it."""
        await self._guest.check("sh", "-c", PLUG, self._name)

    async def let_in(self) -> list[bool]:
        """Whether the kernel lets it be used, then that of each of its interfaces, if it has any."""
        place = self._place
        said = await self._guest.check("sh", "-c", f"at={place}; cat $at/authorized; cat $at/*:*/authorized || true")
        return [line == "1" for line in said.splitlines() if line in ("0", "1")]

    async def let_in_by_hand(self) -> None:
        """Let it be used, and all of it, whatever udev has said."""
        allow = "for one in $at $at/*:*; do echo 1 > $one/authorized; done"
        probe = "for one in $at/*:*; do echo ${one##*/} > /sys/bus/usb/drivers_probe; done"  # some need two of them
        await self._guest.check("sh", "-c", f"at={self._place}; {allow}; {probe}; udevadm settle")

    async def __aenter__(self) -> Self:
        await self._guest.check("bash", "-c", MAKE % self._setup, self._function, *self._ids, self._name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._guest.run("sh", "-c", UNMAKE, self._function)


def keyboard(guest: Guest) -> Gadget:
    """A keyboard."""
    return Gadget(guest, "Keyboard", ids="046d:c31c", function="hid.usb0", setup=KEYBOARD)


def phone_that_shares(guest: Guest) -> Gadget:
    """What says to be an iPhone, and is a network."""
    return Gadget(guest, "Hotspot", ids="05ac:12a8", function="ecm.usb0")
