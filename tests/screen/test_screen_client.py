"""The link to the daemon, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from station.model.api import Answer, BayState, Cancel, Snapshot
from station.model.base import BayId
from station.screen.client import Link
from tests.screen.samples import bay, station
from tests.screen.server import frame, serving

SNAPSHOT = station(bay(BayState.READY))
COMMAND = Cancel(id=7, bay=BayId("1"))


class Watched:
    """A link, and a way to wait for what it shows."""

    def __init__(self, socket: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self.link = Link(socket, self._changed)

    def _changed(self) -> None:
        self._loop.call_soon_threadsafe(self._event.set)

    async def shows(self, snapshot: Snapshot | None) -> None:
        """Return when the link shows this."""
        async with asyncio.timeout(10):
            while self.link.snapshot != snapshot:
                self._event.clear()
                await self._event.wait()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """A started link to tmp_path/socket."""
    new = Watched(tmp_path / "socket")
    new.link.start()
    yield new
    await asyncio.to_thread(new.link.stop)


async def test_a_daemon_that_comes_later_is_found(watched: Watched, tmp_path: Path) -> None:
    assert watched.link.snapshot is None
    async with serving(tmp_path / "socket", SNAPSHOT):
        await watched.shows(SNAPSHOT)


async def test_every_snapshot_replaces_the_last(watched: Watched, tmp_path: Path) -> None:
    async with serving(tmp_path / "socket", SNAPSHOT) as server:
        connection = await server.came.get()
        later = replace(SNAPSHOT, sequence=2, bays=(bay(BayState.WORKING),))
        await connection.send(frame(later).decode())
        await watched.shows(later)


async def test_a_daemon_that_goes_and_comes_back(watched: Watched, tmp_path: Path) -> None:
    async with serving(tmp_path / "socket", SNAPSHOT):
        await watched.shows(SNAPSHOT)
    await watched.shows(None)
    async with serving(tmp_path / "socket", SNAPSHOT):
        await watched.shows(SNAPSHOT)


async def test_a_command_is_heard_and_answered(watched: Watched, tmp_path: Path) -> None:
    async with serving(tmp_path / "socket", SNAPSHOT) as server:
        connection = await server.came.get()
        await watched.shows(SNAPSHOT)
        watched.link.send(COMMAND)
        async with asyncio.timeout(10):
            assert await server.heard.get() == COMMAND
        later = replace(SNAPSHOT, sequence=2)
        await connection.send(frame(Answer(id=7, refused="No.")).decode())
        await connection.send(frame(later).decode())
        await watched.shows(later)
        assert list(watched.link.answers) == [Answer(id=7, refused="No.")]


async def test_a_command_without_a_daemon_is_never_sent_later(watched: Watched, tmp_path: Path) -> None:
    watched.link.send(COMMAND)
    async with serving(tmp_path / "socket", SNAPSHOT) as server:
        await watched.shows(SNAPSHOT)
        fresh = Cancel(id=8, bay=BayId("2"))
        watched.link.send(fresh)
        async with asyncio.timeout(10):
            assert await server.heard.get() == fresh


@pytest.mark.parametrize(
    "nonsense",
    [
        b"not JSON",
        b'{"type":"snapshot","station":1}',
        frame(SNAPSHOT).replace(b'"notice"', b'"from_a_newer_daemon":1,"notice"'),
        frame(replace(SNAPSHOT, notice="x" * 256 * 1024)),
        b'{"deep":' + b"[" * 30_000 + b"]" * 30_000 + b',"type":"snapshot"}',
    ],
    ids=["garbage", "wrong type", "unknown field", "too large", "too deep"],
)
async def test_nonsense_ends_the_connection_and_a_new_one_is_made(
    nonsense: bytes, watched: Watched, tmp_path: Path
) -> None:
    async with serving(tmp_path / "socket", nonsense) as server:
        async with asyncio.timeout(10):
            await (await server.came.get()).wait_closed()
        assert watched.link.snapshot is None
        server.first = frame(SNAPSHOT)
        await watched.shows(SNAPSHOT)


async def test_nothing_stale_is_shown_after_nonsense(watched: Watched, tmp_path: Path) -> None:
    async with serving(tmp_path / "socket", SNAPSHOT) as server:
        connection = await server.came.get()
        await watched.shows(SNAPSHOT)
        server.first = b""
        await connection.send("nonsense")
        await watched.shows(None)
