"""What is done in quiet hours: only while nothing goes on, broken off when something begins, and told afterwards."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection

from station.adapters.api import ApiServer
from station.adapters.firmware import FirmwareStore
from station.adapters.upkeep import Notes
from station.cli.quiet import Quiet, is_busy
from station.cli.upkeep import _check, _copy, _names, _note_firmware
from station.cli.upkeep_checkup import examine_upkeep
from station.daemon.settings import Settings, load
from station.model.api import Answer, BayState, Command, Snapshot
from station.model.catalog import Arrival, ArrivalState
from station.model.upkeep import Chore, ChoreNote
from tests.firmware.tiny import tiny_ipsw
from tests.screen.samples import bay, station

IDLE = station(bay(BayState.EMPTY, 1))
AT_WORK = station(bay(BayState.WORKING, 1))
PATIENCE = 60.0


def coming(state: ArrivalState) -> Snapshot:
    arrival = Arrival(version="26.3", build="23D30", product_types=("iPhone13,2",), state=state, done=0, total=1)
    return replace(IDLE, arrivals=(arrival,))


def settings(tmp_path: Path, sockets: Path) -> Settings:
    return load(state=tmp_path, socket=sockets / "s", runtime=tmp_path)


class Counted(ApiServer):
    """The daemon's socket, which tells who comes and who leaves."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, self._refuse)
        self.news_of_clients: asyncio.Queue[str] = asyncio.Queue()

    async def _serve(self, connection: ServerConnection) -> None:
        self.news_of_clients.put_nowait("came")
        try:
            await super()._serve(connection)
        finally:
            self.news_of_clients.put_nowait("left")

    async def heard(self, word: str) -> None:
        async with asyncio.timeout(PATIENCE):
            assert await self.news_of_clients.get() == word

    @staticmethod
    async def _refuse(command: Command) -> Answer:
        return Answer(id=command.id, refused="This is no station.")


@asynccontextmanager
async def following(quiet: Quiet) -> AsyncIterator[None]:
    task = asyncio.create_task(quiet.follow())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.system
@pytest.mark.timeout(120)
async def test_work_waits_for_quiet_and_is_broken_off_and_begun_again(tmp_path, sockets):
    ours = settings(tmp_path, sockets)
    async with Counted(ours.socket) as server:
        server.publish(AT_WORK)
        quiet = Quiet(ours, lasting=0)
        async with following(quiet):
            await server.heard("came")  # who follows
            # A program that ends when it is killed and not before.
            work = asyncio.create_task(quiet.run(("watch", "--socket", str(ours.socket))))
            server.publish(IDLE)
            await server.heard("came")
            server.publish(AT_WORK)
            await server.heard("left")
            assert not work.done()
            server.publish(IDLE)
            await server.heard("came")
            work.cancel()
            await server.heard("left")
            with suppress(asyncio.CancelledError):
                await work  # which sees its program's end


@pytest.mark.system
@pytest.mark.timeout(120)
async def test_what_is_damaged_is_found_noted_and_told(tmp_path, sockets, monkeypatch):
    ours = settings(tmp_path, sockets)
    monkeypatch.setenv("STATION_STATE", str(tmp_path))
    store = FirmwareStore(ours.firmware_store, reserve=0)
    source = tiny_ipsw(tmp_path / "source", "26.2.1", "23C71", ("iPhone13,2",), {"000-1.dmg": b"image" * 9999})
    await asyncio.to_thread(store.import_ipsw, source)
    async with Counted(ours.socket) as server:
        server.publish(IDLE)
        quiet = Quiet(ours, lasting=0)
        async with following(quiet):
            assert await _check(ours, quiet)
            note = Notes(tmp_path).of(Chore.FIRMWARE)
            assert note is not None
            assert note.good
            assert note.detail == "1 in the store, 1 of them read by now."
            victim = max((tmp_path / "firmware/objects").rglob("*"), key=lambda path: path.stat().st_size)
            before = victim.stat()
            victim.chmod(0o600)
            victim.write_bytes(b"\0" * before.st_size)  # as a card does that decays
            assert not await _check(ours, quiet)
    note = Notes(tmp_path).of(Chore.FIRMWARE)
    assert note is not None
    assert not note.good
    assert note.detail.startswith("Damaged: ")
    assert Notes(tmp_path).bad() == (Chore.FIRMWARE,)
    found = {each.what: each for each in examine_upkeep(ours)}
    assert not found["firmware, read again"].fine
    assert "fetch or import it again" in found["firmware, read again"].remedy


@pytest.mark.parametrize(
    ("snapshot", "busy"),
    [
        (IDLE, False),
        (AT_WORK, True),
        (station(bay(BayState.ARMED, 1)), True),
        (station(bay(BayState.QUEUED, 1)), True),
        (station(bay(BayState.READING, 1)), True),
        (station(bay(BayState.DONE, 1)), False),
        (station(bay(BayState.FAILED, 1)), False),
        (coming(ArrivalState.FETCHING), True),
        (coming(ArrivalState.FAILED), False),
    ],
)
def test_what_quiet_is(snapshot: Snapshot, busy: bool):
    assert is_busy(snapshot) is busy


def test_without_a_daemon_its_workers_count(tmp_path, sockets):
    ours = settings(tmp_path, sockets)
    quiet = Quiet(ours, lasting=0)
    assert not quiet._anybody_works()
    lock = tmp_path / "jobs/one/work/lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        held.write(f"{os.getpid()}\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert quiet._anybody_works()
    assert not quiet._anybody_works()


def test_firmware_is_as_fresh_as_what_was_read_longest_ago(tmp_path, sockets):
    ours = settings(tmp_path, sockets)
    store = FirmwareStore(ours.firmware_store, reserve=0)
    for number, build in enumerate(("23C71", "23C55")):
        files = {"000-1.dmg": bytes([number]) * 999}
        store.import_ipsw(tiny_ipsw(tmp_path / build, f"26.{number}", build, ("iPhone13,2",), files))
    one, other = sorted(_names(store))
    old, new = "2026-03-01T03:00:00Z", "2026-03-20T03:00:00Z"
    for read, at in (({one: old, other: new}, old), ({one: new}, old), ({one: new, other: new, "gone": old}, new)):
        assert _note_firmware(ours, store, read, {})
        note = Notes(tmp_path).of(Chore.FIRMWARE)
        assert note is not None
        assert note.at == at
        assert "gone" not in note.read


def test_what_is_gone_is_nobodys_trouble(tmp_path, sockets):
    ours, notes = settings(tmp_path, sockets), Notes(tmp_path)
    for chore in (Chore.FIRMWARE, Chore.COPY):
        notes.keep(ChoreNote(chore=chore, at="2026-03-01T03:00:00Z", good=False, detail="Damaged."))
    assert notes.bad() == (Chore.FIRMWARE, Chore.COPY)
    assert _note_firmware(ours, FirmwareStore(ours.firmware_store, reserve=0), {}, {})
    assert asyncio.run(_copy(ours, Quiet(ours, lasting=0)))
    assert notes.bad() == ()


def test_the_doctor_says_when_it_was_too_long_ago(tmp_path, sockets):
    ours = settings(tmp_path, sockets)
    assert all(each.fine for each in examine_upkeep(ours))
    long_ago = (datetime.now(UTC) - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    Notes(tmp_path).keep(ChoreNote(chore=Chore.RECORDS, at=long_ago, good=True, detail="Everything is as it was."))
    found = {each.what: each for each in examine_upkeep(ours)}
    assert not found["records, read again"].fine
    assert found["records, read again"].found.endswith("That is 20 days ago.")
    assert "list-timers" in found["records, read again"].remedy
