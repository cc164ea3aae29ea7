"""`kill -9` for real: the daemon as its composition root makes it, in a process of its own."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio

from station.adapters.api import ApiClient, connect
from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, BayView, Lamp, OperatorConfirm, Start
from station.model.catalog import FirmwareHosts
from station.model.job import Phase, Reach
from station.model.lights import Bulb
from station.model.panel import Control
from station.model.phone import UsbArrived, UsbEvent
from station.model.record import Outcome
from station.model.service import Service
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.hosting.panel import Hand
from station.virtual.phones.models import find_model
from tests.core.helpers import ONE, A, clean_facts, gone
from tests.daemon.helpers import IN_RECOVERY, PATIENCE, RESTORED, Conducted, House, arrived
from tests.daemon.test_loop import record
from tests.processes import until_gone

if TYPE_CHECKING:
    from station.model.base import SocketPath

pytestmark = pytest.mark.system

PROGRAM = Path(__file__).with_name("daemon_process.py")


class Feed:
    """Where the daemon reads who is plugged in: all that is there first, then what changes."""

    def __init__(self) -> None:
        self._present: dict[SocketPath, UsbArrived] = {}
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        for event in self._present.values():
            writer.write(msgspec.json.encode(event) + b"\n")
        await reader.read()
        self._writers.remove(writer)
        writer.close()

    def tell(self, *events: UsbEvent) -> None:
        for event in events:
            self._present.pop(event.socket, None)
            if isinstance(event, UsbArrived):
                self._present[event.socket] = event
            for writer in self._writers:
                writer.write(msgspec.json.encode(event) + b"\n")


@pytest.fixture(scope="module")
def firmware(tmp_path_factory) -> Path:
    """A store with one miniature firmware."""
    path: Path = tmp_path_factory.mktemp("firmware")
    made = make_ipsw(path / "ipsw", version="26.2", build="23C55", models=[find_model("iPhone 12")])
    FirmwareStore(path / "store").import_ipsw(made)
    return path / "store"


@pytest_asyncio.fixture
async def feed(sockets: Path) -> AsyncGenerator[Feed, None]:
    feed = Feed()
    (sockets / "reach.json").write_bytes(msgspec.json.encode(Reach(usbmuxd=str(sockets / "usbmuxd"))))
    nowhere = FirmwareHosts(ipsw_me="", appledb="", apple="", origins=())
    (sockets / "firmware-hosts.json").write_bytes(msgspec.json.encode(nowhere))
    server = await asyncio.start_unix_server(feed.serve, sockets / "feed")
    try:
        yield feed
    finally:
        server.close()


@asynccontextmanager
async def daemon(house: House, firmware: Path) -> AsyncGenerator[tuple[Process, ApiClient], None]:
    """The daemon in a process of its own, once it says that it is ready. Killed with -9 if it lives at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(f"\0station-test-{os.getpid()}-{house.daemons}")
        notified.setblocking(False)
        house.daemons += 1
        environment = {
            "NOTIFY_SOCKET": "@" + notified.getsockname()[1:].decode(),
            "STATION_STATE": str(house.state),
            "STATION_SOCKET": str(house.socket),
            "STATION_VIRTUAL": str(house.sockets),
            "STATION_FIRMWARE": str(firmware),
            "STATION_RUNTIME": f"/dev/shm/{house.sockets.name}",
            "STATION_OPERATOR_CONFIRM": "true",
            "STATION_BAYS": '{"1": "1-1.1"}',
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), *house.conductor.program, env=os.environ | environment
        )
        try:
            async with asyncio.timeout(PATIENCE):
                while b"READY=1" not in await asyncio.get_running_loop().sock_recv(notified, 4096):
                    pass
            async with connect(house.socket) as client:
                yield process, client
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def until(client: ApiClient, fits: Callable[[BayView], object]) -> BayView:
    async with asyncio.timeout(PATIENCE):
        snapshot = client.latest or await client.snapshot()
        while not fits(snapshot.bays[0]):
            snapshot = await client.snapshot()
        return snapshot.bays[0]


async def confirmed(house: House, feed: Feed, client: ApiClient) -> Conducted:
    """A phone is plugged in and a restore of it is confirmed."""
    feed.tell(arrived())
    await (await house.conductor.worker()).inspect()
    await until(client, lambda bay: bay.state is BayState.READY and "START" in bay.hint)
    await client.command(Start(id=1, bay=ONE, service=Service.RESTORE))
    await client.command(OperatorConfirm(id=2, bay=ONE, ecid=A))
    return await house.conductor.worker()


async def test_a_killed_daemon_loses_nothing(house, feed, firmware):
    async with daemon(house, firmware) as (process, client):
        worker = await confirmed(house, feed, client)
        await worker.begin(Phase.RECOVERY)
        feed.tell(*IN_RECOVERY)
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
    await worker.begin(Phase.RAMDISK)
    feed.tell(*RESTORED)
    await worker.erase()
    async with daemon(house, firmware) as (process, client):
        await until(client, lambda bay: bay.state is BayState.WORKING and bay.job and bay.job.phase is Phase.PREPARE)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    await worker.succeed()
    async with daemon(house, firmware) as (process, client):
        feed.tell(gone(), arrived())
        look = await house.conductor.worker()
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with daemon(house, firmware) as (process, client):
        await until_gone(look.pid)
        await (await house.conductor.worker()).inspect(clean_facts())
        done = await until(client, lambda bay: bay.state is BayState.DONE)
        assert done.result is not None
        assert done.result.record == 1
    assert record(house).outcome is Outcome.VERIFIED
    assert record(house).job == worker.job


async def test_a_daemon_that_is_told_to_end_leaves_its_workers(house, feed, firmware):
    async with daemon(house, firmware) as (process, client):
        worker = await confirmed(house, feed, client)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert not await asyncio.to_thread(house.socket.exists)
    await worker.begin(Phase.TICKET, 0.5)
    async with daemon(house, firmware) as (process, client):
        await until(client, lambda bay: bay.job and bay.job.phase_fraction == 0.5)
        await worker.exit(1)
        await (await house.conductor.worker()).inspect()
        await until(client, lambda bay: bay.state is BayState.FAILED)


async def test_the_buttons_and_lamps_of_a_virtual_station(house, feed, firmware):
    async with daemon(house, firmware) as (_, client):
        feed.tell(arrived())
        await (await house.conductor.worker()).inspect()
        await until(client, lambda bay: bay.state is BayState.READY and "START" in bay.hint)
        hand = Hand(house.sockets / "panel")
        assert await hand.look() == (Lamp.READY,)
        await hand.press(Control.START, seconds=0.2)
        await until(client, lambda bay: bay.state is BayState.ARMED)


async def test_a_bays_own_button_and_lamps_behind_an_expander(house, feed, firmware, monkeypatch):
    wired = {name: f"gpiochip2:{line}" for line, name in enumerate(["start", *(lamp.value for lamp in Lamp)])}
    monkeypatch.setenv("STATION_GPIO__BAYS", msgspec.json.encode({ONE: wired}).decode())
    async with daemon(house, firmware) as (_, client):
        hand = Hand(house.sockets / "panel")
        assert await hand.look(ONE) == ()
        feed.tell(arrived())
        await (await house.conductor.worker()).inspect()
        await until(client, lambda bay: bay.state is BayState.READY and "START" in bay.hint)
        assert await hand.look_at_all() == {Bulb(Lamp.READY), Bulb(Lamp.READY, ONE)}
        await hand.press(Control.START, seconds=0.2, bay=ONE)
        await until(client, lambda bay: bay.state is BayState.ARMED)
        both = {Bulb(Lamp.PERSON), Bulb(Lamp.PERSON, ONE)}
        async with asyncio.timeout(PATIENCE):
            while (seen := await hand.look_at_all()) != both:
                assert not seen, "one without the other"  # they flash together


async def test_two_daemons_do_not_share_a_state_directory(house, feed, firmware):
    async with daemon(house, firmware):
        second = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "station",
            "daemon",
            "--virtual",
            str(house.sockets),
            env=os.environ | {"STATION_STATE": str(house.state), "STATION_SOCKET": str(house.sockets / "other")},
            stderr=asyncio.subprocess.PIPE,
        )
        _, words = await second.communicate()
        assert second.returncode == 1
        assert b"Another daemon" in words
