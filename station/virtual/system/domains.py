"""The named domains of lockdown's GetValue. Keys as public output of `ideviceinfo -q DOMAIN` lists them."""

from collections.abc import Callable
from typing import Any

from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.files import SYSTEM
from station.virtual.system.values import address

_SYNCED = ("Bookmarks", "Calendars", "Contacts", "Notes")


def domain(phone: VirtualPhone, system: System, name: str) -> dict[str, Any]:
    """Everything in a named domain, with what hosts have set there; one that does not exist is empty."""
    values = _DOMAINS[name](phone, system) if name in _DOMAINS else {}
    return values | system.settings.get(name, {})


def read_only(phone: VirtualPhone, system: System, name: str, key: str) -> bool:
    """Whether a host may not set this: the system says it itself, and it is no setting."""
    return name not in _SETTINGS and name in _DOMAINS and key in _DOMAINS[name](phone, system)


def _battery(phone: VirtualPhone, _system: System) -> dict[str, Any]:
    full = phone.battery == 100
    return {
        "BatteryCurrentCapacity": phone.battery,
        "BatteryIsCharging": phone.charging and not full,
        "ExternalChargeCapable": True,
        "ExternalConnected": True,
        "FullyCharged": full,
        "GasGaugeCapability": True,
        "HasBattery": True,
    }


def _disk_usage(_phone: VirtualPhone, system: System) -> dict[str, Any]:
    files = system.files
    return {
        "AmountDataAvailable": files.free,
        "AmountDataReserved": 209_715_200,
        "AmountRestoreAvailable": files.free,
        "CalculateDiskUsage": "OkilyDokily",
        "NANDInfo": bytes(32),
        "TotalDataAvailable": files.free,
        "TotalDataCapacity": files.capacity - SYSTEM,
        "TotalDiskCapacity": files.capacity,
        "TotalSystemAvailable": 0,
        "TotalSystemCapacity": SYSTEM,
    }


def _find_my(_phone: VirtualPhone, system: System) -> dict[str, Any]:
    return {} if system.find_my is None else {"IsAssociated": system.find_my}


def _backup(_phone: VirtualPhone, system: System) -> dict[str, Any]:
    return {
        "CloudBackupEnabled": False,
        "RequiresEncryption": system.backup_encryption_required,
        "RestoreState": 0,
        "Version": "2.4",
        "WillEncrypt": system.backup_password is not None,
    }


def _wireless(phone: VirtualPhone, _system: System) -> dict[str, Any]:
    return {
        "BonjourFullServiceName": f"{address(phone, 3)}@fe80::1._apple-mobdev2._tcp.local.",
        "EnableWifiConnections": False,
        "EnableWifiDebugging": False,
        "SupportsWifi": True,
        "SupportsWifiSyncing": True,
    }


def _international(_phone: VirtualPhone, _system: System) -> dict[str, Any]:
    return {
        "Keyboard": "de_AT",
        "Language": "de-AT",
        "Locale": "de_AT",
        "SupportedKeyboards": ["de_AT", "de_DE", "en_GB", "en_US"],
        "SupportedLanguages": ["de", "en-GB", "en"],
        "SupportedLocales": ["de_AT", "de_DE", "en_GB", "en_US"],
    }


def _setup_assistant(_phone: VirtualPhone, system: System) -> dict[str, Any]:
    if not system.set_up:
        return {"SetupDone": False}
    return {"SetupDone": True, "SetupState": "SetupUsingAssistant", "SetupVersion": 11}


def _developer_mode(_phone: VirtualPhone, system: System) -> dict[str, Any]:
    return {"DeveloperModeStatus": system.developer_mode} if system.release >= (16,) else {}


def _itunes(_phone: VirtualPhone, _system: System) -> dict[str, Any]:
    return {
        "AppleDRMVersion": {"Format": 4, "Maximum": 5, "Minimum": 0},
        "BatteryPollInterval": 60,
        "ConnectedBus": "USB",
        "CustomerRingtones": True,
        "DBVersion": 5,
        "FamilyID": 10001,
        "HomeScreenIconColumns": 4,
        "MinITunesVersion": "12.8",
        "SQLiteDB": True,
        "SyncDataClasses": ["Music", "Movies", "Podcasts", "Photos", *_SYNCED],
        "UpdaterFamilyID": 10001,
        "iTunesStoreCapable": True,
    }


def _chaperone(_phone: VirtualPhone, system: System) -> dict[str, Any]:
    return {"DeviceIsChaperoned": system.supervised}


def _data_sync(_phone: VirtualPhone, _system: System) -> dict[str, Any]:
    return {name: {"AccountNames": [], "Sources": []} for name in _SYNCED}


def _xcode(_phone: VirtualPhone, system: System) -> dict[str, Any]:
    return {"DeveloperStatus": "Development"} if system.developer_mode else {}


def _accessibility(_phone: VirtualPhone, _system: System) -> dict[str, Any]:
    return dict.fromkeys(
        ("AssistiveTouchEnabledByiTunes", "VoiceOverTouchEnabledByiTunes", "ZoomTouchEnabledByiTunes"), 0
    )


_DOMAINS: dict[str, Callable[[VirtualPhone, System], dict[str, Any]]] = {
    "com.apple.Accessibility": _accessibility,
    "com.apple.disk_usage": _disk_usage,
    "com.apple.disk_usage.factory": _disk_usage,
    "com.apple.fmip": _find_my,
    "com.apple.international": _international,
    "com.apple.mobile.backup": _backup,
    "com.apple.mobile.battery": _battery,
    "com.apple.mobile.chaperone": _chaperone,
    "com.apple.mobile.data_sync": _data_sync,
    "com.apple.mobile.iTunes": _itunes,
    "com.apple.mobile.wireless_lockdown": _wireless,
    "com.apple.purplebuddy": _setup_assistant,
    "com.apple.security.mac.amfi": _developer_mode,
    "com.apple.xcode.developerdomain": _xcode,
}
_SETTINGS = frozenset({"com.apple.Accessibility", "com.apple.international", "com.apple.mobile.wireless_lockdown"})
