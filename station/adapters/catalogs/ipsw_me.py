"""ipsw.me, version 4 of its API: what there is for one model.

GET BASE/device/PRODUCT_TYPE?type=ipsw answers {"identifier": …, "firmwares": [{"version", "buildid", "url", "filesize",
"sha1sum", "sha256sum", "releasedate", "signed", …}, …], …}.
"""

import msgspec

from station.adapters.catalogs.sieve import Sieve, no_list, refuse_crowds
from station.model.catalog import Source

SOURCE = Source.IPSW_ME
MAX_BYTES = 4 << 20
"""A model with all its firmware takes some 50 kB."""
MAX_PARTS = 100_000
"""Some fifty times what it has."""


class _Firmware(msgspec.Struct):
    version: str
    buildid: str
    url: str
    identifier: str | None = None
    filesize: int | None = None
    sha1sum: str | None = None
    sha256sum: str | None = None
    releasedate: str | None = None
    signed: bool | None = None


class _Device(msgspec.Struct):
    firmwares: list[msgspec.Raw]


_device = msgspec.json.Decoder(_Device)
_firmware = msgspec.json.Decoder(_Firmware)


def address(base: str, product_type: str) -> str:
    """Where to ask about a model."""
    return f"{base}/device/{product_type}?type=ipsw"


def parse(data: bytes, product_type: str, sieve: Sieve) -> None:
    """Read an answer. Raises InputRejected when it is none; entries that make no sense are left out."""
    refuse_crowds(SOURCE, data, b",", MAX_PARTS)
    try:
        entries = _device.decode(data).firmwares
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        no_list(SOURCE)
    for raw in entries:
        try:
            entry = _firmware.decode(raw)
        except (ValueError, RecursionError):
            sieve.skip()
            continue
        if entry.identifier in (None, product_type):
            sieve.take(
                version=entry.version,
                build=entry.buildid,
                product_types=[product_type],
                url=entry.url,
                size=entry.filesize,
                sha256=entry.sha256sum,
                sha1=entry.sha1sum,
                released=entry.releasedate,
                signed=entry.signed,
            )
