"""Rose (ultra-wideband, "Rap") and Centauri (Wi-Fi, Bluetooth and ultra-wideband, "Wireless1")."""

import hashlib
import os
import struct
from typing import Any

from station.virtual.faults.kinds import StatusError
from station.virtual.firmware.image4 import Ticket, digest
from station.virtual.phones.chips import CENTAURI, ROSE, burnt_in
from station.virtual.phones.identity import Identity
from station.virtual.restore.installation import INCOMPLETE, Installation
from station.virtual.restore.updaters.base import Asked, DeviceGenerated, OneAnswer, Receive, response_of

_CHIPS = {"Rap": ROSE, "Wireless1": CENTAURI}
_TAGS = ("BoardID", "ChipID", "SecurityDomain")


def _subject(identity: Identity, prefix: str) -> int:
    return int.from_bytes(burnt_in(identity.ecid, prefix, 8))


class TableOfImages(DeviceGenerated):
    """A chip whose firmware is a table of images: the ticket first, then the table."""

    def __init__(self, installation: Installation, identity: Identity, prefix: str) -> None:
        self.firmware = (f"{prefix},RTKitOS",)
        self._system: bytes | None = None
        asked = Asked(f"{prefix},Ticket", _CHIPS[prefix].chip, _subject(identity, prefix), os.urandom(32))
        more = {"UID_MODE": False} if prefix == "Wireless1" else {}
        fields = {"ECID": asked.subject, "FdrRootCaDigest": b"", "Nonce": asked.nonce, "SecurityMode": True, **more}
        super().__init__(
            installation,
            asked,
            fields={f"{prefix},{name}": value for name, value in fields.items()},
            tags=tuple(f"{prefix},{tag}" for tag in _TAGS),
            info={f"{prefix},ProductionMode": True},
            named=(f"{prefix},RTKitOS", f"{prefix},SoftwareBinaryDsp1"),
        )

    def accept(self, ticket: Ticket) -> None:
        """Keep what the firmware must be."""
        self._system = ticket.digests.get("rkos")

    def install(self, name: str, data: bytes) -> None:
        """Take the table: the image in it that the ticket names. Raises StatusError."""
        if self._system is None or digest(ftab_entry(data, b"rkos")) != self._system:
            raise StatusError(INCOMPLETE, f"{name} does not match its ticket")
        self._installation.take_other(name)


class HostMadeRose(OneAnswer):
    """Rose before iOS 18: numbers as bytes, least significant first as the library reads them."""

    def __init__(self, installation: Installation, identity: Identity) -> None:
        self._installation = installation
        self._asked = Asked("Rap,Ticket", ROSE.chip, _subject(identity, "Rap"), os.urandom(32))

    def arguments(self) -> dict[str, Any]:
        """What the host needs to make the request."""
        info = {
            "Rap,BoardID": struct.pack("<I", ROSE.board),
            "Rap,ChipID": struct.pack("<I", self._asked.chip),
            "Rap,ECID": struct.pack("<Q", self._asked.subject),
            "Rap,Nonce": self._asked.nonce,
            "Rap,ProductionMode": b"\x01",
            "Rap,SecurityDomain": b"\x01",
            "Rap,SecurityMode": b"\x01",
        }
        return {"MessageArgInfo": info}

    async def take(self, receive: Receive) -> None:
        """Take the ticket and the table of images."""
        response = response_of(await receive())
        table = response.get("FirmwareData")
        table = table if isinstance(table, bytes) else b""
        images = {"Rap,RTKitOS": b"rkos", "Rap,SoftwareBinaryDsp1": b"sbd1"}
        digests = {name: hashlib.sha384(ftab_entry(table, tag)).digest() for name, tag in images.items()}
        self._asked.take(self._installation, response, digests)
        self._installation.take_other("Rap,RTKitOS")


def ftab_entry(table: bytes, tag: bytes) -> bytes:
    """One image of a firmware table (layout: pymobiledevice3 `restore/ftab.py`); b"" when it is not there."""
    try:
        (entries,) = struct.unpack_from("<L", table, 40)
        for number in range(min(entries, 64)):
            name, offset, size = struct.unpack_from("<4sLL", table, 48 + 16 * number)
            if name == tag:
                return table[offset : offset + size]
    except struct.error:
        pass
    return b""
