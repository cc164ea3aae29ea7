"""Three lists on loopback, what is in them, and a station that asks them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from station.adapters.catalogs import Catalogs, Known
from station.model.catalog import FirmwareHosts
from station.virtual.apple.catalog import Build
from station.virtual.apple.servers import AppleServers

PHONE, OTHER = "iPhone13,2", "iPhone14,5"
CDN = "http://127.0.0.1:1"
DAY = 86_400.0
START = 1_790_000_000.0


def build(number: str, version: str, *models: str, stage: str = "") -> Build:
    """A build that is in the lists; there is no such file."""
    models = models or (PHONE,)
    sha256 = hashlib.sha256(f"{number} {models}".encode()).hexdigest()
    return Build(
        version=version,
        build=number,
        product_types=models,
        boards=(("d53gap", 0x8101, 0x0C),),
        path=f"/ipsw/{','.join(models)}_{version}_{number}_Restore.ipsw",
        size=9_000_000_000,
        md5="",
        sha1=sha256[:40],
        sha256=sha256,
        released="2026-01-26T18:00:00Z",
        stage=stage,
    )


def hosts(servers: AppleServers, /, **others: str) -> FirmwareHosts:
    """Where the lists are, unless some are elsewhere."""
    origin = servers.origin
    bases = {"ipsw_me": f"{origin}/v4", "appledb": f"{origin}/ios", "apple": f"{origin}/version"}
    return FirmwareHosts(**(bases | others), origins=(origin,))


def alone(origin: str) -> FirmwareHosts:
    """One list alone, in the place of ipsw.me; what it lists is at CDN."""
    return FirmwareHosts(ipsw_me=origin, appledb="", apple="", origins=(CDN,))


class Station:
    """A station's lists, and its clock."""

    def __init__(self, directory: Path, where: FirmwareHosts, *, days: int = 30, seconds: float = 5.0) -> None:
        self.now = START
        self.directory = directory
        self.catalogs = Catalogs(directory, where, timedelta(days=days), answer_seconds=seconds, now=lambda: self.now)

    async def refresh(self, *models: str) -> Known:
        return await asyncio.to_thread(self.catalogs.refresh, models or (PHONE,))

    def known(self) -> Known:
        return self.catalogs.known()


@pytest.fixture
async def apple() -> AsyncIterator[AppleServers]:
    """Two releases of the phone, both signed, and a beta."""
    async with AppleServers() as servers:
        servers.catalog.builds[:] = [
            build("23D5103d", "26.3", PHONE, OTHER, stage="beta 2"),
            build("23C71", "26.2.1", PHONE, OTHER),
            build("23C55", "26.2", PHONE),
        ]
        servers.catalog.claims.update({"23C71": True, "23C55": True, "23D5103d": True})
        yield servers


@pytest.fixture
def station(apple, tmp_path) -> Station:
    return Station(tmp_path / "lists", hosts(apple))


@asynccontextmanager
async def crooked(
    script: Callable[[str, asyncio.StreamWriter], object], heads: list[str] | None = None
) -> AsyncIterator[str]:
    """A server that sends what it is told to, whatever HTTP says; its origin.

    Args:
        script: gets the path that is asked for, and where to write.
        heads: the requests are put there.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            if heads is not None:
                heads.append(request)
            done = script(request.split()[1], writer)
            if asyncio.iscoroutine(done):
                await done
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
