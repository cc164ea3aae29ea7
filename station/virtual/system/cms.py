"""Signed messages (CMS, RFC 5652), as a supervising host answers a challenge with: one signer, one certificate.

The cryptography package makes such messages but does not verify them.
"""

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import InvalidVersion, load_der_x509_certificate

from station.virtual.firmware.der import INTEGER, OCTETS, SEQUENCE, SET, DerError, context, elements, only

_OBJECT_ID = b"\x06"
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
"""1.2.840.113549.1.9.4"""


class BadSignatureError(Exception):
    """The message is not what was asked for, or not signed by who was asked."""


def verify(message: bytes, *, content: bytes, certificate: bytes) -> None:
    """Check that a message holds `content`, signed (with SHA-256) by the owner of `certificate` (DER).

    Raises:
        BadSignatureError: it does not, with the reason.
    """
    try:
        _verify(memoryview(message), content, load_der_x509_certificate(certificate).public_key())
    except (DerError, ValueError, InvalidSignature, UnsupportedAlgorithm, InvalidVersion) as error:
        raise BadSignatureError(str(error) or "the signature does not fit") from error


def _verify(message: memoryview, content: bytes, key: object) -> None:
    (outer,) = only(message, SEQUENCE)
    _, wrapped = only(outer.content, _OBJECT_ID, context(0))
    (signed,) = only(wrapped.content, SEQUENCE)
    _, _, inner, *_, signers = only(signed.content, INTEGER, SET, SEQUENCE, more=True)
    _, holder = only(inner.content, _OBJECT_ID, context(0))
    (octets,) = only(holder.content, OCTETS)
    if octets.content != content:
        raise DerError("another content")
    (signer,) = only(signers.content, SEQUENCE)
    *_, attributes, _, signature = only(
        signer.content, INTEGER, SEQUENCE, SEQUENCE, context(0), SEQUENCE, OCTETS, more=True
    )[:6]
    digests = [
        only(value.content, OCTETS)[0].content
        for name, value in (only(pair.content, _OBJECT_ID, SET) for pair in elements(attributes.content))
        if name.content == _MESSAGE_DIGEST
    ]
    if digests != [hashlib.sha256(content).digest()]:
        raise DerError("another digest")
    covered = SET + bytes(attributes.whole[1:])  # the attributes are signed as a SET, not as the [0] they travel as
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(bytes(signature.content), covered, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(bytes(signature.content), covered, ec.ECDSA(hashes.SHA256()))
    else:
        raise DerError("a key of another kind")
