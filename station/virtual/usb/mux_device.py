"""The phone as a USB device in normal and restore mode: a camera, an iPod, a network card; and usbmux.

Descriptors as public listings of iPhones show them (liquidctl#412, facedancer#82, fritzlb/iOS17-JIT-WIN#8). A host
finds it in the first configuration, which is a camera only, and chooses one with the usbmux interface; usbmuxd takes
the last. Nothing is behind the other interfaces: they take and say nothing.
"""

import asyncio
from contextlib import suppress
from enum import IntEnum

from station.model.phone import APPLE_VENDOR_ID
from station.virtual.phones.phone import VirtualPhone
from station.virtual.usb.descriptors import DEVICE, ENDPOINT, INTERFACE, make_configuration
from station.virtual.usb.mux import Mux
from station.virtual.usb.protocol import StallError
from station.virtual.usb.standard import Setup, StandardDevice

MUX_OUT = 0x04
MUX_IN = 0x85
PACKET = 512
"""What a bulk packet holds at high speed; a transfer ends with one that is not full."""
INITIAL_MODE = 1
"""The set of these four configurations; other sets add one for screen capture or for CDC-NCM."""
SETTLE_SECONDS = 2.0
"""How long a phone that restarts waits for a host to take what it said."""
_MODES = bytes([3, 3, 3, 0])
"""What a phone in the initial mode answers to GET_MODE (usbmuxd `src/usb.c`)."""
_SERIAL_LENGTH = 40
"""A shorter UDID is filled up with NULs to what the old ones had (danielpaulus/quicktime_video_hack#137)."""

_BULK, _INTERRUPT = 2, 3
_ISOCHRONOUS = 1
_CS_INTERFACE, _CS_ENDPOINT = 0x24, 0x25
_HID = 0x21
_SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_HID_REPORT_LENGTH = 208


def _endpoint(address: int, attributes: int = _BULK, size: int = PACKET, interval: int = 0) -> bytes:
    return ENDPOINT.make(bEndpointAddress=address, bmAttributes=attributes, wMaxPacketSize=size, bInterval=interval)


def _described(kind: int, *content: int) -> bytes:
    """A class-specific descriptor."""
    return bytes([len(content) + 2, kind, *content])


_CAMERA = (
    INTERFACE.make(bNumEndpoints=3, bInterfaceClass=6, bInterfaceSubClass=1, bInterfaceProtocol=1, iInterface=27),
    _endpoint(0x02),
    _endpoint(0x81),
    _endpoint(0x83, _INTERRUPT, 64, 10),
)
_MUX = (
    INTERFACE.make(
        bInterfaceNumber=1,
        bNumEndpoints=2,
        bInterfaceClass=0xFF,
        bInterfaceSubClass=0xFE,
        bInterfaceProtocol=2,
        iInterface=15,
    ),
    _endpoint(MUX_OUT),
    _endpoint(MUX_IN),
)
_ETHERNET = tuple(
    part
    for alternate in range(3)
    for part in (
        INTERFACE.make(
            bInterfaceNumber=2,
            bAlternateSetting=alternate,
            bNumEndpoints=2 if alternate else 0,
            bInterfaceClass=0xFF,
            bInterfaceSubClass=0xFD,
            bInterfaceProtocol=1,
            iInterface=17,
        ),
        *((_endpoint(0x86), _endpoint(0x05)) if alternate else ()),
    )
)
_IPOD = (  # USB Audio 1.0 (chapter 4) and HID 1.11 (6.2.1): 16-bit stereo out of the phone, and its remote control
    INTERFACE.make(bInterfaceClass=1, bInterfaceSubClass=1),
    _described(_CS_INTERFACE, 1, 0x00, 0x01, 30, 0, 1, 1),
    _described(_CS_INTERFACE, 2, 1, 0x01, 0x02, 2, 2, 0x03, 0x00, 0, 0),
    _described(_CS_INTERFACE, 3, 2, 0x01, 0x01, 0, 1, 0),
    INTERFACE.make(bInterfaceNumber=1, bInterfaceClass=1, bInterfaceSubClass=2),
    INTERFACE.make(bInterfaceNumber=1, bAlternateSetting=1, bNumEndpoints=1, bInterfaceClass=1, bInterfaceSubClass=2),
    _described(_CS_INTERFACE, 1, 2, 1, 0x01, 0x00),
    _described(
        _CS_INTERFACE,
        2,
        1,
        2,
        2,
        16,
        len(_SAMPLE_RATES),
        *b"".join(rate.to_bytes(3, "little") for rate in _SAMPLE_RATES),
    ),
    bytes([9, ENDPOINT.kind, 0x81, _ISOCHRONOUS, 192, 0, 4, 0, 0]),
    _described(_CS_ENDPOINT, 1, 0x01, 0, 0, 0),
    INTERFACE.make(bInterfaceNumber=2, bNumEndpoints=1, bInterfaceClass=3),
    _described(_HID, 0x11, 0x01, 0, 1, 0x22, _HID_REPORT_LENGTH, 0),
    _endpoint(0x83, _INTERRUPT, 64, 1),
)
_CONFIGURATIONS = tuple(
    make_configuration(*parts, bConfigurationValue=number, iConfiguration=4 + number, bmAttributes=0xC0, bMaxPower=250)
    for number, parts in enumerate((_CAMERA, _IPOD, _CAMERA + _MUX, _CAMERA + _MUX + _ETHERNET), start=1)
)
_STRINGS = {
    1: "Apple Inc.",
    5: "PTP",
    6: "iPod USB Interface",
    7: "PTP + Apple Mobile Device",
    8: "PTP + Apple Mobile Device + Apple USB Ethernet",
    15: "Apple USB Multiplexor",
    17: "AppleUSBEthernet",
    27: "PTP",
}


class VendorRequest(IntEnum):
    """bRequest: newer usbmuxd asks which set of configurations there is, and chooses one (usbmuxd#205)."""

    GET_MODE = 0x45
    SET_MODE = 0x52


class MuxDevice(StandardDevice):
    """A phone that speaks usbmux: what listens on its ports is reached through this."""

    def __init__(self, phone: VirtualPhone) -> None:
        device = DEVICE.make(
            bcdUSB=0x0200,
            bMaxPacketSize0=64,
            idVendor=APPLE_VENDOR_ID,
            idProduct=phone.product_id,
            bcdDevice=0x1505,
            iManufacturer=1,
            iProduct=2,
            iSerialNumber=3,
            bNumConfigurations=len(_CONFIGURATIONS),
        )
        strings = {**_STRINGS, 2: phone.identity.device_class, 3: phone.usb_serial.ljust(_SERIAL_LENGTH, "\0")}
        super().__init__(device, _CONFIGURATIONS, strings)
        self._mux = Mux(phone)
        self._outgoing: bytes | None = None
        """What is left of the packet that the host is reading."""

    async def request(self, setup: Setup, data: bytes) -> bytes:  # noqa: ARG002 - none of them brings data
        """See StandardDevice."""
        match setup:
            case Setup(request_type=0xC0, request=VendorRequest.GET_MODE):
                return _MODES
            case Setup(request_type=0xC0, request=VendorRequest.SET_MODE, index=mode) if mode == INITIAL_MODE:
                return bytes(1)  # it is done
            case _:
                raise StallError

    async def reset(self) -> None:
        """See StandardDevice."""
        self.configured()

    async def settle(self) -> None:
        """See UsbDevice."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._mux.settle()

    def configured(self) -> None:
        """See StandardDevice."""
        super().configured()
        self._outgoing = None
        self._mux.reset()

    async def bulk_out(self, endpoint: int, data: bytes) -> None:
        """See UsbDevice."""
        if not self._has(endpoint):
            raise StallError
        if endpoint == MUX_OUT:
            await self._mux.receive(data, last=not data or len(data) % PACKET != 0)

    async def bulk_in(self, endpoint: int, length: int) -> bytes:
        """See UsbDevice."""
        if endpoint != MUX_IN or not self._has(endpoint):
            return await super().bulk_in(endpoint, length)
        if self._outgoing is None:
            self._outgoing = await self._mux.transmit()
        piece, rest = self._outgoing[:length], self._outgoing[length:]
        # A transfer that is as long as was asked for does not say that it is over: an empty one must follow.
        over = len(piece) < length or len(piece) % PACKET != 0
        self._outgoing = None if over and not rest else rest
        return piece
