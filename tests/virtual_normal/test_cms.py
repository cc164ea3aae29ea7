"""Signed messages, made by the cryptography package."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from station.virtual.system.cms import BadSignatureError, verify
from station.virtual.system.enrolment import Organisation
from station.virtual.system.supervision import Challenge

ASKED, OTHER = b"what was asked for", b"what was not asked"
KEYS = [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())]


def certificate_of(key) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().issuer_name(name).subject_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def der(key) -> bytes:
    return certificate_of(key).public_bytes(Encoding.DER)


def message(key, content: bytes = ASKED, algorithm: hashes.SHA256 | hashes.SHA512 | None = None) -> bytes:
    builder = PKCS7SignatureBuilder().set_data(content)
    signer = builder.add_signer(certificate_of(key), key, algorithm or hashes.SHA256())
    return signer.sign(Encoding.DER, [PKCS7Options.Binary])


@pytest.mark.parametrize("key", KEYS)
def test_accepts_what_was_asked_for_of_who_was_asked(key):
    verify(message(key), content=ASKED, certificate=der(key))


@pytest.mark.parametrize("key", KEYS)
def test_refuses_everything_else(key):
    good, stranger = message(key), ec.generate_private_key(ec.SECP256R1())
    for bad in (
        message(key, OTHER),
        message(key, OTHER).replace(OTHER, ASKED),
        message(key, algorithm=hashes.SHA512()),
        good[:-1] + bytes([good[-1] ^ 1]),
        good[:-1],
        good + b"\0",
        b"",
        b"\x30\0",
    ):
        with pytest.raises(BadSignatureError):
            verify(bad, content=ASKED, certificate=der(key))
    odd = der(key).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07")  # version 8 of X.509
    for certificate in (der(stranger), der(ed25519.Ed25519PrivateKey.generate()), odd, b""):
        with pytest.raises(BadSignatureError):
            verify(good, content=ASKED, certificate=certificate)


def test_a_challenge_is_for_supervisors_and_for_one_answer():
    key, stranger = KEYS[1], ec.generate_private_key(ec.SECP256R1())
    supervisor = der(key)
    challenge = Challenge(Organisation(supervisors=[supervisor]))
    assert [challenge.begin(other) for other in (der(stranger), b"", None, [supervisor])] == [None] * 4
    with pytest.raises(BadSignatureError):
        challenge.check(message(key, b""))
    first = challenge.begin(supervisor) or b""
    with pytest.raises(BadSignatureError):
        challenge.check(message(stranger, first))
    with pytest.raises(BadSignatureError):  # it had its chance
        challenge.check(message(key, first))
    second = challenge.begin(supervisor) or b""
    assert (first != second, challenge.pending) == (True, True)
    challenge.check(message(key, second))
    assert not challenge.pending
