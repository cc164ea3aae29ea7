"""The socket: snapshots out, commands in, and nothing a client does harms the station."""

import asyncio
import os
import stat
from contextlib import asynccontextmanager

import msgspec
import pytest
import structlog.testing
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from station.adapters import api
from station.adapters.api import ApiServer, connect
from station.errors import ConfigError, Refused
from station.model.api import (
    Answer,
    Command,
    Dismiss,
    HoldBegan,
    HoldEnded,
    HoldGoesOn,
    Lamp,
    Select,
    Snapshot,
)
from station.model.base import Ecid, SocketPath
from tests.core.helpers import ONE, TWO, Bench, arrived

PATIENCE = 10.0


def snapshot(sequence: int, notice: str = "") -> Snapshot:
    return Snapshot(
        station="Test",
        sequence=sequence,
        at=0.0,
        bays=(),
        lamp=Lamp.READY,
        touch_confirms=False,
        notice=notice,
        emulated=False,
    )


class Served:
    """A server whose commands are written down."""

    def __init__(self, path) -> None:
        self.path = path
        self.commands: asyncio.Queue[Command] = asyncio.Queue()
        self.server = ApiServer(path, self.carry_out)

    async def carry_out(self, command: Command) -> Answer:
        self.commands.put_nowait(command)
        if isinstance(command, Dismiss):
            return Answer(id=command.id, refused="No.", remedy="Never.")
        return Answer(id=command.id)


@pytest.fixture
def served(sockets):
    return Served(sockets / "station.sock")


@asynccontextmanager
async def raw(served):
    async with asyncio.timeout(PATIENCE), unix_connect(str(served.path), compression=None) as connection:
        yield connection


async def test_a_client_gets_the_newest_snapshot_at_once_and_each_change(served):
    async with served.server:
        served.server.publish(snapshot(1))
        async with asyncio.timeout(PATIENCE), connect(served.path) as client:
            assert (await client.snapshot()).sequence == 1
            served.server.publish(snapshot(2))
            assert (await client.snapshot()).sequence == 2


async def test_nothing_is_sent_before_there_is_a_snapshot(served):
    async with served.server, asyncio.timeout(PATIENCE), connect(served.path) as client:
        served.server.publish(snapshot(1))
        assert (await client.snapshot()).sequence == 1


async def test_changes_in_quick_succession_are_sent_as_one(served):
    async with served.server:
        served.server.publish(snapshot(1))
        async with asyncio.timeout(PATIENCE), connect(served.path) as client:
            await client.snapshot()
            for sequence in range(2, 1000):
                served.server.publish(snapshot(sequence))
            assert (await client.snapshot()).sequence == 999


async def test_commands_are_answered(served):
    async with served.server, asyncio.timeout(PATIENCE), connect(served.path) as client:
        served.server.publish(snapshot(1))
        assert await client.command(Select(id=7, bay=ONE)) == Answer(id=7)
        assert await client.command(Dismiss(id=8, bay=ONE)) == Answer(id=8, refused="No.", remedy="Never.")
        assert served.commands.get_nowait() == Select(id=7, bay=ONE)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"not json",
        b'{"type":"select","id":1}',
        b'{"type":"select","id":1,"bay":"1","more":2}',
        b'{"type":"erase everything","id":1,"bay":"1"}',
        b'{"type":"start","id":1,"bay":"1","service":"polish"}',
        b'{"type":"select","id":"1","bay":"1"}',
        b"[" * 60000,
        b"\xff\xfe",
    ],
    ids=lambda frame: repr(frame[:30]),
)
async def test_nonsense_ends_the_connection_and_nothing_else(served, frame):
    async with served.server:
        served.server.publish(snapshot(1))
        async with connect(served.path) as other:
            async with raw(served) as connection:
                await connection.send(frame)
                assert await connection.recv() == msgspec.json.encode(snapshot(1)).decode()
                with pytest.raises(ConnectionClosed):
                    await connection.recv()
            assert served.commands.empty()
            assert await other.command(Select(id=1, bay=ONE)) == Answer(id=1)


async def test_a_frame_that_is_too_large_ends_the_connection(served):
    async with served.server, raw(served) as connection:
        await connection.send(b" " * (api.MAX_FRAME + 1))
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        assert served.commands.empty()


async def test_too_many_clients_are_turned_away(served, monkeypatch):
    monkeypatch.setattr(api, "MAX_CLIENTS", 1)
    async with served.server:
        served.server.publish(snapshot(1))
        async with asyncio.timeout(PATIENCE), connect(served.path) as first:
            await first.snapshot()
            async with raw(served) as second:
                with pytest.raises(ConnectionClosed):
                    await second.recv()
            assert await first.command(Select(id=1, bay=ONE)) == Answer(id=1)


async def test_a_client_that_does_not_read_is_dropped(served, monkeypatch):
    monkeypatch.setattr(api, "SEND_SECONDS", 0.05)
    monkeypatch.setattr(api, "PAUSE", 0.0)
    async with served.server:
        async with raw(served) as lazy:
            lazy.transport.pause_reading()
            sequence = 0
            while served.server._clients or sequence == 0:
                sequence += 1
                served.server.publish(snapshot(sequence, notice="x" * 60000))
                await asyncio.sleep(0)
            lazy.transport.resume_reading()
        async with asyncio.timeout(PATIENCE), connect(served.path) as client:
            assert (await client.snapshot()).sequence == sequence


async def test_a_hold_ends_with_its_client(served):
    """A screen that crashes while a finger is on it must not confirm anything."""
    async with served.server, asyncio.timeout(PATIENCE):
        async with connect(served.path) as client:
            await client.command(HoldBegan(id=1, bay=TWO))
        assert await served.commands.get() == HoldBegan(id=1, bay=TWO)
        assert await served.commands.get() == HoldEnded(id=0, bay=TWO)


async def test_a_hold_goes_on_by_the_word_of_who_began_it(served):
    """Of two screens, the one that froze is not spoken for by the other."""
    async with served.server, asyncio.timeout(PATIENCE), connect(served.path) as one, connect(served.path) as other:
        await one.command(HoldBegan(id=1, bay=TWO))
        await other.command(HoldGoesOn(id=2, bay=TWO))
        await one.command(HoldGoesOn(id=3, bay=ONE))
        assert served.commands.qsize() == 1
        await one.command(HoldGoesOn(id=4, bay=TWO))
        await one.command(HoldEnded(id=5, bay=TWO))
        await one.command(HoldGoesOn(id=6, bay=TWO))
        assert [(await served.commands.get()).id for _ in range(served.commands.qsize())] == [1, 4, 5]


async def test_a_hold_that_ended_is_not_ended_again(served):
    async with served.server, asyncio.timeout(PATIENCE), connect(served.path) as client:
        await client.command(HoldBegan(id=1, bay=TWO))
        await client.command(HoldEnded(id=2, bay=TWO))
    assert served.commands.qsize() == 2  # the server has seen its client leave when it has closed


async def test_a_command_that_is_never_answered_does_not_keep_the_server(served, monkeypatch):
    monkeypatch.setattr(api, "END_SECONDS", 0.01)
    never = asyncio.Event()

    async def carry_out(command: Command) -> Answer:
        if isinstance(command, HoldEnded):
            served.commands.put_nowait(command)
            await never.wait()
        return Answer(id=command.id)

    async with asyncio.timeout(PATIENCE), ApiServer(served.path, carry_out), connect(served.path) as client:
        await client.command(HoldBegan(id=1, bay=TWO))
    assert served.commands.qsize() == 1


async def test_who_commands_is_logged(served):
    with structlog.testing.capture_logs() as logs:
        async with served.server, connect(served.path) as client:
            await client.command(Select(id=1, bay=ONE))
    (line,) = [line for line in logs if line["event"] == "command"]
    assert (line["peer_pid"], line["peer_uid"]) == (os.getpid(), os.getuid())


async def test_the_socket_is_for_its_group_and_goes_with_the_server(served):
    async with served.server:
        assert stat.S_IMODE((await asyncio.to_thread(served.path.stat)).st_mode) == 0o660
    assert not await asyncio.to_thread(served.path.exists)


async def test_a_dead_daemons_socket_is_replaced(served):
    await asyncio.to_thread(served.path.touch)
    async with served.server, connect(served.path):
        pass


async def test_a_socket_that_cannot_be_made_is_a_matter_of_settings(sockets):
    server = ApiServer(sockets / ("x" * 200), Served(sockets).carry_out)
    with pytest.raises(ConfigError):
        await server.__aenter__()


async def test_without_a_daemon_a_client_is_told_so(sockets):
    with pytest.raises(Refused, match="No station answers"):
        async with connect(sockets / "nothing"):
            pass


async def test_a_daemon_that_leaves_is_noticed(served):
    async with served.server:
        served.server.publish(snapshot(1))
        async with connect(served.path) as client:
            await client.snapshot()
            await served.server.__aexit__()
            with pytest.raises(Refused):
                await client.snapshot()
            with pytest.raises(Refused):
                await client.command(Select(id=1, bay=ONE))


def test_a_snapshot_of_many_bays_fits_a_frame():
    bench = Bench(bays={})
    for number in range(64):
        event = arrived(Ecid(number + 1))
        bench.do(msgspec.structs.replace(event, socket=SocketPath(f"1-{number}")))
    assert len(bench.view().bays) == 64
    assert len(msgspec.json.encode(bench.view())) < api.MAX_FRAME
