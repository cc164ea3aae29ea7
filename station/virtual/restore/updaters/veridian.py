"""Veridian, the battery's gas gauge ("T200", "BMU")."""

import hashlib
import os
import plistlib
from typing import Any

from station.virtual import framing
from station.virtual.faults.kinds import StatusError
from station.virtual.phones.chips import VERIDIAN, burnt_in
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

_COMPONENTS = ("BMU,DigestMap", "BMU,FirmwareMap")


def veridian(installation: Installation, identity: Identity, *, modern: bool) -> Updater:
    """The updater. `modern`: from iOS 18 on."""
    asked = Asked("BMU,Ticket", VERIDIAN.chip, int.from_bytes(burnt_in(identity.ecid, "BMU", 8)), os.urandom(32))
    if not modern:
        return HostMadeVeridian(installation, asked)
    return DeviceGenerated(
        installation,
        asked,
        fields={"BMU,Nonce": asked.nonce, "BMU,ProductionMode": True, "BMU,UniqueID": asked.subject},
        tags=("BMU,BoardID", "BMU,ChipID"),
        info={"BMU,ProductionMode": True},
        sources=_COMPONENTS,
    )


class HostMadeVeridian(OneAnswer):
    """Before iOS 18: the firmware comes with the ticket, as a property list that says which one it is."""

    def __init__(self, installation: Installation, asked: Asked) -> None:
        self._installation = installation
        self._asked = asked

    def arguments(self) -> dict[str, Any]:
        """What the host needs to make the request."""
        asked = self._asked
        info = {"ChipID": asked.chip, "Nonce": asked.nonce, "ProductionMode": True, "UniqueID": asked.subject}
        return {"MessageArgInfo": info}

    async def take(self, receive: Receive) -> None:
        """Take the ticket and the firmware."""
        response = response_of(await receive())
        data = response.get("FirmwareData")
        try:
            firmware = framing.parse(data if isinstance(data, bytes) else b"")
        except framing.BadMessageError as error:
            raise StatusError(INCOMPLETE, "T200: no firmware") from error
        firmware.pop("fw_map_digest", None)  # what the host says of it; it is measured here
        digest = hashlib.sha256(plistlib.dumps(firmware)).digest()
        self._asked.take(self._installation, response, {"BMU,FirmwareMap": digest})
