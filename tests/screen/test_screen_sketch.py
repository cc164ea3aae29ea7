"""A picture drawn where it changed is the picture drawn whole."""

import pygame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pygame import Rect, Surface

from station.model.api import BayState
from station.model.face import Face
from station.screen import shapes
from station.screen.canvas import Canvas
from station.screen.render import View, render
from station.screen.sketch import Mark, Sketch, changed, paint
from tests.screen.gallery import GALLERY
from tests.screen.samples import BENCH, CONFIRM, JOB, NOW, bay, station

SIZE = (480, 320)
IMAGES = [shapes.disc(side, colour) for side in (9, 24) for colour in ((250, 20, 20), (20, 250, 20), (20, 20, 250))]
SPOTS = st.tuples(st.integers(-10, 60), st.integers(-10, 60))
FILLS = st.builds(
    lambda colour, at, size: (colour, *at, *size, None),
    st.sampled_from([(0, 0, 0), (90, 90, 90), (200, 10, 200)]),
    SPOTS,
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
PUTS = st.builds(lambda image, at: (image, *at, *image.get_size(), None), st.sampled_from(IMAGES), SPOTS) | st.builds(
    lambda image, at: (image, *at, 4, 4, (3, 3)), st.sampled_from(IMAGES), SPOTS
)
MARKS = st.lists(FILLS | PUTS, max_size=12)
GROUND: Mark = ((30, 30, 30), 0, 0, 64, 64, None)


def seen(surface: Surface) -> bytes:
    """All of its pixels."""
    return pygame.image.tobytes(surface, "RGB")


@st.composite
def two_pictures(draw: st.DrawFn) -> tuple[list[Mark], list[Mark]]:
    """One, and the same with some things taken away, added, or in another order."""
    old = draw(MARKS)
    new = draw(st.permutations(old)) if draw(st.booleans()) else list(old)
    new = new[draw(st.integers(0, 3)) :]
    place = draw(st.integers(0, len(new)))
    return [GROUND, *old], [GROUND, *new[:place], *draw(MARKS), *new[place:]]


@given(two_pictures())
def test_partly_is_whole(pictures: tuple[list[Mark], list[Mark]]) -> None:
    old, new = pictures
    partly, whole = Surface((64, 64)), Surface((64, 64))
    paint(partly, old)
    places = changed(old, new)
    paint(partly, new, places)
    paint(whole, new)
    assert seen(partly) == seen(whole)
    for number, place in enumerate(places):
        assert place.collidelist(places[number + 1 :]) == -1


def drawn(view: View, now: float, touched: int | None, last: Sketch | None = None) -> Sketch:
    """What a view's picture consists of, with a finger on one of its targets."""
    first = Canvas(Sketch(SIZE), now)
    if touched is not None:
        render(view, first)
    targets = [target for _, target in first.targets]
    sketch = Sketch(SIZE, last)
    render(view, Canvas(sketch, now, targets[touched % len(targets)] if touched is not None and targets else None))
    return sketch


VIEWS = [
    *GALLERY.values(),
    *(View(replace(station(*BENCH), face=face)) for face in (Face(large=True), Face(contrast=True))),
    View(None),
]
STEPS = st.tuples(
    st.sampled_from(VIEWS), st.integers(0, 900).map(lambda tenths: NOW + tenths / 10), st.none() | st.integers(0, 9)
)


@settings(max_examples=12)
@given(st.lists(STEPS, min_size=2, max_size=4))
def test_whatever_follows_whatever(steps: list[tuple[View, float, int | None]]) -> None:
    partly = Surface(SIZE)
    before: Sketch | None = None
    for view, now, touched in steps:
        after = drawn(view, now, touched, before)
        paint(partly, after.marks, None if before is None else changed(before.marks, after.marks))
        before = after
    whole = Surface(SIZE)
    paint(whole, drawn(*steps[-1]).marks)
    direct = Surface(SIZE)
    view, now, touched = steps[-1]
    if touched is None:
        render(view, Canvas(direct, now))
        assert seen(direct) == seen(whole)
    assert seen(partly) == seen(whole)


def share(before: View, after: View, later: float = 0.0) -> float:
    """How much of the picture is drawn anew."""
    first = drawn(before, NOW, None)
    places = changed(first.marks, drawn(after, NOW + later, None, first).marks)
    return sum(place.width * place.height for place in places) / (SIZE[0] * SIZE[1])


def test_nothing_new_is_nothing_drawn() -> None:
    assert share(GALLERY["sixteen"], GALLERY["sixteen"]) == 0


def test_one_bay_of_sixteen_is_a_sixteenth() -> None:
    later = replace(BENCH[6], job=replace(JOB, fraction=0.51))
    assert 0 < share(View(station(*BENCH)), View(station(*BENCH[:6], later, *BENCH[7:]))) < 1 / 16


@pytest.mark.parametrize("held", [0.0, 1.0])
def test_a_ring_that_fills_is_all_that_is_drawn(held: float) -> None:
    armed = replace(bay(BayState.ARMED), confirm=replace(CONFIRM, holding_since=NOW - held))
    assert 0 < share(View(station(armed)), View(station(armed)), later=1 / 60) < 0.2


def test_a_part_that_is_the_same_is_found_with_all_that_it_wants() -> None:
    view = View(station(*BENCH))
    canvases = []
    last: Sketch | None = None
    for now in (NOW, NOW + 0.1, NOW + 0.2):
        last = Sketch(SIZE, last)
        canvases.append(Canvas(last, now))
        render(view, canvases[-1])
    fresh = Canvas(Sketch(SIZE), NOW + 0.2)
    render(view, fresh)
    assert canvases[-1].targets == fresh.targets
    assert canvases[-1].due == fresh.due
    assert isinstance(fresh.surface, Sketch)
    assert last is not None
    assert last.marks == fresh.surface.marks


def test_a_part_that_is_not_drawn_any_more_is_forgotten() -> None:
    first = drawn(View(station(*BENCH)), NOW, None)
    assert len(first.parts) == len(BENCH)
    assert len(drawn(View(station(*BENCH[:3])), NOW, None, first).parts) == 3
    assert not drawn(View(None), NOW, None, first).parts


def test_what_covers_all_is_all_that_there_is() -> None:
    sketch = Sketch((64, 64))
    sketch.fill((1, 2, 3), Rect(1, 1, 5, 5))
    sketch.fill((0, 0, 0))
    assert sketch.marks == [((0, 0, 0), 0, 0, 64, 64, None)]
