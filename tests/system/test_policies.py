"""A station that prepares phones for sale over a counter: its gates, on real phones' words, with real workers."""

import pytest

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, BayView, Decide, OperatorConfirm, Overrule, Start
from station.model.gates import Choice, Gate
from station.model.phone import ActivationLock
from station.model.record import Outcome
from station.model.service import Service
from tests.system.rig import make_rig

pytestmark = pytest.mark.system

COUNTER = {"STATION_POLICY": "walk-up", "STATION_PURPOSE": "sale"}


def shut(view: BayView, service: Service) -> set[Gate]:
    """The gates that are closed for a service."""
    return {finding.gate for offer in view.offers if offer.service is service for finding in offer.findings}


@pytest.mark.timeout(120)
async def test_a_counter_that_sells(store: FirmwareStore):
    async with make_rig(store, bays=("1", "2", "3"), settings=COUNTER) as rig, rig.station() as station:
        locked = rig.plug("1", people=("find-my-on",))
        clear = rig.plug("2", people=("find-my-off",))
        empty = rig.plug("3", people=("find-my-off", "battery-low"))
        views = {bay: await station.until_state(bay, BayState.READY) for bay in ("1", "2", "3")}

        # One that belongs to somebody is not made ready for somebody else, whatever an operator says.
        assert Gate.ACTIVATION_LOCK in shut(views["1"], Service.RESTORE)
        assert not shut(views["1"], Service.RESTART)
        refused = await station.command(
            Overrule, "1", ecid=locked.identity.ecid, gate=Gate.ACTIVATION_LOCK, reason="They asked."
        )
        assert "cannot be overruled" in refused.refused
        assert (await station.command(Start, "1", service=Service.ERASE)).refused

        # One whose battery would not last waits, unless an operator knows better.
        assert shut(views["3"], Service.RESTORE) == {Gate.BATTERY, Gate.BACKUP}
        await station.obeyed(
            Overrule, "3", ecid=empty.identity.ecid, gate=Gate.BATTERY, reason="It runs from the cable."
        )
        await station.until_bay("3", lambda view: shut(view, Service.RESTORE) == {Gate.BACKUP})

        # The next one waits for a word about its owner's data; and that word is on record.
        assert shut(views["2"], Service.RESTORE) == {Gate.BACKUP}
        assert "backup" in (await station.command(Start, "2", service=Service.RESTORE)).refused
        await station.obeyed(Decide, "2", ecid=clear.identity.ecid, choice=Choice.DECLINED)
        await station.obeyed(Start, "2", service=Service.RESTORE)
        await station.obeyed(OperatorConfirm, "2", ecid=clear.identity.ecid)
        done = await station.until_recorded("2", seconds=60)
        assert done.result is not None
        assert done.result.outcome is Outcome.VERIFIED
        (record,) = rig.records()
        assert record.decision is not None
        assert record.decision.choice is Choice.DECLINED
        assert record.before is not None
        assert record.before.lock.state is ActivationLock.NOT_DETECTED
        assert not record.overruled
        for untouched in (locked, empty):
            assert untouched.system is not None
            assert untouched.system.canary is not None


async def test_a_misspelt_setting_keeps_the_daemon_from_starting(store: FirmwareStore):
    async with make_rig(store, settings={"STATION_PURPOSES": "sale"}) as rig:
        with pytest.raises(AssertionError, match="Is it “purpose” that is meant"):
            await rig.start_daemon()
