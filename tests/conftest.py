"""What every test stands on: where logs go, and RSA keys that are made once."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import Any

import hypothesis
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.clients import table

pytest_plugins = ("tests.usbmuxd",)

# The library asks where its folder of pair records is when it is imported, and never again: each process of tests has
# its own, or one reads what another is just writing.
os.environ["HOME"] = tempfile.mkdtemp(prefix="station-tests-")
atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)

# As in every process of the station: what is on stdout is for programs. Plain, because to draw a traceback in colours,
# with what every variable held, takes half a second.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ],
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
)

# How long an example takes says nothing where others use the processors.
hypothesis.settings.register_profile("station", deadline=None)
hypothesis.settings.load_profile("station")

KEYS = 8
"""Different ones: more than any test needs to tell phones and hosts apart."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-clients", action="store_true", help="write the table of clients in tests/README.md")


@pytest.hookimpl(tryfirst=True)  # before -m and -k deselect
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:  # of the virtual phones themselves, which change less often than the station
        if item.path.parent.name.startswith("virtual_"):
            item.add_marker(pytest.mark.system)
    found = config.stash[table.ROWS] = table.rows(items)
    config.stash[table.WHOLE] = config.args == config.getini("testpaths")
    if config.getoption("--write-clients"):
        table.write(found)


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Commands that a test runs in this process say where logs go: that holds for the test only."""
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)


@pytest.fixture(scope="session", autouse=True)
def few_keys() -> Iterator[None]:
    """Every pairing takes three RSA keys, of a tenth of a second each: give out the same few, in turn."""
    numbers = count()

    @cache
    def key(_: int, **options: Any) -> rsa.RSAPrivateKey:
        return make(**options)

    def next_key(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
        return key(next(numbers) % KEYS, public_exponent=public_exponent, key_size=key_size)

    make = rsa.generate_private_key
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", next_key)
        yield
