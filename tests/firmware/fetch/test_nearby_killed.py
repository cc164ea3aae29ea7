"""The process that fetches from another station is killed at any of its changes to the disk, or finds no room."""

import random
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from station.adapters.fetch import arrivals
from station.adapters.firmware import FirmwareStore
from station.adapters.origins import Vouching
from station.model.catalog import ArrivalState
from tests.firmware.fetch import test_killed
from tests.firmware.fetch.conftest import Fetcher, unzipped
from tests.firmware.fetch.neighbours import Neighbour, sharing
from tests.firmware.fetch.test_fetch import assert_right
from tests.firmware.fetch.test_killed import AT_RISK, CALLS, EVERY, Process, traces

SAMPLE = 150 if EVERY else 2
"""All of them would take an hour: names are made durable again and again, and one time is like another."""

pytestmark = [
    pytest.mark.system,
    pytest.mark.long,
    pytest.mark.skipif(not traces(), reason="no process may be traced here, or strace is not installed"),
    pytest.mark.timeout(1800 if EVERY else 60),
]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traced process on a busy machine waits long for others."""
    limits = msgspec.structs.replace(test_killed.LIMITS, stall_seconds=20.0, connect_seconds=20.0)
    monkeypatch.setattr(test_killed, "LIMITS", limits)


@pytest.fixture
async def neighbour(fetcher: Fetcher, tmp_path: Path, zipped: Path) -> AsyncGenerator[Neighbour]:
    theirs = FirmwareStore(tmp_path / "theirs", reserve=0)
    theirs.import_ipsw(zipped)
    async with sharing(Neighbour(theirs.path)) as station:
        fetcher.rules = msgspec.structs.replace(fetcher.rules, nearby=(station.address,))
        yield station


def assert_it_came(fetcher: Fetcher, zipped: Path, neighbour: Neighbour) -> None:
    (firmware,) = fetcher.store.list()
    assert_right(fetcher, zipped, firmware)
    origin = fetcher.store.origin(firmware)
    assert origin is not None
    assert (origin.host, origin.vouching) == (neighbour.host, Vouching.TABLE)


async def places(fetcher: Fetcher, zipped: Path, neighbour: Neighbour) -> tuple[list[tuple[str, int]], int]:
    """Every call of a whole run, or a few of them; and what such a run receives."""
    process = Process(fetcher)
    assert await process.run() == (0, "")
    assert_it_came(fetcher, zipped, neighbour)
    counts = process.counts()
    every = [(call, number + 1) for call in CALLS for number in range(counts.get(call, 0))]
    assert {"pwrite64", "fdatasync", "fsync", "rename"} <= {call for call, _ in every}
    return random.Random(7).sample(every, min(SAMPLE, len(every))), process.received()


def fresh(fetcher: Fetcher) -> None:
    shutil.rmtree(fetcher.store.path, ignore_errors=True)
    fetcher.store = FirmwareStore(fetcher.store.path, reserve=0)


@pytest.mark.parametrize("blow", ["signal=KILL", "error=ENOSPC"])
async def test_at_any_call(fetcher, zipped, neighbour, blow):
    where, whole = await places(fetcher, zipped, neighbour)
    beside = whole - sum(map(len, unzipped(zipped).values()))  # the table of contents, the list, headers
    for call, number in where:
        fresh(fetcher)
        process = Process(fetcher)
        status, told = await process.run(f"{call}:{blow}:when={number}")
        before = process.received()
        assert status in ((0, 1) if "ENOSPC" in blow else (0, -9, 137)), (call, number, told)
        if status == 1:
            assert "Traceback" not in told, (call, number, told)
            assert "disk" in told or "space" in told, (call, number, told)
        elif status:
            assert all(each.state is ArrivalState.WAITING for each in arrivals(fetcher.store.path))
        assert fetcher.store.unusable() == ()
        again = Process(fetcher)
        assert await again.run() == (0, ""), (call, number)
        assert_it_came(fetcher, zipped, neighbour)
        if status:
            assert before + again.received() <= whole + beside + AT_RISK, (call, number)
