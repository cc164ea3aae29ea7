"""A whole station meets the worst phones there are, as scenarios play them: nothing is erased, nothing dies.

Beside every enemy there is a phone that is well, which must be read as if nothing else were there.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, BayView, OperatorConfirm, Start
from station.model.base import BayId
from station.model.record import Outcome
from station.model.service import Service
from station.virtual.scenarios import scenario
from station.virtual.scenarios.play import Player
from station.virtual.scenarios.scenario import Scenario
from tests.system.rig import Rig, Station, make_rig

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

BAYS = [str(number) for number in range(1, 13)]
WELL = "12"
"""The bay of the phone that is well."""
SETTLED = (BayState.READY, BayState.NEEDS_PERSON, BayState.FAILED)
SECONDS = 45.0
"""For a phone to be read or given up, on a busy machine."""
MEMORY = 400 << 20
"""Bytes that no process of the station may need for a phone that talks nonsense."""


@asynccontextmanager
async def meeting(store: FirmwareStore, *names: str) -> AsyncGenerator[tuple[Rig, Station, Player], None]:
    """A station which plays these scenarios one after the other have come to; their phones in the last player."""
    async with make_rig(store, bays=BAYS) as rig, rig.station() as station:
        player = await play(rig, *(scenario.find(name) for name in names))
        yield rig, station, player


async def play(rig: Rig, *scenarios: Scenario) -> Player:
    """Play scenarios to their last event, all of them on the bus; a player that has all their phones."""
    together = Player(scenarios[0], rig.host)
    for one in scenarios:
        player = Player(one, rig.host)
        async with asyncio.timeout(SECONDS):
            await player.play()
        together.phones |= player.phones
    return together


async def in_the_end(station: Station, player: Player) -> dict[str, BayView]:
    """What the station shows of each phone once it has made up its mind."""
    shown = {}
    for name, phone in player.phones.items():
        if phone.socket is not None:
            bay = phone.socket.removeprefix("1-1.")
            shown[name] = await station.until_state(bay, *SETTLED, seconds=SECONDS)
    return shown


async def is_well(rig: Rig, station: Station) -> None:
    """The station reads an honest phone, and is no larger than it should be."""
    phone = rig.plug(WELL)
    view = await station.until_state(WELL, BayState.READY, seconds=SECONDS)
    assert view.phone is not None
    assert view.phone.ecid == phone.identity.ecid
    assert station.process.returncode is None
    for pid in (station.process.pid, *rig.processes()):
        assert memory(pid) < MEMORY


def memory(pid: int) -> int:
    """Bytes that a process has ever had in memory; 0: it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def nothing_was_lost(rig: Rig, player: Player) -> None:
    assert [name for name, phone in player.phones.items() if phone.destructions] == []
    assert not any("EnterRecovery" in step for phone in player.phones.values() for step in phone.history)
    assert rig.records() == []


async def test_answers_that_are_weapons(store: FirmwareStore):
    async with meeting(store, "plist-bomb", "babble") as (rig, station, player):
        shown = await in_the_end(station, player)
        assert len(shown) == 10
        assert {name for name, view in shown.items() if view.state is BayState.READY} == set()
        for view in shown.values():
            answer = await station.command(Start, view.bay, service=Service.RESTORE)
            assert answer.refused
        await is_well(rig, station)
        nothing_was_lost(rig, player)


async def test_phones_that_are_not_who_they_say(store: FirmwareStore):
    async with meeting(store, "twins", "nobody", "turncoat") as (rig, station, player):
        shown = await in_the_end(station, player)
        twins = [await station.until_state(bay, BayState.NEEDS_PERSON, seconds=SECONDS) for bay in ("1", "2")]
        assert all("same phone" in view.title for view in twins)
        assert shown["garbage"].state is not BayState.READY
        # Whom it took the turncoat for: it will not be wiped as anybody else.
        turncoat = shown["turncoat"]
        if turncoat.state is BayState.READY:
            await station.obeyed(Start, turncoat.bay, service=Service.RESTORE)
            answer = await station.command(OperatorConfirm, turncoat.bay, ecid=0xDEAD)
            assert answer.refused
        await is_well(rig, station)
        nothing_was_lost(rig, player)


async def test_names_that_are_weapons(store: FirmwareStore):
    async with meeting(store, "hostile-names") as (rig, station, player):
        shown = await in_the_end(station, player)
        for view in shown.values():
            assert view.state is BayState.READY
            assert view.phone is not None
            assert len(view.phone.name) <= 100
            assert view.phone.name.isprintable()
            assert "\u202e" not in view.phone.name
        await is_well(rig, station)
        nothing_was_lost(rig, player)


async def test_phones_that_come_and_go(store: FirmwareStore):
    async with meeting(store, "loose-cable") as (rig, station, _):
        hub = await play(rig, scenario.find("hub-drops"))
        await station.until_state("1", BayState.READY, seconds=SECONDS)
        for phone in hub.phones.values():
            bay = str(phone.socket).removeprefix("1-1.")
            view = await station.until_state(bay, BayState.READY, seconds=SECONDS)
            assert view.phone is not None
            assert view.phone.ecid == phone.identity.ecid
        await is_well(rig, station)
        nothing_was_lost(rig, hub)


@pytest.mark.long
async def test_a_phone_that_is_another_now_and_a_keyboard(store: FirmwareStore):
    async with meeting(store, "swapped") as (rig, station, player):
        keyboard = rig.host.hands.plug_gadget(rig.sockets[BayId("2")])
        other = None
        async with asyncio.timeout(SECONDS), rig.host.bus.watch() as events:
            while other in (None, player.phones["first"]):
                await events.get()
                other = rig.host.bus.at(rig.sockets[BayId("1")])
        assert other is not None

        def shows_other(view: BayView) -> bool:
            return view.state is BayState.READY and view.phone is not None and view.phone.ecid == other.identity.ecid

        await station.until_bay("1", shows_other, seconds=SECONDS)
        answer = await station.command(OperatorConfirm, "1", ecid=player.phones["first"].identity.ecid)
        assert answer.refused
        view = await station.until_state("2", *SETTLED, seconds=SECONDS)
        assert view.state is not BayState.READY
        assert not keyboard.history
        await is_well(rig, station)
        nothing_was_lost(rig, player)


async def test_phones_that_point_inward(store: FirmwareStore):
    """A phone is restored as far as that; what it wanted fetched, nobody was asked for."""
    asked: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    played = pointing(scenario.find("inward"), lambda url: url.replace(":631/", f":{port}/"))
    async with server, make_rig(store, bays=BAYS) as rig, rig.station() as station:
        player = await play(rig, played)
        bays = {name: str(phone.socket).removeprefix("1-1.") for name, phone in player.phones.items()}
        for name, phone in player.phones.items():
            await station.confirm(bays[name], phone)
        for bay in bays.values():
            view = await station.until_recorded(bay, seconds=SECONDS)
            assert view.result is not None
            assert view.result.outcome is Outcome.FAILED_ERASED
        assert asked == []
        assert all("restored:URLAsset" in phone.history for phone in player.phones.values())
        await is_well(rig, station)


def pointing(played: Scenario, change: Callable[[str], str]) -> Scenario:
    """The same scenario with other addresses."""
    phones: Sequence[scenario.Phone] = [
        msgspec.structs.replace(
            phone, faults=tuple(msgspec.structs.replace(fault, url=change(fault.url)) for fault in phone.faults)
        )
        for phone in played.phones
    ]
    return msgspec.structs.replace(played, phones=tuple(phones))
