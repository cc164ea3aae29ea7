"""A finger that reads: it touches what something is written on."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pygame
from pygame import Rect, Surface

from station.screen import text
from station.screen.app import Kiosk
from station.screen.canvas import Canvas
from station.screen.client import Link
from station.screen.render import render
from station.screen.text import Style

SIZE = (800, 480)


@dataclass
class Eyes(Canvas):
    """A canvas that remembers what is written where."""

    read: list[tuple[str, Rect]] = field(default_factory=list)

    def words(self, words: str, box: Rect, style: Style, *, lines: int = 1, align: float = 0.0) -> None:
        height = text.line_height(style)
        many = min(lines, max(1, box.height // height))
        self.read.append((" ".join(text.wrap(words, style, box.width, many)), box))
        super().words(words, box, style, lines=lines, align=align)


class Robot:
    """One finger, and eyes, before a kiosk of 800x480.

    `settle` lets what is shown be there for a moment, so that it can be touched.
    """

    def __init__(self, link: Link, clock: Callable[[], float], settle: Callable[[], None]) -> None:
        self.kiosk = Kiosk(link, clock=clock)
        self._clock = clock
        self._settle = settle

    def look(self) -> Eyes:
        """What is on the screen now, after it has been there for a moment."""
        for _ in range(2):
            self._settle()
            self._steps()
        return self.glance()

    def glance(self) -> Eyes:
        """What is on the screen at this very moment."""
        assert self.kiosk._last is not None
        eyes = Eyes(Surface(SIZE), self._clock())
        render(self.kiosk._last[0], eyes)
        return eyes

    def reads(self, said: str) -> bool:
        """Whether this is written somewhere."""
        return any(said in line for line, _ in self.look().read)

    def touch(self, said: str) -> None:
        """Tap what this is written on."""
        eyes = self.look()
        places = [place for line, place in eyes.read if line == said]
        assert places, (said, [line for line, _ in eyes.read])
        boxes = [box for box, _ in eyes.targets if box.collidepoint(places[0].center)]
        assert boxes, f"“{said}” cannot be touched"
        self.tap(boxes[-1])

    def back(self) -> None:
        """Tap the arrow."""
        self.tap(self.look().targets[0][0])

    def tap(self, box: Rect) -> None:
        """Come down, and leave."""
        self.post(pygame.FINGERDOWN, box)
        self.post(pygame.FINGERUP, box)

    def post(self, kind: int, box: Rect) -> None:
        """One event of a touchscreen, in the middle of a place."""
        x, y = box.centerx / SIZE[0], box.centery / SIZE[1]
        pygame.event.post(pygame.event.Event(kind, finger_id=1, touch_id=0, x=x, y=y))
        self._steps()

    def _steps(self) -> None:
        while self.kiosk.step() == 0:
            pass
