"""START, then HOLD CONFIRM; and everything that must not be taken for it."""

import msgspec
import pytest

from station.core.actions import StartWorker
from station.core.arming import ARMED_SECONDS, HOLD_SECONDS, UNSEEN_SECONDS
from station.core.events import ButtonChanged, FirmwareFound, HealthChanged, Tick, TroubleChanged
from station.core.situation import Health
from station.errors import Refused
from station.model.api import (
    HOLD_BEAT,
    BayState,
    Cancel,
    HoldBegan,
    HoldEnded,
    HoldGoesOn,
    Lamp,
    OperatorConfirm,
    Select,
    Start,
)
from station.model.base import BayId
from station.model.causes import Cause
from station.model.consent import Hand
from station.model.panel import Control, ControlState
from station.model.phone import ActivationLock, LockReading, UsbArrived
from station.model.service import Service
from tests.core.helpers import FIRMWARE, ONE, RECOVERY, SOCKETS, TWO, A, B, Bench, arrived, facts, gone

DOWN, UP, FAULT = ControlState.DOWN, ControlState.UP, ControlState.FAULT


def change(control: Control, state: ControlState, bay: BayId | None = None) -> ButtonChanged:
    return ButtonChanged(control=control, state=state, bay=bay)


def restores(bench: Bench) -> list[StartWorker]:
    return [action for action in bench.all(StartWorker) if action.spec.consent is not None]


@pytest.fixture
def bench() -> Bench:
    """A phone in each bay, the first one chosen."""
    bench = Bench()
    bench.plug(A, ONE)
    bench.plug(B, TWO)
    return bench


def test_confirm_alone_means_nothing(bench):
    bench.hold(60)
    assert not restores(bench)


def test_start_alone_means_nothing(bench):
    bench.press()
    assert bench.bay().state is BayState.ARMED
    assert bench.view().lamp is Lamp.PERSON
    bench.wait(ARMED_SECONDS + 1)
    assert bench.bay().state is BayState.READY
    assert not restores(bench)


def test_a_short_hold_means_nothing(bench):
    bench.press()
    bench.hold(1.9)
    assert bench.bay().state is BayState.ARMED
    assert not restores(bench)


def test_two_short_holds_are_not_a_long_one(bench):
    bench.press()
    bench.hold(1.5)
    bench.hold(1.5)
    assert not restores(bench)


def test_a_hold_that_began_before_start_does_not_count(bench):
    bench.do(change(Control.CONFIRM, DOWN))
    bench.press()
    bench.wait(10)
    assert not restores(bench)
    bench.do(change(Control.CONFIRM, UP))
    bench.hold()
    assert len(restores(bench)) == 1


def test_a_hold_must_end_within_the_window(bench):
    bench.press()
    bench.wait(ARMED_SECONDS - 1)
    bench.hold(5)
    assert not restores(bench)


def test_one_confirmation_starts_one_job(bench):
    bench.press()
    bench.hold(20)
    bench.hold(20)
    assert len(restores(bench)) == 1


def test_a_late_release_is_still_a_release(bench):
    """The finger left after 1.9 s, and the loop was too busy to hear of it in time."""
    bench.press()
    bench.do(change(Control.CONFIRM, DOWN))
    bench.now += 2.2
    bench.do(change(Control.CONFIRM, UP))
    bench.wait(5)
    assert not restores(bench)


def test_start_of_another_bay_does_not_change_what_confirm_means(bench):
    bench.press()
    with pytest.raises(Refused, match="Bay 1 waits"):
        bench.do(Start(id=1, bay=TWO, service=Service.RESTORE))
    bench.hold()
    assert [action.spec.bay for action in restores(bench)] == [ONE]


@pytest.mark.parametrize("instead", [Cancel(id=1, bay=ONE), Select(id=1, bay=TWO), Tick()], ids=str)
def test_start_of_another_bay_once_the_first_is_given_up(bench, instead):
    bench.press()
    bench.now += ARMED_SECONDS if isinstance(instead, Tick) else 1.0
    bench.do(instead, Start(id=2, bay=TWO, service=Service.RESTORE))
    bench.hold()
    assert [action.spec.bay for action in restores(bench)] == [TWO]


def test_a_start_that_has_expired_holds_up_no_other(bench):
    bench.press()
    bench.now += ARMED_SECONDS
    bench.do(Start(id=1, bay=TWO, service=Service.RESTORE))
    assert bench.bay(TWO).state is BayState.ARMED


@pytest.mark.parametrize("stall", [0.6, 20, 4000])
def test_a_hold_that_nobody_watched_to_its_end_means_nothing(bench, stall):
    bench.press()
    bench.do(change(Control.CONFIRM, DOWN))
    bench.now += HOLD_SECONDS + stall
    bench.do(Tick())
    bench.wait(5)
    assert not restores(bench)


def test_after_a_stall_confirm_is_pressed_again(bench):
    bench.press()
    bench.do(change(Control.CONFIRM, DOWN))
    bench.now += HOLD_SECONDS + 1
    bench.do(Tick(), change(Control.CONFIRM, UP))
    bench.hold()
    assert len(restores(bench)) == 1


@pytest.mark.parametrize(
    "voiding",
    [
        [gone(ONE)],
        [gone(ONE), arrived(A, ONE)],
        [gone(ONE), arrived(A, ONE, RECOVERY)],
        [gone(ONE), arrived(B, ONE)],
        [arrived(B, ONE)],
        [arrived(A, TWO)],
        [Select(id=1, bay=TWO)],
        [Cancel(id=1, bay=ONE)],
        [change(Control.CONFIRM, FAULT)],
        [change(Control.START, FAULT)],
    ],
    ids=str,
)
def test_what_voids_start(bench, voiding):
    bench.press()
    bench.do(*voiding)
    bench.hold()
    assert not [action for action in restores(bench) if action.spec.bay == ONE]


@pytest.mark.parametrize("voiding", [[gone(ONE)], [arrived(A, TWO)], [change(Control.START, FAULT)]], ids=str)
def test_what_voids_a_hold_that_has_begun(bench, voiding):
    bench.press()
    bench.do(change(Control.CONFIRM, DOWN))
    bench.wait(1.9)
    bench.do(*voiding)
    bench.wait(10)
    assert not restores(bench)


def test_the_other_bay_does_not_matter(bench):
    bench.press()
    bench.do(gone(TWO), arrived(B, TWO))
    bench.hold()
    assert [action.spec.ecid for action in restores(bench)] == [A]


def test_a_faulty_button_means_nothing_until_it_was_released(bench):
    bench.do(change(Control.CONFIRM, FAULT))
    bench.press()
    bench.wait(5)
    assert not restores(bench)
    assert bench.view().lamp is Lamp.FAULT
    assert "CONFIRM" in bench.view().notice
    bench.do(change(Control.CONFIRM, UP))
    assert bench.view().notice == ""
    bench.press()
    bench.hold()
    assert len(restores(bench)) == 1


def test_no_button_confirms_while_one_is_faulty(bench):
    bench.do(change(Control.START, FAULT), Start(id=1, bay=ONE, service=Service.RESTORE))
    bench.hold()
    assert not restores(bench)


def test_touch_confirms_only_where_it_may(bench):
    bench.press()
    with pytest.raises(Refused):
        bench.do(HoldBegan(id=1, bay=ONE))
    bench.wait(5)
    assert not restores(bench)


def test_touch_confirms_on_a_station_without_buttons():
    bench = Bench(touch_confirms=True)
    bench.plug()
    with pytest.raises(Refused):
        bench.do(HoldBegan(id=1, bay=ONE))  # START first
    bench.do(Start(id=1, bay=ONE, service=Service.RESTORE))
    bench.hold_on_screen(1)
    bench.do(HoldEnded(id=3, bay=ONE))
    bench.wait(5)
    assert not restores(bench)
    bench.hold_on_screen(2)
    assert [action.spec.consent.by for action in restores(bench) if action.spec.consent] == [Hand.SCREEN]


def test_a_finger_on_the_screen_and_one_on_the_button_are_two():
    bench = Bench(touch_confirms=True)
    bench.plug()
    bench.do(Start(id=1, bay=ONE, service=Service.RESTORE), HoldBegan(id=2, bay=ONE))
    bench.do(change(Control.CONFIRM, DOWN))
    bench.wait(1)
    bench.do(HoldEnded(id=3, bay=ONE))
    bench.wait(5)
    assert not restores(bench)


@pytest.fixture
def ring() -> Bench:
    """A station without buttons: START was given, and the ring can be held."""
    bench = Bench(touch_confirms=True)
    bench.plug()
    bench.do(Start(id=1, bay=ONE, service=Service.RESTORE))
    return bench


@pytest.mark.parametrize("frozen_after", [0.0, 0.25, 1.0, 1.75, 1.999])
def test_a_screen_that_freezes_in_a_hold_confirms_nothing(ring, frozen_after):
    """Whatever it said before: that the finger is there now is what it must say, and only a living screen does."""
    ring.hold_on_screen(frozen_after)
    ring.wait(60)
    assert not restores(ring)


def test_the_end_of_a_hold_that_nobody_speaks_for_is_seen(ring):
    ring.hold_on_screen(0.5)
    confirm = ring.bay().confirm
    assert confirm is not None
    assert confirm.holding_since is not None
    ring.wait(UNSEEN_SECONDS)
    confirm = ring.bay().confirm
    assert confirm is not None
    assert confirm.holding_since is None


def test_a_screen_that_comes_to_again_must_be_held_anew(ring):
    ring.hold_on_screen(1.5)
    ring.now += UNSEEN_SECONDS
    ring.do(HoldGoesOn(id=1, bay=ONE))  # before anybody could see that its time was over
    ring.wait(HOLD_BEAT)
    for _ in range(20):
        ring.do(HoldGoesOn(id=1, bay=ONE))
        ring.wait(HOLD_BEAT)
    assert not restores(ring)
    ring.do(HoldEnded(id=2, bay=ONE))
    ring.hold_on_screen(2)
    assert len(restores(ring)) == 1


def test_one_word_may_get_lost(ring):
    ring.do(HoldBegan(id=1, bay=ONE))
    for _ in range(5):
        ring.wait(1.9 * HOLD_BEAT)
        ring.do(HoldGoesOn(id=1, bay=ONE))
    assert len(restores(ring)) == 1


def test_a_word_about_another_bay_or_without_a_hold_is_nothing(ring):
    ring.do(HoldGoesOn(id=1, bay=ONE))
    ring.do(HoldBegan(id=1, bay=ONE))
    for _ in range(20):
        ring.wait(HOLD_BEAT)
        ring.do(HoldGoesOn(id=1, bay=TWO))
    assert not restores(ring)


def test_a_screen_does_not_speak_for_the_button(bench):
    bench.press()
    bench.do(change(Control.CONFIRM, DOWN))
    for _ in range(3):
        bench.wait(HOLD_BEAT)
        bench.do(HoldGoesOn(id=1, bay=ONE))
    bench.do(change(Control.CONFIRM, UP))
    for _ in range(20):
        bench.wait(HOLD_BEAT)
        bench.do(HoldGoesOn(id=1, bay=ONE))
    assert not restores(bench)


# -- a bay's own START


def test_a_bays_own_button_is_start_for_that_bay(bench):
    assert not bench.bay(TWO).selected
    bench.press(bay=TWO)
    assert bench.bay(TWO).state is BayState.ARMED
    assert bench.bay(TWO).selected
    bench.hold()
    assert [action.spec.bay for action in restores(bench)] == [TWO]


def test_when_another_bays_button_is_pressed_neither_is_meant(bench):
    """Whoever holds CONFIRM next may mean the one or the other."""
    bench.press(bay=ONE)
    bench.press(bay=TWO)
    assert {bench.bay(bay).state for bay in (ONE, TWO)} == {BayState.READY}
    assert "Bay 1 was waiting" in bench.view().notice
    bench.hold()
    assert not restores(bench)
    bench.press(bay=TWO)
    bench.hold()
    assert [action.spec.bay for action in restores(bench)] == [TWO]


def test_a_bays_button_in_the_middle_of_a_hold_ends_it(bench):
    bench.press(bay=ONE)
    bench.do(change(Control.CONFIRM, DOWN))
    bench.wait(1)
    bench.press(bay=TWO)
    bench.press(bay=TWO)
    bench.wait(10)
    assert not restores(bench)


def test_a_bays_button_pressed_again_begins_the_wait_again(bench):
    bench.press(bay=TWO)
    bench.wait(ARMED_SECONDS - 1)
    bench.press(bay=TWO)
    bench.wait(5)
    bench.hold()
    assert len(restores(bench)) == 1


def test_a_broken_button_of_a_bay_is_told_and_that_bay_confirms_nothing(bench):
    bench.press(bay=TWO)
    bench.do(change(Control.START, FAULT, TWO))
    assert bench.bay(TWO).state is BayState.READY
    assert "START of bay 2" in bench.view().notice
    assert bench.view().lamp is Lamp.FAULT
    bench.do(Start(id=1, bay=TWO, service=Service.RESTORE))
    bench.hold()
    assert not restores(bench)
    bench.do(Cancel(id=1, bay=TWO))
    bench.press(bay=ONE)
    bench.hold()
    assert [action.spec.bay for action in restores(bench)] == [ONE]


def test_a_broken_button_of_another_bay_does_not_take_away_what_waits(bench):
    bench.press(bay=ONE)
    bench.do(change(Control.START, FAULT, TWO))
    assert bench.bay(ONE).state is BayState.ARMED


@pytest.mark.parametrize("control", Control)
def test_a_broken_button_of_the_station_stops_every_bay(bench, control):
    bench.do(change(control, FAULT))
    bench.press(bay=TWO)
    bench.hold()
    assert not restores(bench)


def test_the_button_of_a_bay_without_a_phone_says_why_it_does_nothing(bench):
    bench.do(gone(TWO))
    bench.press(bay=TWO)
    assert "phone" in bench.view().notice
    bench.press(bay=BayId("7"))
    assert "There is no bay 7." in bench.view().notice


def test_a_bays_button_sees_to_a_result(bench):
    bench.press(bay=TWO)
    bench.hold()
    bench.fail(bench.all_jobs()[-1].job, Cause.DISCONNECTED)
    bench.do(gone(TWO))
    bench.wait(31)
    assert bench.bay(TWO).state is BayState.FAILED
    bench.press(bay=TWO)
    assert bench.bay(TWO).result is None


def test_an_operator_names_the_phone_where_the_policy_allows_it():
    bench = Bench(operator_confirm=True)
    bench.plug()
    with pytest.raises(Refused):
        bench.do(OperatorConfirm(id=1, bay=ONE, ecid=A))  # START first
    bench.do(Start(id=1, bay=ONE, service=Service.RESTORE))
    with pytest.raises(Refused):
        bench.do(OperatorConfirm(id=1, bay=ONE, ecid=B))
    bench.do(OperatorConfirm(id=1, bay=ONE, ecid=A))
    assert [action.spec.consent.by for action in restores(bench) if action.spec.consent] == [Hand.OPERATOR]


def test_an_operator_may_not_confirm_by_default(bench):
    bench.press()
    with pytest.raises(Refused):
        bench.do(OperatorConfirm(id=1, bay=ONE, ecid=A))
    assert not restores(bench)


@pytest.mark.parametrize("bay", ["1", "2", "nine"])
def test_start_needs_a_phone(bay):
    bench = Bench()
    with pytest.raises(Refused):
        bench.do(Start(id=1, bay=bay, service=Service.RESTORE))


def test_start_needs_firmware():
    bench = Bench()
    bench.firmware = None
    bench.plug()
    assert "firmware" in bench.bay().hint
    with pytest.raises(Refused):
        bench.do(Start(id=1, bay=ONE, service=Service.RESTORE))


def test_what_is_confirmed_is_the_firmware_that_was_shown():
    bench = Bench()
    bench.plug()
    bench.press()
    newer = msgspec.structs.replace(FIRMWARE, version="26.3", build="23D10")
    bench.do(FirmwareFound(product_type="iPhone13,2", firmware=newer, older=(FIRMWARE,)))
    bench.hold()
    assert [action.spec.firmware for action in restores(bench)] == [FIRMWARE]


def close_lock(bench: Bench) -> None:
    """The phone is asked once more, and says something else."""
    bay = bench.station.bays.get(ONE)
    assert bay is not None
    assert bay.stay is not None
    locked = LockReading(state=ActivationLock.LOCKED, at="2026-01-01T00:00:00Z", signs=())
    bench.station.bays.remember(bay.stay, facts(battery_percent=80, lock=locked))


def drain(bench: Bench) -> None:
    bay = bench.station.bays.get(ONE)
    assert bay is not None
    assert bay.stay is not None
    bench.station.bays.remember(bay.stay, facts(battery_percent=9))


CLOSING = {
    "disk": lambda bench: bench.do(HealthChanged(health=Health(free=1))),
    "supply": lambda bench: bench.do(HealthChanged(health=Health(under_voltage=True))),
    "clock": lambda bench: bench.do(HealthChanged(health=Health(clock_trusted=False))),
    "firmware": lambda bench: bench.do(FirmwareFound(product_type="iPhone13,2", firmware=None)),
    "records": lambda bench: bench.do(TroubleChanged(trouble="The records are broken.")),
    "battery": drain,
    "lock": close_lock,
}
"""What can close a gate between START and the end of the hold, and words of the reason."""
REASONS = {
    "disk": "disk is nearly full",
    "supply": "power supply is too weak",
    "clock": "clock is not known",
    "firmware": "no firmware",
    "records": "records are broken",
    "battery": "9 percent",
    "lock": "Find My",
}


@pytest.mark.parametrize("what", CLOSING)
def test_a_gate_that_closes_before_the_hold_ends_makes_no_consent(what):
    bench = Bench(min_battery=10)
    bench.plug()
    bench.press()
    bench.do(change(Control.CONFIRM, DOWN))
    bench.wait(1.0)
    CLOSING[what](bench)
    bench.wait(1.5)
    assert not restores(bench)
    assert bench.bay().state is BayState.READY
    assert REASONS[what] in bench.view().notice
    bench.do(change(Control.CONFIRM, UP))
    bench.hold()
    assert not restores(bench), "START is asked for anew"


@pytest.mark.parametrize("what", ["disk", "firmware", "battery"])
def test_a_gate_that_closes_stands_in_an_operators_way_too(what):
    bench = Bench(min_battery=10, operator_confirm=True)
    bench.plug()
    bench.press()
    CLOSING[what](bench)
    with pytest.raises(Refused, match=REASONS[what]):
        bench.do(OperatorConfirm(id=1, bay=ONE, ecid=A))
    assert not restores(bench)


def test_start_is_refused_while_the_station_is_in_trouble(bench):
    bench.do(TroubleChanged(trouble="The disk is full."))
    bench.press()
    assert bench.bay().state is BayState.READY
    assert "disk is full" in bench.view().notice
    assert bench.view().lamp is Lamp.FAULT
    bench.do(TroubleChanged(trouble=""))
    bench.wait(11)
    assert bench.view().notice == ""
    bench.press()
    assert bench.bay().state is BayState.ARMED


def test_start_is_refused_while_a_phone_is_read():
    bench = Bench()
    bench.do(arrived(A))
    assert bench.bay().state is BayState.READING
    bench.press()
    assert bench.bay().state is BayState.READING
    assert "being read" in bench.view().notice


def test_a_phone_without_a_readable_ecid_is_never_wiped():
    bench = Bench()
    bench.do(UsbArrived(socket=SOCKETS[ONE], product_id=RECOVERY, serial="CPID:8101 BDID:0C"))
    assert bench.bay().state is BayState.NEEDS_PERSON
    bench.press()
    bench.hold()
    assert not restores(bench)


def test_selection_follows_the_plugging_hand(bench):
    assert bench.bay(ONE).selected  # the first one waits for a decision
    bench.press()
    bench.hold()
    bench.do(gone(TWO))
    bench.plug(B, TWO)
    assert bench.bay(TWO).selected


def test_confirm_view_tells_how_long_it_was_held(bench):
    bench.press()
    confirm = bench.bay().confirm
    assert confirm is not None
    assert (confirm.holding_since, confirm.target_version) == (None, "26.2")
    bench.do(change(Control.CONFIRM, DOWN))
    confirm = bench.bay().confirm
    assert confirm is not None
    assert confirm.holding_since == bench.now
    assert facts(A).version == "26.1"
