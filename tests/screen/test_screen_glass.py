"""The display: turned in steps of a right angle, with the finger; dimmed; and woken."""

from collections.abc import Iterator
from pathlib import Path

import pygame
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pygame import Surface

from station.model.api import (
    Answer,
    BayState,
    BayView,
    HoldBegan,
    HoldEnded,
    HoldGoesOn,
    Select,
    Snapshot,
    Start,
)
from station.model.base import BayId
from station.model.face import DARKEST, PLAIN, Face, Language, Turn
from station.model.service import Service
from station.screen.app import PAGE_SECONDS
from station.screen.backlight import Backlight, find_backlight
from station.screen.doze import DIM
from station.screen.pages import Page, opened
from station.screen.render import View, picture
from station.screen.touch import FORGET
from tests.screen.samples import BENCH, JOB, NOW, bay, offered, station
from tests.screen.stage import Stage

ONE = BayId("1")
START = Start(id=1, bay=ONE, service=Service.RESTORE)
ALWAYS = 600.0
"""More seconds than until it goes dim."""


@pytest.fixture
def stage(display: Surface) -> Iterator[Stage]:
    """A kiosk on a display of 800x480."""
    del display
    yield Stage()
    pygame.event.clear()


def seen(surface: Surface | None = None) -> bytes:
    """All pixels, of the display if of nothing else."""
    surface = surface or pygame.display.get_surface()
    assert surface is not None
    return pygame.image.tobytes(surface, "RGB")


def faced(face: Face, *bays: BayView) -> Snapshot:
    """A station that looks like this."""
    return replace(station(*bays), face=face)


def mounted(at: tuple[int, int], size: tuple[int, int], turn: Turn) -> tuple[int, int]:
    """Where on the glass something is that is there on the picture: a white dot is turned, and looked for."""
    dot = Surface(size)
    dot.set_at(at, (255, 255, 255))
    turned = pygame.transform.rotate(dot, -turn.value)
    (box,) = pygame.mask.from_threshold(turned, (255, 255, 255), (1, 1, 1, 255)).get_bounding_rects()
    return box.topleft


@pytest.mark.parametrize("turn", Turn)
class TestTurned:
    def test_the_picture(self, stage: Stage, turn: Turn) -> None:
        snapshot = faced(Face(turn=turn), *BENCH)
        stage.show(snapshot)
        assert stage.kiosk.size == ((480, 800) if turn in (Turn.LEFT, Turn.RIGHT) else (800, 480))
        whole = picture(View(snapshot), stage.kiosk.size, stage.now)
        assert seen() == seen(pygame.transform.rotate(whole, -turn.value))

    def test_what_changes_of_it(self, stage: Stage, turn: Turn) -> None:
        stage.show(faced(Face(turn=turn), *BENCH))
        later = replace(BENCH[6], job=replace(JOB, fraction=0.51))
        snapshot = faced(Face(turn=turn), *BENCH[:6], later, *BENCH[7:])
        stage.show(snapshot)
        whole = picture(View(snapshot), stage.kiosk.size, stage.now)
        assert seen() == seen(pygame.transform.rotate(whole, -turn.value))

    def test_a_finger(self, stage: Stage, turn: Turn) -> None:
        stage.show(faced(Face(turn=turn), bay(BayState.READY)))
        at = mounted(stage.place(Start), stage.kiosk.size, turn)
        stage.post(pygame.FINGERDOWN, at)
        stage.post(pygame.FINGERUP, at)
        assert stage.link.sent == [START]

    def test_a_mouse(self, stage: Stage, turn: Turn) -> None:
        stage.show(faced(Face(turn=turn), bay(BayState.READY)))
        at = mounted(stage.place(Start), stage.kiosk.size, turn)
        pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=at, touch=False))
        for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
            pygame.event.post(pygame.event.Event(kind, button=1, pos=at, touch=False))
        stage.steps()
        assert stage.link.sent == [START]

    def test_every_tile(self, stage: Stage, turn: Turn) -> None:
        stage.show(faced(Face(turn=turn), *BENCH))
        for number in range(16):
            at = mounted(stage.place(Select, number), stage.kiosk.size, turn)
            stage.post(pygame.FINGERDOWN, at)
            stage.post(pygame.FINGERUP, at)
        assert [sent.bay for sent in stage.link.sent if isinstance(sent, Select)] == [view.bay for view in BENCH]

    def test_the_corners(self, stage: Stage, turn: Turn) -> None:
        stage.show(faced(Face(turn=turn), *BENCH))
        width, height = stage.kiosk.size
        for at in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
            assert stage.kiosk._glass.place(mounted(at, (width, height), turn)) == at

    def test_no_station_is_said_the_same_way_up(self, stage: Stage, turn: Turn) -> None:
        stage.show(faced(Face(turn=turn, contrast=True), *BENCH))
        stage.show(None)
        whole = picture(View(None, face=Face(contrast=True)), stage.kiosk.size, stage.now)
        assert seen() == seen(pygame.transform.rotate(whole, -turn.value))


def test_it_can_be_turned_while_it_is_looked_at(stage: Stage) -> None:
    for turn in (*Turn, Turn.NONE):
        snapshot = faced(Face(turn=turn), *BENCH)
        stage.show(snapshot)
        whole = picture(View(snapshot), stage.kiosk.size, stage.now)
        assert seen() == seen(pygame.transform.rotate(whole, -turn.value))


def test_a_window_of_another_size(stage: Stage) -> None:
    stage.show(station(*BENCH))
    pygame.display.set_mode((640, 400))
    pygame.event.post(pygame.event.Event(pygame.WINDOWSIZECHANGED, x=640, y=400))
    stage.steps()
    assert seen() == seen(picture(View(station(*BENCH)), (640, 400), stage.now))


def test_a_window_that_was_covered_is_shown_again(stage: Stage) -> None:
    stage.show(station(*BENCH))
    before = seen()
    surface = pygame.display.get_surface()
    assert surface is not None
    surface.fill((255, 0, 255))
    pygame.event.post(pygame.event.Event(pygame.WINDOWEXPOSED))
    stage.steps()
    assert seen() == before


def brightness() -> float:
    """How bright the display is, as a share of the picture."""
    surface = pygame.display.get_surface()
    assert surface is not None
    whole = pygame.transform.average_color(surface)
    return sum(whole[:3])


class TestBrightness:
    def test_without_a_backlight_a_veil_is_drawn_last(self, stage: Stage) -> None:
        stage.show(faced(PLAIN, *BENCH))
        bright = seen()
        stage.show(faced(Face(brightness=50), *BENCH))
        dark = seen()
        assert all(abs(there / 2 - here) <= 1 for there, here in zip(bright[::97], dark[::97], strict=True))

    def test_what_changes_under_a_veil_is_as_dark(self, stage: Stage) -> None:
        stage.show(faced(Face(brightness=40), *BENCH))
        later = replace(BENCH[6], job=replace(JOB, fraction=0.51))
        stage.show(faced(Face(brightness=40), *BENCH[:6], later, *BENCH[7:]))
        partly = seen()
        pygame.event.post(pygame.event.Event(pygame.WINDOWEXPOSED))
        stage.steps()
        assert seen() == partly

    def test_where_there_is_a_backlight_the_picture_stays_whole(self, display: Surface, tmp_path: Path) -> None:
        backlight = a_backlight(tmp_path, most=255)
        stage = Stage(backlight)
        stage.show(faced(PLAIN, *BENCH))
        bright = seen(display)
        assert (tmp_path / "panel/brightness").read_text() == "255\n"
        stage.show(faced(Face(brightness=DARKEST), *BENCH))
        assert (tmp_path / "panel/brightness").read_text() == "26\n"
        assert seen(display) == bright

    def test_a_backlight_that_may_not_be_changed_is_none(self, display: Surface, tmp_path: Path) -> None:
        del display
        backlight = a_backlight(tmp_path, most=255)
        stage = Stage(backlight)
        stage.show(faced(PLAIN, *BENCH))
        bright = brightness()
        (tmp_path / "panel/brightness").unlink()
        (tmp_path / "panel/brightness").mkdir()
        stage.show(faced(Face(brightness=50), *BENCH))
        assert brightness() < bright


def a_backlight(directory: Path, *, most: int) -> Backlight:
    """As the kernel shows one."""
    panel = directory / "panel"
    panel.mkdir()
    (panel / "max_brightness").write_text(f"{most}\n")
    (panel / "brightness").write_text("1\n")
    found = find_backlight(directory)
    assert found is not None
    return found


@pytest.mark.parametrize("content", ["", "0\n", "no number"])
def test_what_is_no_backlight_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "panel").mkdir()
    (tmp_path / "panel/max_brightness").write_text(content)
    assert find_backlight(tmp_path) is None
    assert find_backlight(tmp_path / "none") is None


class TestDim:
    def test_it_goes_dim_when_nothing_happens(self, stage: Stage) -> None:
        stage.show(station(bay(BayState.READY)))
        bright = brightness()
        pause = stage.steps()
        assert pause is not None
        assert pause == pytest.approx(PLAIN.dim_seconds - (stage.now - NOW))
        stage.now += pause
        assert stage.steps() is None
        assert brightness() == pytest.approx(bright * DIM, abs=3)

    def test_the_first_touch_only_wakes(self, stage: Stage) -> None:
        stage.show(station(bay(BayState.READY)))
        bright = brightness()
        stage.now += ALWAYS
        stage.steps()
        stage.tap(Start)
        assert stage.link.sent == []
        assert brightness() == bright
        stage.tap(Start)
        assert stage.link.sent == [START]

    def test_nor_does_the_mouse_that_sdl_makes_up_from_it_wake_it_before(self, stage: Stage) -> None:
        stage.show(station(bay(BayState.READY)))
        stage.now += ALWAYS
        stage.steps()
        at = stage.place(Start)
        pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=at, touch=True))
        stage.tap(Start)
        assert stage.link.sent == []

    @pytest.mark.parametrize(
        "state", [BayState.READING, BayState.NEEDS_PERSON, BayState.ARMED, BayState.DONE, BayState.FAILED]
    )
    def test_news_that_need_somebody_wake_it(self, stage: Stage, state: BayState) -> None:
        stage.show(station(bay(BayState.WORKING)))
        stage.now += ALWAYS
        stage.steps()
        dark = brightness()
        stage.show(station(bay(state)))
        assert brightness() > 2 * dark

    def test_what_goes_on_by_itself_does_not(self, stage: Stage) -> None:
        stage.show(station(bay(BayState.WORKING), bay(BayState.READY, 2)))
        stage.now += ALWAYS
        stage.steps()
        dark = brightness()
        stage.show(station(replace(bay(BayState.WORKING), job=replace(JOB, fraction=0.9)), bay(BayState.QUEUED, 2)))
        assert brightness() == pytest.approx(dark, abs=5)

    def test_a_guide_and_a_confirmation_stay_bright(self, stage: Stage) -> None:
        stage.show(station(bay(BayState.ARMED)))
        bright = brightness()
        stage.now += ALWAYS
        stage.steps()
        assert brightness() == pytest.approx(bright, rel=0.1)

    def test_it_can_be_left_out(self, stage: Stage) -> None:
        stage.show(faced(Face(dim_seconds=0), bay(BayState.READY)))
        bright = brightness()
        stage.now += 100 * ALWAYS
        assert stage.steps() is None
        assert brightness() == bright

    def test_a_finger_that_holds_when_it_goes_dim_is_let_go(self, stage: Stage) -> None:
        stage.show(station(bay(BayState.READY)))
        at = stage.place(Start)
        stage.post(pygame.FINGERDOWN, at)
        stage.now += ALWAYS
        stage.steps()
        stage.post(pygame.FINGERUP, at)
        assert stage.link.sent == []


class TestPrivate:
    PHONE = offered(Service.RESTART)

    def test_a_page_about_a_phone_closes_a_minute_after_the_last_touch(self, stage: Stage) -> None:
        assert PAGE_SECONDS == 60
        stage.show(station(self.PHONE))
        home = seen()
        stage.kiosk._place = opened(self.PHONE, Page.FACTS)
        stage.kiosk._touched = stage.now
        assert stage.steps() == pytest.approx(PAGE_SECONDS)
        assert seen() != home
        stage.now += PAGE_SECONDS
        stage.steps()
        assert seen() == home

    def test_it_closes_on_unplug(self, stage: Stage) -> None:
        stage.show(station(self.PHONE))
        stage.kiosk._place = opened(self.PHONE, Page.FACTS)
        stage.kiosk._touched = stage.now
        stage.steps()
        stage.show(station(bay(BayState.EMPTY)))
        assert seen() == seen(picture(View(station(bay(BayState.EMPTY))), (800, 480), stage.now))

    def test_a_note_goes_with_its_phone(self, stage: Stage) -> None:
        stage.show(station(bay(BayState.READY)))
        stage.link.answers.append(Answer(id=1, refused="It belongs to somebody else.", remedy=""))
        stage.steps()
        stage.show(station(bay(BayState.EMPTY)))
        assert seen() == seen(picture(View(station(bay(BayState.EMPTY))), (800, 480), stage.now))


class TestGhosts:
    """What a wet glass, a sleeve or ten fingers at once can do: nothing that a person would not want."""

    def test_ten_fingers_at_once_are_one(self, stage: Stage) -> None:
        stage.show(station(*BENCH))
        for finger in range(10):
            stage.post(pygame.FINGERDOWN, stage.place(Select, finger), finger)
        for finger in range(10):
            stage.post(pygame.FINGERUP, stage.place(Select, finger), finger)
        assert [sent.bay for sent in stage.link.sent if isinstance(sent, Select)] == [ONE]

    def test_a_finger_that_never_left_holds_nobody_up_for_long(self, stage: Stage) -> None:
        stage.show(station(bay(BayState.READY)))
        stage.post(pygame.FINGERDOWN, (5, 475), finger=7)
        stage.now += FORGET
        stage.tap(Start)
        assert stage.link.sent == [START]

    @settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([pygame.FINGERDOWN, pygame.FINGERMOTION, pygame.FINGERUP]),
                st.tuples(st.integers(0, 799), st.integers(0, 479)) | st.just((220, 250)),
                st.integers(1, 3),
                st.floats(0, 0.4),
            ),
            max_size=25,
        )
    )
    def test_no_storm_holds_longer_than_its_finger(
        self, display: Surface, storm: list[tuple[int, tuple[int, int], int, float]]
    ) -> None:
        del display
        stage = Stage()
        stage.show(station(bay(BayState.ARMED), touch=True))
        for kind, at, finger, later in storm:
            stage.now += later
            stage.post(kind, at, finger)
        pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))
        stage.steps()
        held = False
        for sent in stage.link.sent:
            assert not (held and isinstance(sent, HoldBegan))
            assert held or not isinstance(sent, HoldGoesOn | HoldEnded)
            held = (held or isinstance(sent, HoldBegan)) and not isinstance(sent, HoldEnded)
        assert not held


def test_a_daemon_that_starts_again_is_waited_for_in_the_same_face(stage: Stage) -> None:
    face = Face(contrast=True, large=True, brightness=60, language=Language.GERMAN)
    snapshot = faced(face, *BENCH)
    stage.show(snapshot)
    before = seen()
    stage.show(None)
    moment = seen()
    assert moment != before
    stage.show(None)
    assert seen() == moment
    stage.show(snapshot)
    assert seen() == before
