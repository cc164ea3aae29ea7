"""USB/IP 1.1.1 on the wire (Linux, Documentation/usb/usbip_protocol.rst). Everything is big-endian.

A client opens a connection and sends one operation. OP_REQ_DEVLIST is answered with all devices there are.
OP_REQ_IMPORT is answered with one device, and from then on the connection carries its transfers ("URBs").
"""

import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from station.virtual.usb.descriptors import DEVICE

VERSION = 0x0111
MAX_TRANSFER = 16 << 20
"""Bytes; what usbfs keeps in flight for all of a machine by default."""
MAX_INTERFACES = 32
"""A USB 2.0 device that has more than this many does not exist."""
PATH_SIZE = 256
BUSID_SIZE = 32
_BUSID = re.compile(r"[0-9]{1,3}-[0-9]{1,2}([.][0-9]{1,2}){0,6}")
HIGH_SPEED = 3
"""`enum usb_device_speed`: 480 Mbit/s."""
NO_PACKETS = 0xFFFFFFFF
"""number_of_packets of whatever is not isochronous; Linux itself sends 0."""


class UsbIpError(ConnectionError):
    """The other side does not speak USB/IP; there is nothing to do but to hang up."""


class Operation(IntEnum):
    """What a connection begins with, and its answer."""

    REQ_DEVLIST = 0x8005
    REP_DEVLIST = 0x0005
    REQ_IMPORT = 0x8003
    REP_IMPORT = 0x0003


class Command(IntEnum):
    """What an imported device's connection carries."""

    SUBMIT = 1
    UNLINK = 2
    RET_SUBMIT = 3
    RET_UNLINK = 4


OPERATION = struct.Struct(">HHI")
"""Version, code, status."""
COUNT = struct.Struct(">I")
INTERFACE = struct.Struct(">BBBx")
DEVICE_RECORD = struct.Struct(f">{PATH_SIZE}s{BUSID_SIZE}sIIIHHH6B")
HEADER_SIZE = 48
_BASIC = struct.Struct(">5I")
"""Command, seqnum, devid, direction, endpoint number."""
_SUBMIT = struct.Struct(">5IIiIII8s")
_RET_SUBMIT = struct.Struct(">5IiIIII8x")
_UNLINK = struct.Struct(">5II24x")
_RET_UNLINK = struct.Struct(">5Ii24x")


def operation(code: Operation, status: int = 0) -> bytes:
    """An operation's header."""
    return OPERATION.pack(VERSION, code, status)


def parse_operation(data: bytes) -> tuple[int, int]:
    """Code and status of an operation. Raises UsbIpError."""
    version, code, status = OPERATION.unpack(data)
    if version != VERSION:
        raise UsbIpError(f"USB/IP version {version:#06x}")
    return code, status


@dataclass(frozen=True)
class DeviceRecord:
    """A device as lists and imports describe it."""

    busid: str
    """Its socket: "1-1.4"."""
    busnum: int
    devnum: int
    vendor: int
    product: int
    release: int
    """bcdDevice."""
    classes: tuple[int, int, int]
    configuration: int
    """bConfigurationValue of the active one; 0 for none."""
    configurations: int
    interfaces: int

    @classmethod
    def of(cls, descriptor: bytes, *, busid: str, devnum: int, configuration: int, interfaces: int) -> Self:
        """The record of a device with this device descriptor. `busid` is its socket path, such as "1-1.4"."""
        fields = DEVICE.read(descriptor)
        return cls(
            busid=busid,
            busnum=int(busid.partition("-")[0]),
            devnum=devnum,
            vendor=fields.idVendor,
            product=fields.idProduct,
            release=fields.bcdDevice,
            classes=(fields.bDeviceClass, fields.bDeviceSubClass, fields.bDeviceProtocol),
            configuration=configuration,
            configurations=fields.bNumConfigurations,
            interfaces=interfaces,
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read DEVICE_RECORD. Raises UsbIpError."""
        _, padded, busnum, devnum, _, vendor, product, release, *rest = DEVICE_RECORD.unpack(data)
        busid = parse_busid(padded)
        if rest[5] > MAX_INTERFACES or not _BUSID.fullmatch(busid):
            raise UsbIpError("a device that cannot be")
        return cls(busid, busnum, devnum, vendor, product, release, (rest[0], rest[1], rest[2]), *rest[3:])

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports on the way to it: (1, 4) for "1-1.4"."""
        return tuple(int(port) for port in self.busid.partition("-")[2].split("."))

    @property
    def devid(self) -> int:
        """What every transfer names the device by."""
        return self.busnum << 16 | self.devnum

    def pack(self) -> bytes:
        """The record on the wire."""
        path = f"/sys/devices/virtual/usb{self.busnum}/{self.busid}"
        rest = (*self.classes, self.configuration, self.configurations, self.interfaces)
        return DEVICE_RECORD.pack(
            path.encode(),
            self.busid.encode(),
            self.busnum,
            self.devnum,
            HIGH_SPEED,
            self.vendor,
            self.product,
            self.release,
            *rest,
        )


def pack_busid(busid: str) -> bytes:
    """A bus id, filled up with zeros."""
    return busid.encode().ljust(BUSID_SIZE, b"\0")


def parse_busid(data: bytes) -> str:
    """A bus id. Raises UsbIpError."""
    try:
        return data.partition(b"\0")[0].decode("ascii")
    except UnicodeDecodeError as error:
        raise UsbIpError("a bus id that is not ASCII") from error


@dataclass(frozen=True)
class Submit:
    """USBIP_CMD_SUBMIT, without the data that follows one that goes OUT."""

    seqnum: int
    devid: int
    into_host: bool
    endpoint: int
    """Its number, without the direction."""
    length: int
    """transfer_buffer_length."""
    setup: bytes = bytes(8)
    """As on the bus, so little-endian. Endpoint 0 only."""

    @property
    def address(self) -> int:
        """The endpoint's address. Endpoint 0 is one for both directions."""
        return self.endpoint | 0x80 if self.endpoint and self.into_host else self.endpoint

    def pack(self) -> bytes:
        """The header on the wire."""
        return _SUBMIT.pack(
            Command.SUBMIT,
            self.seqnum,
            self.devid,
            int(self.into_host),
            self.endpoint,
            0,
            self.length,
            0,
            NO_PACKETS,
            0,
            self.setup,
        )


@dataclass(frozen=True)
class Unlink:
    """USBIP_CMD_UNLINK."""

    seqnum: int
    devid: int
    victim: int
    """seqnum of the transfer to give up."""

    def pack(self) -> bytes:
        """The header on the wire."""
        return _UNLINK.pack(Command.UNLINK, self.seqnum, self.devid, 0, 0, self.victim)


def parse_command(data: bytes) -> Submit | Unlink:
    """Read the header a client sends. Raises UsbIpError."""
    command, seqnum, devid, direction, endpoint = _BASIC.unpack_from(data)
    if command == Command.UNLINK:
        return Unlink(seqnum, devid, _UNLINK.unpack(data)[5])
    if command != Command.SUBMIT or direction > 1 or endpoint > 15:
        raise UsbIpError(f"no command: {data[:20].hex()}")
    *_, length, _, packets, _, setup = _SUBMIT.unpack(data)
    if packets not in (0, NO_PACKETS):
        raise UsbIpError("an isochronous transfer")
    if not 0 <= length <= MAX_TRANSFER:
        raise UsbIpError(f"a transfer of {length} bytes")
    return Submit(seqnum, devid, bool(direction), endpoint, length, setup)


@dataclass(frozen=True)
class Reply:
    """USBIP_RET_SUBMIT (without the data that follows one that came IN) or USBIP_RET_UNLINK."""

    command: Command
    seqnum: int
    status: int
    """0, or a negative errno."""
    actual_length: int = 0

    def pack(self) -> bytes:
        """The header on the wire."""
        basic = (self.command, self.seqnum, 0, 0, 0, self.status)
        if self.command is Command.RET_UNLINK:
            return _RET_UNLINK.pack(*basic)
        return _RET_SUBMIT.pack(*basic, self.actual_length, 0, NO_PACKETS, 0)


def parse_reply(data: bytes) -> Reply:
    """Read the header a server sends. Raises UsbIpError."""
    command, seqnum, _, _, _, status, length, _, _, _ = _RET_SUBMIT.unpack(data)
    if command not in (Command.RET_SUBMIT, Command.RET_UNLINK) or length > MAX_TRANSFER:
        raise UsbIpError(f"no reply: {data[:28].hex()}")
    return Reply(Command(command), seqnum, status, length if command == Command.RET_SUBMIT else 0)
