"""Each test has a house of its own: a state directory, and short paths for sockets."""

import shutil
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
import structlog
from blockbuster import blockbuster_ctx

from tests.daemon.helpers import Conductor, House

# Only what runs on the loop that people wait for. A worker has one phone and a process to itself; what the adapters
# block on is called through threads, and it is the daemon's frames that show whether it is.
WATCHED = ["station.daemon", "station.adapters.api", "station.adapters.udev"]


@pytest.fixture(autouse=True)
def no_blocking_calls():
    """A blocking call of the daemon in its event loop is a failure."""
    with blockbuster_ctx(WATCHED):
        yield


@pytest.fixture(autouse=True)
def _logs_beside():
    """Logs go where pytest keeps them, and not into what a command prints."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    yield
    structlog.configure(**before)


@pytest.fixture
def sockets():
    with TemporaryDirectory(prefix="st-") as path:
        yield Path(path)


@pytest_asyncio.fixture
async def house(tmp_path: Path, sockets: Path) -> AsyncGenerator[House, None]:
    async with Conductor(sockets / "c") as conductor:
        yield House(tmp_path / "state", sockets, conductor)
    shutil.rmtree(Path("/dev/shm", sockets.name), ignore_errors=True)
