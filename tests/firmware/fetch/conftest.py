"""A small zipped IPSW with entries of every kind, on a virtual CDN that can be told to misbehave."""

import hashlib
import random
import threading
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from station.adapters.fetch import FetchRules, Limits, fetch
from station.adapters.firmware import FirmwareStore
from station.model.catalog import Arrival, FirmwareHosts, Offer, Source
from station.model.firmware import Firmware
from station.virtual.apple.servers import AppleServers

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


def zip_mixed(directory: Path, file: Path) -> Path:
    """Pack an IPSW as Apple does: images as they are, small files deflated; and some text to deflate in many blocks."""
    rng = random.Random(6)
    words = [rng.randbytes(rng.randrange(2, 9)) for _ in range(500)]
    text = b"".join(rng.choice(words) for _ in range(40_000))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("Firmware/text.im4p", text, zipfile.ZIP_DEFLATED)
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                packed = zipfile.ZIP_STORED if path.suffix == ".dmg" else zipfile.ZIP_DEFLATED
                archive.write(path, path.relative_to(directory).as_posix(), packed)
        archive.writestr("Firmware/empty", b"")
        archive.writestr("Firmware/empty.deflated", b"", zipfile.ZIP_DEFLATED)
    return file


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
    return Offer(**(values | changes))  # type: ignore[arg-type]


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
def zipped(ipsw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zip_mixed(ipsw, tmp_path_factory.mktemp("cdn") / "iPhone_Restore.ipsw")


@pytest.fixture
async def apple() -> AsyncGenerator[AppleServers]:
    async with AppleServers() as servers:
        yield servers


@pytest.fixture
def fetcher(apple: AppleServers, store: FirmwareStore, zipped: Path) -> Fetcher:
    url = apple.origin + apple.cdn.offer(zipped)
    return Fetcher(store, offer_of(zipped, url), FetchRules(hosts=FirmwareHosts(origins=(apple.origin,))))
