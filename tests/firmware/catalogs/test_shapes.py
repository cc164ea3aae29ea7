"""Answers in the shapes of the real ones, written by hand; and what must not get through."""

import json
import plistlib
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from station.adapters.catalogs import apple, appledb, ipsw_me
from station.adapters.catalogs.sieve import Sieve
from station.errors import InputRejected
from station.model.catalog import FirmwareHosts, Offer, Source
from tests.firmware.catalogs.conftest import PHONE

CDN = "https://updates.cdn-apple.com/2025FallFCS/fullrestores/047-34206/1602514A-162B-48F2-A7BA-727A5DC2D54D"
FILE = f"{CDN}/iPhone13,2,iPhone13,3_26.2.1_23C71_Restore.ipsw"
SHA1, SHA256 = "11d7e6b4bfddf540162692bc32bb23cfc93aabd0", "76" * 32

FIRMWARE = {
    "identifier": PHONE,
    "version": "26.2.1",
    "buildid": "23C71",
    "sha1sum": SHA1,
    "md5sum": "0" * 32,
    "sha256sum": SHA256,
    "filesize": 9502103278,
    "url": FILE,
    "releasedate": "2026-01-26T18:03:41Z",
    "uploaddate": "2026-01-25T03:12:00Z",
    "signed": True,
}
IPSW = {
    "type": "ipsw",
    "deviceMap": [PHONE, "iPhone13,3"],
    "links": [
        {"url": "https://developer.apple.com/services-account/download?path=/a.ipsw", "active": False},
        {"url": "https://archive.org/download/ios/iPhone13,2_26.2.1_23C71_Restore.ipsw", "preferred": True},
        {"url": FILE, "active": True},
    ],
    "hashes": {"sha1": SHA1, "sha2-256": SHA256},
    "size": 9502103278,
}
OTA = {
    "type": "ota",
    "prerequisiteBuild": ["22G86", "22G90"],
    "systemImageId": "D3DD705D-9350-43A7-8192-4E5DF0380FB0",
    "deviceMap": [PHONE],
    "links": [{"url": "https://updates.cdn-apple.com/2025FallFCS/patches/047-34216/4b37.zip", "active": True}],
    "hashes": {"sha1": "4b3700aef9e90c2bb0bcdfef6255ea32d55a2811"},
    "size": 7300732315,
}
ENTRY = {
    "osStr": "iOS",
    "version": "26.2.1",
    "build": "23C71",
    "restoreVersion": "23.3.71.0.0,0",
    "buildTrain": "LuckC",
    "released": "2026-01-26",
    "releaseNotes": "https://support.apple.com/123075#a2621",
    "ipd": {"iPhone": "https://updates.cdn-apple.com/2025FallFCS/documentation/iPhoneLuckShortRTF.ipd"},
    "appledbWebImage": {"id": "ios26", "align": "left"},
    "deviceMap": [PHONE, "iPhone13,3"],
    "basebandVersions": {PHONE: "6.20.03"},
    "sources": [OTA, IPSW],
    "devices": {PHONE: {"ipsw": FILE}},
    "uniqueBuild": "23C71",
}
RESTORE = {
    "BuildVersion": "23C71",
    "ProductVersion": "26.2.1",
    "DocumentationURL": "https://updates.cdn-apple.com/2025FallFCS/documentation/iPhoneiTunesUpdateReadMe.ipd",
    "FirmwareURL": FILE.replace("https:", "http:"),
    "FirmwareSHA1": SHA1.upper(),
}
MODELS = {
    PHONE: {
        "Unknown": {"Universal": {"Restore": RESTORE}},
        "23C55": {"SameAs": "23C71"},
        "23C71": {
            "Restore": RESTORE,
            "Update": RESTORE | {"BuildVersion": "23C70", "FirmwareURL": f"{CDN}/update.ipsw"},
            "OfferRestoreAsUpdate": True,
        },
    },
    "AppleTV3,1": {"Unknown": {"Universal": {"Restore": RESTORE}}},
    "iPhone1,1": {"Unknown": {"Universal": {"Restore": {"FirmwareURL": "protected://a.ipsw"}}}},
}
VERSIONS = {
    "MobileDeviceSoftwareVersionsByVersion": {
        "1": {"MobileDeviceSoftwareVersions": {}, "RecoverySoftwareVersions": {"WTF": {}}},
        "17": {"MobileDeviceSoftwareVersions": MODELS},
        "18": {"MobileDeviceSoftwareVersions": MODELS},
    },
    "iPodSoftwareVersions": {},
}
WHOLE = Offer(
    version="26.2.1",
    build="23C71",
    product_types=(PHONE,),
    url=FILE,
    size=9502103278,
    sha256=SHA256,
    sha1=SHA1,
    released="2026-01-26",
    signed=True,
    sources=(Source.IPSW_ME,),
)


def sieve(source: Source = Source.IPSW_ME) -> Sieve:
    return Sieve(source, FirmwareHosts().origins)


def from_ipsw_me(*firmwares: object) -> list[Offer]:
    taken = sieve()
    device = {"name": "iPhone 12", "identifier": PHONE, "boards": [], "boardconfig": "D53gAP", "cpid": 33025}
    ipsw_me.parse(json.dumps(device | {"firmwares": firmwares}).encode(), PHONE, taken)
    return taken.offers


def from_appledb(*entries: object) -> list[Offer]:
    taken = sieve(Source.APPLEDB)
    appledb.parse(json.dumps(entries).encode(), taken)
    return taken.offers


def from_apple(everything: dict[str, Any]) -> list[Offer]:
    taken = sieve(Source.APPLE)
    apple.parse(plistlib.dumps(everything), taken)
    return taken.offers


def changed(offer: Offer, **changes: Any) -> Offer:
    return replace(offer, **changes)


def test_ipsw_me():
    assert from_ipsw_me(FIRMWARE) == [WHOLE]
    without = FIRMWARE | {"sha256sum": "", "releasedate": None, "filesize": None, "signed": None}
    assert from_ipsw_me(without) == [changed(WHOLE, sha256="", released="", size=0, signed=None)]


def test_appledb():
    both = changed(WHOLE, product_types=(PHONE, "iPhone13,3"), sources=(Source.APPLEDB,), signed=None)
    assert from_appledb(ENTRY) == [both]
    assert from_appledb(ENTRY | {"signed": False}) == [changed(both, signed=False)]
    assert from_appledb(ENTRY | {"signed": [PHONE]}) == [changed(both, signed=True)]
    assert from_appledb(ENTRY | {"released": ["2026-01-26", "2026-01-27"]}) == [changed(both, released="")]


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({"version": "26.3 beta 2", "build": "23D5103d", "beta": True}, "26.3"),
        ({"version": "26.3 RC", "build": "23D125", "rc": True}, "26.3"),
        ({"version": "26.3 RC 2", "build": "23D126"}, "26.3"),
        ({"version": "26.3", "build": "23D5103d"}, "26.3"),
        ({"version": "26.3", "build": "23D125", "beta": True}, "26.3"),
        ({"version": "26.3", "build": "23D125", "rc": True}, "26.3"),
    ],
)
def test_what_is_no_release_yet(change, version):
    (offer,) = from_appledb(ENTRY | change)
    assert (offer.version, offer.beta) == (version, True)


@pytest.mark.parametrize(
    "change",
    [{"internal": True}, {"osStr": "tvOS"}, {"sources": [OTA, IPSW | {"type": "ota"}]}, {"rsr": True}, {"sdk": True}],
)
def test_what_is_nothing_for_here(change):
    assert from_appledb(ENTRY | change) == []


def test_apple():
    assert from_apple(VERSIONS) == [
        changed(WHOLE, sources=(Source.APPLE,), size=0, sha256="", released="", signed=None)
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://evil.example/a.ipsw"},
        {"url": "https://updates.cdn-apple.com.evil.example/a.ipsw"},
        {"url": "https://updates.cdn-apple.com@evil.example/a.ipsw"},
        {"url": "https://updates.cdn-apple.com:8443/a.ipsw"},
        {"url": "ftp://updates.cdn-apple.com/a.ipsw"},
        {"url": "file:///etc/passwd.ipsw"},
        {"url": f"{CDN}/../../a.ipsw"},
        {"url": f"{CDN}/a.ipsw?token=1"},
        {"url": f"{CDN}/a.dmg"},
        {"url": f"{CDN}/a\r\nb.ipsw"},
        {"url": f"{CDN}/{'a' * 1000}.ipsw"},
        {"url": "https://[updates.cdn-apple.com/a.ipsw"},
        {"url": ""},
        {"sha1sum": "", "sha256sum": ""},
        {"sha1sum": "11"},
        {"sha256sum": "zz" * 32},
        {"sha256sum": 5},
        {"filesize": -1},
        {"filesize": 1 << 60},
        {"filesize": 10**400},
        {"filesize": "large"},
        {"buildid": "../23C71"},
        {"buildid": "23C71\x00"},
        {"version": "latest"},
        {"version": "26.2.1" + " beta" * 20},
        {"version": None},
        {"identifier": "iPhone14,5"},
    ],
)
def test_what_makes_no_sense_is_left_out_and_the_rest_counts(change):
    assert from_ipsw_me(FIRMWARE | change, FIRMWARE) == [WHOLE]


@pytest.mark.parametrize(
    "build",
    [5, "x", [], {}, {"osStr": 5}, ENTRY | {"sources": "none"}, ENTRY | {"version": {}}, ENTRY | {"sources": [[], 5]}],
)
def test_broken_entries_of_appledb(build):
    assert [offer.build for offer in from_appledb(build, ENTRY)] == ["23C71"]


@pytest.mark.parametrize(
    "models", [{PHONE: 5}, {PHONE: {"23C71": []}}, {PHONE: {"a": {"Restore": {"FirmwareURL": 5}}}}]
)
def test_broken_entries_of_apple(models):
    assert from_apple({"MobileDeviceSoftwareVersionsByVersion": {"1": {"MobileDeviceSoftwareVersions": models}}}) == []


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<plist><dict><key>MobileDeviceSoftwareVersionsByVersion</key><string>&b;</string></dict></plist>"""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><body>Please log in</body></html>",
        plistlib.dumps(VERSIONS, fmt=plistlib.FMT_BINARY),
        plistlib.dumps([]),
        plistlib.dumps({"MobileDeviceSoftwareVersionsByVersion": [1]}),
        plistlib.dumps({"MobileDeviceSoftwareVersionsByVersion": {"1": "a MobileDeviceSoftwareVersions"}}),
        LAUGHS,
        b"<plist>" + b"<dict><key>a</key>" * 10_000,
        b"<plist>" + b"<array>" * 400_000,
    ],
)
def test_what_is_no_list_of_apples(data):
    with pytest.raises(InputRejected):
        apple.parse(data, sieve(Source.APPLE))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"5", b"[" * 200_000, b'{"firmwares": [', b"\xff\xfe", b'{"firmwares": {}}']
)
def test_what_is_no_list(data):
    with pytest.raises(InputRejected, match="no list of firmware"):
        ipsw_me.parse(data, PHONE, sieve())
    with pytest.raises(InputRejected, match="no list of firmware"):
        appledb.parse(data, sieve())


@settings(max_examples=30)
@given(st.binary(max_size=300), st.recursive(st.none() | st.text(max_size=8) | st.integers(), st.lists, max_leaves=8))
def test_nothing_else_escapes(data, value):
    for body in (data, json.dumps({"firmwares": value}).encode(), json.dumps([ENTRY | {"sources": value}]).encode()):
        for parse in (lambda body: ipsw_me.parse(body, PHONE, sieve()), lambda body: appledb.parse(body, sieve())):
            try:
                parse(body)
            except InputRejected:
                continue


@pytest.mark.system
@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (appledb.parse, b"[" + b"0," * (appledb.MAX_BYTES // 2 - 1) + b"0]"),
        (apple.parse, b"<plist>" + b"<array/>" * (apple.MAX_BYTES // 8 - 1) + b"</plist>"),
        pytest.param(appledb.parse, b"[" + b"0," * (appledb.MAX_PARTS - 1) + b"0]", marks=pytest.mark.long),
        pytest.param(
            apple.parse, b"<plist><array>" + b"<dict/>" * 290_000 + b"</array></plist>", marks=pytest.mark.long
        ),
    ],
)
def test_hostile_lists_take_bounded_memory(parse, data):
    tracemalloc.start()
    try:
        with suppress(InputRejected):
            parse(data, sieve())
        assert tracemalloc.get_traced_memory()[1] < 300 << 20
    finally:
        tracemalloc.stop()
