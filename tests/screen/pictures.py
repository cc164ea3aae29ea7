"""Stored pictures to compare with."""

import io
from typing import Any

import pygame
from pygame import Surface
from syrupy.extensions.image import PNGImageSnapshotExtension

TOLERANCE = 12
"""Of 255, in each channel: processors round the shrinking of shapes differently; nobody sees it."""


class Pictures(PNGImageSnapshotExtension):
    """Stored pictures, equal when no pixel differs visibly."""

    def serialize(self, data: Any, **_: Any) -> bytes:
        file = io.BytesIO()
        pygame.image.save(data, file, "picture.png")
        return file.getvalue()

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        new, old = (pygame.image.load(io.BytesIO(data), "picture.png") for data in (serialized_data, snapshot_data))
        return same_picture(new, old)


def same_picture(new: Surface, old: Surface) -> bool:
    """Whether no pixel differs by more than TOLERANCE."""
    if new.get_size() != old.get_size():
        return False
    threshold = (TOLERANCE, TOLERANCE, TOLERANCE, 255)
    alike = pygame.mask.from_threshold(new, (0, 0, 0), threshold, old)
    return alike.count() == new.get_width() * new.get_height()
