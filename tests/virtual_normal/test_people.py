"""Every named state, met by the unmodified library."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pymobiledevice3 import exceptions
from pymobiledevice3.lockdown import LockdownClient, create_using_usbmux
from pymobiledevice3.services.mobilebackup2 import Mobilebackup2Service

from station.model.base import Ecid
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.people import PEOPLE, find_person, hand_over
from station.virtual.phones.phone import Boots, VirtualPhone
from tests.virtual_normal.helpers import lockdown

Seen = Callable[[LockdownClient], Awaitable[object]]


def value(key: str, domain: str | None = None) -> Seen:
    return lambda client: client.get_value(domain, key)


async def nvram(client: LockdownClient) -> object:
    return (await client.get_value(key="NonVolatileRAM")).get("fm-activation-locked")


async def find_my(client: LockdownClient) -> object:
    return (await client.get_value("com.apple.fmip")).get("IsAssociated")


async def free(client: LockdownClient) -> object:
    return (await client.get_value("com.apple.disk_usage", "TotalDataAvailable")) < 4_000_000


async def will_encrypt(client: LockdownClient) -> object:
    return await Mobilebackup2Service(client).get_will_encrypt()


SILENCE_SECONDS = 1.0
"""After which a phone that says nothing is taken for one that never will."""
BATTERY = "com.apple.mobile.battery"
# What the library finds, or with what it fails, by the state's name.
MEETS: dict[str, tuple[Seen, Any] | type[Exception]] = {
    "passcode": (value("PasswordProtected"), True),
    "locked": exceptions.PasswordRequiredError,
    "untrusted": (value("DeviceName"), "Somebody’s iPhone"),
    "paired": (value("DeviceName"), "Somebody’s iPhone"),
    "trust-pending": exceptions.PairingDialogResponsePendingError,
    "trust-refused": exceptions.UserDeniedPairingError,
    "trust-lost": exceptions.FatalPairingError,
    "find-my-on": (find_my, True),
    "find-my-off": (find_my, False),
    "find-my-silent": (find_my, None),
    "supervised": (value("DeviceIsChaperoned", "com.apple.mobile.chaperone"), True),
    "managed": (value("DeviceIsChaperoned", "com.apple.mobile.chaperone"), True),
    "pairing-forbidden": exceptions.MCProtectedError,
    "not-activated": (value("ActivationState"), "Unactivated"),
    "activation-locked": (nvram, b"YES"),
    "developer": (value("DeveloperModeStatus", "com.apple.security.mac.amfi"), True),
    "backup-password-known": (will_encrypt, True),
    "backup-password-forgotten": (will_encrypt, True),
    "storage-full": (free, True),
    "frozen": TimeoutError,
    "battery-low": (value("BatteryCurrentCapacity", BATTERY), 2),
    "battery-charging": (value("BatteryIsCharging", BATTERY), True),
    "battery-worn": (value("BatteryIsCharging", BATTERY), False),
}


@pytest.mark.parametrize("name", [person.name for person in PEOPLE])
async def test_is_met(plug, name):
    phone = plug(people=(name,))
    met = MEETS[name]
    if isinstance(met, type):
        with pytest.raises(met):
            async with asyncio.timeout(SILENCE_SECONDS if met is TimeoutError else None):
                await create_using_usbmux(phone.identity.udid, pair_timeout=0)
        return
    async with lockdown(phone) as client:
        look, expected = met
        assert await look(client) == expected


def phone_in(*names: str, system: System | None = None) -> VirtualPhone:
    phone = VirtualPhone(find_model("iPhone 12").identity(Ecid(1)), system, Boots())
    hand_over(phone, names)
    return phone


def test_several_go_together():
    phone = phone_in("locked", "find-my-on", "supervised", "battery-low", system=System("18.5", "22F76"))
    assert phone.system is not None
    assert (phone.system.locked, phone.system.find_my, phone.system.supervised, phone.battery) == (True, True, True, 2)
    assert phone.system.canary is not None


@pytest.mark.parametrize(
    "names", [("find-my-on", "find-my-off"), ("trust-pending", "untrusted"), ("activation-locked", "find-my-on")]
)
def test_some_exclude_each_other(names):
    with pytest.raises(ValueError, match=f"cannot be both {names[0]} and {names[1]}"):
        phone_in(*names, system=System("18.5", "22F76"))


def test_needs_somebody_who_is_known_and_something_that_is_installed():
    with pytest.raises(KeyError, match="find-my-silent"):
        find_person("nobody")
    with pytest.raises(ValueError, match="nothing is installed"):
        phone_in("locked")
    assert phone_in("battery-low").battery == 2


def test_nobody_left_anything_on_a_new_one():
    phone = phone_in("not-activated", system=System("18.5", "22F76"))
    assert phone.system is not None
    assert phone.system.canary is None
    assert not phone.activation_lock


async def test_one_host_is_let_in_even_while_it_is_locked(plug):
    phone = plug(people=("paired", "locked"))
    async with lockdown(phone) as client:
        assert await client.get_value(key="PasswordProtected") is True
        await client.unpair()
        with pytest.raises(exceptions.PasswordRequiredError):
            await client.pair(timeout=0)
