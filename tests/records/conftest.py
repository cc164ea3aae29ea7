"""A chain as a station leaves it, made once; tests that change something get a copy."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from station.adapters import certificate
from station.adapters.chain import ChainFiles
from station.adapters.records import RecordStore, chain_files
from station.adapters.signing import PublicKey, StationKey
from tests.records.samples import failed, record

RECORDS = (
    record("job-1"),
    failed("job-2"),
    record("job-3", clock_trusted=False),
    record("job-4"),
)
"""Verified, failed, verified by a wrong clock, verified: two certificates."""


@asynccontextmanager
async def opened_store(state: Path) -> AsyncIterator[RecordStore]:
    """A store that is closed whatever happens: an open one keeps its process alive."""
    store = await RecordStore.open(state)
    try:
        yield store
    finally:
        await store.close()


async def fill(state: Path) -> None:
    async with opened_store(state) as store:
        for each in RECORDS:
            sealed = await store.append(each)
            if not certificate.refusal(each):
                await certificate.issue(store, sealed)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    state: Path = tmp_path_factory.mktemp("state")
    asyncio.run(fill(state))
    return state


@pytest.fixture
def state(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "state"))


@pytest.fixture
def files(state) -> ChainFiles:
    return chain_files(state, StationKey)


@pytest.fixture
def key(pristine) -> PublicKey:
    return PublicKey.read(chain_files(pristine, StationKey).public_key)


@pytest.fixture
def opened():
    return opened_store
