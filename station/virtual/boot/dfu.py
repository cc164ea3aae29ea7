"""The boot ROM's DFU mode: it takes one image, an iBSS, over the control endpoint (USB DFU 1.1, chapter 6).

As hosts use it (pymobiledevice3 `irecv.py`, libirecovery): blocks of 2048 bytes, after the last one a DFU suffix,
an empty block, two GETSTATUS, a port reset. Nobody checks the suffix's CRC here, as the two hosts compute it
differently and both are said to restore phones.
"""

import asyncio
from contextlib import suppress
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric import ec

from station.model.phone import APPLE_VENDOR_ID, PhoneMode
from station.virtual.boot.iboot import nonce_string
from station.virtual.boot.secure_boot import check_image
from station.virtual.faults.kinds import PhoneGoneError, RefusedError, StatusError, StayError
from station.virtual.firmware.image4 import Image4Error, parse_img4
from station.virtual.phones.phone import PRODUCT_IDS, Running, VirtualPhone
from station.virtual.usb.descriptors import DEVICE, INTERFACE, make_configuration
from station.virtual.usb.protocol import StallError
from station.virtual.usb.standard import Setup, StandardDevice, UsbOnly

MAX_UPLOAD = 4 << 20
"""Bytes; an iBSS has some 1.5 MiB, and the ROM has only its SRAM to put it."""
BLOCK = 0x800
SUFFIX_SIZE = 16
SUFFIX_MARK = b"UFD"
"""Where a suffix has it: 8 bytes before its end."""
RESET_SECONDS = 3.0
"""Of default pace: how long it waits for the reset that starts the image, which vhci-hcd keeps to itself."""
_POLL_MILLISECONDS = bytes(3)

_DEVICE = DEVICE.make(
    bcdUSB=0x0200,
    bMaxPacketSize0=64,
    idVendor=APPLE_VENDOR_ID,
    idProduct=PRODUCT_IDS[PhoneMode.DFU],
    iManufacturer=2,
    iProduct=3,
    iSerialNumber=4,
    bNumConfigurations=1,
)
_FUNCTIONAL = bytes([7, 0x21, 0x01, 0x0A, 0x00]) + BLOCK.to_bytes(2, "little")
"""The DFU functional descriptor (DFU 1.0, 4.1.3): can download, detaches within 10 ms, takes blocks of 2048."""
_CONFIGURATION = make_configuration(
    INTERFACE.make(bInterfaceClass=0xFE, bInterfaceSubClass=1),
    _FUNCTIONAL,
    bConfigurationValue=1,
    iConfiguration=5,
    bmAttributes=0x80,
    bMaxPower=250,
)


class DfuRequest(IntEnum):
    """bRequest of class requests (DFU 1.1, table 3.2)."""

    DOWNLOAD = 1
    GET_STATUS = 3
    CLEAR_STATUS = 4
    GET_STATE = 5
    ABORT = 6


class DfuState(IntEnum):
    """bState (DFU 1.1, 6.1.2)."""

    IDLE = 2
    DOWNLOAD_SYNC = 3
    DOWNLOAD_IDLE = 5
    MANIFEST_SYNC = 6
    MANIFEST = 7
    MANIFEST_WAIT_RESET = 8
    ERROR = 10


_AFTER_STATUS = {
    DfuState.DOWNLOAD_SYNC: DfuState.DOWNLOAD_IDLE,
    DfuState.MANIFEST_SYNC: DfuState.MANIFEST,
    DfuState.MANIFEST: DfuState.MANIFEST_WAIT_RESET,
}
"""The states that asking for the status moves on from."""


def boot(phone: VirtualPhone, *, apple: ec.EllipticCurvePublicKey) -> Running:
    """Start the boot ROM. `apple` is the public key that whoever signs tickets must have."""
    return UsbOnly(_Rom(phone, apple))


class _Rom(StandardDevice):
    def __init__(self, phone: VirtualPhone, apple: ec.EllipticCurvePublicKey) -> None:
        product = "Apple Mobile Device (DFU Mode)"
        strings = {1: nonce_string(phone), 2: "Apple Inc.", 3: product, 4: phone.usb_serial, 5: product}
        super().__init__(_DEVICE, [_CONFIGURATION], strings)
        self._phone = phone
        self._apple = apple
        self._state = DfuState.IDLE
        self._upload = bytearray()
        self._manifesting = False
        self._reset = asyncio.Event()

    async def request(self, setup: Setup, data: bytes) -> bytes:
        answer = b""
        match setup.request_type, setup.request:
            case 0x21, DfuRequest.DOWNLOAD:
                self._download(data)
            case 0xA1, DfuRequest.GET_STATUS:
                self._state = _AFTER_STATUS.get(self._state, self._state)
                answer = bytes([0]) + _POLL_MILLISECONDS + bytes([self._state, 0])
                if self._state is DfuState.MANIFEST_WAIT_RESET and not self._manifesting:
                    self._manifesting = True
                    self._phone.keep(asyncio.create_task(self._manifest(bytes(self._upload))))
            case 0xA1, DfuRequest.GET_STATE:
                answer = bytes([self._state])
            case 0x21, DfuRequest.CLEAR_STATUS | DfuRequest.ABORT:
                self._state = DfuState.IDLE
                self._upload.clear()
            case _:
                raise StallError
        return answer

    async def reset(self) -> None:
        if self._manifesting:
            self._reset.set()
            await asyncio.Event().wait()  # it does not return from this reset as what it was
        self._state = DfuState.IDLE
        self._upload.clear()

    async def bulk_out(self, _endpoint: int, _data: bytes) -> None:
        raise StallError

    def _download(self, block: bytes) -> None:
        if self._state not in (DfuState.IDLE, DfuState.DOWNLOAD_IDLE, DfuState.DOWNLOAD_SYNC):
            self._state = DfuState.ERROR
        elif not block and self._upload:
            self._state = DfuState.MANIFEST_SYNC
        elif block and len(block) <= BLOCK and len(self._upload) + len(block) <= MAX_UPLOAD:
            self._upload += block
            self._state = DfuState.DOWNLOAD_SYNC
        else:
            self._state = DfuState.ERROR
        if self._state is DfuState.ERROR:
            raise StallError

    async def _manifest(self, upload: bytes) -> None:
        """Start the image that was uploaded; or, if it may not run, anew."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RESET_SECONDS * self._phone.pace.factor):
                await self._reset.wait()
        if upload[-8:-5] == SUFFIX_MARK:
            upload = upload[:-SUFFIX_SIZE]
        mode = PhoneMode.DFU
        with suppress(Image4Error, PhoneGoneError, RefusedError, StatusError, StayError):
            image, ticket = await asyncio.to_thread(parse_img4, upload)
            await self._phone.step(f"dfu:upload:{image.fourcc}")
            check_image(self._phone, image, ticket, apple=self._apple, expected=("ibss",))
            mode = PhoneMode.RECOVERY
        self._phone.restart_into(mode)
