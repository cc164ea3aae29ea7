"""Which hosts a system trusts, and the key it proves itself to them with.

The host makes all certificates: a root of its own, one for itself and one for the phone's public key, both
signed by that root (libimobiledevice `pair_record_generate_keys_and_certs`). The phone keeps them per HostID, and
later presents its certificate and accepts nobody but who holds the key of the host or root certificate it was given
(pymobiledevice3 presents the host's, libimobiledevice the root).
"""

import asyncio
import os
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import Certificate, InvalidVersion, load_pem_x509_certificate

MAX_HOSTS = 64
"""More a virtual phone does not remember: the oldest is forgotten."""


class BadPairRecordError(Exception):
    """The pair record does not hold together."""


@dataclass(frozen=True)
class Host:
    """A host that is trusted: what a session with it needs."""

    device_certificate: Certificate
    host_certificate: Certificate
    root_certificate: Certificate
    escrow_bag: bytes = field(default_factory=partial(os.urandom, 32), compare=False, repr=False)
    """With it the host has services started while the phone is locked."""


@dataclass
class Pairings:
    """The pairings of one installed system; they end with it."""

    hosts: dict[str, Host] = field(default_factory=dict)
    """By HostID."""
    asked_at: float | None = None
    """When the dialog “Trust This Computer?” was put on the screen (the event loop's time); None: it is not."""
    _key: rsa.RSAPrivateKey | None = None
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def key(self) -> rsa.RSAPrivateKey:
        """The phone's key; made when it is first needed, which takes a moment."""
        async with self._making:
            if self._key is None:
                self._key = await asyncio.to_thread(rsa.generate_private_key, public_exponent=65537, key_size=2048)
            return self._key

    async def public_key(self) -> bytes:
        """What lockdown gives as DevicePublicKey: PEM, PKCS #1."""
        return (await self.key()).public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)

    async def read(self, record: Mapping[str, Any]) -> tuple[str, Host]:
        """The HostID and the host that a pair record is about.

        Raises:
            BadPairRecordError: something is missing, or the certificates are not one chain with the phone's key.
        """
        try:
            root, host, device = (
                _certificate(record[name]) for name in ("RootCertificate", "HostCertificate", "DeviceCertificate")
            )
            _verify(host, root)
            _verify(device, root)
            host_id, key = record["HostID"], device.public_key()
        except (KeyError, TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm, InvalidVersion) as error:
            raise BadPairRecordError(str(error)) from error
        if key != (await self.key()).public_key() or not isinstance(host_id, str):
            raise BadPairRecordError("not for this phone")
        return host_id, Host(device, host, root)

    def trust(self, host_id: str, host: Host) -> None:
        """Let a host in from now on."""
        self.hosts.pop(host_id, None)
        self.hosts[host_id] = host
        if len(self.hosts) > MAX_HOSTS:
            del self.hosts[next(iter(self.hosts))]

    async def tls(self, host: Host) -> ssl.SSLContext:
        """The phone's side of a TLS session with `host`."""
        return await asyncio.to_thread(_context, host, await self.key())


def _certificate(pem: bytes) -> Certificate:
    """Read a certificate. libimobiledevice gives its own the serial number 0, of which the library would warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Parsed a serial number which wasn't positive", CryptographyDeprecationWarning
        )
        return load_pem_x509_certificate(pem)


def _verify(certificate: Certificate, root: Certificate) -> None:
    """Check a signature; by hand, because libimobiledevice still signs with SHA-1, which x509 refuses to look at."""
    key, algorithm = root.public_key(), certificate.signature_hash_algorithm
    if not isinstance(key, rsa.RSAPublicKey) or algorithm is None:
        raise ValueError("not RSA")
    key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)


def _context(host: Host, key: rsa.RSAPrivateKey) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # TLS 1.0 too: usbmuxd 1.1.1 itself knows no version of the phone's, and then libimobiledevice offers nothing else.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # libimobiledevice signs its certificates with SHA-1
    # Nobody resumes these sessions. A host that hangs up with a ticket unread would break the connection, and what it
    # had just sent would be lost: idevicenotificationproxy does that.
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    # The certificates have empty names, so a chain cannot be built by name; pin the two instead.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for certificate in (host.host_certificate, host.root_certificate):
        context.load_verify_locations(cadata=certificate.public_bytes(Encoding.PEM).decode())
    with TemporaryDirectory() as directory:  # the ssl module reads keys from files only
        own = Path(directory, "device.pem")
        own.write_bytes(
            host.device_certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        context.load_cert_chain(own)
    return context
