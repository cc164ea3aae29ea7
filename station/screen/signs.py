"""Icons of the operator's pages: what a page is about, and what a key does."""

import math
from collections.abc import Callable

import pygame
from pygame import Rect, Surface

from station.screen.stroke import stroke
from station.screen.theme import RGB, Shape


def _bend(
    middle: tuple[float, float], radius: float, begin: float, end: float, steps: int = 24
) -> list[tuple[float, float]]:
    """Points on a circle between two angles: degrees clockwise from the right."""
    turns = [math.radians(begin + (end - begin) * step / steps) for step in range(steps + 1)]
    return [(middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn)) for turn in turns]


def _box(surface: Surface, colour: RGB, place: tuple[float, float, float, float], corner: float) -> None:
    """A filled rectangle: left, top, right, bottom in shares of the surface."""
    side = surface.get_width()
    left, top, right, bottom = (round(share * side) for share in place)
    pygame.draw.rect(surface, colour, Rect(left, top, right - left, bottom - top), border_radius=round(corner * side))


def _clear(colour: RGB) -> tuple[int, int, int, int]:
    return (*colour, 0)


def _gear(surface: Surface, colour: RGB) -> None:
    side = surface.get_width()
    for tooth in range(8):
        turn = math.radians(45 * tooth + 22.5)
        along = (math.cos(turn), math.sin(turn))
        stroke(surface, colour, [(0.5 + r * along[0], 0.5 + r * along[1]) for r in (0.3, 0.41)], 0.15)
    pygame.draw.circle(surface, colour, (side / 2, side / 2), 0.33 * side)
    pygame.draw.circle(surface, _clear(colour), (side / 2, side / 2), 0.15 * side)


def _moon(surface: Surface, colour: RGB) -> None:
    side = surface.get_width()
    pygame.draw.circle(surface, colour, (0.47 * side, 0.53 * side), 0.38 * side)
    pygame.draw.circle(surface, _clear(colour), (0.65 * side, 0.38 * side), 0.32 * side)


def _shop(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.16, 0.5), (0.16, 0.86), (0.84, 0.86), (0.84, 0.5)], 0.1)
    stroke(surface, colour, [(0.2, 0.16), (0.1, 0.42), (0.9, 0.42), (0.8, 0.16), (0.2, 0.16)], 0.1)
    stroke(surface, colour, [(0.5, 0.62), (0.5, 0.84)], 0.16)


def _grid(surface: Surface, colour: RGB) -> None:
    for left in (0.12, 0.56):
        for top in (0.12, 0.56):
            _box(surface, colour, (left, top, left + 0.32, top + 0.32), 0.08)


def _fetch(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.5, 0.1), (0.5, 0.62)], 0.11)
    stroke(surface, colour, [(0.28, 0.42), (0.5, 0.64), (0.72, 0.42)], 0.11)
    stroke(surface, colour, [(0.12, 0.66), (0.12, 0.88), (0.88, 0.88), (0.88, 0.66)], 0.11)


def _save(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.5, 0.64), (0.5, 0.12)], 0.11)
    stroke(surface, colour, [(0.28, 0.32), (0.5, 0.1), (0.72, 0.32)], 0.11)
    stroke(surface, colour, [(0.12, 0.66), (0.12, 0.88), (0.88, 0.88), (0.88, 0.66)], 0.11)


def _rows(surface: Surface, colour: RGB) -> None:
    side = surface.get_width()
    for height in (0.22, 0.5, 0.78):
        pygame.draw.circle(surface, colour, (0.14 * side, height * side), 0.075 * side)
        stroke(surface, colour, [(0.36, height), (0.9, height)], 0.11)


def _chip(surface: Surface, colour: RGB) -> None:
    for place in (0.36, 0.64):
        for ends in ([(place, 0.08), (place, 0.92)], [(0.08, place), (0.92, place)]):
            stroke(surface, colour, ends, 0.08)
    _box(surface, colour, (0.2, 0.2, 0.8, 0.8), 0.1)
    side = surface.get_width()
    hole = Rect(round(0.36 * side), round(0.36 * side), round(0.28 * side), round(0.28 * side))
    pygame.draw.rect(surface, _clear(colour), hole, border_radius=round(0.04 * side))


def _globe(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, _bend((0.5, 0.5), 0.4, 0, 360, 48), 0.09)
    across = [(0.5 + 0.19 * math.cos(t), 0.5 + 0.4 * math.sin(t)) for t in (math.tau * n / 48 for n in range(49))]
    stroke(surface, colour, across, 0.08)
    stroke(surface, colour, [(0.12, 0.5), (0.88, 0.5)], 0.08)


def _display(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.1, 0.18), (0.9, 0.18), (0.9, 0.68), (0.1, 0.68), (0.1, 0.18)], 0.1)
    stroke(surface, colour, [(0.3, 0.88), (0.7, 0.88)], 0.1)


def _padlock(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.3, 0.5), *_bend((0.5, 0.32), 0.2, 180, 360), (0.7, 0.5)], 0.1)
    _box(surface, colour, (0.16, 0.44, 0.84, 0.92), 0.1)


def _power(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, _bend((0.5, 0.54), 0.36, -55, 235, 36), 0.11)
    stroke(surface, colour, [(0.5, 0.08), (0.5, 0.5)], 0.11)


def _handset(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.26, 0.1), (0.74, 0.1), (0.74, 0.9), (0.26, 0.9), (0.26, 0.1)], 0.1)
    stroke(surface, colour, [(0.44, 0.76), (0.56, 0.76)], 0.08)


def _plus(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.16, 0.5), (0.84, 0.5)], 0.14)
    stroke(surface, colour, [(0.5, 0.16), (0.5, 0.84)], 0.14)


def _minus(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.16, 0.5), (0.84, 0.5)], 0.14)


def _delete(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.34, 0.2), (0.92, 0.2), (0.92, 0.8), (0.34, 0.8), (0.08, 0.5), (0.34, 0.2)], 0.09)
    stroke(surface, colour, [(0.48, 0.36), (0.76, 0.64)], 0.09)
    stroke(surface, colour, [(0.76, 0.36), (0.48, 0.64)], 0.09)


def _seal(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.36, 0.6), (0.3, 0.92), (0.5, 0.8), (0.7, 0.92), (0.64, 0.6)], 0.09)
    side = surface.get_width()
    pygame.draw.circle(surface, colour, (0.5 * side, 0.38 * side), 0.3 * side)
    pygame.draw.circle(surface, _clear(colour), (0.5 * side, 0.38 * side), 0.14 * side)


def _hand(surface: Surface, colour: RGB) -> None:
    """A hand with its first finger out; the tip is in the middle of the upper edge."""
    stroke(surface, colour, [(0.5, 0.09), (0.5, 0.6)], 0.17)
    for middle, top in ((0.65, 0.44), (0.78, 0.48), (0.89, 0.55)):
        stroke(surface, colour, [(middle, top), (middle, 0.7)], 0.15)
    stroke(surface, colour, [(0.26, 0.5), (0.48, 0.76)], 0.16)
    _box(surface, colour, (0.41, 0.5, 0.965, 0.8), 0.1)
    _box(surface, colour, (0.46, 0.6, 0.92, 0.99), 0.16)


SIGNS: dict[Shape, Callable[[Surface, RGB], None]] = {
    Shape.GEAR: _gear,
    Shape.MOON: _moon,
    Shape.SHOP: _shop,
    Shape.GRID: _grid,
    Shape.FETCH: _fetch,
    Shape.SAVE: _save,
    Shape.ROWS: _rows,
    Shape.CHIP: _chip,
    Shape.GLOBE: _globe,
    Shape.DISPLAY: _display,
    Shape.PADLOCK: _padlock,
    Shape.POWER: _power,
    Shape.HANDSET: _handset,
    Shape.PLUS: _plus,
    Shape.MINUS: _minus,
    Shape.DELETE: _delete,
    Shape.SEAL: _seal,
    Shape.HAND: _hand,
}
"""How each is drawn on a large square surface."""
