"""Being led through the buttons: what is said is what USB shows, and it always ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.core.guiding import IDLE_SECONDS, LATE_SECONDS, LONGEST_SECONDS, MODES, SHOWN_SECONDS, TRIES, Guiding
from station.model.guide import Family, Seen, Target
from station.model.phone import PhoneMode

NORMAL, RECOVERY, DFU = PhoneMode.NORMAL, PhoneMode.RECOVERY, PhoneMode.DFU


def guiding(target=Target.DFU, *, family=Family.FACE, known=True, mode: PhoneMode | None = NORMAL) -> Guiding:
    return Guiding(target=target, family=family, known=known, mode=mode, at=0.0)


def press_on(one: Guiding, *, to: int | None = None) -> float:
    """Let time pass until a step; to the end when None. The time then."""
    at = one.began
    while not one.ended and not one.over and one.step != to:
        at = one.deadline
        one.tick(at)
    return at


def test_each_step_has_its_countdown_and_the_next_follows_by_itself():
    one = guiding(Target.RECOVERY)
    assert (one.step, one.seen) == (0, Seen.UNMOVED)
    for step, press in enumerate(one.steps):
        assert one.step == step
        assert one.deadline == one.began + press.seconds
        one.tick(one.deadline - 0.1)
        assert one.step == step
        one.tick(one.deadline)
    assert one.over


def test_who_is_ready_goes_on_at_once():
    one = guiding()
    one.next(3.0)
    assert (one.step, one.began) == (1, 3.0)


def test_dfu_as_usb_shows_it():
    one = guiding()
    at = press_on(one, to=3)
    one.saw(None, at + 9.5)
    assert (one.step, one.view().says) == (4, "It is off."), "the screen is black: volume down as well, now"
    at = press_on(one, to=5)
    one.saw(DFU, at + 2)
    assert one.over
    assert one.seen is Seen.ARRIVED
    assert "DFU mode. Let go" in one.view().says
    one.tick(at + 2 + SHOWN_SECONDS)
    assert one.ended


def test_a_phone_that_does_not_go_off_is_not_given_the_press_that_calls_for_help():
    one = guiding()
    at = press_on(one, to=3)
    one.tick(at + one.steps[3].seconds)
    assert one.step == 3, "a little more patience"
    one.tick(at + one.steps[3].seconds + LATE_SECONDS)
    assert one.over
    assert one.seen is Seen.UNMOVED
    assert "did not even go off" in one.view().says


def test_a_phone_that_nobody_sees_is_led_by_the_clock_alone():
    one = guiding(mode=None)
    press_on(one)
    assert one.view().seen is Seen.NOTHING
    assert "Nothing is to be seen" in one.view().says
    one.saw(DFU, one.began + 30)
    assert one.view().seen is Seen.ARRIVED, "late, but there"


@pytest.mark.parametrize(
    ("target", "was", "then", "seen", "words"),
    [
        (Target.DFU, NORMAL, NORMAL, Seen.RESTARTED, "only restarted"),
        (Target.DFU, NORMAL, RECOVERY, Seen.OTHER_MODE, "in recovery mode"),
        (Target.DFU, RECOVERY, RECOVERY, Seen.RESTARTED, "only restarted"),
        (Target.DFU, None, NORMAL, Seen.OTHER_MODE, "has started"),
        (Target.RECOVERY, NORMAL, NORMAL, Seen.RESTARTED, "past the apple"),
        (Target.RECOVERY, NORMAL, DFU, Seen.OTHER_MODE, "in DFU mode"),
        (Target.RECOVERY, None, RECOVERY, Seen.ARRIVED, "Let go"),
        (Target.RESTART, NORMAL, NORMAL, Seen.ARRIVED, "has restarted"),
        (Target.RESTART, DFU, NORMAL, Seen.ARRIVED, "has restarted"),
        (Target.RESTART, DFU, RECOVERY, Seen.OTHER_MODE, "in recovery mode"),
        (Target.RESTART, None, NORMAL, Seen.ARRIVED, "has restarted"),
    ],
)
def test_what_came_of_it(target, was, then, seen, words):
    one = guiding(target, mode=was)
    at = press_on(one, to=3)
    one.saw(None, at + 5)
    one.saw(then, at + 12)
    assert (one.over, one.seen) == (True, seen)
    assert words in one.view().says


def test_a_phone_that_starts_while_somebody_gets_ready_is_no_restart():
    one = guiding(Target.RESTART, mode=None)
    one.saw(NORMAL, 2.0)
    assert (one.step, one.seen) == (0, Seen.UNMOVED)


def test_it_may_arrive_before_the_first_press():
    one = guiding(Target.DFU, mode=None)
    one.saw(DFU, 2.0)
    assert one.over
    assert one.seen is Seen.ARRIVED


def test_again_and_slower_then_with_other_buttons():
    one = guiding(known=False, mode=None)
    press_on(one)
    assert "slower" in one.view().says
    one.next(one.began + 5)
    assert (one.step, one.family) == (0, Family.FACE)
    press_on(one)
    assert "iPhone 7" in one.view().says
    one.next(one.began + 5)
    assert (one.step, one.family) == (0, Family.SEVEN)
    assert "let go at once" in one.view().warning


def test_a_known_phone_keeps_its_buttons():
    one = guiding(known=True, mode=None)
    for _ in range(TRIES + 1):
        press_on(one)
        one.next(one.began + 1)
    press_on(one)
    assert one.family is Family.FACE
    assert "another cable" in one.view().says


def test_nobody_goes_on():
    one = guiding(mode=None)
    press_on(one)
    one.tick(one.began + IDLE_SECONDS)
    assert one.ended


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["tick", "next", "gone", *(mode.value for mode in (NORMAL, RECOVERY, DFU))]),
        st.floats(0.0, 60.0),
    ),
    max_size=40,
)


@given(
    st.sampled_from(Target),
    st.sampled_from(Family),
    st.booleans(),
    st.sampled_from([None, NORMAL, RECOVERY, DFU]),
    EVENTS,
)
def test_it_always_ends_and_never_names_a_mode_that_usb_does_not_show(target, family, known, mode, events):
    one = Guiding(target=target, family=family, known=known, mode=mode, at=0.0)
    now = 0.0
    for what, seconds in events:
        now += seconds
        match what:
            case "tick":
                one.tick(now)
            case "next":
                one.next(now)
            case "gone":
                mode = None
                one.saw(None, now)
            case _:
                mode = PhoneMode(what)
                one.saw(mode, now)
        check(one, mode, target)
    ticks = 0
    while not one.ended:
        now = max(now, one.deadline)
        one.tick(now)
        check(one, mode, target)
        ticks += 1
        assert ticks < 50
    assert now <= LONGEST_SECONDS + 40 * 60


def check(one: Guiding, mode: PhoneMode | None, target: Target) -> None:
    view = one.view()
    assert 0 <= view.step <= len(view.steps)
    assert one.mode is mode or one.ended
    if one.ended:
        return
    if view.seen is Seen.ARRIVED:
        assert mode is MODES[target]
    if view.seen is Seen.NOTHING:
        assert mode is None
    first = view.says.split(".")[0]
    assert ("is in recovery mode" in first) <= (mode is RECOVERY)
    assert ("is in DFU mode" in first) <= (mode is DFU)
    assert ("restarted" in first or "has started" in first) <= (mode is not None)
    assert len(view.says) < 160
