"""USB descriptors, made and read (USB 2.0, 9.6). Fields have the specification's names."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

MAX_STRING = 126
"""Characters of a string descriptor: its length has one byte, and UTF-16 two for a character."""


class DescriptorError(ValueError):
    """The bytes are not the descriptor they should be."""


@dataclass(frozen=True)
class Layout:
    """How one kind of descriptor lies in memory."""

    kind: int
    """bDescriptorType."""
    packing: struct.Struct
    names: tuple[str, ...]
    """Its fields after bLength and bDescriptorType."""

    def make(self, **values: int) -> bytes:
        """The descriptor with these values; fields not named are 0."""
        unknown = values.keys() - set(self.names)
        if unknown:
            raise TypeError(f"no such fields: {sorted(unknown)}")
        return self.packing.pack(self.packing.size, self.kind, *(values.get(name, 0) for name in self.names))

    def read(self, data: bytes) -> SimpleNamespace:
        """The fields of a descriptor, which may be longer than it must be. Raises DescriptorError."""
        if len(data) < self.packing.size or data[0] < self.packing.size or data[1] != self.kind:
            raise DescriptorError(f"not a descriptor of type {self.kind}: {data[:32].hex()}")
        values = self.packing.unpack_from(data)
        return SimpleNamespace(**dict(zip(("bLength", "bDescriptorType", *self.names), values, strict=True)))


def _layout(kind: int, packing: str, names: str) -> Layout:
    return Layout(kind, struct.Struct(f"<BB{packing}"), tuple(names.split()))


DEVICE = _layout(
    1,
    "HBBBBHHHBBBB",
    "bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 idVendor idProduct bcdDevice "
    "iManufacturer iProduct iSerialNumber bNumConfigurations",
)
CONFIGURATION = _layout(
    2, "HBBBBB", "wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes bMaxPower"
)
INTERFACE = _layout(
    4,
    "BBBBBBB",
    "bInterfaceNumber bAlternateSetting bNumEndpoints bInterfaceClass bInterfaceSubClass bInterfaceProtocol iInterface",
)
ENDPOINT = _layout(5, "BBHB", "bEndpointAddress bmAttributes wMaxPacketSize bInterval")
STRING = 3


@dataclass
class Interface:
    """One alternate setting of an interface."""

    fields: SimpleNamespace
    endpoints: list[SimpleNamespace] = field(default_factory=list)


@dataclass
class Configuration:
    """A configuration descriptor with everything that follows it."""

    fields: SimpleNamespace
    interfaces: list[list[Interface]]
    """Interfaces in the order in which their numbers first appear; of each, the alternate settings in order."""

    def find(self, interface: int, alternate: int) -> Interface:
        """By bInterfaceNumber and bAlternateSetting. Raises KeyError."""
        for alternates in self.interfaces:
            for setting in alternates:
                if (setting.fields.bInterfaceNumber, setting.fields.bAlternateSetting) == (interface, alternate):
                    return setting
        raise KeyError((interface, alternate))


def make_configuration(*parts: bytes, **values: int) -> bytes:
    """A configuration descriptor, then `parts`: interface, class-specific and endpoint descriptors in order.

    Args:
        parts: what follows the configuration descriptor itself.
        values: its fields; wTotalLength and bNumInterfaces are computed.
    """
    body = b"".join(parts)
    numbers = {part[2] for part in parts if part[1] == INTERFACE.kind}
    own = CONFIGURATION.make(wTotalLength=CONFIGURATION.packing.size + len(body), bNumInterfaces=len(numbers), **values)
    return own + body


def parse_configuration(data: bytes) -> Configuration:
    """Read a configuration descriptor and what follows it. Raises DescriptorError.

    Descriptors of other kinds (class-specific ones) are kept as `extra_descriptors`, bytes, of what they follow.
    """
    first, *others = _split(data)
    configuration = Configuration(CONFIGURATION.read(first), [])
    if configuration.fields.wTotalLength != len(data):
        raise DescriptorError("the configuration's length is not what it says")
    last = configuration.fields
    last.extra_descriptors = b""
    by_number: dict[int, list[Interface]] = {}
    current: Interface | None = None
    for descriptor in others:
        match descriptor[1]:
            case INTERFACE.kind:
                last = INTERFACE.read(descriptor)
                current = Interface(last)
                by_number.setdefault(last.bInterfaceNumber, []).append(current)
            case ENDPOINT.kind if current is not None:
                last = ENDPOINT.read(descriptor)
                # Two more fields in the endpoints of audio devices only.
                last.bRefresh, last.bSynchAddress = descriptor[7:9] if len(descriptor) >= 9 else (0, 0)
                current.endpoints.append(last)
            case ENDPOINT.kind:
                raise DescriptorError("an endpoint outside an interface")
            case _:
                last.extra_descriptors += descriptor
                continue
        last.extra_descriptors = b""
    configuration.interfaces = list(by_number.values())
    _check_counts(configuration)
    return configuration


def make_string(text: str) -> bytes:
    """A string descriptor. Raises ValueError when `text` is too long for one."""
    data = text.encode("utf-16-le")
    if len(data) > 2 * MAX_STRING:
        raise ValueError(f"too long for a string descriptor: {text!r}")
    return bytes([len(data) + 2, STRING]) + data


def _split(data: bytes) -> Iterator[bytes]:
    if not data:
        raise DescriptorError("no descriptor at all")
    while data:
        length = data[0]
        if length < 2 or length > len(data):
            raise DescriptorError("a descriptor that is cut off")
        yield data[:length]
        data = data[length:]


def _check_counts(configuration: Configuration) -> None:
    if configuration.fields.bNumInterfaces != len(configuration.interfaces):
        raise DescriptorError("not as many interfaces as the configuration says")
    for alternates in configuration.interfaces:
        for setting in alternates:
            if setting.fields.bNumEndpoints != len(setting.endpoints):
                raise DescriptorError("not as many endpoints as the interface says")
