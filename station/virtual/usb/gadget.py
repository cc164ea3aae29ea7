"""A keyboard that says that it is a phone: it has a phone's ids and serial, and types.

Descriptors: the boot keyboard of HID 1.11, appendices B.1 and E.
"""

import asyncio

from station.model.phone import APPLE_VENDOR_ID
from station.virtual.phones.phone import PRODUCT_IDS, VirtualPhone
from station.virtual.usb.descriptors import DEVICE, ENDPOINT, INTERFACE, make_configuration
from station.virtual.usb.protocol import StallError
from station.virtual.usb.standard import Request, Setup, StandardDevice

KEYS_IN = 0x81
TYPES = "reboot\n"
"""What it types, once for each host that reads its keys."""

_HID, _REPORT = 0x21, 0x22
_INTERRUPT = 3
_ENTER = 0x28
_REPORT_DESCRIPTOR = bytes.fromhex(
    "05010906a101050719e029e71500250175019508810295017508810195057501050819012905910295017503910195067508"
    "150025650507190029658100c0"
)
"""Eight bits of modifier keys, a byte of nothing, six keys (HID 1.11, B.1)."""
_CONFIGURATION = make_configuration(
    INTERFACE.make(bNumEndpoints=1, bInterfaceClass=3, bInterfaceSubClass=1, bInterfaceProtocol=1),
    bytes([9, _HID, 0x11, 0x01, 0, 1, _REPORT, len(_REPORT_DESCRIPTOR), 0]),
    ENDPOINT.make(bEndpointAddress=KEYS_IN, bmAttributes=_INTERRUPT, wMaxPacketSize=8, bInterval=10),
    bConfigurationValue=1,
    bmAttributes=0x80,
    bMaxPower=50,
)


class Gadget(StandardDevice):
    """It."""

    def __init__(self, phone: VirtualPhone) -> None:
        device = DEVICE.make(
            bcdUSB=0x0200,
            bMaxPacketSize0=64,
            idVendor=APPLE_VENDOR_ID,
            idProduct=PRODUCT_IDS[phone.mode],
            iManufacturer=1,
            iProduct=2,
            iSerialNumber=3,
            bNumConfigurations=1,
        )
        super().__init__(device, (_CONFIGURATION,), {1: "Apple Inc.", 2: "iPhone", 3: phone.usb_serial})
        self._left = _typed(TYPES)

    async def control(self, request_type: int, request: int, value: int, index: int, length: int, data: bytes) -> bytes:
        """See UsbDevice. The report descriptor is an interface's, which the standard does not know."""
        if (request_type, request, value >> 8) == (0x81, Request.GET_DESCRIPTOR, _REPORT):
            return _REPORT_DESCRIPTOR[:length]
        return await super().control(request_type, request, value, index, length, data)

    async def request(self, setup: Setup, data: bytes) -> bytes:  # noqa: ARG002 - none of them brings data that counts
        """See StandardDevice: SET_IDLE, SET_PROTOCOL and SET_REPORT (lamps) are taken."""
        if setup.request_type == 0x21:
            return b""
        raise StallError

    async def reset(self) -> None:
        """See StandardDevice."""
        self._left = _typed(TYPES)

    async def bulk_out(self, endpoint: int, data: bytes) -> None:  # noqa: ARG002 - it has no such endpoint
        """See UsbDevice."""
        raise StallError

    async def bulk_in(self, endpoint: int, length: int) -> bytes:
        """See UsbDevice: a key goes down, a key goes up."""
        if endpoint != KEYS_IN or not self._left:
            return await super().bulk_in(endpoint, length)
        await asyncio.sleep(0)
        return self._left.pop(0)[:length]


def _typed(text: str) -> list[bytes]:
    """The reports of somebody typing: letters and line feeds (HID usage tables, page 7)."""
    reports = []
    for character in text:
        usage = _ENTER if character == "\n" else ord(character) - ord("a") + 4
        reports += [bytes([0, 0, usage, 0, 0, 0, 0, 0]), bytes(8)]
    return reports
