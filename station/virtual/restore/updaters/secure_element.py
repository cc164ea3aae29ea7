"""The secure element (payments): ticket and firmware in one answer, which comes in chunks; or both apart (SE2)."""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from station.virtual.faults.kinds import StatusError
from station.virtual.phones.chips import Chips, burnt_in
from station.virtual.phones.identity import Identity
from station.virtual.restore.installation import INCOMPLETE, Installation
from station.virtual.restore.updaters.base import (
    Asked,
    DeviceGenerated,
    OneAnswer,
    Receive,
    Updater,
    response_of,
)

CHUNK = 0x40000
MAX_FIRMWARE = 64 * 1024 * 1024
SE2_CHIP = 0x37
"""From A19 on: requests of its own making, for "SE2,Ticket" (pymobiledevice3 `add_se2_tags`)."""
_PAYLOAD = "SE,UpdatePayload"


def secure_element(installation: Installation, identity: Identity, chips: Chips) -> Updater:
    """The updater for a phone's secure element."""
    assert chips.secure_element is not None
    ticket = "SE2,Ticket" if chips.secure_element == SE2_CHIP else "SE,Ticket"
    asked = Asked(ticket, chips.secure_element, burnt_in(identity.ecid, "SE", 24), os.urandom(20))
    kind = SecureElement2 if chips.secure_element == SE2_CHIP else HostMadeSecureElement
    return kind(installation, asked)


def _info(asked: Asked) -> dict[str, Any]:
    return {
        "SE,ChipID": asked.chip,
        "SE,ID": asked.subject,
        "SE,Nonce": asked.nonce,
        "SE,RootKeyIdentifier": hashlib.sha1(b"root key", usedforsecurity=False).digest(),
    }


class SecureElement2(DeviceGenerated):
    """It is sent the firmware first, and asks by the hash of it."""

    def __init__(self, installation: Installation, asked: Asked) -> None:
        fields = {name: value for name, value in _info(asked).items() if name != "SE,ChipID"}
        info = _info(asked) | {"SE,IsDev": False}
        super().__init__(installation, asked, fields=fields, tags=("SE,ChipID",), info=info, sources=(_PAYLOAD,))

    async def take(self, receive: Receive) -> None:
        """Take the ticket."""
        await super().take(receive)
        self._installation.take_other(_PAYLOAD)

    def _component(self, name: str) -> dict[str, Any]:
        return {"ProductionUpdatePayloadHash": self._digests[name]}


class HostMadeSecureElement(OneAnswer):
    """The host makes the request up, and sends the firmware along."""

    def __init__(self, installation: Installation, asked: Asked) -> None:
        self._installation = installation
        self._asked = asked

    def arguments(self) -> dict[str, Any]:
        """What the host needs to make the request."""
        return {"MessageArgInfo": _info(self._asked) | {"SE,IsDev": False}, "DataChunkSize": CHUNK}

    async def take(self, receive: Receive) -> None:
        """Take ticket and firmware: in pieces as Apple's hosts send it, or at once as idevicerestore does."""
        first = await receive()
        response = response_of(first)
        firmware = await self._pieces(first, receive) if "DataSize" in first else response.get("FirmwareData")
        if not isinstance(firmware, bytes):
            raise StatusError(INCOMPLETE, "SE: no firmware")
        self._asked.take(self._installation, response, {_PAYLOAD: hashlib.sha256(firmware).digest()})
        self._installation.take_other(_PAYLOAD)

    async def _pieces(self, first: Mapping[str, Any], receive: Receive) -> bytes:
        firmware = bytearray()
        while True:
            message = await receive()
            piece = message.get("FirmwareResponseData")
            if not isinstance(piece, bytes) or len(firmware) + len(piece) > MAX_FIRMWARE:
                raise StatusError(INCOMPLETE, "SE: no firmware")
            firmware += piece
            if message.get("DataDone") is True:
                break
        if len(firmware) != first.get("DataSize"):
            raise StatusError(INCOMPLETE, "SE: the firmware has not the size that was announced")
        return bytes(firmware)
