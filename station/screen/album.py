"""Pictures of the screen, one whenever a bay looks otherwise, or a job's phase changes: what a demo leaves behind."""

from pathlib import Path

import pygame
from pygame import Surface

from station.model.api import BayState, BayView, Snapshot
from station.screen import choices
from station.screen.theme import LOOKS

MOST = 500
"""Pictures after which the album is full; nobody wants a full disk instead."""

_State = tuple[tuple[object, ...], ...]


def _state(bay: BayView) -> tuple[object, ...]:
    return bay.bay, bay.state, choices.look(bay), bay.job.phase if bay.job is not None else None


class Album:
    """A directory of numbered PNG files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._count = 0
        self._last: _State = ()

    def consider(self, snapshot: Snapshot | None, surface: Surface) -> None:
        """Keep the picture of a snapshot if it shows something new. The last bay that changed names it."""
        if snapshot is None or self._count >= MOST:
            return
        state = tuple(_state(bay) for bay in snapshot.bays)
        changed = [bay for bay in snapshot.bays if _state(bay) not in self._last]
        if not changed:
            return
        self._last = state
        self._count += 1
        bay = changed[-1]
        words = [f"{self._count:03}", "bay", *(c for c in [bay.bay] if c.isalnum()), bay.state.value]
        if bay.state is BayState.READY and choices.look(bay) != LOOKS[bay.state]:
            words[-1] = "not-yet"
        if bay.job is not None:
            words.append(bay.job.phase.value)
        save(surface, self._directory / ("-".join(words) + ".png"))


def save(surface: Surface, path: Path) -> None:
    """Write a PNG that is whole or absent."""
    part = path.with_name(f".{path.stem}.part.png")
    pygame.image.save(surface, part)
    part.replace(path)
