"""The pen that every icon is drawn with."""

from itertools import pairwise

import pygame
from pygame import Surface, Vector2

from station.screen.theme import RGB


def stroke(surface: Surface, colour: RGB, points: list[tuple[float, float]], thickness: float) -> None:
    """A line through `points` (in shares of the surface) with round ends and corners."""
    side = surface.get_width()
    ends = [Vector2(x * side, y * side) for x, y in points]
    radius = thickness * side / 2
    for start, end in pairwise(ends):
        across = (end - start).rotate(90).normalize() * radius
        pygame.draw.polygon(surface, colour, [start + across, end + across, end - across, start - across])
    for end in ends:
        pygame.draw.circle(surface, colour, end, radius)
