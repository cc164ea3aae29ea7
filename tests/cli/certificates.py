"""Certificates that nobody vouches for but themselves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(
    directory: Path, *, organization: str, days: str = "9", names: tuple[str, ...] = ("localhost",)
) -> Path:
    """A key and its certificate, in one file; the certificate alone in `certificate.pem`.

    Args:
        directory: where they are written.
        organization: who signs.
        days: for how many days it is good; below 0: for how many it is not any more.
        names: whose it is.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    ends = datetime.now(UTC) + timedelta(days=int(days))
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=100))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "certificate.pem").write_bytes(pem)
    whole = directory / "both.pem"
    whole.write_bytes(pem + secret)
    return whole
