"""A firmware comes from the virtual CDN into the store, whatever the CDN does."""

import asyncio
from pathlib import Path

import pytest

from station.adapters.fetch import arrivals
from station.model.catalog import ArrivalState
from tests.firmware.fetch.conftest import contents, unzipped


def assert_right(fetcher, zipped, firmware):
    """The store has it, all of it, and nothing else."""
    assert contents(Path(firmware.directory)) == unzipped(zipped)
    fetcher.store.verify(firmware, full=True)
    assert fetcher.store.list() == [firmware]
    assert arrivals(fetcher.store.path) == []
    assert not list(fetcher.store.path.glob(".[!l]*"))


@pytest.mark.system
async def test_it_comes_whole(fetcher, zipped):
    firmware = await asyncio.to_thread(fetcher)
    assert_right(fetcher, zipped, firmware)
    assert fetcher.told[-1].state is ArrivalState.CHECKING
    assert fetcher.told[-1].done == fetcher.told[-1].total == zipped.stat().st_size
