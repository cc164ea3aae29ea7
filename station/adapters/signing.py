"""Keys and signatures (Ed25519, RFC 8032). Two keys: one vouches for real phones, one for emulated ones.

They are of different types, each in its own file, and neither signs raw bytes for anybody: a key seals records,
heads and certificates, and looks itself whether the phone was its kind. So no caller can mix them up.
"""

import hashlib
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from station.adapters import chain, durable
from station.errors import InputRejected, RecordsBroken, Refused, StorageError
from station.model.certificate import Certificate
from station.model.record import ChainHead, Record, SealedRecord

Document = TypeVar("Document", ChainHead, Certificate)


class PublicKey:
    """Verifies what one key has signed."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.id = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]
        self.pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @classmethod
    def read(cls, path: Path) -> "PublicKey":
        """Read a PEM file. Raises InputRejected when it is not an Ed25519 public key."""
        try:
            key = load_pem_public_key(chain.read_file(path))
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise InputRejected(f"{path.name} is not an Ed25519 public key.")
        return cls(key)

    def holds(self, signature: str, message: bytes) -> bool:
        """Whether `signature`, in lower-case hex, is this key's for `message`."""
        try:
            raw = bytes.fromhex(signature)
            self._key.verify(raw, message)
        except (ValueError, InvalidSignature):
            return False
        return raw.hex() == signature

    def require_sealed(self, sealed: SealedRecord) -> None:
        """Raise RecordsBroken unless the record's digest and signature are right."""
        try:
            right = chain.digest(sealed.previous, sealed.number, sealed.payload)
        except (ValueError, OverflowError):
            right = ""
        if sealed.digest != right:
            raise RecordsBroken(f"Record {sealed.number} is not what was sealed: its digest differs.")
        if sealed.key_id != self.id:
            raise RecordsBroken(f"Record {sealed.number} names another key: {sealed.key_id}.")
        if not self.holds(sealed.signature, bytes.fromhex(right)):
            raise RecordsBroken(f"Record {sealed.number} is not signed with the key {self.id}.")

    def read_document(self, path: Path, kind: type[Document]) -> Document:
        """Read a signed document.

        Raises:
            InputRejected: it is missing or unreadable.
            RecordsBroken: it is not, byte for byte, what this key has signed.
        """
        data = chain.read_file(path)
        try:
            fields = msgspec.json.decode(data)
            document = msgspec.convert(fields, kind)
            written_right = chain.to_file(fields) == data
        except (ValueError, OverflowError, RecursionError):  # msgspec's own errors are ValueErrors
            raise RecordsBroken(f"{path.name} is not what the station wrote.") from None
        fields.pop("signature")
        if not written_right or not self.holds(document.signature, chain.canonical(fields)):
            raise RecordsBroken(f"{path.name} is not what the key {self.id} has signed.")
        if document.key_id != self.id:
            raise RecordsBroken(f"{path.name} names another key: {document.key_id}.")
        return document


class SigningKey:
    """What both keys can do. Never made itself: a key is a StationKey or a DemonstrationKey."""

    emulated: ClassVar[bool]
    """Which phones it vouches for."""
    name: ClassVar[str]
    """Of its file and of its chain's directory."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def path(cls, directory: Path) -> Path:
        """Where the key lies in a directory of keys."""
        return directory / f"{cls.name}.pem"

    @classmethod
    def make(cls, directory: Path) -> None:
        """Make a key, for its owner's eyes only. Raises StorageError when it cannot be written."""
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        durable.write(cls.path(directory), pem, mode=0o600)

    @classmethod
    def read(cls, directory: Path) -> "SigningKey":
        """Read the key. Raises StorageError when it cannot be read, RecordsBroken when it is not a key."""
        path = cls.path(directory)
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise StorageError(f"The {cls.name} key cannot be read: {error.strerror}.") from error
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise RecordsBroken(f"{path.name} is not an Ed25519 key.")
        return cls(key)

    def seal(self, record: Record, *, number: int, previous: str) -> SealedRecord:
        """Seal a record as the next of its chain.

        Raises:
            Refused: the phone is not this key's kind.
            InputRejected: the record could not be read again as what it is.
        """
        self._require_own_kind(emulated=record.emulated)
        payload = _payload(record)
        digest = chain.digest(previous, number, payload)
        return SealedRecord(
            number=number,
            previous=previous,
            payload=payload,
            digest=digest,
            key_id=self.public.id,
            signature=self._key.sign(bytes.fromhex(digest)).hex(),
        )

    def sign_head(self, *, station: str, count: int, digest: str) -> ChainHead:
        """Say where the chain ends."""
        return self._signed(ChainHead(station=station, count=count, digest=digest, key_id=self.public.id, signature=""))

    def sign_certificate(self, certificate: Certificate) -> Certificate:
        """Sign a certificate. Raises Refused when the phone is not this key's kind."""
        self._require_own_kind(emulated=certificate.emulated)
        return self._signed(certificate)

    def _signed(self, document: Document) -> Document:
        signature = self._key.sign(chain.signed_part(document)).hex()
        return msgspec.structs.replace(document, signature=signature)

    def _require_own_kind(self, *, emulated: bool) -> None:
        if emulated is not self.emulated:
            raise Refused(f"The {self.name} key does not vouch for {'an emulated' if emulated else 'a real'} phone.")


def _payload(record: Record) -> str:
    """A record's text. What is sealed once stands for ever, so it is made sure that it can be read."""
    try:
        payload = chain.canonical(record).decode()
        readable = msgspec.json.decode(payload, type=Record) == record
    except ValueError:  # a wrong type, a lone surrogate, not a number
        readable = False
    if not readable:
        raise InputRejected(f"The record of job {record.job} holds a value that no record can hold.")
    return payload


class StationKey(SigningKey):
    """Vouches for real phones, and for nothing else."""

    emulated = False
    name = "station"


class DemonstrationKey(SigningKey):
    """Signs what happened to virtual phones, so that a demonstration shows everything and proves nothing."""

    emulated = True
    name = "demonstration"


def key_type(*, emulated: bool) -> type[StationKey | DemonstrationKey]:
    """The one kind of key that vouches for such phones."""
    return DemonstrationKey if emulated else StationKey
