"""Run under umockdev-wrapper: plug virtual sysfs devices, print what the real pyudev adapter makes of them.

A program of its own, because umockdev works by preloading a library under the whole process. PyGObject is
Debian's, so the system's Python packages join the path here and nowhere else.
"""

import asyncio
import subprocess
import sys

import msgspec
import structlog

from station.adapters.udev import usb_events

sys.path.append("/usr/lib/python3/dist-packages")
import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import UMockdev  # noqa: E402 -- after its version is chosen

IBOOT = "SDOM:01 CPID:8101 CPRV:11 CPFM:03 SCEP:01 BDID:0C ECID:000A1B2C3D4E5F60 IBFL:3D SRNM:[ABC]"


def add(bed, name, vendor, product, serial, parent=None):
    attributes = ["idVendor", vendor, "idProduct", product, "busnum", "1", "devnum", "5"]
    if serial is not None:
        attributes += ["serial", serial]
    properties = ["DEVTYPE", "usb_device", "PRODUCT", f"{vendor.lstrip('0')}/{product}/1501"]
    return bed.add_device("usb", name, parent, attributes, properties)


def tells_of_removal():
    """Whether umockdev says itself, as the kernel does, that a device is gone: it does so since 0.18.4."""
    said = subprocess.run(["umockdev-run", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, said.strip().split("."))) >= (0, 18, 4)


def remove(bed, device):
    if not tells_of_removal():
        bed.uevent(device, "remove")
    bed.remove_device(device)


async def main():
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    bed = UMockdev.Testbed.new()
    phone = add(bed, "1-1", "05ac", "12a8", "00008101000A1B2C3D4E5F60")
    add(bed, "1-2", "046d", "c534", "A MOUSE")
    hub = bed.add_device("platform", "vhci_hcd.0", None, [], [])
    events = usb_events()

    async def show(count):
        for _ in range(count):
            async with asyncio.timeout(10):
                event = await anext(events)
            sys.stdout.write(msgspec.json.encode(event).decode() + "\n")

    await show(1)  # what was there before
    bed.uevent(phone, "bind")
    bed.uevent(phone, "unbind")
    remove(bed, phone)
    phone = add(bed, "1-1", "05ac", "1281", IBOOT)
    await show(2)  # gone, and back in recovery
    remove(bed, phone)
    add(bed, "1-3", "05ac", "024f", "A KEYBOARD")
    add(bed, "3-1", "05ac", "12a8", "0" * 300, parent=hub)
    add(bed, "1-4", "05ac", "1227", None)
    await show(3)
    await events.aclose()


asyncio.run(main())
