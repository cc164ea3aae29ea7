"""Virtual phones in normal mode on a bus, behind a usbmuxd socket that the unmodified library is pointed at."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.bus import Bus
from station.virtual.faults.kinds import Fault, Faults
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.people import hand_over
from station.virtual.phones.phone import Boots, Handler, VirtualPhone
from station.virtual.system import lockdownd
from station.virtual.usb.protocol import UsbDevice

APPLE = ec.generate_private_key(ec.SECP384R1()).public_key()
"""Whose signatures these phones believe: nobody's, as nobody has the key."""

PlugPhone = Callable[..., VirtualPhone]


class Nothing:
    """What these phones run besides lockdownd: nothing that listens."""

    listeners: dict[int, Handler]
    usb: UsbDevice | None = None

    def __init__(self) -> None:
        self.listeners = {}


@pytest.fixture
def plug(bus: Bus) -> PlugPhone:
    """Make a phone and plug it in: number n is ECID n in socket 1-1.n."""

    def plug(
        number: int = 1,
        *faults: Fault,
        model: str = "iPhone 12",
        version: str = "18.5",
        listeners: dict[int, Handler] | None = None,
        people: tuple[str, ...] = (),
        **system: object,
    ) -> VirtualPhone:
        def boot(phone: VirtualPhone) -> lockdownd.Lockdownd:
            running = lockdownd.boot(phone, apple=APPLE)
            running.listeners |= listeners or {}
            return running

        boots = Boots(dict.fromkeys(PhoneMode, lambda _: Nothing()) | {PhoneMode.NORMAL: boot})
        phone = VirtualPhone(
            find_model(model).identity(Ecid(number)),
            System(version, "22F76", **system),  # type: ignore[arg-type]  # a test's own business
            boots,
            faults=Faults(faults),
        )
        hand_over(phone, people)
        bus.plug(phone, SocketPath(f"1-1.{number}"))
        return phone

    return plug
