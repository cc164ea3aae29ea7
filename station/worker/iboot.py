"""iBoot, the phone in recovery and DFU mode: the library's IRecv on one device, found without touching any other.

The library looks by opening every recovery device on every bus, without a pause and without end. Here a device
is chosen by the socket it is in, which the bus tells without opening anything, and then must say the right ECID.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import usb.core
import usb.util
from pymobiledevice3.exceptions import IRecvNoDeviceConnectedError
from pymobiledevice3.irecv import IRECV_TRANSFER_SIZE_RECOVERY, USB_TIMEOUT, IRecv, Mode
from usb.core import USBError

from station.model.base import SocketPath, format_ecid
from station.model.causes import Cause
from station.model.consent import Act
from station.model.phone import APPLE_VENDOR_ID, PhoneMode, mode_of_product
from station.worker.failures import JobFailed
from station.worker.guard import Guard
from station.worker.image4 import Parts
from station.worker.patience import tries
from station.worker.plists import Blob

_LASTING = {
    "go": Act.BOOT_RESTORE_SYSTEM,
    "bootx": Act.BOOT_RESTORE_SYSTEM,
    "saveenv": Act.SET_AUTO_BOOT,
    "reboot": Act.SET_AUTO_BOOT,
}
"""Commands that outlast a restart of the phone, or end this one. All others end with its power."""

_TOKEN = re.compile(r"(\w+):(?:\[([^\]]*)\]|(\S*))")
_BULK_PACKET = 512


@dataclass(frozen=True)
class Place:
    """One enumeration of one device: a phone that left and came back is at another address."""

    bus: int
    address: int


class RecoverySocket:
    """The socket a job is about, as far as recovery mode goes."""

    def __init__(self, backend: Any, socket: SocketPath, ecid: int, guard: Guard) -> None:
        """Look for the phone with `ecid` in `socket` ("1-1.4"), through a pyusb `backend`."""
        self._backend = backend
        bus, _, ports = socket.partition("-")
        self._bus = int(bus) if bus.isdecimal() else None
        self._ports = tuple(int(port) for port in ports.split(".") if port.isdecimal())
        self._ecid = ecid
        self._guard = guard

    async def look(self) -> "Iboot | None":
        """The phone, opened, if it is there in recovery or DFU mode.

        Raises:
            JobFailed: WRONG_PHONE, another phone is in the socket.
        """
        return await asyncio.to_thread(self._look)

    async def find(self, patience: float) -> "Iboot":
        """Wait for the phone. Raises JobFailed as `look` does; DISCONNECTED when it does not come."""
        async for _ in tries(patience):
            if (iboot := await self.look()) is not None:
                return iboot
        raise JobFailed(Cause.DISCONNECTED, f"neither recovery nor DFU mode within {patience:.0f} s")

    async def present(self) -> Place | None:
        """Where the phone in the socket enumerated, if it is in recovery mode; nothing is opened."""
        return await asyncio.to_thread(lambda: next((_place(device) for device in self._devices()), None))

    async def in_dfu(self) -> bool:
        """Whether the phone in the socket is in DFU mode; nothing is opened."""

        def look() -> bool:
            return any(mode_of_product(device.idProduct) is PhoneMode.DFU for device in self._devices())

        return await asyncio.to_thread(look)

    async def left(self, place: Place, patience: float) -> bool:
        """Wait until the enumeration at `place` is over; whether it is."""
        async for _ in tries(patience):
            if await self.present() != place:
                return True
        return False

    def _devices(self) -> Iterator[usb.core.Device]:
        try:
            found = list(usb.core.find(find_all=True, backend=self._backend, idVendor=APPLE_VENDOR_ID))
        except USBError:
            return
        for device in found:
            if mode_of_product(device.idProduct) not in (PhoneMode.RECOVERY, PhoneMode.DFU):
                continue
            if not self._tells(device) or (device.bus, tuple(device.port_numbers)) == (self._bus, self._ports):
                yield device

    def _tells(self, device: usb.core.Device) -> bool:
        """Whether the backend says which socket a device is in; where it does not, the ECID alone decides."""
        return self._bus is not None and bool(device.port_numbers)

    def _look(self) -> "Iboot | None":
        for device in self._devices():
            try:
                info = _read_serial(device)
                ecid = int(info.get("ECID", ""), 16)
            except (USBError, ValueError, NotImplementedError):  # leaving, or no phone that could be ours
                continue
            if ecid != self._ecid:
                if self._tells(device):
                    raise JobFailed(Cause.WRONG_PHONE, f"{format_ecid(ecid)} is in the socket")
                continue
            try:
                return Iboot(device, info, self._guard)
            except USBError:
                continue
        return None


class Iboot(IRecv):
    """An opened phone in recovery or DFU mode."""

    def __init__(self, device: usb.core.Device, info: dict[str, str], guard: Guard) -> None:
        self._opened = device, info
        self._guard = guard
        self.place = _place(device)
        super().__init__(int(info["ECID"], 16))

    def _find(self, ecid: int | None = None, timeout: int = 0, is_recovery: bool | None = None) -> None:
        device, _ = self._opened
        # The library does not know the DFU product ids of the newest phones.
        self._device, self._mode = device, Mode.get_mode_from_value(device.idProduct) or Mode.DFU_MODE

    def _populate_device_info(self) -> None:
        self._device_info = self._opened[1]

    def _copy_nonce_with_tag(self, tag: str) -> bytes | None:
        text = usb.util.get_string(self.device, 1) or ""
        match = re.search(rf"(?:^| ){tag}:((?:[0-9A-Fa-f]{{2}})+)(?: |$)", text)
        return bytes.fromhex(match[1]) if match else None

    @property
    def hardware_model(self) -> str:
        """The board, such as "d53gap". Raises JobFailed: FIRMWARE_MISSING, the board is not known."""
        try:
            return str(super().hardware_model)
        except KeyError as error:
            raise JobFailed(Cause.FIRMWARE_MISSING, str(error)) from error

    @property
    def phone_mode(self) -> PhoneMode:
        """RECOVERY or DFU."""
        return PhoneMode.RECOVERY if self.mode.is_recovery else PhoneMode.DFU

    def close(self) -> None:
        """Let go of the device."""
        usb.util.dispose_resources(self.device)

    def send_command(self, cmd: str, timeout: int = USB_TIMEOUT, b_request: int = 0) -> None:
        """Send a command; one that lasts only if this is the phone that may get it."""
        if (act := _LASTING.get(cmd.partition(" ")[0])) is not None:
            self._guard.authorise(act, self.ecid)
        super().send_command(cmd, timeout, b_request)

    def getenv(self, name: str) -> bytearray | None:
        """A variable of iBoot's environment; None when it has none, or is just leaving."""
        try:
            value = super().getenv(name)
        except USBError:
            return None
        return value.rstrip(b"\0") or None if value else None

    def reset(self) -> None:
        """Reset the device, which ends a DFU upload; it comes back as another one."""
        with suppress(USBError):
            self.device.reset()

    def send_buffer(self, buf: bytes, desc: str | None = None, *, sent: Callable[[int], None] = lambda _: None) -> None:
        """Upload a component; in DFU it runs at once, so only if this is the phone that may get it.

        Args:
            buf: its bytes; a blob is streamed.
            desc: not used; the library's progress bar had it.
            sent: called with the number of bytes after each packet.

        Raises:
            USBError: the phone left, or did not take a packet within ten seconds.
        """
        blob = buf if isinstance(buf, Blob) else Parts(buf)
        if not self.mode.is_recovery:
            self._guard.authorise(Act.BOOT_RESTORE_SYSTEM, self.ecid)
            super().send_buffer(b"".join(map(bytes, blob.chunks())))  # an iBSS: some hundred kilobytes
            return
        self.ctrl_transfer(0x41, 0)
        for packet in blob.chunks(IRECV_TRANSFER_SIZE_RECOVERY):
            # bytes, because pyusb copies any other buffer number by number
            if self.device.write(0x04, bytes(packet), timeout=USB_TIMEOUT) != len(packet):
                raise IRecvNoDeviceConnectedError("the phone did not take the whole packet")
            sent(len(packet))
        if len(blob) % _BULK_PACKET == 0:  # what ends a transfer is a short packet
            self.device.write(0x04, b"", timeout=USB_TIMEOUT)


def _place(device: usb.core.Device) -> Place:
    return Place(device.bus, device.address)


def _read_serial(device: usb.core.Device) -> dict[str, str]:
    """The serial string of iBoot, taken apart; odd tokens are passed over, and of two with one name the first counts.

    As it does in `model.phone.identity_of_serial`: a serial number that looks like tokens is nobody's identity.
    """
    info: dict[str, str] = {}
    for match in _TOKEN.finditer((device.serial_number or "")[:256]):
        info.setdefault(match[1], match[2] if match[2] is not None else match[3])
    return info
