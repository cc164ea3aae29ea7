"""Property lists as hosts send them, those that are meant to do harm among them."""

import plistlib

import pytest

from station.virtual import framing


def nested(depth):
    """Lists in lists."""
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def doubled(times, innermost):
    """A list of two references to a list of two references to … : 2 ** times of the innermost."""
    bomb = innermost
    for _ in range(times):
        bomb = [bomb, bomb]
    return bomb


def endless():
    """A list that contains itself, as no writer makes it: object 0 is a list of object 0."""
    body = b"bplist00" + b"\xa1\x00"
    return body + b"\x08" + bytes(6) + b"\x01\x01" + (1).to_bytes(8) + (0).to_bytes(8) + len(body).to_bytes(8)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"Request": "GetValue", "Key": "ÄÖÜ"},
        {"same": doubled(5, ["a"]), "keys": [{"a long key of many dictionaries": number} for number in range(5000)]},
        {"data": bytes(1 << 20)},
    ],
)
@pytest.mark.parametrize("kind", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_reads_what_hosts_write(message, kind):
    assert framing.parse(plistlib.dumps(message, fmt=kind)) == message


@pytest.mark.parametrize("bomb", [doubled(40, []), doubled(20, "a text, not short"), {"Value": doubled(64, {})}])
def test_refuses_what_unfolds_to_far_more_than_it_is(bomb):
    data = plistlib.dumps(bomb, fmt=plistlib.FMT_BINARY)
    assert len(data) < 4096
    with pytest.raises(framing.BadMessageError, match="unfolds"):
        framing.load(data)


def test_refuses_a_list_in_itself():
    assert plistlib.loads(endless())[0][0]
    with pytest.raises(framing.BadMessageError):
        framing.load(endless())


@pytest.mark.parametrize("data", [b"", b"junk", b"bplist00", plistlib.dumps(nested(300)).replace(b"</plist>", b"")])
def test_refuses_what_is_no_property_list(data):
    with pytest.raises(framing.BadMessageError):
        framing.load(data)


def test_a_message_is_a_dictionary():
    with pytest.raises(framing.BadMessageError):
        framing.parse(plistlib.dumps(["Request"]))


def test_writes_in_binary_what_xml_cannot():
    message = {"Name": "bell \a"}
    assert framing.encode({}).startswith(b"<?xml")
    assert framing.encode({}, binary=True).startswith(b"bplist")
    assert plistlib.loads(framing.encode(message)) == message
