"""The baseband: tells what it is, is sent firmware that Apple signed for it, and takes no other.

BasebandData and BBUpdateStatusMsg as pymobiledevice3 `restore/restore.py` handles them and logs show them
(idevicerestore #370 #552). A restore asks twice: first without a nonce, to load what then makes one up.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Collection
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from station.virtual.faults.kinds import StatusError
from station.virtual.firmware.baseband import FAMILIES, TICKET, Element, decode_elements, measure
from station.virtual.firmware.der import DerError
from station.virtual.firmware.image4 import Image4Error, Ticket
from station.virtual.phones.chips import MAV25, Baseband, burnt_in
from station.virtual.phones.identity import Identity

REJECTED = -1
"""The status a restore of before iOS 26 ends with ("verification error", idevicerestore#138)."""
MAX_FIRMWARE = 512 * 1024 * 1024
MAX_ENTRIES = 64
_FUSED = 3


class Modem:
    """A phone's baseband in one restore."""

    def __init__(self, identity: Identity, baseband: Baseband, authority: ec.EllipticCurvePublicKey) -> None:
        """Prepare.

        Args:
            identity: the phone it is in.
            baseband: what it is.
            authority: whose signature a ticket must have.
        """
        self._ecid = identity.ecid
        self._baseband = baseband
        self._authority = authority
        self._serial = burnt_in(identity.ecid, "baseband", baseband.serial_length)
        self._nonce: bytes | None = None

    def arguments(self) -> dict[str, Any]:
        """What it says of itself."""
        facts = self._facts()
        return facts if self._nonce is None else facts | {"Nonce": self._nonce}

    def make_nonce(self) -> None:
        """Make up the nonce that the next ticket must answer."""
        self._nonce = os.urandom(20)

    def status(self, *, accepted: bool) -> dict[str, Any]:
        """The message that says how the update went."""
        output = self._facts() | {"attemptedToFuse": False, "done": accepted}
        return {"MsgType": "BBUpdateStatusMsg", "Accepted": accepted, "Done": accepted, "Output": output}

    def take(self, data: object) -> None:
        """Take a signed firmware. Raises StatusError unless every element is what a ticket for it covers."""
        if not isinstance(data, bytes) or len(data) > MAX_FIRMWARE:
            raise _rejected("Firmware data is missing")
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = archive.infolist()
                if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_FIRMWARE:
                    raise _rejected("Firmware data is too large")
                files = {entry.filename: archive.read(entry) for entry in entries}
            if self._nonce is None and TICKET not in files and self._baseband is not MAV25:
                self._check_loader(files)
                return
            ticket = Ticket.parse(files.get(TICKET, b""))
            ticket.verify(self._authority)
            elements = ticket.properties.get("elem")
            covered = decode_elements(elements if isinstance(elements, bytes) else b"")
        except (zipfile.BadZipFile, NotImplementedError, Image4Error, DerError) as error:
            raise _rejected(f"Firmware data cannot be read: {error}") from error
        self._check_ticket(ticket)
        wanted = FAMILIES[self._baseband.family]
        for element in wanted:
            self._check_element(element, files.get(element.file), covered)
        if not any(f"{element.name}-Blob" in covered for element in wanted):
            raise _rejected("Firmware data does not contain programmer")

    def _check_loader(self, files: Collection[str]) -> None:
        """What begins an update may come alone: hosts of before October 2025 added a ticket only for a nonce.

        Nor do they bring more than what has a signature of its own then (idevicerestore 460bf2e, which Mav25 needed).
        """
        signed = [element.file for element in FAMILIES[self._baseband.family] if element.trailer]
        if not any(file in files for file in signed):
            raise _rejected("Firmware data does not contain programmer")

    def _check_ticket(self, ticket: Ticket) -> None:
        mine = {"snum": self._serial, "cert": self._baseband.cert_id, "CHIP": self._baseband.chip_id}
        for name, value in mine.items():
            if ticket.properties.get(name) != value:
                raise _rejected(f"the ticket is for another baseband ({name})")
        if ticket.nonce_digest != self._nonce or ticket.ecid != self._ecid:
            raise _rejected("the ticket is for another nonce, or another phone")

    def _check_element(self, element: Element, content: bytes | None, covered: dict[str, bytes]) -> None:
        if content is None:
            raise _rejected(f"{element.file} is missing")
        if element.trailer and f"{element.name}-Blob" not in covered:
            return  # for modems with another certificate (ICE19 has two kinds of PSI)
        measured = measure(self._baseband, element, content)
        if element.trailer:
            measured[f"{element.name}-Blob"] = hashlib.sha384(content[-element.trailer :]).digest()
        if differing := [name for name, value in measured.items() if covered.get(name) != value]:
            raise _rejected(f"{element.file} does not match the ticket: {', '.join(differing)}")

    def _facts(self) -> dict[str, Any]:
        return {
            "CertHash": hashlib.sha256(f"certificate {self._baseband.cert_id}".encode()).digest(),
            "CertID": self._baseband.cert_id,
            "ChipID": self._baseband.chip_id,
            "ChipSerialNo": self._serial,
            "FusingStatus": _FUSED,
            "VendorID": self._baseband.vendor_id,
        }


def _rejected(why: str) -> StatusError:
    return StatusError(REJECTED, f"update_baseband: failed to perform next stage: {why}")
