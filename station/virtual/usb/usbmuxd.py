"""usbmuxd: the socket through which phones in normal and restore mode are reached.

Protocol: 16-byte little-endian header (length, version, message, tag), then a plist; as public usbmuxd 1.1
(`src/client.c`, `src/usbmuxd-proto.h`) speaks it. The older binary requests are answered with "bad version".
After a Connect the socket *is* the connection to the phone: the same streams are handed on, nothing is copied.
"""

import asyncio
import errno
import socket
import struct
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from station.model.base import SocketPath
from station.model.phone import UsbArrived, UsbEvent, UsbGone
from station.virtual import framing
from station.virtual.bus import Bus
from station.virtual.faults.kinds import PhoneGoneError, RefusedError
from station.virtual.phones.phone import Running, VirtualPhone
from station.virtual.sockets import Address, listening_on_all
from station.virtual.usb.connecting import MUXED, STREAM_LIMIT, converse, knock
from station.virtual.usb.gadget import Gadget

HEADER = struct.Struct("<4L")
PLIST_VERSION = 1
RESULT_MESSAGE = 1
"""The binary answer, which clients of every version understand."""
PLIST_MESSAGE = 8
MAX_REQUEST = 1 << 16
"""As usbmuxd's own command buffer."""
MAX_BACKLOG = 1 << 20
"""Bytes of notifications a listener may leave unread before it is cut off."""
MAX_RECORDS = 1000


class Result(IntEnum):
    """usbmuxd's own result numbers; pair records answer with errno's instead."""

    OK = 0
    BADCOMMAND = 1
    BADDEV = 2
    CONNREFUSED = 3
    BADVERSION = 6


@dataclass(frozen=True)
class Device:
    """A phone while it is on the bus: the next time it enumerates, it is another device."""

    number: int
    phone: VirtualPhone
    running: Running
    socket: SocketPath

    def attached(self) -> dict[str, Any]:
        """The message that announces it, which is also its entry in the list."""
        bus = self.socket.partition("-")[0]
        return {
            "MessageType": "Attached",
            "DeviceID": self.number,
            "Properties": {
                "ConnectionSpeed": 480_000_000,
                "ConnectionType": "USB",
                "DeviceID": self.number,
                "LocationID": (int(bus) if bus.isdecimal() else 0) << 16 | self.number & 0x7F,
                "ProductID": self.phone.product_id,
                "SerialNumber": self.phone.lies.serial or self.phone.identity.udid,
            },
        }


@asynccontextmanager
async def serve_usbmuxd(bus: Bus, *at: Address) -> AsyncGenerator[list[Address], None]:
    """Be usbmuxd for the phones on `bus`, at these addresses, while the context is open."""
    mux = Usbmuxd()
    async with bus.watch() as events, listening_on_all(at, mux.serve, limit=STREAM_LIMIT) as addresses:
        follower = asyncio.create_task(mux.follow(bus, events))
        try:
            yield addresses
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)


class Usbmuxd:
    """The devices, the pair records and the listeners."""

    def __init__(self) -> None:
        self._buid = str(uuid.uuid4()).upper()
        self._devices: dict[int, Device] = {}
        self._records: dict[str, bytes] = {}
        """Pair records by UDID; gone when this ends."""
        self._listeners: dict[asyncio.StreamWriter, dict[str, Any]] = {}
        """Who listens, and what they said of themselves."""
        self._last_number = 0

    async def follow(self, bus: Bus, events: "asyncio.Queue[UsbEvent]") -> None:
        """Keep the devices as the bus has them, and tell the listeners."""
        while True:
            match await events.get():
                case UsbArrived(socket=path, product_id=product):
                    phone = bus.at(path)
                    # The event may be old news; what the phone is now decides, and later events follow.
                    if phone and phone.running and _is_for_mux(phone) and product == phone.product_id:
                        self._last_number += 1
                        device = Device(self._last_number, phone, phone.running, path)
                        self._devices[device.number] = device
                        self._notify(device.attached())
                case UsbGone(socket=path):
                    for device in [device for device in self._devices.values() if device.socket == path]:
                        del self._devices[device.number]
                        self._notify({"MessageType": "Detached", "DeviceID": device.number})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client: requests, until it listens, connects or hangs up."""
        while True:
            length, version, kind, tag = HEADER.unpack(await reader.readexactly(HEADER.size))
            if not HEADER.size <= length <= MAX_REQUEST:
                return None
            body = await reader.readexactly(length - HEADER.size)
            if version != PLIST_VERSION or kind != PLIST_MESSAGE:
                result = Result.BADCOMMAND if version == PLIST_VERSION else Result.BADVERSION
                writer.write(HEADER.pack(HEADER.size + 4, 0, RESULT_MESSAGE, tag) + struct.pack("<L", result))
                continue
            request = framing.parse(body)
            match request.get("MessageType"):
                case "Listen":
                    return await self._listen(request, tag, reader, writer)
                case "Connect":
                    if await self._connect(request, tag, reader, writer):
                        return None
                case name:
                    _send(writer, tag, self._answer(name, request))
                    await writer.drain()

    def _answer(self, name: object, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request that is answered at once."""
        record_id = str(request.get("PairRecordID"))
        answer = _result(Result.OK)
        match name:
            case "ListDevices":
                answer = {"DeviceList": [device.attached() for device in self._devices.values()]}
            case "ListListeners":
                answer = {"ListenerList": [_listener(*listener) for listener in enumerate(self._listeners.values())]}
            case "ReadBUID":
                answer = {"BUID": self._buid}
            case "SavePairRecord":
                answer = _result(self._save(request))
            case "ReadPairRecord" | "DeletePairRecord" if record_id not in self._records:
                answer = _result(errno.ENOENT)
            case "ReadPairRecord":
                answer = {"PairRecordData": self._records[record_id]}
            case "DeletePairRecord":
                del self._records[record_id]
            case _:
                answer = _result(Result.BADCOMMAND)
        return answer

    def _save(self, request: dict[str, Any]) -> int:
        record_id, record = request.get("PairRecordID"), request.get("PairRecordData")
        if not isinstance(record_id, str) or not isinstance(record, bytes):
            return errno.EINVAL
        if len(self._records) >= MAX_RECORDS and record_id not in self._records:
            return errno.ENOSPC
        self._records[record_id] = record
        device = self._device(request)
        if device and device.phone.identity.udid == record_id:
            self._notify({"MessageType": "Paired", "DeviceID": device.number})
        return Result.OK

    def _device(self, request: dict[str, Any]) -> Device | None:
        number = request.get("DeviceID")
        return self._devices.get(number) if isinstance(number, int) else None

    async def _listen(
        self, request: dict[str, Any], tag: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Tell a client of every device that comes and goes, until it hangs up."""
        _send(writer, tag, _result(Result.OK))
        for device in self._devices.values():
            _send(writer, 0, device.attached())
        self._listeners[writer] = request
        try:
            if await reader.read(1):  # a listener has nothing more to say
                _send(writer, tag, _result(Result.BADCOMMAND))
        finally:
            del self._listeners[writer]

    def _notify(self, message: dict[str, Any]) -> None:
        for writer in self._listeners:
            if writer.transport.get_write_buffer_size() > MAX_BACKLOG:
                writer.transport.abort()
            else:
                _send(writer, 0, message)

    async def _connect(
        self, request: dict[str, Any], tag: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Hand the client's streams to a port of a phone. False: it was refused, and the client may go on."""
        device, number = self._device(request), request.get("PortNumber")
        if device is None or not isinstance(number, int):
            _send(writer, tag, _result(Result.BADDEV if device is None else Result.BADCOMMAND))
            return False
        port = socket.ntohs(number & 0xFFFF)
        result = Result.OK
        try:
            await knock(device.phone, device.running, port)
        except PhoneGoneError:
            result = Result.BADDEV
        except RefusedError:
            result = Result.CONNREFUSED
        _send(writer, tag, _result(result))
        if result is not Result.OK:
            return False
        await converse(device.phone, port, reader, writer)
        return True


def _is_for_mux(phone: VirtualPhone) -> bool:
    """Whether usbmuxd takes the device: what has a USB side must have usbmux's interface in it."""
    assert phone.running is not None
    return phone.mode in MUXED and not isinstance(phone.running.usb, Gadget)


def _send(writer: asyncio.StreamWriter, tag: int, message: dict[str, Any]) -> None:
    body = framing.encode(message)
    writer.write(HEADER.pack(HEADER.size + len(body), PLIST_VERSION, PLIST_MESSAGE, tag) + body)


def _result(number: int) -> dict[str, Any]:
    return {"MessageType": "Result", "Number": int(number)}


def _listener(number: int, info: dict[str, Any]) -> dict[str, Any]:
    name, version = str(info.get("ProgName", "unknown")), info.get("kLibUSBMuxVersion")
    return {
        "Blacklisted": False,
        "BundleID": str(info.get("BundleID", "")),
        "ConnType": 0,
        "ID String": f"{number}-{name}",
        "ProgName": name,
        "kLibUSBMuxVersion": version & 0xFFFF if isinstance(version, int) else 0,
    }
