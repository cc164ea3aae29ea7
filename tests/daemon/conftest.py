"""Each test has a house of its own: a state directory, and short paths for sockets."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
import structlog

from tests.daemon.helpers import Conductor, House


@pytest.fixture(autouse=True)
def _logs_beside():
    """Logs go where pytest keeps them, and not into what a command prints."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    yield
    structlog.reset_defaults()


@pytest.fixture
def sockets():
    with TemporaryDirectory(prefix="st-") as path:
        yield Path(path)


@pytest_asyncio.fixture
async def house(tmp_path: Path, sockets: Path) -> AsyncGenerator[House, None]:
    async with Conductor(sockets / "c") as conductor:
        yield House(tmp_path / "state", sockets, conductor)
