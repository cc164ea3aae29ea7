"""Virtual phones in normal mode behind a usbmuxd socket, which the library and Debian's programs are pointed at."""

from collections.abc import Callable
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.bus import Bus
from station.virtual.faults.kinds import Fault, Faults
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, Handler, VirtualPhone
from station.virtual.system import lockdownd
from station.virtual.usb.protocol import UsbDevice

PlugPhone = Callable[..., VirtualPhone]


class Nothing:
    """What these phones run in every mode but the normal one: nothing that listens."""

    usb: UsbDevice | None = None

    def __init__(self) -> None:
        self.listeners: dict[int, Handler] = {}


@pytest.fixture(scope="session")
def apple() -> ec.EllipticCurvePrivateKey:
    """The key whose signatures these phones believe."""
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture
def plug(bus: Bus, apple: ec.EllipticCurvePrivateKey) -> PlugPhone:
    """Make a phone and plug it in: number n is ECID n in socket 1-1.n. It trusts whoever asks.

    `plug(2, Fault(...), model="iPhone 8", version="15.8.2", build="19H384", passcode=True)`: the rest is `System`'s.
    """

    def plug(
        number: int = 1,
        *faults: Fault,
        model: str = "iPhone 12",
        version: str = "18.5",
        build: str = "22F76",
        **system: object,
    ) -> VirtualPhone:
        normal = partial(lockdownd.boot, apple=apple.public_key())
        boots = Boots(dict.fromkeys(PhoneMode, lambda _: Nothing()) | {PhoneMode.NORMAL: normal})
        phone = VirtualPhone(
            find_model(model).identity(Ecid(number)),
            System(version, build, **system),  # type: ignore[arg-type]  # a test's own business
            boots,
            faults=Faults(faults),
        )
        bus.plug(phone, SocketPath(f"1-1.{number}"))
        return phone

    return plug
