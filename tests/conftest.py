"""What every test stands on: a blocking call of the daemon in its event loop is a failure."""

import sys

import pytest
import structlog
from blockbuster import blockbuster_ctx

from tests.clients import table

# As in every process of the station: what is on stdout is for programs.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

# Only what runs on the loop that people wait for. A worker has one phone and a process to itself; what the adapters
# block on is called through threads, and it is the daemon's frames that show whether it is.
WATCHED = ["station.daemon", "station.adapters.api", "station.adapters.udev"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-clients", action="store_true", help="write the table of clients in tests/README.md")


@pytest.hookimpl(tryfirst=True)  # before -m and -k deselect
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    found = config.stash[table.ROWS] = table.rows(items)
    config.stash[table.WHOLE] = config.args == config.getini("testpaths")
    if config.getoption("--write-clients"):
        table.write(found)


@pytest.fixture(autouse=True)
def no_blocking_calls():
    with blockbuster_ctx(WATCHED):
        yield
