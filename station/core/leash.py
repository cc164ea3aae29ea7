"""The second line of deadlines: a worker ends itself when its phone falls silent; this ends one that does not."""

from collections.abc import Mapping
from dataclasses import dataclass

from station.core.actions import Action, KillWorker
from station.model.base import JobId
from station.model.job import Phase

KILL_SECONDS = 10.0
"""A killed process is gone in no time, except one stuck in the kernel: it is given up, as if it had ended."""


@dataclass
class Leash:
    """When a running worker must be ended from outside."""

    job: JobId
    deadlines: Mapping[Phase, float]
    grace: float
    _silent_from: float = 0.0
    _kill_at: float | None = None
    _killed_at: float | None = None

    def heard(self, phase: Phase, now: float) -> None:
        """It gave a sign of life in `phase`."""
        self._silent_from = now + self.deadlines[phase] + self.grace

    def end_soon(self, now: float) -> None:
        """Its end is decided; it may reach it by itself within the grace."""
        at = now + self.grace
        self._kill_at = at if self._kill_at is None else min(at, self._kill_at)

    def kill(self, now: float) -> list[Action]:
        """End it now."""
        if self._killed_at is not None:
            return []
        self._killed_at = now
        return [KillWorker(job=self.job)]

    def silent(self, now: float) -> bool:
        """Whether it outlived its phase's deadline without a sign of life."""
        return self._killed_at is None and now >= self._silent_from

    def due(self, now: float) -> bool:
        """Whether the grace it had to end by itself is over."""
        return self._killed_at is None and self._kill_at is not None and now >= self._kill_at

    def given_up(self, now: float) -> bool:
        """Whether it was killed and is still there."""
        return self._killed_at is not None and now >= self._killed_at + KILL_SECONDS

    @property
    def deadline(self) -> float:
        """When something must happen next."""
        if self._killed_at is not None:
            return self._killed_at + KILL_SECONDS
        return self._silent_from if self._kill_at is None else min(self._silent_from, self._kill_at)
