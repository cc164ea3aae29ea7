"""What lockdown tells of a phone in normal mode: GetValue's keys and domains.

Key names and which of them an untrusted host may read: public `ideviceinfo` and `ideviceinfo -s` output.
"""

import hashlib
from typing import Any

from station.virtual.phone import System, VirtualPhone
from station.virtual.system.files import SYSTEM

UNTRUSTED = frozenset(
    {
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


def root(phone: VirtualPhone, system: System) -> dict[str, Any]:
    """Everything in the nameless domain, as one GetValue without a key lists it."""
    me = phone.identity
    tablet = me.product_type.startswith("iPad")
    values: dict[str, Any] = {
        "ActivationState": system.activation_state,
        "BluetoothAddress": _address(phone, 1),
        "BoardId": me.board_id,
        "BrickState": system.activation_state == "Unactivated",
        "BuildVersion": system.build,
        "CPUArchitecture": "arm64e" if me.chip_id >= 0x8020 else "arm64",
        "ChipID": me.chip_id,
        "DeviceClass": "iPad" if tablet else "iPhone",
        "DeviceColor": "1",
        "DeviceName": system.name,
        "DieID": me.ecid,
        "EthernetAddress": _address(phone, 2),
        "HardwareModel": me.hardware_model,
        "HardwarePlatform": f"t{me.chip_id:04x}",
        "HasSiDP": True,
        "HostAttached": True,
        "NonVolatileRAM": {name: value.encode() for name, value in phone.nvram.items()},
        "PartitionType": "GUID_partition_scheme",
        "PasswordProtected": system.passcode,
        "ProductName": "iPhone OS",
        "ProductType": me.product_type,
        "ProductVersion": system.version,
        "ProductionSOC": True,
        "ProtocolVersion": "2",
        "SerialNumber": me.serial_number,
        "SupportedDeviceFamilies": [1, 2] if tablet else [1],
        "TelephonyCapability": me.imei is not None,
        "TimeZone": "Europe/Vienna",
        "TrustedHostAttached": bool(system.pairings.hosts),
        "UniqueChipID": me.ecid,
        "UniqueDeviceID": me.udid,
        "WiFiAddress": _address(phone, 3),
    }
    if me.imei is not None:
        values["InternationalMobileEquipmentIdentity"] = me.imei
    return values


async def by_key_only(phone: VirtualPhone, system: System, key: str) -> Any:
    """A value that is not listed but told when asked for, trusted or not; None when there is no such."""
    match key:
        case "DevicePublicKey":
            return await system.pairings.public_key()
        case "Image4Supported":
            return True
        case "ApNonce":
            return phone.ap_nonce
        case "SEPNonce":
            return phone.sep_nonce
        case "ApParameters":
            return {"ApNonce": phone.ap_nonce, "SepNonce": phone.sep_nonce}
        case _:
            return None


def domain(system: System, name: str) -> dict[str, Any]:
    """Everything in a named domain; a domain that does not exist is empty."""
    match name:
        case "com.apple.mobile.battery":
            return {
                "BatteryCurrentCapacity": 82,
                "BatteryIsCharging": True,
                "ExternalChargeCapable": True,
                "ExternalConnected": True,
                "FullyCharged": False,
                "GasGaugeCapability": True,
                "HasBattery": True,
            }
        case "com.apple.disk_usage":
            files = system.files
            return {
                "TotalDiskCapacity": files.capacity,
                "TotalSystemCapacity": SYSTEM,
                "TotalSystemAvailable": 0,
                "TotalDataCapacity": files.capacity - SYSTEM,
                "TotalDataAvailable": files.free,
                "AmountDataAvailable": files.free,
            }
        case "com.apple.fmip":
            return {} if system.find_my is None else {"IsAssociated": system.find_my}
        case _:
            return {}


def _address(phone: VirtualPhone, interface: int) -> str:
    """A MAC address that is locally administered: nobody's."""
    digest = hashlib.sha256(f"{phone.identity.ecid}/{interface}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))
