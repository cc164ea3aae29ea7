"""What is kept of a PIN, and whether an entered one is it: scrypt (RFC 7914), slow on purpose.

A PIN has few digits: whoever reads the file finds it out in the end. This makes it hours where it would be nothing.
"""

import hashlib
import hmac
import secrets

from station.model.choices import PinHash

COST, BLOCK, LANES = 1 << 14, 8, 1
"""16 MiB, and a tenth of a second on a small computer."""


def make(pin: str) -> PinHash:
    """What may be kept. Blocks for as long as the computing takes, without holding the interpreter."""
    salt = secrets.token_bytes(16)
    return PinHash(salt=salt, digest=_digest(pin, salt))


def is_right(pin: str, against: PinHash) -> bool:
    """Whether this is the PIN, in a time that does not tell how nearly. Blocks as `make` does."""
    found = _digest(pin, against.salt)
    return bool(against.digest) and hmac.compare_digest(found, against.digest)


def _digest(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=COST, r=BLOCK, p=LANES, dklen=32)
