"""A standing order through a whole station: phones erased in a row, with nobody there. The bench times the same."""

import asyncio

import pytest

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState
from station.model.consent import Hand
from station.model.record import Outcome
from station.model.service import Service
from tests.system.night import Turn, give_order, take_turn
from tests.system.rig import make_rig

pytestmark = [pytest.mark.system, pytest.mark.long]  # a night at the screen is played in test_robot_paths

PHONES = 10
BAYS = ("1", "2")


@pytest.mark.timeout(300)
async def test_phones_are_erased_in_a_row_with_nobody_there(store: FirmwareStore):
    async with make_rig(store, bays=BAYS) as rig, rig.station() as station:
        await give_order(station, Service.ERASE, count=PHONES)

        async def stand_at(bay: str) -> list[Turn]:
            return [await take_turn(station, bay, seconds=90.0) for _ in range(PHONES // len(BAYS))]

        turns = [turn for row in await asyncio.gather(*map(stand_at, BAYS)) for turn in row]
        await station.until(lambda snapshot: snapshot.order is None)
        for turn in turns:
            assert turn.record.outcome is Outcome.VERIFIED, turn.record
            assert (turn.record.consent.by, turn.record.consent.ecid) == (Hand.ORDER, turn.phone.identity.ecid)
            assert len(turn.phone.destructions) == 1
            assert turn.phone.system is not None
            assert turn.phone.system.canary is None
        one_too_many = rig.plug("1")
        await station.until_state("1", BayState.READY)
        assert one_too_many.destructions == []
        (report,) = (rig.state / "orders").glob("*.report.txt")
        assert f"Done and verified: {PHONES}. Not done: 0. Not come: 0." in await asyncio.to_thread(report.read_text)
        assert rig.processes() == {}
