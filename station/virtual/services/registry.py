"""The IORegistry, as far as hosts look into it: the battery, the NVRAM, and Wi-Fi.

Names and units of the battery's properties: public `ioreg` listings (mAh, mV, mA, hundredths of a degree Celsius).
"""

from dataclasses import dataclass
from typing import Any

from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.system import values

DESIGN_CAPACITY = 2815
"""mAh; an iPhone 12's."""


@dataclass(frozen=True)
class Entry:
    """One entry."""

    name: str
    classes: tuple[str, ...]
    """Its class, and those it is made from."""
    properties: dict[str, Any]


def entries(phone: VirtualPhone, system: System) -> list[Entry]:
    """All there are."""
    return [
        Entry("options", ("IODTNVRAM",), values.nonvolatile(phone, system)),
        Entry("AppleSmartBattery", ("AppleSmartBattery", "IOPMPowerSource"), battery(phone)),
        Entry("AppleBCMWLANSkywalkInterface", ("AppleBCMWLANSkywalkInterface",), {"IOInterfaceName": "en0"}),
    ]


def tree(below: list[Entry]) -> dict[str, Any]:
    """Entries below the root, as a plane is told."""
    children = [
        {"children": [], "className": entry.classes[0], "name": entry.name, "regEntry": number}
        for number, entry in enumerate(below, start=1)
    ]
    return {"children": children, "className": "IORegistryEntry", "name": "Root", "regEntry": 0}


def battery(phone: VirtualPhone) -> dict[str, Any]:
    """What the battery says. How worn it is follows from the phone's ECID: 80 to 100 % of what it was made for."""
    health = 100 - phone.identity.ecid % 21
    full = DESIGN_CAPACITY * health // 100
    charging = phone.charging and phone.battery < 100
    return {
        "AppleRawCurrentCapacity": full * phone.battery // 100,
        "AppleRawMaxCapacity": full,
        "AtCriticalLevel": phone.battery <= 1,
        "BatteryInstalled": True,
        "CurrentCapacity": phone.battery,
        "CycleCount": (100 - health) * 40 + 12,
        "DesignCapacity": DESIGN_CAPACITY,
        "ExternalChargeCapable": True,
        "ExternalConnected": True,
        "FullyCharged": phone.battery == 100,
        "InstantAmperage": 1200 if charging else 0,
        "IsCharging": charging,
        "MaxCapacity": 100,
        "NominalChargeCapacity": full,
        "Serial": f"F8Y{phone.identity.ecid % 10**14:014d}",
        "Temperature": 2950,
        "TimeRemaining": (100 - phone.battery) * full // (1200 if charging else 600),
        "Voltage": 3400 + 9 * phone.battery,
    }
