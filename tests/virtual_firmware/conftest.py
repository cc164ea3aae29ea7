"""One small firmware for the whole run; Apple's servers anew for each test."""

import plistlib
from pathlib import Path
from typing import Any

import pytest

from station.virtual.apple.servers import AppleServers
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.phones.models import MODELS

KIB = 1024


@pytest.fixture(scope="session")
def ipsw(tmp_path_factory) -> Path:
    return make_ipsw(
        tmp_path_factory.mktemp("firmware") / "ipsw",
        version="26.2.1",
        build="23C71",
        models=[model for model in MODELS if model.product_type in ("iPhone13,2", "iPhone14,5")],
        os_bytes=300 * KIB,
        cryptex_bytes=200 * KIB,
        ramdisk_bytes=100 * KIB,
    )


@pytest.fixture(scope="session")
def identities(ipsw) -> list[dict[str, Any]]:
    """What its manifest says; read once, and not to be changed."""
    found: list[dict[str, Any]] = plistlib.loads((ipsw / "BuildManifest.plist").read_bytes())["BuildIdentities"]
    return found


@pytest.fixture
async def apple(identities):
    async with AppleServers() as servers:
        servers.signing.sign(identities)
        yield servers
