"""A pyusb backend whose USB bus is a USB/IP socket: how an unmodified library reaches virtual phones.

It behaves as libusb does on Linux: descriptors are read when a device is enumerated, and what a program still
holds of a device that has gone answers ENODEV.
"""

import time
from array import array
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import usb.backend.libusb1
from usb.core import USBError

from station.virtual.usb.descriptors import (
    CONFIGURATION,
    DEVICE,
    Configuration,
    DescriptorError,
    Interface,
    parse_configuration,
)
from station.virtual.usb.standard import PORT_RESET, SETUP, Request
from station.virtual.usb.usbip_client import Outcome, UsbIpConnection, list_devices
from station.virtual.usb.usbip_messages import HIGH_SPEED, DeviceRecord

ENUMERATION_SECONDS = 0.05
"""At least this much lies between two enumerations: pymobiledevice3 enumerates in a tight loop while it waits."""
REQUEST_TIMEOUT = 1000
"""Milliseconds for the requests this makes by itself."""
_MAX_CONFIGURATIONS = 8


@dataclass
class UsbIpDevice:
    """A device as it was when it was enumerated."""

    record: DeviceRecord
    descriptor: SimpleNamespace
    """The device descriptor, and where the device is."""
    configurations: list[Configuration]

    def interface(self, intf: int, alt: int, config: int) -> Interface:
        """By indices. Raises IndexError."""
        return self.configurations[config].interfaces[intf][alt]


class UsbIpBackend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb has no types
    """What the methods mean: `usb.backend.IBackend`. Timeouts are in milliseconds."""

    def __init__(self, path: Path) -> None:
        """Use the USB/IP server on the unix socket `path`."""
        super().__init__()
        self._path = path
        self._known: dict[DeviceRecord, UsbIpDevice] = {}
        self._next_enumeration = 0.0

    def enumerate_devices(self) -> Iterator[UsbIpDevice]:
        """What is on the bus now. Raises USBError: there is no server."""
        time.sleep(max(0.0, self._next_enumeration - time.monotonic()))
        known, self._known = self._known, {}
        for record in list_devices(self._path):
            # A record stands for one enumeration, so what was read then still holds.
            device = known.get(record) or self._enumerate(record)
            if device is not None:
                self._known[record] = device
        self._next_enumeration = time.monotonic() + ENUMERATION_SECONDS
        return iter(list(self._known.values()))

    def get_parent(self, dev: UsbIpDevice) -> None:
        """No hubs are exported."""

    def get_device_descriptor(self, dev: UsbIpDevice) -> SimpleNamespace:
        """Fields, bus, address, speed and ports."""
        return dev.descriptor

    def get_configuration_descriptor(self, dev: UsbIpDevice, config: int) -> SimpleNamespace:
        """By index. Raises IndexError."""
        return dev.configurations[config].fields

    def get_interface_descriptor(self, dev: UsbIpDevice, intf: int, alt: int, config: int) -> SimpleNamespace:
        """By indices. Raises IndexError."""
        return dev.interface(intf, alt, config).fields

    def get_endpoint_descriptor(self, dev: UsbIpDevice, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        """By indices. Raises IndexError."""
        return dev.interface(intf, alt, config).endpoints[ep]

    def open_device(self, dev: UsbIpDevice) -> UsbIpConnection:
        """Import it. Raises USBError, with ENODEV when it has gone."""
        return UsbIpConnection(self._path, dev.record)

    def close_device(self, dev_handle: UsbIpConnection) -> None:
        """Let go of it."""
        dev_handle.close()

    def set_configuration(self, dev_handle: UsbIpConnection, config_value: int) -> None:
        """Raises USBError."""
        _request(dev_handle, 0x00, Request.SET_CONFIGURATION, config_value)

    def get_configuration(self, dev_handle: UsbIpConnection) -> int:
        """Raises USBError."""
        return _request(dev_handle, 0x80, Request.GET_CONFIGURATION, length=1)[0]

    def set_interface_altsetting(self, dev_handle: UsbIpConnection, intf: int, altsetting: int) -> None:
        """Raises USBError."""
        _request(dev_handle, 0x01, Request.SET_INTERFACE, altsetting, intf)

    def claim_interface(self, dev_handle: UsbIpConnection, intf: int) -> None:
        """Nobody keeps account of claims on this bus."""

    def release_interface(self, dev_handle: UsbIpConnection, intf: int) -> None:
        """See claim_interface."""

    def bulk_write(self, dev_handle: UsbIpConnection, ep: int, _intf: int, data: "array[int]", timeout: int) -> int:
        """Raises USBError."""
        return dev_handle.transfer(ep, timeout, data=data.tobytes()).length

    def bulk_read(self, dev_handle: UsbIpConnection, ep: int, _intf: int, buff: "array[int]", timeout: int) -> int:
        """Raises USBError."""
        return _fill(buff, dev_handle.transfer(ep, timeout, length=len(buff)))

    def ctrl_transfer(
        self,
        dev_handle: UsbIpConnection,
        request_type: int,
        request: int,
        value: int,
        index: int,
        data: "array[int]",
        timeout: int,
    ) -> int:
        """Raises USBError."""
        setup = SETUP.pack(request_type, request, value, index, len(data))
        if request_type & 0x80:
            return _fill(data, dev_handle.transfer(0x80, timeout, length=len(data), setup=setup))
        return dev_handle.transfer(0, timeout, data=data.tobytes(), setup=setup).length

    def clear_halt(self, dev_handle: UsbIpConnection, ep: int) -> None:
        """Raises USBError."""
        _request(dev_handle, 0x02, Request.CLEAR_FEATURE, 0, ep)

    def reset_device(self, dev_handle: UsbIpConnection) -> None:
        """Raises USBError, with ENODEV when the reset makes the device leave."""
        _request(dev_handle, *PORT_RESET)

    def is_kernel_driver_active(self, _dev_handle: UsbIpConnection, _intf: int) -> bool:
        """There are no drivers on this bus."""
        return False

    def detach_kernel_driver(self, dev_handle: UsbIpConnection, intf: int) -> None:
        """See is_kernel_driver_active."""

    def attach_kernel_driver(self, dev_handle: UsbIpConnection, intf: int) -> None:
        """See is_kernel_driver_active."""

    def _enumerate(self, record: DeviceRecord) -> UsbIpDevice | None:
        """Read the descriptors of a device; None when that fails, and so for libusb it never was there."""
        try:
            connection = UsbIpConnection(self._path, record)
        except USBError:
            return None
        try:
            descriptor = DEVICE.read(_descriptor(connection, DEVICE.kind, 0, DEVICE.packing.size))
            configurations = [
                parse_configuration(_descriptor(connection, CONFIGURATION.kind, index, 0xFFFF))
                for index in range(min(descriptor.bNumConfigurations, _MAX_CONFIGURATIONS))
            ]
        except (USBError, DescriptorError):
            return None
        finally:
            connection.close()
        descriptor.bus, descriptor.address, descriptor.speed = record.busnum, record.devnum, HIGH_SPEED
        descriptor.port_numbers = record.ports
        descriptor.port_number = record.ports[-1]
        return UsbIpDevice(record, descriptor, configurations)


@contextmanager
def as_default(backend: UsbIpBackend) -> Generator[UsbIpBackend]:
    """Make `backend` what pyusb uses in this process when nobody names one, as pymobiledevice3 does not.

    pyusb asks its libusb1 module for a backend at every `find`, so this replaces what that module answers.
    """
    module = usb.backend.libusb1
    original = module.get_backend
    module.get_backend = lambda find_library=None: backend  # noqa: ARG005 - pyusb's signature
    try:
        yield backend
    finally:
        module.get_backend = original


def _request(
    connection: UsbIpConnection, request_type: int, request: int, value: int = 0, index: int = 0, *, length: int = 0
) -> bytes:
    setup = SETUP.pack(request_type, request, value, index, length)
    data = connection.transfer(request_type & 0x80, REQUEST_TIMEOUT, length=length, setup=setup).data
    if length == 1 and not data:
        raise USBError("the device answered nothing")
    return data


def _descriptor(connection: UsbIpConnection, kind: int, index: int, length: int) -> bytes:
    return _request(connection, 0x80, Request.GET_DESCRIPTOR, kind << 8 | index, length=length)


def _fill(buffer: "array[int]", outcome: Outcome) -> int:
    buffer[: outcome.length] = array("B", outcome.data)
    return outcome.length
