"""The ledger of a restore: what was received, what of it is what Apple signed, and so what the phone becomes.

Every Image4 is held against the phone's own ticket (the IM4M that iBoot verified and booted the ramdisk with),
every Cryptex against the Cryptex1 ticket. One thing is simpler than on a real phone: there a root hash is the top
of a hash tree over the sealed volume; in a virtual firmware it is that of `firmware.root_hash` for the system image,
and the SHA-384 of the file for a Cryptex, carried as the payload of SystemVolume ("isys") or Cryptex1,SystemVolume
("cssy"), which themselves are signed for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from station.virtual.faults.kinds import StatusError
from station.virtual.firmware.components import COMPONENTS, FIRMWARE, FOURCCS, FUD, SECONDARY
from station.virtual.firmware.image4 import Im4p, Image4Error, Ticket, parse_img4
from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.restore import asr
from station.virtual.restore.asr import Received
from station.virtual.restore.generations import CRYPTEXES, SEALED
from station.virtual.restore.ramdisk import Ramdisk
from station.virtual.services.preboard import COMMITTED

INCOMPLETE = 14
"""What a restore ends with that lacks something, or was sent something that is not it ("fail")."""
SEP_REFUSED = 50
SEAL_BROKEN = 6
"""Seen when the system volume could not be sealed (idevicerestore#787)."""
SPLAT_FAILED = 100
"""Seen when the Cryptexes could not be installed (idevicerestore#779)."""
NOTHING_TO_UPDATE = 68

SPLAT = {"Cryptex1,SystemOS": "Cryptex1,SystemVolume", "Cryptex1,AppOS": "Cryptex1,AppVolume"}
"""Each Cryptex and the component that carries its root hash."""
BY_ITSELF = ("KernelCache", "DeviceTree", "SystemVolume", "Ap,SystemVolumeCanonicalMetadata")
"""What every identity has and restored asks for by name."""
OTHERS = ("Rap,RTKitOS", "SE,UpdatePayload")
"""What the updaters of other chips ask for."""
SEP = ("SEP", "RestoreSEP")
FLAGGED = (FIRMWARE, SECONDARY, FUD)
"""What marks a component that comes with others of its kind."""


def _updated(system: System, version: str, build: str) -> System:
    """A system after an update: where a passcode protects the data, a committed stash bag opens it, once."""
    files = system.files
    shut = system.passcode and not files.exists(COMMITTED)
    if not shut and system.passcode:
        files.remove(COMMITTED)
    return replace(system, version=version, build=build, locked=system.locked or shut, recovering=shut)


class Installation:
    """What one restore has so far. Every method raises StatusError for what the phone must not accept."""

    def __init__(self, phone: VirtualPhone, *, authority: ec.EllipticCurvePublicKey, ramdisk: Ramdisk) -> None:
        """Begin with nothing.

        Args:
            phone: whom it is for.
            authority: the key of who signs tickets.
            ramdisk: what is to be restored, and whether the owner's data goes or is kept.
        """
        self.identity: Mapping[str, Any] | None = None
        """The build identity, once it was received."""
        self.root_hash: bytes | None = None
        self._phone = phone
        self._authority = authority
        self._ramdisk = ramdisk
        self._ticket: Ticket | None = None
        self._images: set[str] = set()
        """Image types that were received and are signed for."""
        self._trusted: bytes | None = None
        """What the trust cache of the system image says."""
        self._image: Received | None = None
        self._cryptex_ticket: Ticket | None = None
        self._cryptexes: dict[str, bytes] = {}
        """Cryptex to its digest."""
        self._cryptex_hashes: dict[str, bytes] = {}
        """The component that carries a root hash to that hash."""
        self._others: set[str] = set()
        """Other components that were received and are right."""

    def take_root_ticket(self, data: object) -> None:
        """RootTicket: must be the very ticket this restore system was booted with."""
        if not isinstance(data, bytes) or data != self._phone.restore_ticket:
            raise StatusError(INCOMPLETE, "the root ticket is not the one this restore was booted with")
        self._ticket = Ticket.parse(data)

    def take_image(self, data: object, *, name: str | None = None, failure: int = INCOMPLETE) -> Im4p:
        """An IMG4: must carry the phone's ticket, which must name its payload. `name`: the component it must be."""
        if self._ticket is None:
            raise StatusError(failure, "an image without a root ticket")
        try:
            image, ticket = parse_img4(data if isinstance(data, bytes) else b"")
        except Image4Error as error:
            raise StatusError(failure, f"{name or 'image'}: {error}") from error
        if name is not None and image.fourcc != FOURCCS.get(name):
            raise StatusError(failure, f"{name}: got an image of type {image.fourcc!r}")
        if ticket is None or ticket.der != self._ticket.der:
            raise StatusError(failure, f"{image.fourcc}: not personalized with this phone's ticket")
        if not image.matches(self._ticket.digests.get(image.fourcc)):
            raise StatusError(failure, f"{image.fourcc}: digest does not match the ticket")
        self._images.add(image.fourcc)
        if image.fourcc == FOURCCS["StaticTrustCache"]:
            self._trusted = image.payload
        return image

    def take_nor(self, reply: Mapping[str, Any]) -> None:
        """NORData: the low-level bootloader, what iBoot's flash holds, and the secure enclave's firmware."""
        self.take_image(reply.get("LlbImageData"), name="LLB")
        images = reply.get("NorImageData")
        for image in images if isinstance(images, list) else ():
            self.take_image(image)
        for name in SEP:
            self.take_image(reply.get(f"{name}ImageData"), name=name, failure=SEP_REFUSED)

    def take_identity(self, reply: Mapping[str, Any]) -> None:
        """BuildIdentityDict: must be the identity that the ticket was made for, and behave like the ramdisk."""
        identity = reply.get("BuildIdentityDict")
        if not isinstance(identity, Mapping) or self._ticket is None:
            raise StatusError(INCOMPLETE, "no build identity")
        try:
            components = {name: entry.get("Digest") for name, entry in identity["Manifest"].items()}
            erases = identity["Info"].get("RestoreBehavior", "Erase") == "Erase"
            signed = {FOURCCS[name]: digest for name, digest in components.items() if name in FOURCCS and digest}
        except (KeyError, AttributeError, TypeError) as error:
            raise StatusError(INCOMPLETE, "malformed build identity") from error
        differing = [kind for kind, digest in self._ticket.digests.items() if signed.get(kind) != digest]
        if differing or erases is not (self._ramdisk.behavior == "Erase"):
            raise StatusError(INCOMPLETE, f"the build identity is not what was signed: {differing or 'behavior'}")
        self.identity = identity

    def take_system_image(self, image: Received) -> None:
        """The system image, as ASR received it."""
        self._image = image

    def seal(self) -> None:
        """Hold the system image against its root hash."""
        if self._image is None or self.root_hash is None or self._image.digest != self.root_hash:
            raise StatusError(SEAL_BROKEN, "failed to seal system volume.")

    def verify(self) -> None:
        """Hold a system image that is not sealed against its trust cache."""
        if self._image is None or self._image.digest != self._trusted:
            raise StatusError(asr.FAILED, "failed to restore APFS image: checksum failure")

    def take_cryptex_ticket(self, data: object, *, nonce: bytes) -> None:
        """The Cryptex1 ticket: signed, for this phone, answering this nonce."""
        self._cryptex_ticket = self.take_ticket(data, nonce=nonce, failure=SPLAT_FAILED)
        if self._cryptex_ticket.ecid != self._phone.identity.ecid:
            raise StatusError(SPLAT_FAILED, "the Cryptex1 ticket is for another phone")

    def take_ticket(self, data: object, *, nonce: bytes, failure: int = INCOMPLETE) -> Ticket:
        """A ticket for Cryptexes or a peripheral."""
        try:
            ticket = Ticket.parse(data if isinstance(data, bytes) else b"")
            ticket.verify(self._authority)
        except Image4Error as error:
            raise StatusError(failure, str(error)) from error
        if ticket.nonce_digest != nonce:
            raise StatusError(failure, "a ticket for another nonce")
        return ticket

    def take_cryptex(self, name: str, digest: bytes) -> None:
        """A Cryptex's image, as its digest."""
        self._cryptexes[name] = digest

    def take_cryptex_part(self, name: str, data: bytes) -> None:
        """What belongs to a Cryptex: its root hash, its trust cache. Sent as it lies in the IPSW, without a ticket."""
        if self._cryptex_ticket is None:
            raise StatusError(SPLAT_FAILED, f"{name} without a Cryptex1 ticket")
        try:
            image, _ = parse_img4(data)
        except Image4Error as error:
            raise StatusError(SPLAT_FAILED, f"{name}: {error}") from error
        if image.fourcc != FOURCCS.get(name) or self._cryptex_ticket.digests.get(image.fourcc) != image.digest:
            raise StatusError(SPLAT_FAILED, f"{name} does not match the Cryptex1 ticket")
        self._others.add(name)
        if name in SPLAT.values():
            self._cryptex_hashes[name] = image.payload

    def install_splat(self) -> None:
        """Hold each Cryptex against its root hash."""
        for name, volume in SPLAT.items():
            if name not in self._cryptexes or self._cryptexes[name] != self._cryptex_hashes.get(volume):
                raise StatusError(SPLAT_FAILED, f"failed to install splat: {name} does not match {volume}")
            self._others.add(name)

    def take_other(self, name: str) -> None:
        """A component of another chip, which its updater has checked."""
        self._others.add(name)

    def entry(self, name: str) -> Mapping[str, Any]:
        """What the build identity says of a component; nothing before it was received."""
        entry = self.identity["Manifest"].get(name) if self.identity else None
        return entry if isinstance(entry, Mapping) else {}

    def missing(self) -> list[str]:
        """The components that this phone cannot do without and does not have."""
        return [
            name for name in self._needed() if name not in self._others and FOURCCS.get(name) not in self._images
        ] + ([] if self._image else ["OS"])

    def check(self) -> None:
        """Hold everything together once more: nothing is missing, the images match their root hashes."""
        if missing := self.missing():
            raise StatusError(INCOMPLETE, f"missing: {', '.join(missing)}")
        if self._ramdisk.ios >= SEALED:
            self.seal()
        else:
            self.verify()
        if self._ramdisk.ios >= CRYPTEXES:
            self.install_splat()

    def commit(self) -> None:
        """Become the new system, if everything is there."""
        self.check()
        version, build = self._ramdisk.version, self._ramdisk.build
        phone = self._phone
        if self._ramdisk.behavior == "Erase":
            phone.system = System.new(version, build, capacity=phone.identity.capacity)
        elif phone.system is None:
            raise StatusError(NOTHING_TO_UPDATE, "there is nothing to update")
        else:
            phone.system = _updated(phone.system, version, build)
        phone.nvram["auto-boot"] = "true"

    def _needed(self) -> Iterator[str]:
        """What is asked for by itself: of the build identity, or before iOS 16, which asks for none, of the ticket."""
        if self.identity is not None:
            manifest = self.identity["Manifest"]
            entries = {name: [flag for flag in FLAGGED if entry["Info"].get(flag)] for name, entry in manifest.items()}
        else:
            if self._ramdisk.ios >= CRYPTEXES:
                yield "build identity"
            signed = self._ticket.digests if self._ticket else {}
            entries = {part.name: [*part.flags] for part in COMPONENTS if part.fourcc in signed}
        for name, flags in entries.items():
            flagged = any(flag in FLAGGED for flag in flags)
            if flagged or name in BY_ITSELF or name.startswith("Cryptex1,") or name in OTHERS:
                yield name
