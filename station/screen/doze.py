"""When the screen goes dim, and what wakes it: a finger, or news that somebody is needed for."""

from collections.abc import Hashable

from station.model.api import BayState, Snapshot
from station.model.face import DARKEST, Face

DIM = 0.25
"""The share of its brightness that is left."""
_RUNNING = frozenset({BayState.EMPTY, BayState.QUEUED, BayState.WORKING})
"""States that nobody has to do anything about."""

News = frozenset[Hashable]


class Doze:
    """Tells how bright the screen is, from when it was touched and what the station says."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._called: News = frozenset()
        self._told: News = frozenset()
        self._dim = False
        self._due: float | None = None

    @property
    def due(self) -> float | None:
        """When it goes dim if nothing happens; None: never, or it is dim."""
        return self._due

    def touched(self, now: float) -> bool:
        """Somebody touched it. True: that woke it, and means nothing else."""
        woken, self._dim = self._dim, False
        self._since = now
        return woken

    def light(self, snapshot: Snapshot | None, face: Face, now: float) -> int:
        """How bright to shine, in percent."""
        called, told = _calls(snapshot), _tells(snapshot)
        if called - self._called or (told != self._told and not self._dim):
            self._since, self._dim = now, False
        self._called, self._told = called, told
        here = snapshot is not None and _somebody_is_here(snapshot)
        if here:
            self._since = now
        ends = self._since + face.dim_seconds
        self._dim = face.dim_seconds > 0 and now >= ends
        self._due = ends if face.dim_seconds > 0 and not self._dim and not here else None
        return max(DARKEST // 2, round(face.brightness * DIM)) if self._dim else face.brightness


def _calls(snapshot: Snapshot | None) -> News:
    """What a person is needed for, or came for."""
    if snapshot is None:
        return frozenset()
    bays: set[Hashable] = {(bay.bay, bay.state) for bay in snapshot.bays if bay.state not in _RUNNING}
    return frozenset(bays | {snapshot.notice} - {""})


def _tells(snapshot: Snapshot | None) -> News:
    """What is news to somebody who watches."""
    if snapshot is None:
        return frozenset()
    return frozenset((bay.bay, bay.state, bay.selected, bay.job and bay.job.phase) for bay in snapshot.bays)


def _somebody_is_here(snapshot: Snapshot) -> bool:
    """Whether somebody is being led, or asked to confirm: that is never dim."""
    return snapshot.operator is not None or any(
        bay.confirm is not None or bay.guide is not None for bay in snapshot.bays
    )
