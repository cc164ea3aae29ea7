"""Which phone is in which USB socket, from the kernel through pyudev."""

import asyncio
from collections.abc import AsyncGenerator

import pyudev
import structlog

from station.model.base import SocketPath
from station.model.phone import APPLE_VENDOR_ID, UsbArrived, UsbEvent, UsbGone, mode_of_product

log = structlog.get_logger(__name__)

VIRTUAL_CONTROLLERS = ("vhci_hcd", "dummy_hcd")
"""Host controllers without a wire: whatever sits below one is emulated, and is marked so for ever."""

MAX_SERIAL = 256
"""A USB string holds 126 characters; a longer one is not from a bus."""


async def usb_events(context: pyudev.Context | None = None) -> AsyncGenerator[UsbEvent, None]:
    """Yield every phone that is plugged in, then each arrival and departure, for ever.

    A `remove` event carries no serial, so departures are told by socket. `bind` and `unbind` (a driver such as
    apple-mfi-fastcharge comes and goes) are not departures.
    """
    context = context or pyudev.Context()
    monitor = pyudev.Monitor.from_netlink(context)
    monitor.filter_by("usb", "usb_device")
    monitor.start()  # before looking around, so that nothing falls between
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[UsbEvent] = asyncio.Queue()

    def drain() -> None:
        while (device := monitor.poll(timeout=0)) is not None:
            event = _event(device, device.action)
            if event is not None:
                queue.put_nowait(event)

    loop.add_reader(monitor.fileno(), drain)
    try:
        for device in context.list_devices(subsystem="usb", DEVTYPE="usb_device"):
            event = _event(device, "add")
            if event is not None:
                yield event
        while True:
            yield await queue.get()
    finally:
        loop.remove_reader(monitor.fileno())


def _event(device: pyudev.Device, action: str) -> UsbEvent | None:
    """Translate one udev device; None when it is not a phone, or nothing that matters happened to it."""
    socket = SocketPath(device.sys_name)
    if action == "remove":
        return UsbGone(socket=socket) if _product(device)[0] == APPLE_VENDOR_ID else None
    if action != "add":
        return None
    vendor, product = _product(device)
    if vendor != APPLE_VENDOR_ID or mode_of_product(product) is None:
        return None
    return UsbArrived(
        socket=socket,
        product_id=product,
        serial=_serial(device),
        emulated=any(name in device.sys_path for name in VIRTUAL_CONTROLLERS),
    )


def _product(device: pyudev.Device) -> tuple[int, int]:
    """Vendor and product id from PRODUCT ("5ac/12a8/1501"): the one property that `remove` still carries."""
    try:
        vendor, product, _ = str(device.properties["PRODUCT"]).split("/")
        return int(vendor, 16), int(product, 16)
    except (KeyError, ValueError):
        return 0, 0


def _serial(device: pyudev.Device) -> str:
    """The raw serial from sysfs (udev's ID_SERIAL_SHORT is altered: iBoot's spaces and brackets become `_`)."""
    raw: bytes | None = device.attributes.get("serial")
    if raw is None or len(raw) > MAX_SERIAL:
        log.warning("unusable USB serial", socket=device.sys_name)
        return ""
    return raw.decode("ascii", errors="replace").strip()
