"""A kiosk on a display of its own, with a link that was never connected and a clock that the test moves."""

from pathlib import Path

import pygame
from pygame import Rect, Surface

from station.model.api import Command, Snapshot
from station.screen.app import Kiosk
from station.screen.backlight import Backlight
from station.screen.canvas import Canvas
from station.screen.client import Link
from station.screen.render import View, render
from station.screen.touch import SETTLE
from tests.screen.samples import NOW


class Wired(Link):
    """A link that was never connected: the test says what it brings and sees what it would send."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), lambda: None)
        self.sent: list[Command] = []

    def send(self, command: Command) -> None:
        self.sent.append(command)


class Stage:
    """A kiosk, its link and its clock."""

    def __init__(self, backlight: Backlight | None = None) -> None:
        self.now = NOW
        self.wall = 0.0
        """Seconds since the epoch."""
        self.link = Wired()
        self.kiosk = Kiosk(self.link, backlight=backlight, clock=lambda: self.now, wall=lambda: self.wall)

    def show(self, snapshot: Snapshot | None) -> None:
        """A snapshot comes, and stays until it can be touched."""
        self.link.snapshot = snapshot
        self.steps()
        self.now += 2 * SETTLE
        self.steps()

    def steps(self) -> float | None:
        """Step until the kiosk wants to sleep."""
        while (pause := self.kiosk.step()) == 0:
            pass
        return pause

    def post(self, kind: int, at: tuple[int, int], finger: int = 1) -> None:
        """A finger does something at a place of the display."""
        width, height = pygame.display.get_window_size()
        x, y = (at[0] + 0.5) / width, (at[1] + 0.5) / height
        pygame.event.post(pygame.event.Event(kind, finger_id=finger, touch_id=0, x=x, y=y))
        self.steps()

    def tap(self, command: type[Command]) -> None:
        """A finger taps the target with this command."""
        at = self.place(command)
        self.post(pygame.FINGERDOWN, at)
        self.post(pygame.FINGERUP, at)

    def place(self, command: type[Command], number: int = 0) -> tuple[int, int]:
        """Where there is a target with this command, in the upright picture."""
        canvas = Canvas(Surface(self.kiosk.size), self.now)
        render(View(self.link.snapshot), canvas)
        boxes: list[Rect] = [box for box, target in canvas.targets if isinstance(target.command, command)]
        return boxes[number].center
