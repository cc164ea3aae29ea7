"""The updaters of other chips: each makes its own request for a ticket and checks what it is given.

FirmwareUpdaterData as pymobiledevice3 `restore/restore.py` answers it: with a DeviceGeneratedRequest the host
adds what DeviceGeneratedTags names of its build identity, has it signed and returns the ticket; without one
(SE here, as before iOS 18) it makes the request up itself and sends the firmware along, in chunks when asked.
"""

import hashlib
import os
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from station.virtual.faults import StatusError
from station.virtual.firmware.components import FOURCCS
from station.virtual.firmware.image4 import digest
from station.virtual.phone import Identity
from station.virtual.restore.installation import INCOMPLETE, Installation

CHUNK = 0x40000
MAX_FIRMWARE = 64 * 1024 * 1024
SE_CHIP = 0xD2
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Updater(Protocol):
    """One updater, for one restore."""

    def arguments(self) -> dict[str, Any]:
        """What its request says beside its name."""
        ...

    async def take(self, receive: Receive) -> None:
        """Take the host's answer, message by message. Raises StatusError."""
        ...


class Cryptex1:
    """The Cryptexes: a ticket for all of them; they themselves are asked for one by one."""

    def __init__(self, installation: Installation, identity: Identity) -> None:
        self._installation = installation
        self._identity = identity
        self._nonce = os.urandom(32)

    def arguments(self) -> dict[str, Any]:
        """A request for the digests in the build identity, for this phone's chip and ECID."""
        me = self._identity
        names = [name for name in FOURCCS if name.startswith("Cryptex1,")]
        entries = {name: self._installation.entry(name) for name in names}
        return _device_generated(
            "Cryptex1",
            tags=("ChipID", "Type", "SubType", "ProductClass", "UseProductClass", "NonceDomain", "Version"),
            info={"Cryptex1,ProductionMode": True},
            request={
                "ApECID": me.ecid,
                "ApChipID": me.chip_id,
                "ApBoardID": me.board_id,
                "Cryptex1,Nonce": self._nonce,
                "Cryptex1,UDID": me.chip_id.to_bytes(8) + me.ecid.to_bytes(8),
                **{name: {"Digest": entry["Digest"]} for name, entry in entries.items() if "Digest" in entry},
            },
        )

    async def take(self, receive: Receive) -> None:
        """Take the ticket."""
        response = _response(await receive())
        self._installation.take_cryptex_ticket(response.get("Cryptex1,Ticket"), nonce=self._nonce)


class Rose:
    """The ultra-wideband chip: a ticket, then its firmware as a table of images."""

    def __init__(self, installation: Installation, identity: Identity) -> None:
        self._installation = installation
        self._identity = identity
        self._nonce = os.urandom(32)
        self._digest: bytes | None = None

    def arguments(self) -> dict[str, Any]:
        """A request for the chip's firmware."""
        names = ("Rap,RTKitOS", "Rap,SoftwareBinaryDsp1")
        entries = {name: self._installation.entry(name) for name in names}
        return _device_generated(
            "Rap",
            tags=("BoardID", "ChipID", "SecurityDomain"),
            info={"Rap,ProductionMode": True},
            request={
                "Rap,ECID": self._identity.ecid,
                "Rap,FdrRootCaDigest": b"",
                "Rap,Nonce": self._nonce,
                **{name: {"Digest": entry["Digest"]} for name, entry in entries.items() if "Digest" in entry},
            },
        )

    async def take(self, receive: Receive) -> None:
        """Take the ticket."""
        ticket = self._installation.take_ticket(_response(await receive()).get("Rap,Ticket"), nonce=self._nonce)
        self._digest = ticket.digests.get("rkos")

    def take_firmware(self, table: bytes) -> None:
        """Take the firmware: the entry in it that the ticket names."""
        if self._digest is None or digest(ftab_entry(table, b"rkos")) != self._digest:
            raise StatusError(INCOMPLETE, "Rap,RTKitOS does not match its ticket")
        self._installation.take_other("Rap,RTKitOS")


class SecureElement:
    """The secure element (NFC): ticket and firmware in one answer, which comes in chunks."""

    def __init__(self, installation: Installation, _identity: Identity) -> None:
        self._installation = installation
        self._nonce = os.urandom(20)

    def arguments(self) -> dict[str, Any]:
        """What the host needs to make the request."""
        info = {"SE,ChipID": SE_CHIP, "SE,ID": bytes(24), "SE,Nonce": self._nonce, "SE,RootKeyIdentifier": bytes(20)}
        return {"MessageArgInfo": info | {"SE,IsDev": False}, "DataChunkSize": CHUNK}

    async def take(self, receive: Receive) -> None:
        """Take ticket and firmware."""
        first = await receive()
        self._installation.take_ticket(_response(first).get("SE,Ticket"), nonce=self._nonce)
        firmware = bytearray()
        while True:
            message = await receive()
            piece = message.get("FirmwareResponseData")
            if not isinstance(piece, bytes) or len(firmware) + len(piece) > MAX_FIRMWARE:
                raise StatusError(INCOMPLETE, "SE: no firmware")
            firmware += piece
            if message.get("DataDone") is True:
                break
        expected = self._installation.entry("SE,UpdatePayload").get("ProductionUpdatePayloadHash")
        if len(firmware) != first.get("DataSize") or hashlib.sha256(firmware).digest() != expected:
            raise StatusError(INCOMPLETE, "SE: the firmware is not the one in the build identity")
        self._installation.take_other("SE,UpdatePayload")


UPDATERS: dict[str, Callable[[Installation, Identity], Updater]] = {
    "Cryptex1": Cryptex1,
    "Rose": Rose,
    "SE": SecureElement,
}


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


def _device_generated(
    prefix: str, *, tags: tuple[str, ...], info: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    ticket = f"{prefix},Ticket"
    return {
        "MessageArgInfo": dict(info),
        "DeviceGeneratedRequest": {f"@{ticket}": True, **request},
        "DeviceGeneratedTags": {
            "ResponseTags": [ticket],
            "BuildIdentityTags": [f"{prefix},{tag}" for tag in tags],
        },
    }


def _response(message: Mapping[str, Any]) -> Mapping[str, Any]:
    response = message.get("FirmwareResponseData")
    if not isinstance(response, Mapping):
        raise StatusError(INCOMPLETE, "no FirmwareResponseData")
    return response
