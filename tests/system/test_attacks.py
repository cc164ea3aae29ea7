"""What people, phones and programs do that they should not: nothing is erased by it, and nothing dies of it."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from station.adapters.api import MAX_CLIENTS, connect
from station.adapters.firmware import FirmwareStore
from station.core.arming import HOLD_SECONDS
from station.errors import Refused
from station.model.api import BayState, BayView, Cancel, HoldBegan, OperatorConfirm, Select, Start
from station.model.base import BayId, Ecid
from station.model.causes import Cause
from station.model.panel import Control
from station.model.record import Outcome
from station.model.service import Service
from station.virtual.hosting.control import Installed
from station.virtual.phones.phone import VirtualPhone
from tests.system.rig import OLD, Rig, Station, Window, make_rig

pytestmark = pytest.mark.system

HOLD = HOLD_SECONDS + 0.4
NASTY = 'Bobby\'); DROP TABLE record;--\u202e\n<b>&amp;=HYPERLINK("x")\u0301\U0001f4a5' + "🦠A" * 20_000

SERIAL = "X] ECID:0000000000000007 Y:["
"""In recovery mode it stands between the real ECID's neighbours."""


ASKED = ("connect:", "lockdown:", "service:", "afc:GET_", "afc:READ_", "diagnostics:IOReg", "management:GetCloud")
"""How the steps begin of a look at a phone."""


def untouched(phone: VirtualPhone) -> bool:
    """Whether nothing at all was done to a phone but asking it who it is."""
    asked = all(step.startswith(ASKED) for step in phone.history)
    return asked and "lockdown:EnterRecovery" not in phone.history and not phone.destructions


@pytest.mark.timeout(60)
async def test_a_confirmation_is_for_one_phone_in_one_stay(store: FirmwareStore):
    settings = {"STATION_OBSERVE_SECONDS": "1"}
    async with make_rig(store, bays=("1", "2"), settings=settings) as rig, rig.station() as station:
        # Unplugged between START and the hold, and plugged in again: START is forgotten.
        phone = rig.plug("1")
        await arm(station, "1")
        await rig.host.bus.unplug(rig.sockets[BayId("1")])
        await station.until_empty("1")
        rig.host.bus.plug(phone, rig.sockets[BayId("1")])
        await station.until_state("1", BayState.READY)
        await hold_in_vain(station)

        # Swapped between START and the hold, as fast as it can be done: the other phone is not what was meant.
        await arm(station, "1")
        await rig.host.bus.unplug(rig.sockets[BayId("1")])
        other = rig.plug("1")
        await hold_in_vain(station)
        await station.until_state("1", BayState.READY)
        answer = await station.command(OperatorConfirm, "1", ecid=phone.identity.ecid)
        assert answer.refused

        # Another bay is chosen between START and the hold: START is forgotten there, and not taken along.
        neighbour = rig.plug("2", auto_boot=False)
        await arm(station, "1")
        await station.until_state("2", BayState.READY)
        await station.obeyed(Select, "2")
        await hold_in_vain(station)

        # Swapped in the middle of a job: the newcomer gets nothing of it.
        window = Window(neighbour, "iboot:upload:rdsk")
        await station.confirm("2", neighbour)
        await window.reached.wait()
        await rig.host.bus.unplug(rig.sockets[BayId("2")])
        newcomer = rig.plug("2", auto_boot=False)
        view = await station.until_recorded("2")
        assert view.result is not None
        assert view.result.outcome is Outcome.FAILED_UNTOUCHED
        # Its worker may say that the phone left before the station sees that another came. Both are true.
        assert rig.records()[0].cause in (Cause.WRONG_PHONE, Cause.DISCONNECTED)
        assert newcomer.history == []

        assert untouched(phone)
        assert untouched(other)
        assert len(rig.records()) == 1


async def arm(station: Station, bay: str) -> None:
    """Press START for a bay."""
    await station.until_state(bay, BayState.READY)
    await station.obeyed(Start, bay, service=Service.RESTORE)
    await station.until_state(bay, BayState.ARMED)


async def hold_in_vain(station: Station) -> None:
    """Hold CONFIRM: no job comes of it."""
    await station.rig.hand.press(Control.CONFIRM, seconds=HOLD)
    assert station.snapshot is not None
    assert all(view.job is None and view.confirm is None for view in station.snapshot.bays)


@pytest.mark.timeout(60)
async def test_two_phones_that_say_they_are_the_same(store: FirmwareStore):
    async with make_rig(store, bays=("1", "2", "3")) as rig, rig.station() as station:
        phone = rig.plug("1")
        await arm(station, "1")
        clone = rig.plug_stranger("2", ecid=phone.identity.ecid)
        for bay in ("1", "2"):
            view = await station.until_state(bay, BayState.NEEDS_PERSON)
            assert "same phone" in view.title
            answer = await station.command(Start, bay, service=Service.RESTORE)
            assert "same phone" in answer.refused
        await hold_in_vain(station)
        assert untouched(phone)
        assert untouched(clone)

        # A clone that comes while the phone is on its way: before the erase is sent, that ends the job.
        await station.clear("2")
        await station.until_state("1", BayState.READY)
        window = Window(phone, "iboot:upload:rdsk")
        await station.confirm("1", phone)
        await window.reached.wait()
        second = rig.plug_stranger("3", ecid=phone.identity.ecid)
        window.go()
        await station.until_recorded("1")
        (record,) = rig.records()
        assert (record.outcome, record.cause) == (Outcome.FAILED_UNTOUCHED, Cause.CONSENT_VOID)
        assert not phone.destructions
        assert untouched(second)


@pytest.mark.timeout(90)
async def test_names_that_are_attacks(store: FirmwareStore, tmp_path: Path):
    async with make_rig(store, bays=("1", "2")) as rig, rig.station() as station:
        async with rig.screen(tmp_path) as screen:
            installed = Installed(version=OLD.version, build=OLD.build, name=NASTY)
            phone = rig.plug_stranger("1", ecid=Ecid(0xABCDEF), installed=installed, serial_number=SERIAL)
            view = await station.until_state("1", BayState.READY)
            assert view.phone is not None
            assert len(view.phone.name) <= 100
            assert view.phone.name.isprintable()
            await station.confirm("1", phone)
            view = await station.until_recorded("1", seconds=60)
            assert view.result is not None
            assert view.result.outcome is Outcome.VERIFIED
            assert view.result.certificate is not None
            for command in ("verify --emulated", "list --emulated", "export --emulated --format csv"):
                await run(rig, "records", *command.split())
            await station.clear("1")
            await station.until_empty("1")
            assert screen.returncode is None
            screen.kill()
        # The screen is a client like any other: a new one shows what is.
        async with rig.screen(tmp_path) as screen:
            assert screen.returncode is None
        assert (await station.command(Cancel, "1")).refused == ""


async def run(rig: Rig, *arguments: str) -> str:
    """Run `station ARGUMENTS`, which must succeed; what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "station", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | rig.environment,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.timeout(60)
async def test_clients_that_talk_nonsense(store: FirmwareStore):
    async with make_rig(store) as rig, rig.station() as station:
        nonsense: list[str | bytes] = [
            "",
            "{",
            "x" * (1 << 20),
            b"\0" * 1000,
            "[" * 60_000,
            json.dumps({"type": "start", "id": 1, "bay": "1", "service": "restore", "more": 1}),
            json.dumps({"type": "select", "id": "1", "bay": "1"}),
        ]
        for frame in nonsense:
            await say(rig, frame)
        for raw in (b"\0" * 100_000, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000, b"\xff"):
            await say_raw(rig, raw)
        async with asyncio.TaskGroup() as group:
            for _ in range(MAX_CLIENTS):
                group.create_task(stay(rig))
        assert (await station.command(OperatorConfirm, "1", ecid=-1)).refused
        assert (await station.command(Select, "no such bay")).refused
        # A daemon of another mind, on the same records.
        with pytest.raises(AssertionError, match="Another daemon already owns"):
            await rig.start_daemon()
        phone = rig.plug("1")
        await station.confirm("1", phone)
        await station.until_state("1", BayState.WORKING)


async def say(rig: Rig, frame: str | bytes) -> None:
    """Send a frame as a client does; the connection ends, nothing else."""
    connection = await unix_connect(str(rig.socket), compression=None)
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(talk(connection, frame), 10)


async def talk(connection: ClientConnection, frame: str | bytes) -> None:
    """Send a frame, and read whatever comes."""
    await connection.send(frame)
    while True:
        await connection.recv()


async def say_raw(rig: Rig, data: bytes) -> None:
    """Send bytes that are not even a handshake."""
    reader, writer = await asyncio.open_unix_connection(rig.socket)
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(15):
            await reader.read()
    except OSError:
        pass  # cut off in the middle of it
    finally:
        writer.close()


async def stay(rig: Rig) -> None:
    """Be one client too many, perhaps; whoever is let in is told everything."""
    try:
        async with connect(rig.socket) as client:
            await client.snapshot()
    except Refused:
        pass


@pytest.mark.timeout(60)
async def test_a_screen_that_dies_while_a_finger_holds_confirms_nothing(store: FirmwareStore):
    settings = {"STATION_TOUCH_CONFIRMS": "true", "STATION_GPIO__ENABLED": "false"}
    async with make_rig(store, settings=settings) as rig, rig.station() as station:
        phone = rig.plug("1")
        await arm(station, "1")
        async with connect(rig.socket) as dying:
            answer = await dying.command(HoldBegan(id=1, bay=BayId("1")))
            assert not answer.refused
            await station.until_bay(
                "1", lambda view: view.confirm is not None and view.confirm.holding_since is not None
            )
        await station.until_bay("1", lambda view: view.confirm is not None and view.confirm.holding_since is None)
        assert untouched(phone)


@asynccontextmanager
async def finger_on_the_ring(rig: Rig) -> AsyncGenerator[Process, None]:
    """A screen whose ring is held for as long as there is one."""
    program = ("-m", "tests.system.holding_screen", str(rig.socket))
    screen = await asyncio.create_subprocess_exec(
        sys.executable, *program, env=os.environ | {"SDL_VIDEODRIVER": "dummy"}
    )
    try:
        yield screen
    finally:
        if screen.returncode is None:
            screen.kill()
        await screen.wait()


def holding(view: BayView) -> bool:
    """Whether the ring fills."""
    return view.confirm is not None and view.confirm.holding_since is not None


@pytest.mark.timeout(60)
async def test_a_screen_that_freezes_while_a_finger_holds_confirms_nothing(store: FirmwareStore):
    """SIGSTOP: its connection stays, and it says nothing any more. The same finger on a living screen confirms."""
    settings = {"STATION_TOUCH_CONFIRMS": "true", "STATION_GPIO__ENABLED": "false"}
    async with make_rig(store, settings=settings) as rig, rig.station() as station:
        phone = rig.plug("1")
        await arm(station, "1")
        async with finger_on_the_ring(rig) as screen:
            await station.until_bay("1", holding)
            screen.send_signal(signal.SIGSTOP)
            view = await station.until_bay("1", lambda view: not holding(view))
            assert view.state is BayState.ARMED
            assert untouched(phone)
        async with finger_on_the_ring(rig) as screen:
            await station.until_state("1", BayState.WORKING)
            async with asyncio.timeout(10):
                assert await screen.wait() == 0
