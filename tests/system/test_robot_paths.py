"""A person's path in each of the three places, from the plug to the result, on a real screen and real pins.

Events of an X server reach the kiosk in its window, fingers on mock pins reach gpiozero; daemon, workers and kiosk are
processes. What is read, is read off the window.
"""

import os
from functools import partial
from pathlib import Path

import pytest

from station.adapters.firmware import FirmwareStore
from station.core.arming import HOLD_SECONDS
from station.model.api import BayState, Lamp
from station.model.consent import Hand
from station.model.gates import Choice
from station.model.panel import Control
from station.model.record import Outcome
from station.model.service import Service
from station.screen.canvas import Target
from station.screen.office import ENTER, Key, Office, Room
from station.screen.pages import Page, Place, Turn
from station.screen.scenes.operator import furniture
from station.virtual.faults.kinds import Fault, FaultKind
from tests.system.person import Person, before_the_screen
from tests.system.rig import Rig, Station, make_rig

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

PRESS = 0.2
PIN = "2580"
BY_PINS = {"STATION_OPERATOR_CONFIRM": "false"}


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second kiosk, which finds what to touch, draws on nothing."""
    monkeypatch.setitem(os.environ, "SDL_VIDEODRIVER", "dummy")


async def start_and_confirm(rig: Rig, person: Person, said: str) -> None:
    """Press START, read what will happen, and hold CONFIRM."""
    await rig.hand.press(Control.START, seconds=PRESS)
    await person.read(said)
    await rig.hand.press(Control.CONFIRM, seconds=HOLD_SECONDS + 0.4)


async def recorded(station: Station, person: Person, bay: str) -> int:
    """Wait for a result; its record's number."""
    view = await station.until_recorded(bay, seconds=60)
    assert view.result is not None
    number = view.result.record
    await person.until(lambda snapshot: any(each.result and each.result.record == number for each in snapshot.bays))
    return number


async def test_over_a_counter(store: FirmwareStore, tmp_path: Path) -> None:
    settings = {"STATION_POLICY": "walk-up", **BY_PINS}
    async with (
        make_rig(store, bays=("1",), settings=settings) as rig,
        rig.station() as station,
        before_the_screen(rig.socket, tmp_path / "pictures") as person,
    ):
        phone = rig.plug("1", people=("find-my-off",))
        await person.press("What is wrong?")
        await person.press("It is to be handed on")
        await person.press("Erase")  # the gentlest that helps
        await person.press("Decide about a backup")
        await person.press("Go on without")
        await person.read("eSIM: keep")
        await start_and_confirm(rig, person, "Everything on this phone will be erased.")
        number = await recorded(station, person, "1")
        await person.read(f"Certificate {number}")
        await person.press_target(shows_the_code)
        await person.read("Take a picture of it.")
        record = rig.record(number)
        assert (record.outcome, record.service) == (Outcome.VERIFIED, Service.ERASE)
        assert (record.consent.by, record.consent.ecid) == (Hand.BUTTONS, phone.identity.ecid)
        assert record.decision is not None
        assert record.decision.choice is Choice.DECLINED
        assert len(phone.destructions) == 1
        await person.press_target(lambda target: isinstance(target.command, Turn))
        await person.press("OK")
        await station.clear("1")
        await person.read("Plug in a phone")


@pytest.mark.long
async def test_at_a_bench_nobody_touches_the_screen(store: FirmwareStore, tmp_path: Path) -> None:
    settings = {"STATION_POLICY": "bench", **BY_PINS}
    async with (
        make_rig(store, bays=("1", "2"), settings=settings) as rig,
        rig.station() as station,
        before_the_screen(rig.socket, tmp_path / "pictures") as person,
    ):
        for bay in ("1", "2"):
            phone = rig.plug(bay)
            await station.until_state(bay, BayState.READY)
            await person.read("Ready")
            await start_and_confirm(rig, person, "Everything on this phone will be erased.")
            await person.read("%")
            record = rig.record(await recorded(station, person, bay))
            await person.read("Verified")
            assert (record.outcome, record.consent.by) == (Outcome.VERIFIED, Hand.BUTTONS)
            assert record.consent.ecid == phone.identity.ecid
            assert phone.socket is not None
            await rig.host.bus.unplug(phone.socket)
            await station.until_empty(bay)
        assert await rig.hand.look() == (Lamp.READY,)


@pytest.mark.long
async def test_overnight(store: FirmwareStore, tmp_path: Path) -> None:
    async with (
        make_rig(store, bays=("1", "2"), settings={"STATION_POLICY": "overnight"}) as rig,
        rig.station() as station,
        before_the_screen(rig.socket, tmp_path / "pictures") as person,
    ):
        await come_in(person)
        await person.press("Night")
        await person.read("2 phones")
        await person.press("Hold to arm the night", seconds=furniture.HOLD_SECONDS + 0.3)
        await person.until(lambda snapshot: snapshot.order is not None and snapshot.order.left == 2)
        phones = [rig.plug(bay) for bay in ("1", "2")]
        phones[1].faults.add(Fault(at="restored:StartRestore", kind=FaultKind.STATUS, status=21))
        await person.until(lambda snapshot: snapshot.order is None, seconds=90)
        await person.press("Last report")
        await person.read("Morning report")
        await person.read("2 tries")
        outcomes = [(record.ecid, record.outcome is Outcome.VERIFIED) for record in rig.records()]
        first, second = (phone.identity.ecid for phone in phones)
        assert sorted(outcomes) == sorted([(first, True), (second, False), (second, True)])
        assert {record.consent.by for record in rig.records()} == {Hand.ORDER}
        assert [len(phone.destructions) for phone in phones] == [1, 1]
        assert {view.state for view in station.snapshot.bays} == {BayState.DONE} if station.snapshot else False


def shows_the_code(target: Target) -> bool:
    """Whether touching it makes the code of the certificate as large as it can be."""
    to = target.command.to if isinstance(target.command, Turn) else None
    return isinstance(to, Place) and to.page is Page.PROOF


def does(command: object, target: Target) -> bool:
    """Whether touching it does this."""
    return target.command == command


async def come_in(person: Person) -> None:
    """Whoever comes first chooses the PIN: twice."""
    await person.press_target(partial(does, Turn(Office(Room.DOOR))))
    for said in ("Choose a PIN", "Type it once more"):
        await person.read(said)
        for number, digit in enumerate(PIN):
            await person.press_target(partial(does, Key(digit)), known=number > 0)
        await person.press_target(partial(does, ENTER))
    await person.read("Kind of station")
