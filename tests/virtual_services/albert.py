"""https://albert.apple.com, led to the virtual servers without touching a client: by a proxy and a certificate."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from station.virtual.streams import Reader, Writer
from station.virtual.system.tls import TlsStream

HOST = "albert.apple.com"


@asynccontextmanager
async def albert(directory: Path, address: str) -> AsyncIterator[dict[str, str]]:
    """Stand in for it, in front of the servers at `address` (HOST:PORT).

    The environment that it yields is what `requests` and curl look at: an HTTPS proxy, and whom to trust.
    """
    certificate = directory / "albert.pem"
    certificate.write_bytes(_certificate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    host, port = address.split(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert request.startswith(f"CONNECT {HOST}:443 ".encode())
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        tls = TlsStream(reader, writer, context)
        await tls.handshake(seconds=5)
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        try:
            back = asyncio.ensure_future(pump(up_reader, tls))
            await pump(tls, up_writer)
            up_writer.write_eof()
            await back
        finally:
            back.cancel()
            up_writer.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield {"HTTPS_PROXY": proxy, "REQUESTS_CA_BUNDLE": str(certificate)}


async def pump(source: Reader, sink: Writer) -> None:
    while data := await source.read(1 << 16):
        sink.write(data)
        await sink.drain()


def _certificate() -> bytes:
    """A certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + private
