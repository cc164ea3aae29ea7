"""Descriptors: what is made is read back, and nothing else is taken for one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.virtual.usb.descriptors import (
    CONFIGURATION,
    DEVICE,
    ENDPOINT,
    INTERFACE,
    MAX_STRING,
    DescriptorError,
    make_configuration,
    make_string,
    parse_configuration,
)

BYTE = st.integers(0, 255)
ENDPOINTS = st.lists(
    st.fixed_dictionaries({"bEndpointAddress": BYTE, "bmAttributes": BYTE, "wMaxPacketSize": st.integers(0, 0xFFFF)}),
    max_size=3,
)
EXTRA = st.sampled_from([b"", b"\x07\x21\x01\x0a\x00\x00\x08", b"\x02\x24\x03\x25\xff"])
SETTINGS = st.lists(st.tuples(BYTE, ENDPOINTS, EXTRA), min_size=1, max_size=3)
INTERFACES = st.dictionaries(st.integers(0, 31), SETTINGS, max_size=4)


@settings(max_examples=50)
@given(INTERFACES, BYTE, EXTRA)
def test_configuration_is_read_as_it_was_made(interfaces, value, extra):
    parts = [extra] if extra else []
    for number, alternates in interfaces.items():
        for alternate, (kind, endpoints, more) in enumerate(alternates):
            own = INTERFACE.make(
                bInterfaceNumber=number,
                bAlternateSetting=alternate,
                bInterfaceClass=kind,
                bNumEndpoints=len(endpoints),
            )
            parts += [own, more] if more else [own]
            parts += [ENDPOINT.make(**endpoint) for endpoint in endpoints]
    data = make_configuration(*parts, bConfigurationValue=value)
    parsed = parse_configuration(data)
    assert (parsed.fields.bConfigurationValue, parsed.fields.wTotalLength) == (value, len(data))
    assert parsed.fields.extra_descriptors == extra
    assert len(parsed.interfaces) == parsed.fields.bNumInterfaces == len(interfaces)
    for (number, alternates), found in zip(interfaces.items(), parsed.interfaces, strict=True):
        assert found == [parsed.find(number, alternate) for alternate in range(len(alternates))]
        for (kind, endpoints, more), setting in zip(alternates, found, strict=True):
            assert (setting.fields.bInterfaceClass, setting.fields.extra_descriptors) == (kind, more)
            assert [
                {name: getattr(one, name) for name in endpoint}
                for endpoint, one in zip(endpoints, setting.endpoints, strict=True)
            ] == endpoints


RIGHT = make_configuration(
    INTERFACE.make(bNumEndpoints=1), ENDPOINT.make(bEndpointAddress=4, bmAttributes=2), bConfigurationValue=1
)


@settings(max_examples=50)
@given(st.data())
def test_nothing_else_is_taken_for_a_configuration(data):
    at = data.draw(st.integers(0, len(RIGHT) - 1))
    hostile = data.draw(
        st.one_of(
            st.binary(max_size=80),
            st.just(RIGHT[:at]),
            st.binary(max_size=3).map(lambda more: RIGHT[:at] + more + RIGHT[at + len(more) :]),
        )
    )
    try:
        parsed = parse_configuration(hostile)
    except DescriptorError:
        return
    assert parsed.fields.wTotalLength == len(hostile)
    assert len(parsed.interfaces) == parsed.fields.bNumInterfaces


def changed(at: int, value: int) -> bytes:
    """RIGHT with one byte changed."""
    return RIGHT[:at] + bytes([value]) + RIGHT[at + 1 :]


WRONG_TOTAL, WRONG_INTERFACES, WRONG_ENDPOINTS = changed(2, len(RIGHT) + 1), changed(4, 2), changed(13, 2)


@pytest.mark.parametrize(
    "data",
    [b"", RIGHT[:-1], RIGHT[:9] + RIGHT[18:], RIGHT[9:], RIGHT + b"\0", WRONG_TOTAL, WRONG_INTERFACES, WRONG_ENDPOINTS],
)
def test_cut_and_rearranged_configurations_are_refused(data):
    with pytest.raises(DescriptorError):
        parse_configuration(data)


def test_layouts_are_the_specification_s():
    # Byte for byte as USB 2.0, tables 9-8, 9-10, 9-12 and 9-13 order them.
    device = DEVICE.make(bcdUSB=0x0200, idVendor=0x05AC, idProduct=0x1281, iSerialNumber=4, bNumConfigurations=1)
    assert device.hex() == "12010002000000" + "00" + "ac058112" + "0000" + "00000401"
    assert CONFIGURATION.make(wTotalLength=0x39, bMaxPower=250).hex() == "0902390000000000fa"
    assert INTERFACE.make(bInterfaceNumber=1, iInterface=6).hex() == "090401000000000006"
    assert ENDPOINT.make(bEndpointAddress=0x81, wMaxPacketSize=512).hex() == "07058100000200"
    assert make_string("é").hex() == "0403e900"


def test_mistakes_are_noticed():
    with pytest.raises(TypeError):
        DEVICE.make(idVender=1)
    with pytest.raises(DescriptorError):
        DEVICE.read(CONFIGURATION.make())
    assert len(make_string("x" * MAX_STRING)) == 254
    with pytest.raises(ValueError, match="too long"):
        make_string("x" * (MAX_STRING + 1))
