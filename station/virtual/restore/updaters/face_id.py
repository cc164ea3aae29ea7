"""The chip behind Face ID's camera: Savage, or Yonkers, which the same updater ("Savage") looks after.

What it says of itself: idevicerestore#492 (Savage of an iPhone 12), #658 and #668 (Yonkers of an iPhone XS).
"""

import hashlib
import os
from typing import Any

from station.virtual.faults.kinds import StatusError
from station.virtual.firmware.peripherals import YONKERS_FAB, YONKERS_FABS
from station.virtual.phones.chips import SAVAGE_CHIP, YONKERS, Chips, FaceId, burnt_in
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

_COMMON = ("AllowOfflineBoot", "ProductionMode", "ReadECKey", "ReadFWKey")
_YONKERS_PATCH = f"Yonkers,SysTopPatch{2 * YONKERS_FABS.index(YONKERS_FAB) + 1:X}"
_SAVAGE_HEADER = 16


def face_id(installation: Installation, identity: Identity, chips: Chips, *, modern: bool) -> Updater:
    """The updater for a phone's chip. `modern`: from iOS 18 on."""
    yonkers = chips.face_id is FaceId.YONKERS
    prefix = "Yonkers" if yonkers else "Savage"
    subject = burnt_in(identity.ecid, prefix, 16)
    asked = Asked(f"{prefix},Ticket", YONKERS.chip if yonkers else SAVAGE_CHIP, subject, os.urandom(16))
    info: dict[str, Any] = {f"{prefix},{name}": True for name in _COMMON} | {f"{prefix},Nonce": asked.nonce}
    if yonkers:
        info |= {"Yonkers,ChipID": YONKERS.chip, "Yonkers,ECID": subject, "Yonkers,FabRevision": YONKERS_FAB}
        info |= {"YonkersIsProvisioned": True, "YonkersIsYmgt": False}
        patch = _YONKERS_PATCH
    else:
        info |= {"Savage,Revision": bytes([chips.savage_revision | 0x0C, 0x0B]), "Savage,UID": subject}
        patch = "Savage,BA-Prod-Patch" if chips.savage_revision == 0xA0 else "Savage,B2-Prod-Patch"
    said = {"YonkersDeviceInfo": info} if yonkers else info
    if not modern:
        return HostMadeFaceId(installation, asked, info=said, patch=patch)
    fields = {name: value for name, value in info.items() if not name.startswith("YonkersIs")}
    for left_out in ("Yonkers,ChipID", "Yonkers,FabRevision", "Savage,Revision"):
        fields.pop(left_out, None)  # the host adds the chip; the rest only chose the patch
    tags = ("SEP", "Yonkers,BoardID") if yonkers else ("SEP",)
    return DeviceGenerated(
        installation,
        asked,
        fields=fields,
        tags=(*tags, f"{prefix},ChipID", f"{prefix},PatchEpoch"),
        info=said,
        sources=(patch,),
    )


class HostMadeFaceId(OneAnswer):
    """Before iOS 18: the host chooses the patch by what the chip says of itself, and sends it along."""

    def __init__(self, installation: Installation, asked: Asked, *, info: dict[str, Any], patch: str) -> None:
        self._installation = installation
        self._asked = asked
        self._info = info
        self._patch = patch

    def arguments(self) -> dict[str, Any]:
        """What the host needs to make the request."""
        return {"MessageArgInfo": self._info}

    async def take(self, receive: Receive) -> None:
        """Take the ticket and the patch."""
        response = response_of(await receive())
        firmware = response.get("FirmwareData")
        if isinstance(firmware, dict):
            firmware = firmware.get("YonkersFirmware")
        if not isinstance(firmware, bytes):
            raise StatusError(INCOMPLETE, f"{self._patch}: no firmware")
        ticket = self._asked.take(self._installation, response, {})
        patch = self._without_header(firmware) if self._patch.startswith("Savage") else firmware
        # The library sends a Savage nothing but the header; phones restored by it take that (they have the patch).
        if patch and hashlib.sha256(patch).digest() not in ticket.digests.values():
            raise StatusError(INCOMPLETE, f"{self._patch} does not match its ticket")

    def _without_header(self, firmware: bytes) -> bytes:
        """What comes after a header of the patch's size; some hosts send the bare patch (idevicerestore#196)."""
        sizes = (firmware[0:4], firmware[4:8])
        rest = len(firmware) - _SAVAGE_HEADER
        if rest == 0 or (rest).to_bytes(4, "little") in sizes:
            return firmware[_SAVAGE_HEADER:]
        return firmware
