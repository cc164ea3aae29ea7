"""Nothing is drawn outside its place, whatever the station says and however large the screen is."""

from dataclasses import dataclass, field
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pygame import Rect, Surface

from station.model.api import AdviceView, BayState, BayView, OfferView, Select, Snapshot
from station.model.gates import Finding, Gate
from station.model.guide import Family, Seen
from station.model.guide import Target as GoalOf
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.model.record import Check, Outcome
from station.model.service import Service
from station.model.symptoms import Symptom
from station.screen.canvas import Canvas
from station.screen.pages import Page, Place, guest
from station.screen.render import View, render
from station.screen.text import Style
from tests.screen.samples import CONFIRM, FACTS, JOB, NOW, PHONE, bay, guided, station

HOSTILE = st.sampled_from(
    [
        "\0",
        "\ud800\udfff lone",
        "\u202egnirts\u202c",
        "x" * 5000,
        "word " * 1000,
        "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334" * 40,
        "😀👩‍👩‍👧‍👦 家族の電話",
        "a\nb\r\tc\x1b[31m",
        "W" * 40,
        "",
        " ",
        "iPhone 17 Pro Max",
        "The phone did not start the restore system and stayed in recovery.",
    ]
)
WORDS = HOSTILE | st.text(max_size=60)
SIZES = st.sampled_from([(480, 320), (800, 480), (1024, 600), (1280, 720), (720, 1280), (480, 800), (1920, 1080)])


@dataclass
class Recorder(Canvas):
    """A canvas that remembers where text was drawn."""

    texts: list[Rect] = field(default_factory=list)
    shapes: list[Rect] = field(default_factory=list)
    writing: bool = False

    def words(self, words: str, box: Rect, style: Style, *, lines: int = 1, align: float = 0.0) -> None:
        self.writing = True
        super().words(words, box, style, lines=lines, align=align)
        self.writing = False

    def put(self, image: Surface, box: Rect, part: Rect | None = None) -> None:
        seen = Rect(box.topleft, part.size if part else image.get_size())
        (self.texts if self.writing else self.shapes).append(seen)
        super().put(image, box, part)


FINDING = st.builds(Finding, gate=st.sampled_from(Gate), title=WORDS, remedy=WORDS, overrulable=st.booleans())
OFFER = st.builds(
    OfferView,
    service=st.sampled_from(Service),
    seconds=st.none() | st.floats(0, 1e6),
    findings=st.lists(FINDING, max_size=2).map(tuple),
    told=st.lists(FINDING, max_size=2).map(tuple),
)
OFFERS = st.lists(OFFER, max_size=len(Service), unique_by=lambda offer: offer.service).map(tuple)
ADVICE = st.none() | st.builds(
    AdviceView,
    symptom=st.sampled_from(Symptom),
    services=st.lists(st.sampled_from(Service), unique=True).map(tuple),
    guide=st.none() | st.sampled_from(GoalOf),
    says=WORDS,
    ended=st.booleans(),
)
FACTS_SAID = st.builds(
    lambda word, number: replace(
        FACTS, model_name=word, colour=word, serial_number=word, imei=word, organisation=word, battery_percent=number
    ),
    WORDS,
    st.none() | st.integers(0, 100),
)
GUIDE = st.none() | st.builds(
    lambda family, step, words, seen: replace(
        guided(family, GoalOf.DFU, step, seen=seen, says=words, warning=words).guide or fail(), began=NOW - step
    ),
    st.sampled_from(Family),
    st.integers(0, 5),
    WORDS,
    st.sampled_from(Seen),
)
CHECK = st.builds(Check, what=WORDS, expected=WORDS, observed=WORDS, passed=st.booleans())


def fail() -> NoReturn:
    raise AssertionError


@st.composite
def bays(draw: st.DrawFn, number: int, *, rich: bool) -> BayView:
    state = draw(st.sampled_from(BayState))
    view = replace(bay(state, number), title=draw(WORDS), hint=draw(WORDS), selected=draw(st.booleans()))
    phone = replace(
        PHONE,
        model_name=draw(WORDS),
        product_type=draw(WORDS),
        version=draw(WORDS),
        build=draw(WORDS),
        mode=draw(st.sampled_from(PhoneMode)),
        emulated=draw(st.booleans()),
        facts=draw(st.none() | FACTS_SAID) if rich else None,
    )
    job = replace(
        JOB,
        phase=draw(st.sampled_from(Phase)),
        fraction=draw(st.floats(-1, 2)),
        eta=draw(st.none() | st.floats(0, 1e6)),
        keep_plugged=draw(st.booleans()),
    )
    confirm = replace(CONFIRM, holding_since=draw(st.none() | st.floats(NOW - 3, NOW + 1)), target_version=draw(WORDS))
    result = view.result and replace(
        view.result, outcome=draw(st.sampled_from(Outcome)), title=draw(WORDS), remedy=draw(WORDS)
    )
    view = replace(
        view,
        phone=view.phone and phone,
        job=view.job and job,
        confirm=view.confirm and confirm,
        result=result,
    )
    if not rich:
        return view
    checks, before = draw(st.lists(CHECK, max_size=9)), draw(st.none() | FACTS_SAID)
    result = view.result and replace(view.result, checks=tuple(checks), before=before, after=FACTS)
    chosen = draw(st.none() | st.sampled_from(Service))
    return replace(
        view, result=result, offers=draw(OFFERS), chosen=chosen, advice=draw(ADVICE), guide=draw(GUIDE), selected=True
    )


@st.composite
def stations(draw: st.DrawFn) -> Snapshot:
    count = draw(st.integers(1, 16))
    views = [draw(bays(number + 1, rich=number == 0)) for number in range(count)]
    snapshot = station(*views, touch=draw(st.booleans()), notice=draw(WORDS), emulated=draw(st.booleans()))
    return replace(snapshot, station=draw(WORDS))


@st.composite
def views(draw: st.DrawFn) -> View:
    snapshot = draw(stations())
    chosen = snapshot.bays[0]
    place = Place(chosen.bay, draw(st.sampled_from(Page)), guest(chosen), goal=draw(st.sampled_from(GoalOf)))
    return View(snapshot, draw(WORDS), draw(st.none() | st.just(place)))


@pytest.mark.system
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(view=views(), size=SIZES)
def test_everything_is_in_its_place(view: View, size: tuple[int, int]) -> None:
    canvas = Recorder(Surface(size), NOW)
    render(view, canvas)
    tiles = [box for box, target in canvas.targets if isinstance(target.command, Select)]
    for text in canvas.texts:
        assert canvas.area.contains(text)
        for tile in tiles:
            assert tile.contains(text) or not tile.colliderect(text)
        others = list(canvas.texts)
        others.remove(text)
        assert text.collidelist(others) == -1
    for shape in canvas.shapes:
        assert canvas.area.contains(shape)
        for tile in tiles:
            assert tile.contains(shape) or not tile.colliderect(shape)


@pytest.mark.system  # takes seconds
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(view=views(), size=SIZES)
def test_targets_are_large_apart_and_on_the_screen(view: View, size: tuple[int, int]) -> None:
    canvas = Canvas(Surface(size), NOW)
    render(view, canvas)
    for number, (box, _) in enumerate(canvas.targets):
        assert canvas.area.contains(box)
        assert min(box.size) >= canvas.px(60)
        assert box.collidelist([other for other, _ in canvas.targets[number + 1 :]]) == -1


@pytest.mark.system
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(view=views(), size=st.tuples(st.integers(1, 400), st.integers(1, 400)))
def test_a_window_of_any_size_can_be_drawn(view: View, size: tuple[int, int]) -> None:
    render(view, Canvas(Surface(size), NOW))


@pytest.mark.parametrize("count", [0, 17, 60])
def test_any_number_of_bays_can_be_drawn(count: int) -> None:
    views = (bay(BayState.READY, number) for number in range(count))
    render(View(station(*views)), Canvas(Surface((800, 480)), NOW))
