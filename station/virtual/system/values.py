"""What lockdown tells of a phone in normal mode, in the nameless domain; the named ones: `domains`.

Key names, types, and which of them an untrusted host may read: public output of `ideviceinfo`, `ideviceinfo -s` and
pymobiledevice3's `lockdown info`. Values of which nothing else depends are plausible and the same on every phone.
"""

import hashlib
import time
import uuid
from typing import Any

from station.virtual.phones.chips import burnt_in, chips_of
from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone

UNTRUSTED = frozenset(
    {
        "BasebandCertId",
        "BasebandKeyHashInformation",
        "BasebandSerialNumber",
        "BasebandVersion",
        "BoardId",
        "BuildVersion",
        "ChipID",
        "DeviceClass",
        "DeviceColor",
        "DeviceName",
        "DieID",
        "HardwareModel",
        "HasSiDP",
        "PartitionType",
        "ProductName",
        "ProductType",
        "ProductVersion",
        "ProductionSOC",
        "ProtocolVersion",
        "SupportedDeviceFamilies",
        "TelephonyCapability",
        "UniqueChipID",
        "UniqueDeviceID",
        "WiFiAddress",
    }
)
"""All that a host sees before it is trusted."""
SETTABLE = frozenset({"ActivationStateAcknowledged", "TimeZone", "Uses24HourClock", "iTunesHasConnected"})
"""What a trusted host may set, beside the name; not the clock, since iOS 6 (idevicedate's manual)."""

_IBOOT = {13: "5540.80.2", 14: "6723.140.2", 15: "7459.140.15", 16: "8422.142.2", 17: "10151.140.19"}
_IBOOT |= {18: "11881.140.96", 26: "13822.82.4"}
_MODERN = (14,)
"""The keys that come with this iOS were not there in 13 and are in 26; when exactly they came is not known."""
_COUNTRY, _CARRIER = "232", "01"  # Austria, and one of its networks


def root(phone: VirtualPhone, system: System) -> dict[str, Any]:
    """Everything in the nameless domain, as one GetValue without a key lists it."""
    values = _identity(phone) | _state(phone, system) | _radio(phone, system)
    if system.release >= _MODERN:
        values |= {
            "BootSessionID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{phone.identity.ecid} {phone.starts}")).upper(),
            "PairRecordProtectionClass": 4,
            "SoftwareBundleVersion": "",
            **clock(),
            "UntrustedHostBUID": str(uuid.uuid5(uuid.NAMESPACE_OID, "host")).upper(),
        }
    if system.release >= (16,):
        values["HumanReadableProductVersionString"] = system.version
    return dict(sorted((values | system.settings.get("", {})).items()))


def clock() -> dict[str, Any]:
    """The time, and how it is shown. A phone with iOS 13 does not list it, but tells a trusted host that asks."""
    return {"TimeIntervalSince1970": time.time(), "Uses24HourClock": True}


async def by_key_only(phone: VirtualPhone, system: System, key: str) -> Any:
    """A value that is not listed but told when asked for, trusted or not; None when there is no such."""
    match key:
        case "DevicePublicKey":
            return await system.pairings.public_key()
        case "Image4Supported":
            return True
        case "DeviceEnclosureColor":  # of the back; the front of all newer models is black (DeviceColor)
            return "1"
        case _:
            return _nonces(phone).get(key)


def _nonces(phone: VirtualPhone) -> dict[str, Any]:
    return {
        "ApNonce": phone.ap_nonce,
        "SEPNonce": b"\xff" * 20 if phone.identity.chip_id >= 0x8140 else phone.sep_nonce,
        "ApParameters": {"ApNonce": phone.ap_nonce, "SepNonce": phone.sep_nonce},
    }


def _identity(phone: VirtualPhone) -> dict[str, Any]:
    """What is burnt in."""
    me = phone.identity
    return {
        "BluetoothAddress": address(phone, 1),
        "BoardId": me.board_id,
        "CPUArchitecture": "arm64e" if me.chip_id >= 0x8020 else "arm64",
        "ChipID": me.chip_id,
        "DeviceClass": me.device_class,
        "DeviceColor": "1",
        "DieID": me.ecid,
        "EthernetAddress": address(phone, 2),
        "HardwareModel": me.hardware_model,
        "HardwarePlatform": f"{'s' if me.chip_id < 0x8010 else 't'}{me.chip_id:04x}",
        "HasSiDP": True,
        "MLBSerialNumber": f"MLB{me.serial_number}",
        "ModelNumber": me.model_number,
        "PartitionType": "GUID_partition_scheme",
        "ProductName": "iPhone OS",
        "ProductType": me.product_type,
        "ProductionSOC": True,
        "ProtocolVersion": "2",
        "RegionInfo": me.region,
        "SerialNumber": me.serial_number,
        "SoftwareBehavior": b"\x05" + bytes(15),
        "SupportedDeviceFamilies": [1, 2] if me.is_ipad else [1],
        "TelephonyCapability": me.imei is not None,
        "UniqueChipID": me.ecid,
        "UniqueDeviceID": me.udid,
        "UseRaptorCerts": True,
        "WiFiAddress": address(phone, 3),
    }


def _state(phone: VirtualPhone, system: System) -> dict[str, Any]:
    """What is installed, and what became of it."""
    iboot = _IBOOT.get(system.release[0], _IBOOT[max(_IBOOT)])
    activated = system.activation_state != "Unactivated"
    return {
        "ActivationState": system.activation_state,
        "BrickState": not activated,
        "BuildVersion": system.build,
        "DeviceName": system.name,
        "FirmwareVersion": f"iBoot-{iboot}",
        "HostAttached": True,
        "NonVolatileRAM": nonvolatile(phone, system),
        "PasswordProtected": system.passcode,
        "ProductVersion": system.version,
        "TimeZone": "Europe/Vienna",
        "TimeZoneOffsetFromUTC": 3600.0,
        "TrustedHostAttached": bool(system.pairings.hosts),
    } | ({"ActivationStateAcknowledged": True} if activated and system.release >= _MODERN else {})


def nonvolatile(phone: VirtualPhone, system: System) -> dict[str, Any]:
    """The NVRAM variables, as bytes."""
    values = {name: value.encode() for name, value in phone.nvram.items()} | {"backlight-level": b"1494"}
    if system.find_my is None:
        return values
    locked = system.find_my or phone.activation_lock
    if locked or system.release >= (15,):
        values["fm-activation-locked"] = b"YES" if locked else b"NO"
        values["fm-spstatus"] = b"YES" if locked else b"NO"
    if locked:
        values["fm-account-masked"] = phone.owner.masked.encode()
        values["fm-spkeys"] = hashlib.shake_256(f"spkeys {phone.identity.ecid}".encode()).digest(238)
    return values


def _radio(phone: VirtualPhone, system: System) -> dict[str, Any]:
    """What there is to say of the modem and the SIM card in it."""
    me, chips = phone.identity, chips_of(phone.identity.product_type)
    if me.imei is None:
        return {"BasebandStatus": "NoTelephonyCapabilty"}  # Apple's spelling
    values: dict[str, Any] = {
        "InternationalMobileEquipmentIdentity": me.imei,
        "SIMStatus": "kCTSIMSupportSIMStatusReady" if system.set_up else "kCTSIMSupportSIMStatusNotInserted",
    }
    if system.release < (26,):
        values["MobileEquipmentIdentifier"] = me.imei[:14]
    if chips.euicc is not None:
        values["InternationalMobileEquipmentIdentity2"] = f"{me.imei[:-1]}{(int(me.imei[-1]) + 1) % 10}"
    if chips.baseband is not None:
        secret = burnt_in(me.ecid, "baseband key", 32)
        serial = burnt_in(me.ecid, "baseband", chips.baseband.serial_length)
        values |= {
            "BasebandActivationTicketVersion": "V2",
            "BasebandCertId": chips.baseband.cert_id,
            "BasebandChipID": chips.baseband.chip_id,
            "BasebandKeyHashInformation": {"AKeyStatus": 2, "SKeyHash": bytes(32), "SKeyStatus": 0},
            "BasebandMasterKeyHash": secret.hex().upper(),
            "BasebandSerialNumber": serial,
            "BasebandStatus": "BBInfoAvailable",
            "BasebandVersion": "2.40.01",
            "CertID": chips.baseband.cert_id,
            "ChipSerialNo": serial,
            "FusingStatus": 3,
            "PkHash": secret,
        }
    if system.release >= _MODERN:
        values |= {
            "BasebandRegionSKU": bytes(64),
            "PRIVersion_Major": 0,
            "PRIVersion_Minor": 1,
            "PRIVersion_ReleaseNo": 163,
            "WirelessBoardSerialNumber": f"WSN{me.serial_number}",
            "kCTPostponementInfoPRIVersion": "0.1.163",
            "kCTPostponementInfoServiceProvisioningState": system.set_up,
            "kCTPostponementStatus": "kCTPostponementStatusActivated",
        }
        values |= _sim(me.imei) if system.set_up else {"SIMTrayStatus": "kCTSIMSupportSIMTrayInsertedNoSIM"}
    return values


def _sim(imei: str) -> dict[str, Any]:
    """The SIM card of an owner."""
    subscriber = f"{_COUNTRY}{_CARRIER}{imei[-10:]}"
    groups = {"GID1": "ffffffff", "GID2": "ffffffff", "SIMGID1": b"\xff" * 4, "SIMGID2": b"\xff" * 4}
    card = {
        "IntegratedCircuitCardIdentity": f"8943{imei}",
        "InternationalMobileSubscriberIdentity": subscriber,
    }
    bundle = groups | card
    bundle |= {
        "CFBundleIdentifier": "com.apple.Unknown",
        "CFBundleVersion": "68.0",
        "MCC": _COUNTRY,
        "MNC": _CARRIER,
        "Slot": "kOne",
        "kCTPostponementInfoAvailable": "SIMCarrierInfo",
    }
    return {
        **groups,
        **card,
        "CarrierBundleInfoArray": [bundle],
        "InternationalMobileSubscriberIdentityOverride": False,
        "MobileSubscriberCountryCode": _COUNTRY,
        "MobileSubscriberNetworkCode": _CARRIER,
        "PhoneNumber": "",
        "SIM1IsEmbedded": False,
        "SIMTrayStatus": "kCTSIMSupportSIMTrayInsertedWithSIM",
    }


def address(phone: VirtualPhone, interface: int) -> str:
    """A MAC address that is locally administered: nobody's."""
    number = burnt_in(phone.identity.ecid, f"interface {interface}", 5)
    return ":".join(f"{byte:02x}" for byte in (0x02, *number))
