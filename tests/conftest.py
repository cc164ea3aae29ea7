"""What every test stands on: a blocking call of the daemon in its event loop is a failure."""

import sys

import pytest
import structlog
from blockbuster import blockbuster_ctx

# As in every process of the station: what is on stdout is for programs.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

# Only what runs on the loop that people wait for. A worker has one phone and a process to itself; what the adapters
# block on is called through threads, and it is the daemon's frames that show whether it is.
WATCHED = ["station.daemon", "station.adapters.api", "station.adapters.udev"]


@pytest.fixture(autouse=True)
def no_blocking_calls():
    with blockbuster_ctx(WATCHED):
        yield
