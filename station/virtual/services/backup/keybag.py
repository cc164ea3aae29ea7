"""The backup keybag: a key for each protection class, wrapped with what the backup's password gives.

Format and derivation: Apple Platform Security (keybags), the iOS Security papers before it, and public readers of
backups (pyiosbackup). Class keys: RFC 3394. Password: PBKDF2-HMAC-SHA-256 with DPSL and DPIC, then
PBKDF2-HMAC-SHA-1 with SALT and ITER (iOS 10.2 and later).
"""

import hashlib
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

ITERATIONS = 10_000
"""ITER, as on real phones."""
DOUBLE_ITERATIONS = 10_000
"""DPIC. Real phones count to 10,000,000, which takes them seconds; a reader takes the number from the keybag."""
MAX_ITERATIONS = 20_000_000
"""What a phone counts to for a keybag that a host hands it."""
CLASSES = {number: 2 if number < 5 else 3 for number in range(1, 12)}
"""The protection classes, each with its WRAP: files (1 to 4), then the keychain's."""
FILES_CLASS = 3
"""Protected until first user authentication: what nearly all files are."""
MANIFEST_CLASS = 4
WRAPPED_BY_PASSWORD = 2

_TAG = struct.Struct(">4sL")
_NUMBER = struct.Struct(">L")
_CLASS = struct.Struct("<L")


class BadKeyBagError(ValueError):
    """These bytes are no keybag."""


class BadPasswordError(ValueError):
    """The password does not open it; or a key was not wrapped by it."""


@dataclass(frozen=True)
class KeyBag:
    """A keybag that is open."""

    data: bytes
    """As it is in Manifest.plist."""
    keys: dict[int, bytes]
    """By class."""

    @classmethod
    def new(cls, password: str) -> Self:
        """Fresh keys, which this password opens. Takes as long as PBKDF2 does: not for the event loop."""
        header = {
            b"VERS": _NUMBER.pack(5),
            b"TYPE": _NUMBER.pack(1),
            b"UUID": secrets.token_bytes(16),
            b"HMCK": bytes(40),
            b"WRAP": _NUMBER.pack(0),
            b"SALT": secrets.token_bytes(20),
            b"ITER": _NUMBER.pack(ITERATIONS),
            b"DPWT": _NUMBER.pack(1),
            b"DPIC": _NUMBER.pack(DOUBLE_ITERATIONS),
            b"DPSL": secrets.token_bytes(20),
        }
        secret = _derive(password, header)
        keys = {number: secrets.token_bytes(32) for number in CLASSES}
        data = b"".join(_entry(tag, value) for tag, value in header.items())
        for number, wrap in CLASSES.items():
            data += _entry(b"UUID", secrets.token_bytes(16))
            data += _entry(b"CLAS", _NUMBER.pack(number))
            data += _entry(b"WRAP", _NUMBER.pack(wrap))
            data += _entry(b"KTYP", _NUMBER.pack(0))
            data += _entry(b"WPKY", aes_key_wrap(secret, keys[number]))
        return cls(data, keys)

    @classmethod
    def unlock(cls, data: bytes, password: str) -> Self:
        """Open a keybag. Not for the event loop. Raises BadKeyBagError, BadPasswordError."""
        header: dict[bytes, bytes] = {}
        classes: list[dict[bytes, bytes]] = []
        for tag, value in _entries(data):
            if tag == b"UUID" and b"UUID" in header:
                classes.append({})
            (classes[-1] if classes else header)[tag] = value
        try:
            secret = _derive(password, header)
            keys = {
                _NUMBER.unpack(entry[b"CLAS"])[0]: aes_key_unwrap(secret, entry[b"WPKY"])
                for entry in classes
                if b"WPKY" in entry and _NUMBER.unpack(entry[b"WRAP"])[0] & WRAPPED_BY_PASSWORD
            }
        except InvalidUnwrap as error:
            raise BadPasswordError("wrong password") from error
        except (KeyError, ValueError, struct.error) as error:
            raise BadKeyBagError(str(error)) from error
        return cls(data, keys)

    def wrap(self, key: bytes, protection_class: int) -> bytes:
        """A key as backups keep it: its class, then the key under that of the class."""
        return _CLASS.pack(protection_class) + aes_key_wrap(self.keys[protection_class], key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key in that. Raises BadPasswordError."""
        try:
            (protection_class,) = _CLASS.unpack_from(wrapped)
            return aes_key_unwrap(self.keys[protection_class], wrapped[_CLASS.size :])
        except (InvalidUnwrap, KeyError, ValueError, struct.error) as error:
            raise BadPasswordError("a key of another keybag") from error


def encrypt(key: bytes, data: bytes) -> bytes:
    """AES-256-CBC without an initialization vector, as each key is used once. `data`: whole blocks of 16."""
    encryptor = _cipher(key).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def decrypt(key: bytes, data: bytes) -> bytes:
    """The reverse. Raises ValueError when these are no whole blocks."""
    decryptor = _cipher(key).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _cipher(key: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(key), modes.CBC(bytes(16)))


def _derive(password: str, header: dict[bytes, bytes]) -> bytes:
    secret = password.encode()
    if b"DPSL" in header:
        secret = hashlib.pbkdf2_hmac("sha256", secret, header[b"DPSL"], _iterations(header[b"DPIC"]), 32)
    return hashlib.pbkdf2_hmac("sha1", secret, header[b"SALT"], _iterations(header[b"ITER"]), 32)


def _iterations(value: bytes) -> int:
    number: int = _NUMBER.unpack(value)[0]
    if not 0 < number <= MAX_ITERATIONS:
        raise ValueError(f"{number} iterations")
    return number


def _entry(tag: bytes, value: bytes) -> bytes:
    return _TAG.pack(tag, len(value)) + value


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    while offset < len(data):
        try:
            tag, length = _TAG.unpack_from(data, offset)
        except struct.error as error:
            raise BadKeyBagError("cut off") from error
        offset += _TAG.size
        if offset + length > len(data):
            raise BadKeyBagError("cut off")
        yield tag, data[offset : offset + length]
        offset += length
