"""AppleDB: everything there is of one system, in one static file.

GET BASE/iOS/main.json (and BASE/iPadOS/main.json) answers a list of builds: {"osStr", "version" ("26.2", "26.2 beta 3",
"26.2 RC"), "build", "released", "deviceMap", "beta", "rc", "internal", "signed", "sources": [{"type": "ipsw",
"deviceMap", "links": [{"url", "preferred", "active"}], "hashes": {"sha1", "sha2-256"}, "size"}, …], …}. Sources of
another type ("ota", with a "prerequisiteBuild") are updates over the air, and nothing for here. GET BASE/iOS;BUILD.json
has one build, with hundreds of those: not asked, the list costs less.
"""

from typing import Any

import msgspec

from station.adapters.catalogs.sieve import Sieve, no_list, refuse_crowds
from station.model.catalog import Source

SOURCE = Source.APPLEDB
MAX_BYTES = 64 << 20
"""Its list of iOS takes some 10 MB."""
MAX_PARTS = 2_000_000
"""One in 32 bytes, as in the real one."""

_SYSTEMS = ("iOS", "iPadOS", "iPhone OS", "iPhoneOS")


class _Link(msgspec.Struct):
    url: str
    preferred: bool = False
    active: bool = True


class _Hashes(msgspec.Struct, rename={"sha256": "sha2-256"}):
    sha256: str | None = None
    sha1: str | None = None


class _Origin(msgspec.Struct, rename={"device_map": "deviceMap"}):
    """Where to get it from: what AppleDB calls a source."""

    type: str
    device_map: list[str] = []
    links: list[_Link] = []
    hashes: _Hashes | None = None
    size: int | None = None


class _Build(msgspec.Struct, rename={"os_str": "osStr"}):
    os_str: str
    version: str
    build: str
    released: Any = None
    beta: bool = False
    rc: bool = False
    internal: bool = False
    rsr: bool = False
    sdk: bool = False
    simulator: bool = False
    signed: Any = None
    """True, False, or those models for which it is; left out: nobody says."""
    sources: list[msgspec.Raw] = []


_builds = msgspec.json.Decoder(list[msgspec.Raw])
_build = msgspec.json.Decoder(_Build)
_origin = msgspec.json.Decoder(_Origin)


def system(product_type: str) -> str:
    """What AppleDB calls a model's system."""
    return "iPadOS" if product_type.startswith("iPad") else "iOS"


def address(base: str, system: str) -> str:
    """Where to ask about a system."""
    return f"{base}/{system}/main.json"


def parse(data: bytes, sieve: Sieve) -> None:
    """Read an answer. Raises InputRejected when it is none; entries that make no sense are left out."""
    refuse_crowds(SOURCE, data, b",", MAX_PARTS)
    try:
        entries = _builds.decode(data)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        no_list(SOURCE)
    for raw in entries:
        try:
            entry = _build.decode(raw)
        except (ValueError, RecursionError):
            sieve.skip()
            continue
        # Nobody outside Apple can install the first; the others are no whole systems for phones.
        if entry.os_str in _SYSTEMS and not (entry.internal or entry.rsr or entry.sdk or entry.simulator):
            _take(entry, sieve)


def _take(entry: _Build, sieve: Sieve) -> None:
    for raw in entry.sources:
        try:
            origin = _origin.decode(raw)
        except (ValueError, RecursionError):
            sieve.skip()
            continue
        links = sorted((link for link in origin.links if link.active), key=lambda link: not link.preferred)
        if origin.type != "ipsw" or origin.hashes is None:
            continue
        for link in links:
            if sieve.take(
                version=entry.version,
                build=entry.build,
                product_types=origin.device_map,
                url=link.url,
                size=origin.size,
                sha256=origin.hashes.sha256,
                sha1=origin.hashes.sha1,
                released=entry.released if isinstance(entry.released, str) else None,
                signed=_signed(entry.signed, origin.device_map),
                beta=entry.beta or entry.rc,
            ):
                break


def _signed(says: object, product_types: list[str]) -> bool | None:
    if isinstance(says, bool):
        return says
    if isinstance(says, list):
        return any(product_type in says for product_type in product_types)
    return None
