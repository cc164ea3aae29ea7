"""One small IPSW for the whole run, and a store for each test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from station.adapters.firmware import FirmwareStore
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.phones.models import find_model
from tests.firmware.tiny import tiny_ipsw


@pytest.fixture(scope="session")
def small_ipsw(tmp_path_factory) -> Callable[[str, str], Path]:
    """Makes an IPSW of a version and build."""

    def make(version: str, build: str) -> Path:
        directory = tmp_path_factory.mktemp("source") / "ipsw"
        return make_ipsw(
            directory,
            version=version,
            build=build,
            models=[find_model("iPhone 12")],
            os_bytes=50_000,
            cryptex_bytes=20_000,
            ramdisk_bytes=10_000,
        )

    return make


@pytest.fixture(scope="session")
def like_apples(small_ipsw) -> Path:
    """One with all that a real one has, some eighty files."""
    path: Path = small_ipsw("26.2.1", "23C71")
    return path


@pytest.fixture(scope="session")
def ipsw(tmp_path_factory) -> Path:
    """One of a few files."""
    files = {
        "kernelcache.release.iphone13": b"kernel" * 99,
        "RestoreVersion.plist": b"version",
        "Firmware/dfu/iBSS.d53g.RELEASE.im4p": b"first stage",
        "Firmware/all_flash/empty": b"",
        "000-00001-001.dmg": b"image" * 9999,
    }
    return tiny_ipsw(tmp_path_factory.mktemp("source") / "ipsw", "26.2.1", "23C71", ("iPhone13,2",), files)


@pytest.fixture
def store(tmp_path) -> FirmwareStore:
    return FirmwareStore(tmp_path / "store", reserve=0)
