"""Smooth shapes: drawn four times too large, then shrunk, because pygame's own edges are jagged.

Every picture here has one colour (and clear), so that shrinking cannot mix in a foreign one at the edges.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import pygame
from pygame import Rect, Surface, Vector2

from station.screen.signs import SIGNS
from station.screen.stroke import stroke
from station.screen.theme import RGB, Shape

FINE = 4
"""How many times larger shapes are drawn."""

Painter = Callable[[Surface, RGB], None]


def _smooth(width: int, height: int, colour: RGB, paint: Painter) -> Surface:
    """What `paint` draws on a FINE times larger clear surface, shrunk to `width` x `height`."""
    large = Surface((max(width, 1) * FINE, max(height, 1) * FINE), pygame.SRCALPHA)
    large.fill((*colour, 0))
    paint(large, colour)
    return pygame.transform.smoothscale(large, (max(width, 1), max(height, 1)))


@lru_cache(maxsize=128)
def disc(diameter: int, colour: RGB) -> Surface:
    """A filled circle; its quarters are every box's round corners."""

    def paint(surface: Surface, colour: RGB) -> None:
        pygame.draw.circle(surface, colour, surface.get_rect().center, diameter * FINE / 2)

    return _smooth(diameter, diameter, colour, paint)


@lru_cache(maxsize=32)
def ring(diameter: int, thickness: int, colour: RGB) -> Surface:
    """A whole ring."""

    def paint(surface: Surface, colour: RGB) -> None:
        pygame.draw.circle(surface, colour, surface.get_rect().center, diameter * FINE / 2, thickness * FINE)

    return _smooth(diameter, diameter, colour, paint)


def arc(diameter: int, thickness: int, colour: RGB, share: float) -> Surface:
    """The first `share` (0..1) of a ring, clockwise from the top, with round ends.

    Drawn sixty times a second while CONFIRM is held, so it is cut from the whole ring instead of drawn large
    and shrunk; the round ends cover the cuts.
    """
    image = ring(diameter, thickness, colour).copy()
    if share >= 1:
        return image
    centre = Vector2(diameter / 2)
    steps = max(2, math.ceil((1 - share) * 60))
    turns = [share + (1 - share) * step / steps for step in range(steps + 1)]
    rest = [centre + Vector2(0, -diameter).rotate(360 * turn) for turn in turns]
    pygame.draw.polygon(image, (*colour, 0), [centre, *rest])
    end = disc(thickness, colour)
    for turn in (0.0, share):
        middle = centre + Vector2(0, -(diameter - thickness) / 2).rotate(360 * turn)
        image.blit(end, (round(middle.x - thickness / 2), round(middle.y - thickness / 2)))
    return image


def _plug(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.38, 0.12), (0.38, 0.34)], 0.09)
    stroke(surface, colour, [(0.62, 0.12), (0.62, 0.34)], 0.09)
    side = surface.get_width()
    body = Rect(round(side * 0.24), round(side * 0.32), round(side * 0.52), round(side * 0.34))
    pygame.draw.rect(
        surface, colour, body, border_radius=round(side * 0.1), border_bottom_left_radius=round(side * 0.2)
    )
    stroke(surface, colour, [(0.5, 0.6), (0.5, 0.9)], 0.1)


def _dots(surface: Surface, colour: RGB) -> None:
    side = surface.get_width()
    for x in (0.18, 0.5, 0.82):
        pygame.draw.circle(surface, colour, (x * side, 0.5 * side), 0.11 * side)


def _bang(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.5, 0.14), (0.5, 0.58)], 0.17)
    side = surface.get_width()
    pygame.draw.circle(surface, colour, (side / 2, side * 0.84), side * 0.105)


def _target(surface: Surface, colour: RGB) -> None:
    side = surface.get_width()
    pygame.draw.circle(surface, colour, (side / 2, side / 2), side * 0.44, round(side * 0.12))
    pygame.draw.circle(surface, colour, (side / 2, side / 2), side * 0.17)


def _pause(surface: Surface, colour: RGB) -> None:
    for x in (0.33, 0.67):
        stroke(surface, colour, [(x, 0.2), (x, 0.8)], 0.17)


def _turn(surface: Surface, colour: RGB) -> None:
    side = surface.get_width()
    centre = Vector2(0.5, 0.52)
    for begin in (20, 200):
        bend = [centre + Vector2(0.34, 0).rotate(begin + 12 * step) for step in range(12)]
        stroke(surface, colour, [(point.x, point.y) for point in bend], 0.11)
        ahead = Vector2(0.34, 0).rotate(begin + 12 * 11 + 34)
        tip, side_in, side_out = centre + ahead, *(centre + Vector2(r, 0).rotate(begin + 12 * 11) for r in (0.17, 0.51))
        pygame.draw.polygon(surface, colour, [point * side for point in (tip, side_in, side_out)])


def _play(surface: Surface, colour: RGB) -> None:
    side = surface.get_width()
    points = [(0.3, 0.18), (0.82, 0.5), (0.3, 0.82), (0.3, 0.18)]
    pygame.draw.polygon(surface, colour, [(x * side, y * side) for x, y in points])
    stroke(surface, colour, points, 0.12)


def _check(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.14, 0.54), (0.4, 0.79), (0.86, 0.24)], 0.15)


def _cross(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.2, 0.2), (0.8, 0.8)], 0.16)
    stroke(surface, colour, [(0.8, 0.2), (0.2, 0.8)], 0.16)


def _stop(surface: Surface, colour: RGB) -> None:
    side = surface.get_width()
    square = Rect(0, 0, round(side * 0.62), round(side * 0.62))
    square.center = (side // 2, side // 2)
    pygame.draw.rect(surface, colour, square, border_radius=round(side * 0.1))


def _back(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.88, 0.5), (0.14, 0.5)], 0.13)
    stroke(surface, colour, [(0.44, 0.18), (0.12, 0.5), (0.44, 0.82)], 0.13)


def _right(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.12, 0.5), (0.86, 0.5)], 0.13)
    stroke(surface, colour, [(0.56, 0.18), (0.88, 0.5), (0.56, 0.82)], 0.13)


def _down(surface: Surface, colour: RGB) -> None:
    stroke(surface, colour, [(0.5, 0.12), (0.5, 0.86)], 0.13)
    stroke(surface, colour, [(0.18, 0.56), (0.5, 0.88), (0.82, 0.56)], 0.13)


_PAINTERS: dict[Shape, Painter] = {
    Shape.PLUG: _plug,
    Shape.DOTS: _dots,
    Shape.PLAY: _play,
    Shape.BANG: _bang,
    Shape.TARGET: _target,
    Shape.PAUSE: _pause,
    Shape.TURN: _turn,
    Shape.CHECK: _check,
    Shape.CROSS: _cross,
    Shape.STOP: _stop,
    Shape.BACK: _back,
    Shape.RIGHT: _right,
    Shape.DOWN: _down,
    **SIGNS,
}


@lru_cache(maxsize=128)
def icon(shape: Shape, side: int, colour: RGB) -> Surface:
    """A state's shape in a square of `side` pixels."""
    return _smooth(side, side, colour, _PAINTERS[shape])
