"""What a camera reads: the same words as on the paper."""

from functools import lru_cache

import pygame
import segno
from pygame import Rect, Surface

from station.screen.canvas import Canvas
from station.screen.theme import INK, RGB, WHITE

QUIET = 3
"""Modules of nothing around it; the panel's own margin adds to them."""


def draw(canvas: Canvas, box: Rect, words: str) -> None:
    """The code as large as fits in whole pixels, in the middle of a white square as large as the box."""
    side = min(box.size)
    square = Rect(0, 0, side, side)
    square.center = box.center
    canvas.panel(square, WHITE, max(1, side // 16))
    image = _picture(words, side, canvas.rgb(INK), canvas.rgb(WHITE))
    place = image.get_rect()
    place.center = square.center
    canvas.put(image, place)


@lru_cache(maxsize=8)
def _picture(words: str, side: int, ink: RGB, paper: RGB) -> Surface:
    """Modules of so many whole pixels that the code with its quiet zone fits into `side`."""
    modules = [bytes(row) for row in segno.make_qr(words, error="m").matrix_iter(border=0)]
    count = len(modules)
    size = max(1, side // (count + 2 * QUIET))
    image = Surface((count, count))
    for y, row in enumerate(modules):
        for x, dark in enumerate(row):
            image.set_at((x, y), ink if dark else paper)
    whole = min(count * size, side)
    return pygame.transform.scale(image, (whole, whole))
