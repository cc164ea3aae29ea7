"""Certificates: what a verified record lets the station say to whoever takes the phone over."""

from station.model.base import Message
from station.model.record import Check


class Certificate(Message, frozen=True, kw_only=True):
    """A certificate of sanitization, as its signed JSON file holds it. Says nothing that was not seen.

    Everything is written as it shall be read, so that a reader needs no table of ours; an ECID, which does not
    fit a JavaScript number, is text.
    """

    certificate: str
    """Its id: the key's id and the record's number, so that no two are alike in the world."""
    emulated: bool
    notice: str
    """For an emulated phone: that this proves nothing. Else empty."""
    station: str
    bay: str
    model: str
    product_type: str
    serial_number: str
    imei: str
    ecid: str
    method: str
    firmware_before: str
    firmware_after: str
    manifest_sha256: str
    """Digest of the installed firmware's BuildManifest.plist; or that none was installed."""
    started: str
    ended: str
    """RFC 3339, UTC."""
    duration_seconds: float
    clock_trusted: bool
    confirmed_by: str
    confirmed_at: str
    verified: tuple[Check, ...]
    """What the station itself observed after the phone came back."""
    reported: tuple[Check, ...]
    """What the phone's restore system said of its own work, where one ran."""
    not_verified: tuple[str, ...]
    """What a reader might expect to be covered, and is not."""
    classification: str
    software: str
    record: int
    """Number of the record in the station's chain."""
    digest: str
    """Digest of that record: with its number, an anchor for the whole chain up to it."""
    pdf_sha256: str
    """Digest of the PDF made from this, so that the one signature covers both."""
    public_key: str
    """PEM. To be compared with what the station's operator published: a forger has a key too."""
    key_id: str
    signature: str
    """Ed25519 over the canonical JSON of all other fields, hex."""
    summary: str = ""
    """What was done to the phone: one sentence."""
    activation_lock: str = ""
    """What was found of Activation Lock before, and when it was read."""
    backup: str = ""
    """What was decided about a backup before, and when."""
    overruled: tuple[str, ...] = ()
    """What stood against it, and why somebody went on all the same."""

    @property
    def code(self) -> str:
        """What its QR code says, on paper and on the screen: id, digest and key, in the characters it packs best."""
        name = "EMULATED" if self.emulated else "RESTORE-STATION"
        return f"{name} {self.certificate} {self.digest} {self.key_id}".upper()
