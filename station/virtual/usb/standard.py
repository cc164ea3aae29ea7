"""What every USB device answers by itself: the standard requests (USB 2.0, 9.4)."""

import asyncio
import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from station.virtual.phones.phone import Handler
from station.virtual.usb.descriptors import CONFIGURATION, DEVICE, STRING, make_string, parse_configuration
from station.virtual.usb.protocol import StallError, UsbDevice


class Request(IntEnum):
    """bRequest of the standard requests (USB 2.0, table 9-4)."""

    GET_STATUS = 0
    CLEAR_FEATURE = 1
    SET_FEATURE = 3
    SET_ADDRESS = 5
    GET_DESCRIPTOR = 6
    GET_CONFIGURATION = 8
    SET_CONFIGURATION = 9
    GET_INTERFACE = 10
    SET_INTERFACE = 11


TYPE_MASK = 0x60
"""Standard, class or vendor, in bmRequestType."""

PORT_RESET = (0x23, Request.SET_FEATURE, 4)
"""bmRequestType, bRequest, wValue. No device sees this request: a host resets a device by sending it to the hub
above. USB/IP hosts send it in the device's own stream instead (Linux `is_reset_device_cmd`)."""

ENGLISH = bytes([4, STRING, 0x09, 0x04])
"""String descriptor 0: the languages there are."""


SETUP = struct.Struct("<BBHHH")
"""A control request on the bus: bmRequestType, bRequest, wValue, wIndex, wLength (USB 2.0, table 9-2)."""


@dataclass(frozen=True)
class Setup:
    """A control request, without its length."""

    request_type: int
    request: int
    value: int
    index: int


@dataclass
class UsbOnly:
    """What a phone runs that is nothing but a USB device."""

    usb: UsbDevice | None
    listeners: dict[int, Handler] = field(default_factory=dict)


class StandardDevice(ABC):
    """A device that answers standard requests from its descriptors. Subclasses answer the others."""

    def __init__(self, descriptor: bytes, configurations: Sequence[bytes], strings: Mapping[int, str]) -> None:
        """A device whose first configuration is active: whoever exports a device has configured it.

        Args:
            descriptor: its device descriptor.
            configurations: its configuration descriptors, each with everything that follows it.
            strings: its strings by index.
        """
        self.descriptor = descriptor
        self._configurations = configurations
        parsed = [parse_configuration(configuration) for configuration in configurations]
        self._by_value = {one.fields.bConfigurationValue: one for one in parsed}
        self._strings = {index: make_string(text) for index, text in strings.items()}
        self._active = next(iter(self._by_value))
        """bConfigurationValue of the configuration that is; 0 for none."""
        self._alternates: dict[int, int] = {}

    async def control(self, request_type: int, request: int, value: int, index: int, length: int, data: bytes) -> bytes:
        """One control transfer. See UsbDevice."""
        if (request_type, request, value) == PORT_RESET:
            self._alternates.clear()
            await self.reset()
            return b""
        if request_type & TYPE_MASK:
            answer = await self.request(Setup(request_type, request, value, index), data)
        else:
            answer = self._standard(request_type, request, value, index)
        return answer[:length]

    @abstractmethod
    async def request(self, setup: Setup, data: bytes) -> bytes:
        """A class or vendor request. Raises StallError."""

    @abstractmethod
    async def reset(self) -> None:
        """The host reset the device's port."""

    @abstractmethod
    async def bulk_out(self, endpoint: int, data: bytes) -> None:
        """See UsbDevice."""

    def configured(self) -> None:
        """The host set the configuration, which begins every interface and endpoint anew (USB 2.0, 9.1.1.5)."""
        self._alternates.clear()

    async def bulk_in(self, endpoint: int, length: int) -> bytes:  # noqa: ARG002 - the protocol's; subclasses use it
        """See UsbDevice. This has nothing to say on its endpoints."""
        if not self._has(endpoint):
            raise StallError
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async def settle(self) -> None:
        """See UsbDevice."""
        await asyncio.sleep(0)  # its answers leave in the turn in which they are made

    def _has(self, endpoint: int) -> bool:
        """Whether the endpoint exists as interfaces are set now."""
        return any(
            endpoint == one.bEndpointAddress
            for alternates in (self._by_value[self._active].interfaces if self._active else ())
            for setting in alternates
            if setting.fields.bAlternateSetting == self._alternates.get(setting.fields.bInterfaceNumber, 0)
            for one in setting.endpoints
        )

    def _standard(self, request_type: int, request: int, value: int, index: int) -> bytes:
        answer = b""
        match request_type, request:
            case 0x80, Request.GET_DESCRIPTOR:
                answer = self._descriptor(value >> 8, value & 0xFF)
            case 0x80, Request.GET_CONFIGURATION:
                answer = bytes([self._active])
            case 0x00, Request.SET_CONFIGURATION if value == 0 or value in self._by_value:
                self._active = value
                self.configured()
            case 0x81, Request.GET_INTERFACE:
                alternate = self._alternates.get(index, 0)
                self._check_setting(index, alternate)
                answer = bytes([alternate])
            case 0x01, Request.SET_INTERFACE:
                self._check_setting(index, value)
                self._alternates[index] = value
            case 0x80 | 0x81 | 0x82, Request.GET_STATUS:
                answer = bytes(2)
            case 0x00 | 0x01 | 0x02, Request.CLEAR_FEATURE | Request.SET_FEATURE | Request.SET_ADDRESS:
                pass  # nothing here stays halted, sleeps, or has an address of its own
            case _:
                raise StallError
        return answer

    def _check_setting(self, interface: int, alternate: int) -> None:
        try:
            self._by_value[self._active].find(interface, alternate)
        except KeyError:
            raise StallError from None

    def _descriptor(self, kind: int, index: int) -> bytes:
        if kind == DEVICE.kind:
            return self.descriptor
        if kind == CONFIGURATION.kind and index < len(self._configurations):
            return self._configurations[index]
        if kind == STRING and index == 0:
            return ENGLISH
        if kind == STRING and index in self._strings:
            return self._strings[index]
        raise StallError
