"""A display that is none, pictures to compare with, and a daemon's end of the socket."""

import os
import time

os.environ["SDL_VIDEODRIVER"] = "dummy"

from collections.abc import Iterator

import pygame
import pytest
from pygame import Surface
from syrupy.assertion import SnapshotAssertion

from tests.screen.pictures import Pictures


@pytest.fixture
def pictures(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Compare a Surface with the stored picture of this test."""
    return snapshot.use_extension(Pictures)


@pytest.fixture
def display() -> Iterator[Surface]:
    """pygame's display, 800x480, with an empty event queue."""
    pygame.display.init()
    surface = pygame.display.set_mode((800, 480))
    pygame.event.clear()
    yield surface
    pygame.display.quit()


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A station in UTC: times of day are shown in its own zone."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
