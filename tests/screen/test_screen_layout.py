"""Nothing is drawn outside its place, whatever the station says and however large the screen is."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pygame import Rect, Surface

from station.model.api import BayState, BayView, Select, Snapshot
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.screen.canvas import Canvas
from station.screen.render import View, render
from station.screen.text import Style
from tests.screen.samples import CONFIRM, JOB, NOW, PHONE, bay, station

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


@st.composite
def bays(draw: st.DrawFn, number: int) -> BayView:
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
    return replace(
        view,
        phone=view.phone and phone,
        job=view.job and job,
        confirm=view.confirm and confirm,
        result=result,
    )


@st.composite
def stations(draw: st.DrawFn) -> Snapshot:
    count = draw(st.integers(1, 16))
    views = [draw(bays(number + 1)) for number in range(count)]
    snapshot = station(*views, touch=draw(st.booleans()), notice=draw(WORDS), emulated=draw(st.booleans()))
    return replace(snapshot, station=draw(WORDS))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(snapshot=stations(), size=SIZES, note=WORDS)
def test_everything_is_in_its_place(snapshot: Snapshot, size: tuple[int, int], note: str) -> None:
    canvas = Recorder(Surface(size), NOW)
    render(View(snapshot, note), canvas)
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


@settings(max_examples=40, deadline=None)
@given(snapshot=stations(), size=SIZES)
def test_targets_are_large_apart_and_on_the_screen(snapshot: Snapshot, size: tuple[int, int]) -> None:
    canvas = Canvas(Surface(size), NOW)
    render(View(snapshot), canvas)
    for number, (box, _) in enumerate(canvas.targets):
        assert canvas.area.contains(box)
        assert min(box.size) >= canvas.px(60)
        assert box.collidelist([other for other, _ in canvas.targets[number + 1 :]]) == -1


@settings(max_examples=40, deadline=None)
@given(snapshot=stations(), size=st.tuples(st.integers(1, 400), st.integers(1, 400)))
def test_a_window_of_any_size_can_be_drawn(snapshot: Snapshot, size: tuple[int, int]) -> None:
    render(View(snapshot, "note"), Canvas(Surface(size), NOW))


@pytest.mark.parametrize("count", [0, 17, 60])
def test_any_number_of_bays_can_be_drawn(count: int) -> None:
    views = (bay(BayState.READY, number) for number in range(count))
    render(View(station(*views)), Canvas(Surface((800, 480)), NOW))
