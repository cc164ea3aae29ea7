"""The operator's pages fit: nothing is cut or drawn outside its place, whatever stations and people call things."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pygame import Surface

from station.model.api import Order
from station.model.base import BayId, SocketPath
from station.model.face import Face
from station.model.operator import BayLine, FirmwareLine, MachineView, OperatorView
from station.screen.canvas import Canvas
from station.screen.office import (
    Draft,
    KindDraft,
    LearnDraft,
    NightDraft,
    Office,
    PanelDraft,
    PinDraft,
    Room,
    TouchDraft,
)
from station.screen.render import View, render
from tests.screen.operator_samples import MACHINE, OPERATOR, ORDER, REPORT, controls, line, opened, record
from tests.screen.reader import read
from tests.screen.samples import BENCH, NOW, station
from tests.screen.test_operator_pictures import SIZES, VIEWS
from tests.screen.test_screen_layout import WORDS, Recorder

PLAIN, LARGE = Face(), Face(large=True)


pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("size", "face"), [*((size, PLAIN) for size in SIZES), (SIZES[0], LARGE), (SIZES[2], LARGE)], ids=str
)
@pytest.mark.usefixtures("utc")
def test_every_word_can_be_read_and_every_target_hit(size: tuple[int, int], face: Face) -> None:
    for name, view in VIEWS.items():
        assert view.snapshot is not None
        if not name.startswith(("way-", "phone-")):  # those are others' scenes, tested with them
            drawn = read(dataclasses.replace(view, snapshot=replace(view.snapshot, face=face)), size)
            assert not [said for said in drawn.read if said.endswith("…")], name
            assert drawn.targets, name
            hittable(drawn)


def hittable(canvas: Canvas) -> None:
    """Every target is large enough, on the screen, and apart from all others."""
    boxes = [box for box, _ in canvas.targets]
    for number, box in enumerate(boxes):
        assert canvas.area.contains(box)
        assert min(box.size) >= canvas.px(60)
        assert box.collidelist(boxes[number + 1 :]) == -1


def test_a_night_for_a_bay_that_is_no_more_is_not_for_every_bay() -> None:
    draft = NightDraft(bays=frozenset({BayId("99")}))
    canvas = Canvas(Surface((800, 480)), NOW)
    render(View(opened(), place=Office(Room.NIGHT, draft=draft)), canvas)
    (order,) = (target.command for _, target in canvas.targets if isinstance(target.command, Order))
    assert order.bays == ("99",)


DRAFTS: dict[Room, Draft] = {
    Room.DOOR: PinDraft("123456789012"),
    Room.PIN: PinDraft(differs=True),
    Room.NIGHT: NightDraft(count=500, hours=168),
    Room.NIGHT_BAYS: NightDraft(bays=frozenset({BayId("1"), BayId("16")})),
    Room.KIND: KindDraft("other"),
    Room.BAY: LearnDraft(BayId("1"), ""),
    Room.TOUCH: TouchDraft(frozenset({"3"})),
}


@st.composite
def operators(draw: st.DrawFn) -> OperatorView:
    word = WORDS
    number = draw(st.integers(0, 16))
    machine = draw(
        st.none()
        | st.builds(
            MachineView,
            software=word,
            addresses=st.lists(word, max_size=6).map(tuple),
            clock=st.sampled_from([MACHINE.clock, "", "soon"]),
            clock_trusted=st.none() | st.booleans(),
            disk_free=st.none() | st.integers(0, 10**14),
            temperature=st.none() | st.floats(-40, 200),
            under_voltage=st.none() | st.booleans(),
            upkeep=st.lists(word, max_size=3).map(tuple),
            sticks=st.lists(word, max_size=6).map(tuple),
        )
    )
    report = replace(
        REPORT,
        why_ended=draw(word),
        phones=tuple(replace(line(each), title=draw(word), model_name=draw(word)) for each in range(number)),
    )
    return replace(
        OPERATOR,
        machine=machine,
        policy=draw(st.sampled_from(["walk-up", "bench", "other"])),
        bays=tuple(
            BayLine(bay=BayId(str(each)), socket=SocketPath(draw(word)), occupied=draw(st.booleans()))
            for each in range(number)
        ),
        learning=draw(st.none() | st.just(BayId("1"))),
        testing=draw(st.booleans()),
        controls=controls(bays=number),
        firmware=tuple(
            FirmwareLine(version=draw(word), build=draw(word), size=10**10, models=2) for each in range(number)
        ),
        records=tuple(replace(record(each), model_name=draw(word), title=draw(word)) for each in range(number)),
        report=draw(st.none() | st.just(report)),
        says=draw(word),
    )


@st.composite
def views(draw: st.DrawFn) -> View:
    snapshot = replace(opened(station(*BENCH[: draw(st.integers(0, 16))])), operator=draw(operators()))
    if draw(st.booleans()):
        snapshot = replace(snapshot, order=ORDER)
    room = draw(st.sampled_from(Room))
    drafts: st.SearchStrategy[Draft | None] = st.none() | st.just(DRAFTS.get(room))
    if room is Room.PANEL:
        drafts = st.none() | st.builds(PanelDraft, step=st.none() | st.integers(0, 90))
    draft = draw(drafts)
    return View(snapshot, draw(WORDS), Office(room, part=draw(st.integers(0, 9)), draft=draft))


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(view=views(), size=st.sampled_from([*SIZES, (1920, 1080), (480, 800)]))
def test_whatever_it_is_called(view: View, size: tuple[int, int]) -> None:
    canvas = Recorder(Surface(size), NOW)
    render(view, canvas)
    for text in canvas.texts:
        assert canvas.area.contains(text)
        others = list(canvas.texts)
        others.remove(text)
        assert text.collidelist(others) == -1
    for shape in canvas.shapes:
        assert canvas.area.contains(shape)
    hittable(canvas)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(view=views(), size=st.tuples(st.integers(1, 400), st.integers(1, 400)))
def test_a_window_of_any_size_can_be_drawn(view: View, size: tuple[int, int]) -> None:
    render(view, Canvas(Surface(size), NOW))
