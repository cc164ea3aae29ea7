"""What the tests of the USB side share: signed images, and phones on an exported bus."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyimg4
from cryptography.hazmat.primitives.asymmetric import ec

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode, UsbArrived, UsbEvent, UsbGone
from station.virtual.boot import dfu, iboot
from station.virtual.bus import Bus
from station.virtual.faults.kinds import Fault, Faults
from station.virtual.firmware.image4 import SigningKey, digest, make_im4p, sign_ticket
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, Pace, VirtualPhone
from station.virtual.usb.backend import UsbIpBackend
from station.virtual.usb.standard import UsbOnly

KEY = SigningKey.create()
"""Apple's, for these tests."""
PAYLOADS = {
    "ibss": b"b" * 5000,
    "ibec": b"i" * 2000,
    "rlgo": b"l" * 100,
    "aopf": b"a" * 700,
    "rdsk": b"r" * 100_000,
    "rdtr": b"d" * 3000,
    "rsep": b"s" * 5000,
    "rkrn": b"k" * 70_000,
}


@dataclass
class Lab:
    """A bus, where it is exported, and the backend that reaches it."""

    bus: Bus
    path: Path
    backend: UsbIpBackend

    def plug(
        self,
        number: int = 1,
        *faults: Fault,
        pace: float = 0.0,
        system: System | None = None,
        apple: ec.EllipticCurvePublicKey = KEY.public_key,
    ) -> VirtualPhone:
        """Plug in a phone, by default an erased one: number n has ECID n and sits in socket 1-1.n."""
        boots = Boots(dict.fromkeys(PhoneMode, lambda _: UsbOnly(None)))
        boots.by_mode[PhoneMode.RECOVERY] = partial(iboot.boot, apple=apple)
        boots.by_mode[PhoneMode.DFU] = partial(dfu.boot, apple=apple)
        phone = VirtualPhone(
            find_model("iPhone 12").identity(Ecid(number)), system, boots, faults=Faults(faults), pace=Pace(pace)
        )
        self.bus.plug(phone, SocketPath(f"1-1.{number}"))
        return phone


async def arrival(events: "asyncio.Queue[UsbEvent]") -> None:
    """Wait until a phone has left the bus and come back."""
    async with asyncio.timeout(10):
        while not isinstance(await events.get(), UsbGone):
            pass
        while not isinstance(await events.get(), UsbArrived):
            pass


def ticket_for(
    phone: VirtualPhone, *, key: SigningKey = KEY, fourccs: Iterable[str] = PAYLOADS, **changes: Any
) -> bytes:
    """A ticket for the test images."""
    facts: dict[str, Any] = {
        "ecid": phone.identity.ecid,
        "chip": phone.identity.chip_id,
        "board": phone.identity.board_id,
        "nonce": phone.ap_nonce,
        "sep_nonce": phone.sep_nonce,
        "digests": {fourcc: digest(make_im4p(fourcc, PAYLOADS[fourcc])) for fourcc in fourccs},
    }
    return sign_ticket(key, **(facts | changes))


def image(fourcc: str, ticket: bytes, payload: bytes | None = None) -> bytes:
    """A test image, stitched to a ticket as a host does it."""
    im4p = make_im4p(fourcc, PAYLOADS[fourcc] if payload is None else payload)
    stitched: bytes = pyimg4.IMG4(im4p=im4p, im4m=ticket).output()
    return stitched
