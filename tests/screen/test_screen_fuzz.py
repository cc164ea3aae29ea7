"""Ten thousand touches, presses and plugs, in no order: nothing is confirmed that nobody confirmed, nothing breaks.

And from wherever that leads there is a way home: by the finger, and by the clock when nobody is there.
Quick tests see the beginning of each. TESTS_EXAMPLES sets how many storms there are of each kind (60: one).
"""

import os
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pygame
import pytest
from msgspec.structs import replace

from station.core import arming
from station.core.desk import Desk
from station.core.view import snapshot
from station.model.consent import Hand
from station.model.face import Face, Language, Turn
from station.screen.canvas import Canvas, Target
from station.screen.office import Office, Room
from station.screen.pages import Page, Place
from station.screen.pages import Turn as TurnTo
from station.screen.touch import Finger
from tests.core import helpers
from tests.screen.storm import Storm, rage, watch

EVENTS, FEW = 1250, 200
"""In each of the eight storms; and in those that quick tests have time for."""
ROUNDS = max(1, int(os.environ.get("TESTS_EXAMPLES", "60")) // 60)
SEEDS = [(0, FEW), *(pytest.param(seed, EVENTS, marks=pytest.mark.system) for seed in range(1, ROUNDS + 1))]
KINDS: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "buttons": ((480, 320), {}),
    "buttons, bench": ((800, 480), {"bays": 6}),
    "touch": ((480, 320), {"touch": True}),
    "touch, turned": ((480, 320), {"touch": True, "bays": 2, "face": Face(turn=Turn.RIGHT)}),
    "owners": ((480, 320), {"owners": True, "face": Face(turn=Turn.OVER, language=Language.ARABIC)}),
    "owners, touch": ((320, 480), {"owners": True, "touch": True, "bays": 2, "face": Face(large=True)}),
    "operator": ((480, 320), {"bays": 2, "face": Face(turn=Turn.LEFT)}),
    "operator, touch": ((480, 320), {"touch": True, "face": Face(language=Language.GERMAN)}),
}


SOMEWHERE = Office(Room.HOME)
Plant = Callable[[pytest.MonkeyPatch], None]


pytestmark = pytest.mark.system


@pytest.fixture
def glass() -> Iterator[None]:
    """pygame's display."""
    pygame.display.init()
    yield
    pygame.event.clear()
    pygame.display.quit()


def begun(kind: str, seed: int, patch: pytest.MonkeyPatch) -> Storm:
    """A storm before it begins."""
    size, how = KINDS[kind]
    pygame.display.set_mode(size)
    pygame.event.clear()
    storm = Storm(dice=Random(f"{kind} {seed}"), **how)
    watch(storm, patch)
    storm.steps()
    return storm


@pytest.mark.usefixtures("glass")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("seed", "events"), SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_comes_of_a_storm_but_what_somebody_meant(
    kind: str, seed: int, events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = begun(kind, seed, monkeypatch)
    for part in range(4):
        if "operator" in kind:
            storm.let_the_operator_in()
        rage(storm, events // 4)
        if part % 2:
            storm.go_home()
        else:
            storm.wait_home()
    storm.clear_all()
    assert storm.counted >= events


# -- faults that are planted, and must be seen


def the_finger_stays(patch: pytest.MonkeyPatch) -> None:
    """Nobody notices that a finger left."""
    patch.setattr(Finger, "up", lambda self, who, at: [])


def a_touch_confirms(patch: pytest.MonkeyPatch) -> None:
    """The screen offers the ring where there are buttons, and the station takes it."""
    patch.setattr(Desk, "_hold", lambda desk, name, now: desk.arming.hold(Hand.SCREEN, now))
    patch.setattr(helpers, "snapshot", lambda *args, **named: replace(snapshot(*args, **named), touch_confirms=True))


def a_short_hold_will_do(patch: pytest.MonkeyPatch) -> None:
    """The hold is over sooner than it is said."""
    patch.setattr(arming, "HOLD_SECONDS", 1.5)


def no_way_back(patch: pytest.MonkeyPatch) -> None:
    """The arrow is drawn, and means nothing."""
    touch = Canvas.touch

    def deaf(canvas: Canvas, box: pygame.Rect, target: Target) -> None:
        leads = target.command.to if isinstance(target.command, TurnTo) and not target.command.sends else SOMEWHERE
        if leads is not None and not (isinstance(leads, Place) and leads.page is Page.PHONE):
            touch(canvas, box, target)

    patch.setattr(Canvas, "touch", deaf)


PLANTED: dict[Plant, tuple[str, str]] = {
    the_finger_stays: ("touch", "CONFIRM was not held"),
    a_touch_confirms: ("buttons", "by touch, and there are buttons"),
    a_short_hold_will_do: ("buttons", "CONFIRM was not held"),
    no_way_back: ("owners", "no way back"),
}


@pytest.mark.usefixtures("glass")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_seen(fault: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, said = PLANTED[fault]
    fault(monkeypatch)
    storm = begun(kind, 0, monkeypatch)

    def again_and_again() -> None:
        for _ in range(40):
            rage(storm, 100)
            storm.go_home()

    with pytest.raises(AssertionError, match=said):
        again_and_again()
