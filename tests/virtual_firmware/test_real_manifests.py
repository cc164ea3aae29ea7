"""What a miniature IPSW consists of, for each generation and chip, held against Apple's manifests."""

import json
import plistlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from station.virtual.firmware.ipsw import make_ipsw

SUMMARY = Path(__file__).parents[3] / "shared/facts/real/manifests/summary.json"
KIB = 1024
LEFT_OUT = {
    # Nothing asks for these by themselves: pictures, haptics, what a few models have.
    *(f"Battery{which}" for which in ("Charging0", "Charging1", "Low0", "Low1", "Plugin")),
    *("Ap,HapticAssets", "LeapHaptics", "Homer", "Liquid", "LowPowerWallet0", "LowPowerWallet1", "MtpFirmware"),
}
OTHER_CHIPS = ("BMU", "Baseband", "Bb", "Pearl", "Rap", "SE", "Savage", "Wireless1", "Yonkers", "eUICC")
"""What belongs to these is made for a model's chips, whatever the iOS (`peripherals`)."""
DIFFERENT = {
    ("19E258", "AudioCodecFirmware"): "an iPhone 13 Pro Max has none; here all phones of its time have it",
    ("19E258", "WCHFirmwareUpdater"): "was a secondary payload then; the flag did not matter to hosts",
}


@dataclass(frozen=True)
class Case:
    """A manifest of Apple's and a phone it has an identity for."""

    version: str
    build: str
    product_type: str
    hardware_model: str
    chip_id: int
    board_id: int


CASES = [
    Case("13.5.1", "17F80", "iPhone9,1", "D10AP", 0x8010, 0x08),
    Case("13.5.1", "17F80", "iPhone10,4", "D201AP", 0x8015, 0x0A),
    Case("15.4", "19E241", "iPhone9,1", "D10AP", 0x8010, 0x08),
    Case("15.4", "19E241", "iPhone10,4", "D201AP", 0x8015, 0x0A),
    Case("15.4.1", "19E258", "iPhone14,3", "D64AP", 0x8110, 0x0E),
    Case("15.7", "19H12", "iPhone8,1", "N71AP", 0x8000, 0x04),
    Case("26.2.1", "23C71", "iPhone13,2", "D53gAP", 0x8101, 0x0C),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.version}-{case.product_type}")
def case(request):
    if not SUMMARY.exists():
        pytest.skip("Apple's manifests (../shared/facts/real) are not here")
    return request.param


@pytest.fixture
def theirs(case):
    """Apple's identities for the phone."""
    manifest = next(each for each in json.loads(SUMMARY.read_bytes()) if each["build"] == case.build)
    return [each for each in manifest["identities"] if each["cls"] == case.hardware_model.lower()]


@pytest.fixture
def ours(case, tmp_path) -> list[dict[str, Any]]:
    ipsw = make_ipsw(
        tmp_path / "ipsw",
        version=case.version,
        build=case.build,
        models=[case],
        os_bytes=20 * KIB,
        cryptex_bytes=20 * KIB,
        ramdisk_bytes=20 * KIB,
    )
    identities: list[dict[str, Any]] = plistlib.loads((ipsw / "BuildManifest.plist").read_bytes())["BuildIdentities"]
    return identities


def test_components_are_apples(case, ours, theirs):
    for identity in ours:
        apples = next(each for each in theirs if each["variant"] == identity["Info"]["Variant"])["components"]
        apples = {name: entry for name, entry in apples.items() if not name.startswith(OTHER_CHIPS)}
        mine = {name: entry for name, entry in identity["Manifest"].items() if not name.startswith(OTHER_CHIPS)}
        different = {name for build, name in DIFFERENT if build == case.build}
        assert set(mine) - set(apples) <= different
        assert set(apples) - set(mine) <= LEFT_OUT
        for name, entry in mine.items():
            if name in different:
                continue
            flags = {flag for flag, value in entry["Info"].items() if value is True} - {"Personalize"}
            assert flags == set(apples[name]["flags"]), name
            assert len(entry.get("Digest", b"")) == (apples[name]["digest_len"] or 0), name
            assert bool(entry.get("Trusted")) == bool(apples[name]["trusted"]), name
            assert ("RestoreRequestRules" in entry["Info"]) == bool(apples[name]["rules"]), name
            assert ("Path" in entry["Info"]) == bool(apples[name]["path"]), name


def test_identities_say_what_apples_say(ours, theirs):
    assert [each["Info"]["Variant"] for each in ours] == list(dict.fromkeys(each["variant"] for each in theirs))
    for identity in ours:
        apples = next(each for each in theirs if each["variant"] == identity["Info"]["Variant"])
        extra = {"Info", "Manifest", "Cryptex1,UseProductClass"}  # the last is found in other manifests of Apple's
        mine = {key for key in set(identity) - extra if not key.startswith(OTHER_CHIPS)}
        assert mine == {key for key in apples["identity_keys"] if not key.startswith(OTHER_CHIPS)}
        assert set(identity["Info"]) - {"SystemPartitionPadding", "RequiresUIDMode"} <= set(apples["info"])
        assert identity["Info"].get("RestoreBehavior") == apples["behavior"]
