"""Firmware, made once."""

import pytest

from station.adapters.firmware import FirmwareStore
from tests.system.firmware import make_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> FirmwareStore:
    """A store with small firmware for some models. Tests must not change it."""
    return make_store(tmp_path_factory.mktemp("firmware") / "store")
