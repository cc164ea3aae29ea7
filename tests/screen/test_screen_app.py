"""The loop: what is drawn when, and what touches send."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygame
import pytest
import typer
from asyncinotify import Inotify, Mask
from msgspec.structs import replace
from pygame import Surface
from typer.testing import CliRunner

from station.cli.screen import screen
from station.errors import StationError
from station.model.api import (
    HOLD_BEAT,
    Answer,
    BayState,
    Cancel,
    Command,
    Dismiss,
    HoldBegan,
    HoldEnded,
    HoldGoesOn,
    Select,
    Snapshot,
    Start,
)
from station.model.base import BayId, Ecid
from station.model.service import Service
from station.screen import app
from station.screen.app import BEAT, NOTE_SECONDS
from station.screen.sketch import Sketch
from station.screen.touch import SETTLE
from station.screen.window import open_window
from tests.screen.samples import BENCH, CONFIRM, NOW, PHONE, bay, station
from tests.screen.server import serving
from tests.screen.stage import Stage

ONE = BayId("1")


@pytest.fixture
def stage(display: Surface) -> Iterator[Stage]:
    """A kiosk on a display."""
    yield Stage()
    pygame.event.clear()


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (BayState.READY, Start(id=1, bay=ONE, service=Service.RESTORE)),
        (BayState.ARMED, Cancel(id=1, bay=ONE)),
        (BayState.QUEUED, Cancel(id=1, bay=ONE)),
        (BayState.DONE, Dismiss(id=1, bay=ONE)),
        (BayState.FAILED, Dismiss(id=1, bay=ONE)),
    ],
)
def test_a_tap_sends_the_states_command(stage: Stage, state: BayState, command: Command) -> None:
    stage.show(station(bay(state)))
    stage.tap(type(command))
    assert stage.link.sent == [command]


def test_a_result_can_be_dismissed_once_it_is_on_record(stage: Stage) -> None:
    view = bay(BayState.FAILED)
    assert view.result is not None
    stage.link.snapshot = station(replace(view, result=replace(view.result, record=0)))
    with pytest.raises(IndexError):
        stage.place(Dismiss)


def test_a_tap_on_a_tile_selects_it(stage: Stage) -> None:
    stage.show(station(*BENCH))
    at = stage.place(Select, number=10)
    stage.post(pygame.FINGERDOWN, at)
    stage.post(pygame.FINGERUP, at)
    assert stage.link.sent == [Select(id=1, bay=BayId("11"))]


def test_a_mouse_does_what_a_finger_does_once(stage: Stage) -> None:
    stage.show(station(bay(BayState.READY)))
    at = stage.place(Start)
    for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
        pygame.event.post(pygame.event.Event(kind, button=1, pos=at, touch=False))
    stage.steps()
    assert len(stage.link.sent) == 1


@pytest.mark.parametrize("kind", [pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP])
def test_the_mouse_that_sdl_makes_up_from_a_finger_means_nothing(stage: Stage, kind: int) -> None:
    stage.show(station(bay(BayState.READY)))
    at = stage.place(Start)
    pygame.event.post(pygame.event.Event(kind, button=1, pos=at, touch=True))
    stage.tap(Start)
    assert len(stage.link.sent) == 1


def test_a_finger_that_came_while_a_slow_screen_drew_touched_what_was_there_before(stage: Stage, monkeypatch) -> None:
    stage.link.snapshot = station(bay(BayState.READY))
    at = stage.place(Start)
    show = stage.kiosk._glass.show

    def slowly(sketch: Sketch) -> None:
        stage.now += 2 * SETTLE
        spot: dict[str, Any] = {"x": (at[0] + 0.5) / 800, "y": (at[1] + 0.5) / 480}
        if not stage.kiosk.drawn:
            pygame.event.post(pygame.event.Event(pygame.FINGERDOWN, finger_id=1, touch_id=0, **spot))
        show(sketch)

    monkeypatch.setattr(stage.kiosk._glass, "show", slowly)
    stage.steps()
    stage.post(pygame.FINGERUP, at)
    assert stage.link.sent == []


def test_a_phone_swapped_under_the_finger_is_not_started(stage: Stage) -> None:
    view = bay(BayState.READY)
    stage.show(station(view))
    at = stage.place(Start)
    stage.post(pygame.FINGERDOWN, at)
    stage.show(station(replace(view, phone=replace(PHONE, ecid=Ecid(2)))))
    stage.post(pygame.FINGERUP, at)
    assert stage.link.sent == []


def test_a_hold_on_the_ring(stage: Stage) -> None:
    stage.show(station(bay(BayState.ARMED), touch=True))
    at = stage.place(HoldBegan)
    stage.post(pygame.FINGERDOWN, at)
    assert stage.link.sent == [HoldBegan(id=1, bay=ONE)]
    held = replace(bay(BayState.ARMED), confirm=replace(CONFIRM, holding_since=stage.now))
    stage.link.snapshot = station(held, touch=True)
    stage.steps()
    for _ in range(2):
        pause = stage.steps()
        assert pause is not None
        assert pause <= HOLD_BEAT
        stage.now += BEAT + 0.001
    stage.steps()
    stage.post(pygame.FINGERMOTION, (790, 470))
    goes_on = [HoldGoesOn(id=number, bay=ONE) for number in (2, 3)]
    assert stage.link.sent[1:] == [*goes_on, HoldEnded(id=4, bay=ONE)]


def test_the_ring_cannot_be_held_where_there_are_buttons(stage: Stage) -> None:
    stage.show(station(bay(BayState.ARMED), touch=True))
    at = stage.place(HoldBegan)
    stage.show(station(bay(BayState.ARMED), touch=False))
    stage.post(pygame.FINGERDOWN, at)
    stage.post(pygame.FINGERUP, at)
    assert stage.link.sent == []


def test_a_daemon_that_goes_ends_a_touch(stage: Stage) -> None:
    stage.show(station(bay(BayState.READY)))
    at = stage.place(Start)
    stage.post(pygame.FINGERDOWN, at)
    stage.show(None)
    stage.show(station(bay(BayState.READY)))
    stage.post(pygame.FINGERUP, at)
    assert stage.link.sent == []


def rests(pause: float | None) -> bool:
    """Whether nothing is to be done but to go dim one day."""
    return pause is None or pause > 60


def test_an_unchanged_snapshot_draws_nothing(stage: Stage) -> None:
    stage.show(station(bay(BayState.READY)))
    drawn = stage.kiosk.drawn
    for sequence in range(2, 10):
        stage.link.snapshot = replace(station(bay(BayState.READY)), sequence=sequence, at=NOW + sequence)
        stage.now += 1
        assert rests(stage.steps())
    assert stage.kiosk.drawn == drawn


def test_the_clock_draws_once_a_second_where_time_is_shown(stage: Stage) -> None:
    stage.show(station(bay(BayState.WORKING)))
    drawn = stage.kiosk.drawn
    stage.now += 0.1
    pause = stage.steps()
    assert pause is not None
    assert 0 < pause < 1
    assert stage.kiosk.drawn == drawn
    stage.now += pause
    stage.steps()
    assert stage.kiosk.drawn == drawn + 1


def test_a_held_ring_moves_sixty_times_a_second_and_then_rests(stage: Stage) -> None:
    held = replace(bay(BayState.ARMED), confirm=replace(CONFIRM, holding_since=NOW))
    stage.link.snapshot = station(held)
    assert stage.steps() == pytest.approx(1 / 60)
    stage.now = NOW + CONFIRM.hold_seconds
    assert stage.steps() == pytest.approx(1)


def test_a_refusal_is_shown_for_a_while(stage: Stage) -> None:
    stage.show(station(bay(BayState.READY)))
    before = pygame.display.get_surface()
    assert before is not None
    plain = before.copy()
    stage.link.answers.append(Answer(id=1, refused="The battery is nearly empty.", remedy="Charge it."))
    pause = stage.steps()
    assert pause == pytest.approx(NOTE_SECONDS)
    assert pygame.image.tobytes(before, "RGB") != pygame.image.tobytes(plain, "RGB")
    stage.now += NOTE_SECONDS
    assert rests(stage.steps())
    assert pygame.image.tobytes(before, "RGB") == pygame.image.tobytes(plain, "RGB")


def test_a_closed_window_ends_it(stage: Stage) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    stage.steps()
    assert not stage.kiosk.open


class Daemon:
    """A served socket in a thread, for what runs in the main one."""

    def __init__(self, socket: Path, snapshot: Snapshot, until: Path | None = None) -> None:
        self._ready = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(socket, snapshot, until)))

    def __enter__(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    async def _serve(self, socket: Path, snapshot: Snapshot, until: Path | None) -> None:
        async with serving(socket, snapshot):
            self._ready.set()
            if until is not None:
                await _appears(until)
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.to_thread(self._over.wait)


async def _appears(path: Path) -> None:
    with Inotify() as inotify:
        inotify.add_watch(path.parent, Mask.MOVED_TO)
        async with asyncio.timeout(10):
            while (await inotify.get()).name != Path(path.name):
                pass


@pytest.fixture
def signals() -> Iterator[None]:
    """Give the signal handlers back as they were."""
    kept = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    yield
    for name, handler in kept.items():
        signal.signal(name, handler)


@pytest.mark.usefixtures("signals")
def test_it_runs_keeps_pictures_and_ends_on_a_signal(tmp_path: Path) -> None:
    socket, album = tmp_path / "socket", tmp_path / "album"
    album.mkdir()
    with Daemon(socket, station(bay(BayState.READY)), until=album / "001-bay-1-ready.png"):
        app.run(socket, size=(480, 320), pictures=album)
    kept = pygame.image.load(album / "001-bay-1-ready.png")
    assert kept.get_size() == (480, 320)


def test_the_command_saves_one_picture(tmp_path: Path) -> None:
    command = typer.Typer()
    command.command()(screen)
    with Daemon(tmp_path / "socket", station(bay(BayState.DONE))):
        arguments = ["--socket", str(tmp_path / "socket"), "--size", "800x480", "--picture", str(tmp_path / "now.png")]
        result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert pygame.image.load(tmp_path / "now.png").get_size() == (800, 480)


def test_a_picture_of_no_station_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PATIENCE", 0.0)
    with pytest.raises(StationError, match="No station answers"):
        app.photograph(tmp_path / "socket", tmp_path / "now.png")
    assert not (tmp_path / "now.png").exists()


def test_no_display_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    with pytest.raises(StationError, match="no display"):
        open_window()


def test_the_time_of_day_is_shown_where_the_clock_is_known_to_be_right(stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(time, "localtime", time.gmtime)
    stage.wall = 3 * 3600 + 4 * 60 + 50.0
    stage.show(station(bay(BayState.EMPTY)))
    untold = shown()
    stage.show(replace(station(bay(BayState.EMPTY)), clock_trusted=True))
    assert shown() != untold
    pause, drawn = stage.steps(), stage.kiosk.drawn
    assert pause is not None
    assert 9.9 < pause <= 10.0  # until the minute is over
    stage.steps()
    assert stage.kiosk.drawn == drawn
    stage.wall += 10.0
    stage.steps()
    assert stage.kiosk.drawn == drawn + 1


def shown() -> bytes:
    """What the display shows."""
    surface = pygame.display.get_surface()
    assert surface is not None
    return surface.get_buffer().raw
