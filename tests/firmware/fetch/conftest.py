"""A small zipped IPSW with entries of every kind, on a virtual CDN that can be told to misbehave."""

import hashlib
import plistlib
import random
import threading
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from station.adapters.fetch import FetchRules, Limits, fetch
from station.adapters.firmware import FirmwareStore
from station.adapters.ipsw import MANIFEST
from station.model.catalog import Arrival, FirmwareHosts, Offer, Source
from station.model.firmware import Firmware
from station.virtual.apple.servers import AppleServers
from tests.firmware.fetch.zips import Made, make_zip, text

QUICK = Limits(
    connect_seconds=2.0,
    stall_seconds=0.2,
    least_bytes=1,
    tries=3,
    first_pause=0.001,
    longest_pause=0.01,
    checkpoint_bytes=16 << 10,
    checkpoint_seconds=0.05,
    buffer=4 << 10,
    buffers=4,
)
"""As in earnest, only less of everything."""


MANIFEST_DATA = plistlib.dumps(
    {
        "ProductVersion": "26.2.1",
        "ProductBuildVersion": "23C71",
        "SupportedProductTypes": ["iPhone13,2"],
        "BuildIdentities": [
            {"Info": {"RestoreBehavior": "Erase"}, "Manifest": {"OS": {"Info": {"Path": "os.dmg"}}}},
        ],
    }
)


def mixed() -> list[Made]:
    """An IPSW in small: an image as it is, one deflated in many blocks, small files, empty ones."""

    def made(name: str, content: bytes, ends: tuple[int, ...] | None, gap: int = 0, **how: bool) -> Made:
        return Made(name, content, ends, **({"descriptor": False, "far": False} | how), gap=gap)

    return [
        made("Firmware/text.im4p", text(1, 9000), ()),
        made("cryptex.dmg", text(2, 1 << 20), tuple(range(0, 1 << 20, 50_000))),
        made("os.dmg", random.Random(3).randbytes(900_000), None, far=True),
        made(MANIFEST, MANIFEST_DATA, ()),
        made("Firmware/empty", b"", None),
        made("Firmware/packed/empty", b"", (), gap=100),
        made("Firmware/last.im4p", text(4, 300_000), tuple(range(0, 300_000, 9999)), descriptor=True),
    ]


def offer_of(file: Path, url: str, **changes: object) -> Offer:
    """How a catalog would list it."""
    data = file.read_bytes()
    values = {
        "version": "26.2.1",
        "build": "23C71",
        "product_types": ("iPhone13,2",),
        "url": url,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "sources": (Source.IPSW_ME,),
    }
    return Offer(**(values | changes))  # type: ignore[arg-type]  # tests know


@dataclass
class Fetcher:
    """Fetches one firmware into one store, in this process."""

    store: FirmwareStore
    offer: Offer
    rules: FetchRules
    limits: Limits = QUICK
    told: list[Arrival] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> Firmware:
        return fetch(self.store, self.offer, self.rules, self.told.append, self.stop, self.limits)


def contents(directory: Path) -> dict[str, bytes]:
    """All files below, links followed."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def unzipped(file: Path) -> dict[str, bytes]:
    """What zipfile finds in it."""
    with zipfile.ZipFile(file) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


@pytest.fixture(scope="session")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("cdn") / "iPhone_Restore.ipsw"
    file.write_bytes(make_zip(mixed()))
    return file


@pytest.fixture
async def apple() -> AsyncGenerator[AppleServers]:
    async with AppleServers() as servers:
        yield servers


@pytest.fixture
def fetcher(apple: AppleServers, store: FirmwareStore, zipped: Path) -> Fetcher:
    url = apple.origin + apple.cdn.offer(zipped)
    return Fetcher(store, offer_of(zipped, url), FetchRules(hosts=FirmwareHosts(origins=(apple.origin,))))


@pytest.fixture
async def mirror(fetcher: Fetcher, zipped: Path) -> AsyncGenerator[AppleServers]:
    """Another server, which is asked first."""
    async with AppleServers() as servers:
        servers.cdn.offer(zipped)
        fetcher.rules = FetchRules(hosts=fetcher.rules.hosts, mirrors=(f"{servers.origin}/ipsw/",))
        yield servers
