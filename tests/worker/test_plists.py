"""Messages from a phone: whatever it sends is a modest dictionary, or rejected."""

import plistlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.errors import InputRejected
from station.worker import plists


def nested(depth: int) -> dict[str, object]:
    message: dict[str, object] = {}
    for _ in range(depth):
        message = {"a": message}
    return message


def shared(levels: int) -> bytes:
    """A binary plist whose lists refer to the same list again and again: 10 ** levels leaves in some 200 bytes."""
    value: list[object] = ["x"]
    for _ in range(levels):
        value = [value] * 10
    return plistlib.dumps({"bomb": value}, fmt=plistlib.FMT_BINARY)


def test_a_message_is_read_in_either_format():
    message = {"MsgType": "StatusMsg", "Status": 0, "Log": "text", "Data": b"\0", "List": [1, 2.5, True]}
    for fmt in (plistlib.FMT_XML, plistlib.FMT_BINARY):
        assert plists.parse(plistlib.dumps(message, fmt=fmt)) == message


def test_a_message_weighs_what_it_takes():
    assert plists.weight({"a": bytes(1000)}) > 1000
    assert plists.weight({"a": "\U0001f600" * 1000}) > 4000
    assert plists.weight({"a": [{"b": number} for number in range(1000)]}) > 1000 * 100


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"bplist00",
        b"<plist>",
        plistlib.dumps(["no dictionary"]),
        shared(9),
        plistlib.dumps(nested(40)),
        b"<plist><dict>" + 50_000 * b"<key>a</key><dict>" + 50_000 * b"</dict>" + b"</dict></plist>",
        plistlib.dumps({"uid": plistlib.UID(1)}, fmt=plistlib.FMT_BINARY),
        plistlib.dumps({"long": ["x" * 1000] * 20_000}, fmt=plistlib.FMT_BINARY),
        plistlib.dumps({"many": list(range(100_001))}, fmt=plistlib.FMT_BINARY),
    ],
    ids=["empty", "header", "torn", "list", "bomb", "deep", "deeper", "uid", "repeated", "many"],
)
def test_other_things_are_rejected(payload):
    with pytest.raises(InputRejected):
        plists.parse(payload)


@given(st.binary(max_size=200))
def test_noise_has_one_way_to_fail(noise):
    for payload in (noise, b"bplist00" + noise, b"<plist><dict>" + noise):
        with suppress(InputRejected):
            assert isinstance(plists.parse(payload), dict)
