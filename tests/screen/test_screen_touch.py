"""One finger, and what it means."""

from hypothesis import given
from hypothesis import strategies as st
from pygame import Rect

from station.model.api import Cancel, HoldBegan, HoldEnded
from station.model.base import BayId
from station.screen.canvas import Target
from station.screen.touch import FORGET, SETTLE, Finger, Touched

BAY = BayId("1")
TAP = Target(Cancel(id=0, bay=BAY), about="phone A")
HOLD = Target(HoldBegan(id=0, bay=BAY), release=HoldEnded(id=0, bay=BAY), about="phone A")
SHOWN = [(Rect(0, 0, 100, 100), TAP), (Rect(200, 0, 100, 100), HOLD)]
ON_TAP, ON_HOLD, BESIDE = (50, 50), (250, 50), (150, 50)


def finger() -> Finger:
    """A finger above targets that have settled."""
    new = Finger()
    new.show(SHOWN, 0)
    return new


def test_a_tap() -> None:
    one = finger()
    assert one.down(1, ON_TAP, 1) == []
    assert one.pressed == TAP
    assert one.up(1, ON_TAP) == [TAP.command]
    assert one.pressed is None


def test_a_tap_that_slides_off_is_none() -> None:
    one = finger()
    one.down(1, ON_TAP, 1)
    assert one.move(1, BESIDE) == []
    assert one.up(1, ON_TAP) == []


def test_a_hold_lasts_as_long_as_the_finger() -> None:
    one = finger()
    assert one.down(1, ON_HOLD, 1) == [HOLD.command]
    assert one.move(1, (260, 55)) == []
    assert one.up(1, (260, 55)) == [HOLD.release]


def test_a_hold_ends_where_the_finger_slides_off() -> None:
    one = finger()
    one.down(1, ON_HOLD, 1)
    assert one.move(1, BESIDE) == [HOLD.release]
    assert one.move(1, ON_HOLD) == []
    assert one.up(1, ON_HOLD) == []


def test_a_second_finger_means_nothing() -> None:
    one = finger()
    one.down(1, ON_HOLD, 1)
    assert one.down(2, ON_TAP, 1.1) == []
    assert one.move(2, BESIDE) == []
    assert one.up(2, ON_TAP) == []
    assert one.up(1, ON_HOLD) == [HOLD.release]


def test_another_phone_under_the_finger_voids_the_touch() -> None:
    one = finger()
    one.down(1, ON_TAP, 1)
    assert one.show([(SHOWN[0][0], Target(TAP.command, about="phone B"))], 1.1) == []
    assert one.up(1, ON_TAP) == []


def test_a_hold_ends_when_its_target_goes() -> None:
    one = finger()
    one.down(1, ON_HOLD, 1)
    assert one.show([], 1.1) == [HOLD.release]


def test_what_just_appeared_cannot_be_touched() -> None:
    one = Finger()
    one.show(SHOWN, 1)
    assert one.down(1, ON_HOLD, 1 + SETTLE / 2) == []
    assert one.up(1, ON_HOLD) == []
    one.show(SHOWN, 1 + SETTLE)
    assert one.down(1, ON_HOLD, 1 + SETTLE) == [HOLD.command]


def test_a_ghost_that_never_leaves_is_forgotten() -> None:
    one = finger()
    one.down("ghost", ON_HOLD, 1)
    assert one.down(1, ON_TAP, 2) == []
    assert one.down(1, ON_TAP, 1 + FORGET) == [HOLD.release]
    assert one.up(1, ON_TAP) == [TAP.command]


def test_a_finger_that_comes_twice_had_left() -> None:
    one = finger()
    assert one.down(1, ON_HOLD, 1) == [HOLD.command]
    assert one.down(1, ON_HOLD, 2) == [HOLD.release, HOLD.command]
    assert one.since == 2


def test_losing_the_touchscreen_ends_a_hold() -> None:
    one = finger()
    one.down(1, ON_HOLD, 1)
    assert one.lost() == [HOLD.release]
    assert one.lost() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["down", "move", "up", "show", "hide", "lost"]),
            st.integers(1, 3),
            st.sampled_from([ON_TAP, ON_HOLD, BESIDE]),
        ),
        max_size=60,
    )
)
def test_whatever_the_glass_does_a_hold_that_began_ends_once(storm: list[tuple[str, int, tuple[int, int]]]) -> None:
    one = finger()
    sent: list[Touched] = []
    for step, (kind, who, at) in enumerate(storm):
        now = 1 + step * 0.4
        match kind:
            case "down":
                sent += one.down(who, at, now)
            case "move":
                sent += one.move(who, at)
            case "up":
                sent += one.up(who, at)
            case "show":
                sent += one.show(SHOWN, now)
            case "hide":
                sent += one.show([], now)
            case _:
                sent += one.lost()
    sent += one.lost()
    holds = [command for command in sent if not isinstance(command, Cancel)]
    assert holds == [HOLD.command, HOLD.release] * (len(holds) // 2)
