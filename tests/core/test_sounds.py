"""When the buzzer speaks."""

import pytest
from msgspec.structs import replace

from station.core.sounds import Sound, of_change
from station.model.api import BayState, Snapshot
from station.model.face import Face
from tests.core.helpers import ONE, TWO, Bench


def showing(one: BayState, two: BayState = BayState.EMPTY, *, sound: bool = True) -> Snapshot:
    seen = Bench().view()
    states = {ONE: one, TWO: two}
    bays = tuple(replace(bay, state=states[bay.bay]) for bay in seen.bays)
    return replace(seen, bays=bays, face=Face(sound=sound))


@pytest.mark.parametrize(
    ("state", "sound"),
    [
        (BayState.NEEDS_PERSON, Sound.PERSON),
        (BayState.DONE, Sound.DONE),
        (BayState.FAILED, Sound.FAILED),
        (BayState.ARMED, None),
        (BayState.WORKING, None),
        (BayState.READY, None),
        (BayState.CANCELLED, None),
        (BayState.EMPTY, None),
    ],
)
def test_once_for_what_happens(state, sound):
    before = showing(BayState.QUEUED)
    assert of_change(before, showing(state)) is sound
    assert of_change(showing(state), showing(state)) is None
    assert of_change(before, showing(state, sound=False)) is None
    assert of_change(None, showing(state)) is None


def test_of_what_happens_at_once_the_most_urgent():
    before = showing(BayState.WORKING, BayState.WORKING)
    assert of_change(before, showing(BayState.DONE, BayState.FAILED)) is Sound.FAILED
    assert of_change(before, showing(BayState.DONE, BayState.NEEDS_PERSON)) is Sound.PERSON


def test_a_bay_that_is_new_is_no_news():
    before = replace(showing(BayState.DONE), bays=())
    assert of_change(before, showing(BayState.DONE)) is None


def test_it_is_silent_until_somebody_wants_it():
    assert not Face().sound
