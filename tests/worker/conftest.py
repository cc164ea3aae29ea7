"""A virtual host with a firmware, and workers on it."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from station.model.firmware import Firmware
from tests.worker.station_host import StationHost, make_firmware, station_host

MIB = 1 << 20


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """A small firmware, made once. Tests must not change it."""
    return make_firmware(
        tmp_path_factory.mktemp("firmware") / "23C71", os_bytes=3 * MIB + 77, cryptex_bytes=MIB + 5, ramdisk_bytes=MIB
    )


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose path leaves room for socket names (107 bytes in all)."""
    with tempfile.TemporaryDirectory(prefix="worker-") as name:
        yield Path(name)


@pytest.fixture
async def station(short_path: Path, firmware: Firmware) -> AsyncIterator[StationHost]:
    """The bench."""
    async with station_host(short_path, firmware) as station:
        yield station
