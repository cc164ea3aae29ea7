"""What lockdown tells, held against what real phones told their owners."""

import json
import re
from pathlib import Path

import pytest

from station.model.base import Ecid
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, VirtualPhone
from station.virtual.system import domains, values

REAL = Path(__file__).parents[3] / "shared/facts/real/device"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the data of real phones is not here")

NOT_IN_HEADSET = {"UntrustedHostBUID": "that one had never met a host it does not trust"}
"""What a virtual tablet tells that the headset did not, and why."""
NVRAM_OF_ITS_OWN = {
    "StartupMute", "SystemAudioVolumeExtension", "alpm-24h-mode", "alpm-dst-offset", "alpm-language-direction",
    "alpm-next-dst", "alpm-number-system", "backlight-nits", "bootdelay", "obliteration", "panicmedic-telemetry",
    "panicmedic-timestamps", "usbc,version,rid0", "utc-offset", "boot-args", "com.apple.System.tz0-size",
}  # fmt: skip
"""What real phones keep there for themselves; nothing that a host does depends on it."""


def phone_with(model: str, version: str, **system: object) -> tuple[VirtualPhone, System]:
    installed = System(version, "23D127", **system)  # type: ignore[arg-type]  # a test's own business
    return VirtualPhone(find_model(model).identity(Ecid(9)), installed, Boots()), installed


@needs_real
def test_tells_every_key_of_an_iphone_16_plus_of_its_type_and_no_other():
    real = json.loads((REAL / "lockdown_iPhone17,4_26.3.json").read_text())["values"]
    told = values.root(*phone_with("iPhone 16 Plus", "26.3", find_my=True))
    assert told.keys() == real.keys()
    masked = {name for name, value in real.items() if isinstance(value, str) and re.match("<|33", value)}
    for name in real.keys() - masked:
        assert type(told[name]) is type(real[name]), name
    texts = {name for name in masked if re.search("uuid|96 hex", real[name])}
    for name in masked - {"ChipID"}:
        assert type(told[name]) is (str if name in texts else bytes), name
    missing = real["NonVolatileRAM"].keys() - told["NonVolatileRAM"].keys()
    assert missing == NVRAM_OF_ITS_OWN & real["NonVolatileRAM"].keys()
    assert told["NonVolatileRAM"]["fm-activation-locked"] == b"YES"
    assert all(isinstance(value, bytes) for value in told["NonVolatileRAM"].values())
    same = "BoardId", "HardwareModel", "HardwarePlatform", "ModelNumber", "ProductType", "RegionInfo"
    assert {name: told[name] for name in same} == {name: real[name] for name in same}


@needs_real
def test_tells_every_key_of_an_iphone_7_of_its_time():
    text = (REAL / "ideviceinfo_iPhone9,1_13.3.1.txt").read_text()
    real = dict(re.findall(r"^(\w+)(?:\[\d\])?: ?(.*)$", text, re.MULTILINE))
    told = values.root(*phone_with("iPhone 7", "13.3.1"))
    assert told.keys() == real.keys()
    for name in (
        "BasebandCertId",
        "BasebandChipID",
        "BoardId",
        "ChipID",
        "CPUArchitecture",
        "HardwareModel",
        "HardwarePlatform",
    ):
        assert str(told[name]) == real[name], name
    assert told["FirmwareVersion"] == real["FirmwareVersion"]


@needs_real
def test_tells_what_an_unactivated_one_without_a_modem_tells():
    keys = json.loads((REAL / "lockdown_RealityDevice14,1_26.2_keys.json").read_text())["keys"]
    real = {name: value.rstrip(")") for name, _, value in (key.partition("(") for key in keys)}
    told = values.root(*phone_with("iPad Pro 11-inch (M4)", "26.2", activation_state="Unactivated", set_up=False))
    assert told.keys() - real.keys() == NOT_IN_HEADSET.keys()
    assert real.keys() <= told.keys()
    for name in "ActivationState", "BasebandStatus", "HumanReadableProductVersionString":
        assert told[name] == real[name]
    assert told["BrickState"] is True


def test_find_my_is_told_in_three_ways():
    for find_my, associated, variable in [(True, True, b"YES"), (False, False, b"NO"), (None, None, None)]:
        phone, system = phone_with("iPhone 12", "18.5", find_my=find_my)
        assert domains.domain(phone, system, "com.apple.fmip").get("IsAssociated") is associated
        assert values.root(phone, system)["NonVolatileRAM"].get("fm-activation-locked") == variable


def test_the_lock_outlives_the_owner_and_the_association_does_not():
    phone, _ = phone_with("iPhone 12", "18.5", find_my=True)
    phone.erase("a restore")
    assert phone.activation_lock
    phone.system = System.new("18.6", "22G86", capacity=phone.identity.capacity)
    assert domains.domain(phone, phone.system, "com.apple.fmip") == {"IsAssociated": False}
    told = values.root(phone, phone.system)
    assert told["NonVolatileRAM"]["fm-activation-locked"] == b"YES"
    assert told["NonVolatileRAM"]["fm-account-masked"].decode() == "s•••••@e•••••.com"
    assert (told["ActivationState"], told["DeviceName"]) == ("Unactivated", "iPhone")


def test_domains_follow_the_state_of_the_phone():
    phone, system = phone_with("iPhone 12", "18.5", supervised=True, developer_mode=True, backup_password="x")
    phone.battery, phone.charging = 100, True
    told = {name: domains.domain(phone, system, f"com.apple.{name}") for name in (
        "mobile.battery", "mobile.backup", "mobile.chaperone", "security.mac.amfi", "purplebuddy", "disk_usage",
    )}  # fmt: skip
    assert told["mobile.battery"].items() >= {"FullyCharged": True, "BatteryIsCharging": False}.items()
    assert told["mobile.backup"]["WillEncrypt"] is True
    assert told["mobile.chaperone"] == {"DeviceIsChaperoned": True}
    assert told["security.mac.amfi"] == {"DeveloperModeStatus": True}
    assert told["purplebuddy"]["SetupDone"] is True
    before = told["disk_usage"]["AmountDataAvailable"]
    system.files.write("/var/mobile/Media/more", bytes(1000))
    assert domains.domain(phone, system, "com.apple.disk_usage")["AmountDataAvailable"] == before - 1000
    assert domains.domain(*phone_with("iPhone 7", "15.8"), "com.apple.security.mac.amfi") == {}
