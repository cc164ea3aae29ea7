"""iBoot in recovery mode: a USB device that takes commands and images, and boots what Apple signed for it.

Two stages of it run in a restore. The iBoot in the phone's flash takes an iBEC and starts it (`go`); that iBEC
takes all other images and boots the restore system with them (`bootx`). Both show the same product id. Commands and
uploads as pymobiledevice3 (`irecv.py`) and libirecovery send them; descriptors as an iPhone X has them.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec

from station.model.phone import APPLE_VENDOR_ID, PhoneMode
from station.virtual.boot.console import Console
from station.virtual.boot.environment import Environment
from station.virtual.boot.secure_boot import check_image
from station.virtual.faults.kinds import RefusedError, StatusError, StayError
from station.virtual.firmware.image4 import Im4p, Image4Error, Ticket, parse_img4
from station.virtual.phones.phone import PRODUCT_IDS, Boot, Running, VirtualPhone
from station.virtual.usb.descriptors import DEVICE, ENDPOINT, INTERFACE, make_configuration
from station.virtual.usb.protocol import StallError
from station.virtual.usb.standard import Setup, StandardDevice, UsbOnly

MAX_UPLOAD = 2 << 30
"""Bytes of one image; restore ramdisks have 0.1 to 0.2 GiB."""
MAX_COMMAND = 512
PACKET = 512
"""What a bulk packet holds at high speed; a transfer ends with one that is not full."""
UPLOAD_RATE = 35e6
"""Bytes a second at default pace: what USB 2 carries."""
LINGER = 1.2
"""Seconds of default pace for which the old iBoot still shows itself after `go`."""
LOADS_SEP = 0x8101
"""The chip (A14) from which on iBoot must be sent the firmware of the SEP (idevicerestore 7fd59d5)."""

UPLOAD_ENDPOINT = 0x04
CONSOLE_OUT = 0x02
CONSOLE_IN = 0x81
_BULK = 2

_DEVICE = DEVICE.make(
    bcdUSB=0x0200,
    bMaxPacketSize0=64,
    idVendor=APPLE_VENDOR_ID,
    idProduct=PRODUCT_IDS[PhoneMode.RECOVERY],
    iManufacturer=2,
    iProduct=3,
    iSerialNumber=4,
    bNumConfigurations=1,
)
_CONFIGURATION = make_configuration(
    INTERFACE.make(bNumEndpoints=1, bInterfaceClass=0xFE, bInterfaceSubClass=1, bInterfaceProtocol=2),
    ENDPOINT.make(bEndpointAddress=UPLOAD_ENDPOINT, bmAttributes=_BULK, wMaxPacketSize=PACKET),
    INTERFACE.make(bInterfaceNumber=1, bInterfaceClass=0xFF, bInterfaceSubClass=0xFF),
    INTERFACE.make(
        bInterfaceNumber=1,
        bAlternateSetting=1,
        bNumEndpoints=2,
        bInterfaceClass=0xFF,
        bInterfaceSubClass=0xFF,
        bInterfaceProtocol=0x51,
        iInterface=6,
    ),
    ENDPOINT.make(bEndpointAddress=CONSOLE_IN, bmAttributes=_BULK, wMaxPacketSize=PACKET),
    ENDPOINT.make(bEndpointAddress=CONSOLE_OUT, bmAttributes=_BULK, wMaxPacketSize=PACKET),
    bConfigurationValue=1,
    iConfiguration=5,
    bmAttributes=0x80,
    bMaxPower=250,
)

_Command = Callable[[str], object]
"""Carries out a command, given what follows its name. Raises StallError or ValueError."""


def boot(phone: VirtualPhone, *, apple: ec.EllipticCurvePublicKey, ticket: Ticket | None = None) -> Running:
    """Start iBoot.

    Args:
        phone: who starts it; it shows itself in recovery mode.
        apple: the public key that whoever signs tickets must have.
        ticket: what the running iBEC was accepted by; None: it is the iBoot in flash.
    """
    return UsbOnly(_Iboot(phone, apple, ticket))


def nonce_string(phone: VirtualPhone) -> str:
    """String 1 of a phone in recovery or DFU mode."""
    return f" NONC:{phone.ap_nonce.hex().upper()} SNON:{phone.sep_nonce.hex().upper()}"


class _Iboot(StandardDevice):
    def __init__(self, phone: VirtualPhone, apple: ec.EllipticCurvePublicKey, ticket: Ticket | None) -> None:
        product = "Apple Mobile Device (Recovery Mode)"
        strings = {
            1: nonce_string(phone),
            2: "Apple Inc.",
            3: product,
            4: phone.usb_serial,
            5: product,
            6: "Apple USB Serial Interface",
        }
        super().__init__(_DEVICE, [_CONFIGURATION], strings)
        self._phone = phone
        self._apple = apple
        self._ticket = ticket
        self._environment = Environment(phone)
        self._console = Console()
        self._console.greet("iBEC" if ticket else "iBoot", self._environment, serial=phone.usb_serial)
        self._reply = b""
        self._chunks: list[bytes] | None = None
        """The upload that has begun."""
        self._size = 0
        self._uploaded: tuple[Im4p, Ticket | None] | None = None
        """The upload that is complete, until a command takes it."""
        self._accepted: set[str] = set()
        """Types of the images that were."""
        self._ramdisk = b""
        self._busy = asyncio.Lock()
        self._leaving = False
        self._commands: dict[str, _Command] = {
            "getenv": self._getenv,
            "setenv": partial(self._setenv, persistent=True),
            "setenvnp": partial(self._setenv, persistent=False),
            "saveenv": lambda _: self._environment.save(),
            "clearenv": lambda _: self._environment.clear(),
            "setpicture": self._setpicture,
            "bgcolor": lambda _: None,
            "go": self._go,
            "firmware": lambda _: self._accept(),
            "ramdisk": lambda _: self._accept("rdsk"),
            "devicetree": lambda _: self._accept("rdtr"),
            "rsepfirmware": lambda _: self._accept("rsep"),
            "bootx": self._bootx,
            "reboot": lambda _: self._leave(None),
            "reset": lambda _: self._leave(None),
        }

    async def request(self, setup: Setup, data: bytes) -> bytes:
        if self._leaving:
            raise StallError
        answer = b""
        match setup.request_type, setup.request:
            case 0x40, 0 | 1:
                await self._command(data)
            case 0xC0, 0:
                answer, self._reply = self._reply, b""
            case 0x41, 0:
                self._chunks, self._size, self._uploaded = [], 0, None
            case 0x21, 1:
                pass  # hosts send it after `go` and after the kernel; iBoot makes nothing of it
            case _:
                raise StallError
        return answer

    async def reset(self) -> None:
        self._chunks = None

    async def bulk_out(self, endpoint: int, data: bytes) -> None:
        if endpoint != UPLOAD_ENDPOINT or self._chunks is None or self._leaving:
            raise StallError
        self._size += len(data)
        if self._size > MAX_UPLOAD:
            self._chunks = None
            raise StallError
        self._chunks.append(data)
        if not data or len(data) % PACKET:
            chunks, self._chunks = self._chunks, None
            await self._finish_upload(chunks, self._size)

    async def bulk_in(self, endpoint: int, length: int) -> bytes:
        if endpoint != CONSOLE_IN or not self._has(endpoint):
            raise StallError
        return await self._console.read(length)

    async def _finish_upload(self, chunks: list[bytes], size: int) -> None:
        try:
            image, ticket = await asyncio.to_thread(lambda: parse_img4(b"".join(chunks)))
        except Image4Error:
            # iBoot takes any bytes; it is the command that follows which finds nothing in them.
            await self._step("iboot:upload:????", seconds=size / UPLOAD_RATE)
        else:
            await self._step(f"iboot:upload:{image.fourcc}", seconds=size / UPLOAD_RATE)
            self._uploaded = image, ticket

    async def _command(self, data: bytes) -> None:
        name, _, rest = data.rstrip(b"\0").decode("latin-1").strip().partition(" ")
        if len(data) > MAX_COMMAND or name not in self._commands:
            raise StallError
        await self._step(f"iboot:{name}")
        try:
            self._commands[name](rest.strip())
        except ValueError as error:
            raise StallError from error

    async def _step(self, name: str, *, seconds: float = 0.0) -> None:
        """A step of the phone. The phone is at it even when the host has given up waiting: silence stays silence."""
        await self._busy.acquire()
        step = asyncio.create_task(self._phone.step(name, seconds=seconds))
        step.add_done_callback(lambda _: self._busy.release())
        self._phone.keep(step)
        try:
            await asyncio.shield(step)
        except StayError as error:
            self._leave(PhoneMode.RECOVERY)
            raise StallError from error
        except (RefusedError, StatusError) as error:
            raise StallError from error

    def _accept(self, *expected: str, chained: bool = True) -> Ticket:
        """Take the image that was uploaded, if it may run. Raises Image4Error.

        Args:
            expected: types it may be of; none: any the ticket names.
            chained: it must come with the very ticket of the iBEC that runs.
        """
        if self._uploaded is None:
            raise Image4Error("nothing was uploaded")
        (image, ticket), self._uploaded = self._uploaded, None
        checked = check_image(self._phone, image, ticket, apple=self._apple, expected=expected)
        if chained and (self._ticket is None or checked.der != self._ticket.der):
            raise Image4Error("not the ticket of the iBEC that runs")
        self._accepted.add(image.fourcc)
        if image.fourcc == "rdsk":
            self._ramdisk = image.payload
        return checked

    def _getenv(self, name: str) -> None:
        value = self._environment.get(name)
        if value is None:
            raise StallError
        self._reply = value.encode("latin-1") + b"\0"

    def _setenv(self, assignment: str, *, persistent: bool) -> None:
        name, _, value = assignment.partition(" ")
        if not name:
            raise StallError
        self._environment.set(name, value, persistent=persistent)

    def _setpicture(self, _: str) -> None:
        if self._uploaded is not None:
            self._accept("rlgo", "logo")

    def _go(self, _: str) -> None:
        try:
            ticket = self._accept("ibec", chained=False)
        except Image4Error:
            self._console.refuse()
            raise
        self._leave(PhoneMode.RECOVERY, linger=LINGER, boot=partial(boot, apple=self._apple, ticket=ticket))

    def _bootx(self, _: str) -> None:
        try:
            ticket = self._accept("rkrn")
        except Image4Error:
            self._leave(PhoneMode.RECOVERY)
            return
        sep = {"rsep"} & ticket.digests.keys() if self._phone.identity.chip_id >= LOADS_SEP else set()
        if not {"rdsk", "rdtr"} | sep <= self._accepted:
            self._leave(PhoneMode.RECOVERY)
            return
        self._phone.restore_ticket = ticket.der
        self._phone.ramdisk = self._ramdisk
        self._leave(PhoneMode.RESTORE)

    def _leave(self, mode: PhoneMode | None, *, linger: float = 0.0, boot: Boot | None = None) -> None:
        self._leaving = True

        async def leave() -> None:
            await self._phone.pace.pause(linger)
            if self._phone.running is not None and self._phone.running.usb is self:
                self._phone.restart_into(mode, boot=boot)

        assert self._phone.bus is not None
        self._phone.bus.spawn(leave())
