"""The display: how its picture is turned, how bright it is, and where a touch on it is in the picture.

A scene knows nothing of this. It draws upright on a picture as wide and high as it looks to who stands before it;
here the picture is turned once, as the display is mounted, and what changed of it is shown.
"""

import pygame
from pygame import Rect, Surface

from station.model.face import Turn
from station.screen.backlight import Backlight
from station.screen.sketch import Mark, Sketch, changed, paint

Point = tuple[int, int]
WHOLE = 0.7
"""Where so much of the picture changed, all of it is drawn: cheaper than many parts."""


class Glass:
    """pygame's display, which must be open."""

    def __init__(self, backlight: Backlight | None = None) -> None:
        self.turn = Turn.NONE
        self._backlight = backlight
        self._light: int | None = None
        self._veil = 100
        self._paper: Surface | None = None
        self._marks: list[Mark] = []
        self._shown = False
        """Whether the display shows what is on the paper."""

    def turned(self, turn: Turn) -> tuple[int, int]:
        """Turn the picture from now on; returns its size."""
        if turn is not self.turn:
            self.turn = turn
            self._shown = False
        return self.size

    @property
    def size(self) -> tuple[int, int]:
        """The picture's width and height in pixels, as it is turned now."""
        width, height = pygame.display.get_window_size()
        return (height, width) if self.turn in (Turn.LEFT, Turn.RIGHT) else (width, height)

    @property
    def paper(self) -> Surface:
        """The picture as it was drawn last: upright and bright."""
        if self._paper is None or self._paper.get_size() != self.size:
            self._paper = Surface(self.size)
            self._marks = []
            self._shown = False
        return self._paper

    def forget(self) -> None:
        """Whatever the display showed is gone: a window was covered, or has another size."""
        self._shown = False

    def place(self, spot: Point) -> Point:
        """Where in the picture a place of the display is."""
        width, height = pygame.display.get_window_size()
        x, y = spot
        match self.turn:
            case Turn.NONE:
                return x, y
            case Turn.RIGHT:
                return y, width - 1 - x
            case Turn.OVER:
                return width - 1 - x, height - 1 - y
            case Turn.LEFT:
                return height - 1 - y, x

    def relight(self, percent: int) -> None:
        """Shine with so many percent: by the backlight where there is one, else through a veil over the picture."""
        if percent == self._light:
            return
        self._light = percent
        veil = 100 if self._backlight is not None and self._backlight.shine(percent) else percent
        if veil != self._veil:
            self._veil = veil
            self._shown = False

    def show(self, sketch: Sketch) -> None:
        """Draw and show what is new. The sketch is as large as `turned` told."""
        paper = self.paper
        places = changed(self._marks, sketch.marks) if self._marks else [paper.get_rect()]
        places = [place for place in (place.clip(paper.get_rect()) for place in places) if place.size != (0, 0)]
        if sum(place.width * place.height for place in places) > WHOLE * paper.get_width() * paper.get_height():
            places = [paper.get_rect()]
        paint(paper, sketch.marks, places)
        self._marks = sketch.marks
        self._bring(places)

    def refresh(self) -> None:
        """Show the same picture again, if the display has lost it or has another brightness."""
        if not self._shown:
            self._bring([])

    def _bring(self, places: list[Rect]) -> None:
        """Bring places of the paper to the display; all of it where the display does not show the rest."""
        display = pygame.display.get_surface()
        assert display is not None
        paper = self.paper
        if not self._shown:
            places = [paper.get_rect()]
        boxes = []
        for place in places:
            box = self._box(place)
            if self.turn is Turn.NONE:
                display.blit(paper, box, place)
            else:  # by whole right angles nothing is lost
                display.blit(pygame.transform.rotate(paper.subsurface(place), -self.turn.value), box)
            if self._veil < 100:
                share = round(255 * self._veil / 100)
                display.fill((share, share, share), box, special_flags=pygame.BLEND_RGB_MULT)
            boxes.append(box)
        pygame.display.update(boxes)
        self._shown = True

    def _box(self, place: Rect) -> Rect:
        """Where on the display a place of the picture is."""
        wide, high = self.size
        x, y, width, height = place
        match self.turn:
            case Turn.NONE:
                return Rect(x, y, width, height)
            case Turn.RIGHT:
                return Rect(high - y - height, x, height, width)
            case Turn.OVER:
                return Rect(wide - x - width, high - y - height, width, height)
            case Turn.LEFT:
                return Rect(y, wide - x - width, height, width)
