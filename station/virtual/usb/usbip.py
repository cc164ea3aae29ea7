"""The USB side of virtual phones for everybody who speaks USB/IP: `backend` here, or Linux itself (vhci-hcd).

Where Linux as a server keeps a device to one client, this lets any number import it at once: the clients here are
processes of one machine, and on one machine several processes may open a device. Which of them may use an
interface is not kept (libusb would say EBUSY to the second one).
"""

import asyncio
import errno
from collections import defaultdict
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import SimpleNamespace
from weakref import WeakKeyDictionary

import structlog

from station.model.base import SocketPath
from station.virtual.bus import Bus
from station.virtual.faults.kinds import PhoneGoneError
from station.virtual.phones.phone import VirtualPhone
from station.virtual.sockets import Address, listening_on_all
from station.virtual.usb.connecting import MUXED
from station.virtual.usb.descriptors import CONFIGURATION, DEVICE, parse_configuration
from station.virtual.usb.protocol import StallError, UsbDevice
from station.virtual.usb.standard import SETUP, Request
from station.virtual.usb.usbip_messages import (
    BUSID_SIZE,
    COUNT,
    HEADER_SIZE,
    INTERFACE,
    MAX_TRANSFER,
    OPERATION,
    Command,
    DeviceRecord,
    Operation,
    Reply,
    Submit,
    Unlink,
    UsbIpError,
    operation,
    parse_busid,
    parse_command,
    parse_operation,
)

log = structlog.get_logger(__name__)

MAX_URBS = 256
"""Transfers a connection may have under way; together they may have MAX_TRANSFER bytes."""
_READ_BUFFER = 64 * 1024
_MAX_ADDRESS = 127


def serve_usbip(bus: Bus, *at: Address) -> AbstractAsyncContextManager[list[Address]]:
    """Serve the USB devices of all phones on `bus` at these addresses, while the context is open."""
    return listening_on_all(at, _Server(bus).serve, limit=_READ_BUFFER)


@dataclass
class _Export:
    """One enumeration of one device. Another enumeration is another device object, and gets another number."""

    devnum: int
    endpoints: defaultdict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """Transfers on one endpoint follow one another, whoever they come from."""


class _Server:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._exports: WeakKeyDictionary[UsbDevice, _Export] = WeakKeyDictionary()
        self._last_devnum = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        code, _ = parse_operation(await reader.readexactly(OPERATION.size))
        match code:
            case Operation.REQ_DEVLIST:
                writer.write(await self._list())
                await writer.drain()
            case Operation.REQ_IMPORT:
                await self._import(parse_busid(await reader.readexactly(BUSID_SIZE)), reader, writer)
            case _:
                raise UsbIpError(f"no operation {code:#06x}")

    async def _list(self) -> bytes:
        devices = [
            await self._describe(phone, phone.running.usb)
            for phone in self._bus.phones
            if phone.running is not None and phone.running.usb is not None
        ]
        parts = [operation(Operation.REP_DEVLIST), COUNT.pack(len(devices))]
        for record, interfaces in devices:
            parts += [record.pack(), interfaces]
        return b"".join(parts)

    async def _import(self, busid: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        phone = self._bus.at(SocketPath(busid))
        if phone is None or phone.running is None or phone.running.usb is None:
            writer.write(operation(Operation.REP_IMPORT, 1))
            return
        device = phone.running.usb
        # Tied to the phone from here on, so that nothing of it answers once it has left.
        session = asyncio.current_task()
        assert session is not None
        phone.keep(session)
        record, _ = await self._describe(phone, device)
        writer.write(operation(Operation.REP_IMPORT) + record.pack())
        await _Session(phone, device, record.devid, self._exports[device], reader, writer).run()

    async def _describe(self, phone: VirtualPhone, device: UsbDevice) -> tuple[DeviceRecord, bytes]:
        """A device's record, and class, subclass and protocol of its interfaces."""
        if device not in self._exports:
            self._exports[device] = _Export(self._free_devnum())
        (active,) = await device.control(0x80, Request.GET_CONFIGURATION, 0, 0, 1, b"")
        interfaces = await _interfaces(device, active)
        assert phone.socket is not None
        record = DeviceRecord.of(
            device.descriptor,
            busid=phone.socket,
            devnum=self._exports[device].devnum,
            configuration=active,
            interfaces=len(interfaces),
        )
        return record, b"".join(
            INTERFACE.pack(one.bInterfaceClass, one.bInterfaceSubClass, one.bInterfaceProtocol) for one in interfaces
        )

    def _free_devnum(self) -> int:
        """The next address that no device has; like Linux's, it is used again as late as possible."""
        used = {export.devnum for export in self._exports.values()}
        for step in range(_MAX_ADDRESS):
            devnum = (self._last_devnum + step) % _MAX_ADDRESS + 1
            if devnum not in used:
                self._last_devnum = devnum
                return devnum
        raise UsbIpError("no address is free")


async def _interfaces(device: UsbDevice, value: int) -> list[SimpleNamespace]:
    """The interfaces, by their first alternate settings, of the configuration with this value; 0 has none."""
    for index in range(DEVICE.read(device.descriptor).bNumConfigurations if value else 0):
        configuration = parse_configuration(
            await device.control(0x80, Request.GET_DESCRIPTOR, CONFIGURATION.kind << 8 | index, 0, 0xFFFF, b"")
        )
        if configuration.fields.bConfigurationValue == value:
            return [alternates[0].fields for alternates in configuration.interfaces]
    return []


class _Session:
    """One client's use of one device."""

    def __init__(
        self,
        phone: VirtualPhone,
        device: UsbDevice,
        devid: int,
        export: _Export,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._phone = phone
        self._device = device
        self._devid = devid
        self._export = export
        self._reader = reader
        self._writer = writer
        self._urbs: dict[int, asyncio.Task[None]] = {}
        self._bytes = 0

    async def run(self) -> None:
        try:
            while True:
                await self._writer.drain()
                command = parse_command(await self._reader.readexactly(HEADER_SIZE))
                if command.devid != self._devid:
                    raise UsbIpError(f"a transfer for device {command.devid:#x}")
                if isinstance(command, Unlink):
                    self._unlink(command)
                else:
                    data = b"" if command.into_host else await self._reader.readexactly(command.length)
                    self._submit(command, data)
        finally:
            # Not waited for: one of them may be what pulls the plug, and waits for this here.
            for task in self._urbs.values():
                task.cancel()
            self._urbs.clear()

    def _submit(self, submit: Submit, data: bytes) -> None:
        if submit.seqnum in self._urbs:
            raise UsbIpError(f"seqnum {submit.seqnum} is under way already")
        if len(self._urbs) >= MAX_URBS or self._bytes + submit.length > MAX_TRANSFER:
            self._reply(submit.seqnum, -errno.ENOMEM)
            return
        task = asyncio.ensure_future(self._transfer(submit, data))
        self._urbs[submit.seqnum] = task
        self._bytes += submit.length
        self._phone.keep(task)

        def done(task: asyncio.Task[None]) -> None:
            self._bytes -= submit.length
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("a transfer failed", exc_info=error)
                self._writer.close()

        task.add_done_callback(done)

    def _unlink(self, unlink: Unlink) -> None:
        task = self._urbs.pop(unlink.victim, None)
        if task is not None:
            task.cancel()
        status = 0 if task is None else -errno.ECONNRESET
        self._writer.write(Reply(Command.RET_UNLINK, unlink.seqnum, status).pack())

    async def _transfer(self, submit: Submit, data: bytes) -> None:
        try:
            async with self._export.endpoints[submit.address]:
                answer = await self._perform(submit, data)
        except StallError:
            status, answer = -errno.EPIPE, b""
        except PhoneGoneError:
            return
        else:
            status = 0
        # From here on without a pause: whatever made the phone leave cannot overtake the answer.
        if self._urbs.pop(submit.seqnum, None) is None:
            return
        if submit.into_host:
            self._reply(submit.seqnum, status, len(answer), answer)
        else:
            self._reply(submit.seqnum, status, 0 if status else len(data))

    async def _perform(self, submit: Submit, data: bytes) -> bytes:
        arrived = await self._carry(data, inward=True)
        return await self._carry(await self._ask(submit, arrived), inward=False)

    async def _ask(self, submit: Submit, data: bytes) -> bytes:
        if submit.endpoint == 0:
            request_type, request, value, index, length = SETUP.unpack(submit.setup)
            return await self._device.control(request_type, request, value, index, min(length, submit.length), data)
        if submit.into_host:
            return await self._device.bulk_in(submit.address, submit.length)
        await self._device.bulk_out(submit.address, data)
        return b""

    async def _carry(self, data: bytes, *, inward: bool) -> bytes:
        """Let a transfer pass the phone's cable; what usbmux carries, passes it connection by connection."""
        return data if self._phone.mode in MUXED else await self._phone.cable.carry(data, inward=inward)

    def _reply(self, seqnum: int, status: int, length: int = 0, data: bytes = b"") -> None:
        self._writer.write(Reply(Command.RET_SUBMIT, seqnum, status, length).pack() + data)
