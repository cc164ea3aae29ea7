"""Image4: payloads (IM4P), tickets (IM4M) and the two stitched together (IMG4).

Shapes as Apple's images have them (theapplewiki "IMG4 File Format"; pymobiledevice3 `restore/img4.py`
stitches them, pyimg4 reads them):

    IMG4 = SEQUENCE { "IMG4", IM4P, [0] { IM4M }, [1] { IM4R } OPTIONAL }
    IM4P = SEQUENCE { "IM4P", type, description, payload OCTET STRING, … }
    IM4M = SEQUENCE { "IM4M", 0, SET { MANB }, signature OCTET STRING, certificates SEQUENCE }
    MANB = private "MANB" SEQUENCE { "MANB", SET { MANP, one set of properties for each image } }

The digest in a ticket is SHA-384 (SHA-1 up to A9) over the IM4P *with its type as it is sent*: one kernelcache file
has two digests, as `krnl` and as `rkrn` (real manifests list both). BNCH, the nonce in a ticket, is the ApNonce
exactly as the phone reports it, which already is a digest: from A10 on the first 32 bytes of SHA-384 over the
generator. The signature is ECDSA with SHA-384 over the SET that holds MANB, by the key of the ticket's leaf
certificate; the phone has the public key of that certificate's issuer burnt in.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from station.virtual.firmware import der

MAX_TICKET = 256 * 1024
"""Bytes; real tickets have under 10,000."""

PropertyValue = int | bool | bytes | str


class Image4Error(ValueError):
    """Not an image or ticket that this phone can accept, with the reason."""


_ALGORITHMS = {"sha1": "sha1", "sha2-384": "sha384"}
"""Manifests' `HashMethod` to the name of the algorithm."""
_METHODS = {20: "sha1", 48: "sha2-384"}
"""Bytes of a digest to its method."""
_A9 = (0x8000, 0x8003)


def hash_method(chip_id: int) -> str:
    """How digests of a chip's images are made: SHA-1 up to A9, SHA-384 from A10 on."""
    return "sha1" if chip_id in _A9 else "sha2-384"


def hasher(method: str, data: bytes | memoryview = b"") -> "hashlib._Hash":
    """What takes data by a method ("sha1", "sha2-384"), and has taken this much already."""
    return hashlib.new(_ALGORITHMS[method], data, usedforsecurity=False)


def digest(data: bytes | memoryview, method: str = "sha2-384") -> bytes:
    """The digest that manifests and tickets carry: SHA-384, 48 bytes; for older chips SHA-1, 20 bytes."""
    return hasher(method, data).digest()


@dataclass(frozen=True)
class Im4p:
    """An image payload."""

    fourcc: str
    """Its type, such as "rdsk"."""
    payload: bytes = field(repr=False)
    encoded: memoryview = field(repr=False)
    """The whole IM4P as it was sent."""

    @property
    def digest(self) -> bytes:
        """SHA-384 over it: what a ticket names for this type, from A10 on."""
        return digest(self.encoded)

    def matches(self, expected: bytes | None) -> bool:
        """Whether this is what a ticket names, by the method that shows in the digest's length."""
        method = _METHODS.get(len(expected or b""))
        return method is not None and digest(self.encoded, method) == expected


def im4p_header(fourcc: str, size: int) -> bytes:
    """Everything of an IM4P that comes before a payload of `size` bytes."""
    before = der.text("IM4P") + der.text(fourcc) + der.text("") + der.header(der.OCTETS, size)
    return der.header(der.SEQUENCE, len(before) + size) + before


def make_im4p(fourcc: str, payload: bytes) -> bytes:
    """A bare IM4P file, as an IPSW holds it."""
    return im4p_header(fourcc, len(payload)) + payload


def parse_img4(data: bytes) -> "tuple[Im4p, Ticket | None]":
    """Take apart an IMG4 or a bare IM4P (no ticket then). Raises Image4Error."""
    try:
        (outer,) = der.only(memoryview(data), der.SEQUENCE)
        parts = list(der.elements(outer.content))
        match parts[0].text() if parts else "":
            case "IM4P":
                return _parse_im4p(outer), None
            case "IMG4":
                tags = [part.tag for part in parts[1:]]
                if tags not in ([der.SEQUENCE, der.context(0)], [der.SEQUENCE, der.context(0), der.context(1)]):
                    raise Image4Error("an IMG4 without payload or ticket")
                return _parse_im4p(parts[1]), Ticket.parse(bytes(parts[2].content))
            case kind:
                raise Image4Error(f"neither IMG4 nor IM4P but {kind[:8]!r}")
    except der.DerError as error:
        raise Image4Error(f"malformed image: {error}") from error


def _parse_im4p(element: der.Element) -> Im4p:
    kind, fourcc, _, payload, *_ = der.only(element.content, der.IA5, der.IA5, der.IA5, der.OCTETS, more=True)
    if kind.text() != "IM4P" or len(fourcc.content) != 4:
        raise Image4Error("malformed image: not an IM4P")
    return Im4p(fourcc=fourcc.text(), payload=bytes(payload.content), encoded=element.whole)


@dataclass(frozen=True)
class Ticket:
    """A parsed IM4M. Nothing in it is to be believed before `verify`."""

    der: bytes = field(repr=False)
    properties: Mapping[str, int | bytes]
    """MANP: what the ticket is for (CHIP, BORD, ECID, SDOM, BNCH, snon, CPRO, …)."""
    digests: Mapping[str, bytes]
    """Image type to the digest its IM4P must have."""
    _signed: bytes = field(repr=False)
    _signature: bytes = field(repr=False)
    _certificate: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> "Ticket":
        """Read an IM4M. Raises Image4Error."""
        if len(data) > MAX_TICKET:
            raise Image4Error("a ticket that is too long")
        try:
            (outer,) = der.only(memoryview(data), der.SEQUENCE)
            tags = (der.IA5, der.INTEGER, der.SET, der.OCTETS, der.SEQUENCE)
            kind, _, body, signature, certificates = der.only(outer.content, *tags)
            if kind.text() != "IM4M":
                raise Image4Error("malformed ticket: not an IM4M")
            bodies = _named(body.content)
            if list(bodies) != ["MANB"]:
                raise Image4Error("malformed ticket: no manifest body")
            groups = _named(bodies["MANB"])
            properties = _values(groups.pop("MANP", memoryview(b"")))
            digests = {fourcc: _values(group).get("DGST") for fourcc, group in groups.items()}
            certificate = next(der.elements(certificates.content), None)
        except der.DerError as error:
            raise Image4Error(f"malformed ticket: {error}") from error
        return cls(
            der=data,
            properties=properties,
            digests={fourcc: value for fourcc, value in digests.items() if isinstance(value, bytes)},
            _signed=bytes(body.whole),
            _signature=bytes(signature.content),
            _certificate=bytes(certificate.whole) if certificate else b"",
        )

    def verify(self, public_key: ec.EllipticCurvePublicKey) -> None:
        """Check the signature and the certificate behind it. Raises Image4Error unless `public_key` issued it."""
        try:
            issued_key(self._certificate, public_key).verify(self._signature, self._signed, ec.ECDSA(hashes.SHA384()))
        except InvalidSignature as error:
            raise Image4Error("the ticket is not signed by the expected authority") from error

    @property
    def ecid(self) -> int | None:
        """The phone it is for."""
        return self._number("ECID")

    @property
    def chip(self) -> int | None:
        """The chip it is for, such as 0x8101."""
        return self._number("CHIP")

    @property
    def board(self) -> int | None:
        """The board it is for, such as 0x0C."""
        return self._number("BORD")

    @property
    def nonce_digest(self) -> bytes | None:
        """BNCH: must equal the phone's ApNonce."""
        return self._octets("BNCH")

    @property
    def sep_nonce(self) -> bytes | None:
        """The SEP's nonce, 20 bytes."""
        return self._octets("snon")

    def _number(self, name: str) -> int | None:
        value = self.properties.get(name)
        return value if isinstance(value, int) else None

    def _octets(self, name: str) -> bytes | None:
        value = self.properties.get(name)
        return value if isinstance(value, bytes) else None


def issued_key(certificate: bytes, issuer: ec.EllipticCurvePublicKey) -> ec.EllipticCurvePublicKey:
    """The key of a certificate (DER). Raises Image4Error unless `issuer` made it."""
    try:
        (outer,) = der.only(memoryview(certificate), der.SEQUENCE)
        signed, _, signature = der.only(outer.content, der.SEQUENCE, der.SEQUENCE, der.BITS)
        issuer.verify(bytes(signature.content[1:]), bytes(signed.whole), ec.ECDSA(hashes.SHA384()))
        # From here on the certificate is one that the authority made, no longer a stranger's bytes.
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion, ValueError) as error:
        raise Image4Error("the certificate was not made by the expected authority") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Image4Error("the certificate has no EC key")
    return key


@dataclass(frozen=True)
class SigningKey:
    """What signs tickets: a leaf key, and the certificate its issuer gave it."""

    leaf: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: bytes = field(repr=False)
    public_key: ec.EllipticCurvePublicKey
    """The issuer's: what is burnt into phones."""

    @classmethod
    def create(cls) -> "SigningKey":
        """A new issuer and a new leaf, both on P-384."""
        issuer, leaf = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .issuer_name(_name("Virtual Secure Boot Root CA"))
            .subject_name(_name("Virtual TSS Signing"))
            .public_key(leaf.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3650))
            .sign(issuer, hashes.SHA384())
        )
        return cls(leaf, certificate.public_bytes(serialization.Encoding.DER), issuer.public_key())


def sign_ticket(
    key: SigningKey,
    *,
    ecid: int | None,
    chip: int,
    board: int | None,
    nonce: bytes | None,
    sep_nonce: bytes | None,
    digests: Mapping[str, bytes],
    security_domain: int = 1,
    properties: Mapping[str, PropertyValue] | None = None,
) -> bytes:
    """A signed IM4M (DER) for one phone, naming the images it may boot.

    Args:
        key: who signs.
        ecid: the phone; None for a peripheral that has none.
        chip: its chip.
        board: its board; None for a peripheral that has none.
        nonce: its ApNonce, as it reports it; becomes BNCH.
        sep_nonce: its SEP's nonce; becomes snon.
        digests: image type (fourcc) to digest.
        security_domain: SDOM.
        properties: more for MANP; these win over the ones above.
    """
    facts: dict[str, PropertyValue | None] = {"BORD": board, "CEPO": 0, "CHIP": chip, "CPRO": True, "CSEC": True}
    facts |= {"ECID": ecid, "SDOM": security_domain, "BNCH": nonce, "snon": sep_nonce, **(properties or {})}
    manp = {name: value for name, value in facts.items() if value is not None}
    groups = {"MANP": manp} | {
        fourcc: {"DGST": value, "EKEY": True, "EPRO": True, "ESEC": True} for fourcc, value in sorted(digests.items())
    }
    images = [_group(name, [_property(*item) for item in group.items()]) for name, group in groups.items()]
    body = der.encode(der.SET, _group("MANB", images))
    signature = key.leaf.sign(body, ec.ECDSA(hashes.SHA384()))
    return der.encode(
        der.SEQUENCE,
        der.text("IM4M"),
        der.integer(0),
        body,
        der.encode(der.OCTETS, signature),
        der.encode(der.SEQUENCE, key.certificate),
    )


def _named(data: memoryview) -> dict[str, memoryview]:
    """The named SETs in `data`: private name { SEQUENCE { name, SET } }."""
    found: dict[str, memoryview] = {}
    for element in der.elements(data):
        (inner,) = der.only(element.content, der.SEQUENCE)
        name, group = der.only(inner.content, der.IA5, der.SET)
        found[name.text()] = group.content
    return found


def _values(data: memoryview) -> dict[str, int | bytes]:
    """The properties in a group: private name { SEQUENCE { name, value } }."""
    found: dict[str, int | bytes] = {}
    for element in der.elements(data):
        (inner,) = der.only(element.content, der.SEQUENCE)
        name, *values = der.only(inner.content, der.IA5, more=True)
        if len(values) != 1:
            raise der.DerError("a property with no value or several")
        value = values[0]
        found[name.text()] = value.integer() if value.tag in (der.INTEGER, der.BOOLEAN) else bytes(value.content)
    return found


def _group(name: str, members: list[bytes]) -> bytes:
    return der.encode(der.private(name), der.encode(der.SEQUENCE, der.text(name), der.encode(der.SET, *members)))


def _property(name: str, value: PropertyValue) -> bytes:
    match value:
        case bool():
            encoded = der.encode(der.BOOLEAN, b"\xff" if value else b"\x00")
        case int():
            encoded = der.integer(value)
        case str():
            encoded = der.text(value)
        case bytes():
            encoded = der.encode(der.OCTETS, value)
    return der.encode(der.private(name), der.encode(der.SEQUENCE, der.text(name), encoded))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
