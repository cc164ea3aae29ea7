"""Deadlines that hold even when the interpreter is stuck: the kernel's timer, and no handler."""

import signal
from collections.abc import Mapping

from station.adapters.clock import boottime
from station.model.job import Phase

CHATTER = 20
"""A phase may last this many times its deadline, however much the phone says meanwhile."""


class Deadline:
    """Silence ends this process: SIGALRM, at its default disposition, when nothing feeds it in time.

    Only what the phone, Apple or the disk really did may feed it, never a timer of our own. A phone that
    keeps chattering without getting anywhere is ended by the phase's overall limit.
    """

    def __init__(self, seconds: Mapping[Phase, float]) -> None:
        self._seconds = seconds
        self._silence = 0.0
        self._end = 0.0
        self._fed = 0.0
        self._strikes = 0.0

    def begin(self, phase: Phase) -> None:
        """A phase begins: its deadline counts from now on."""
        self._silence = self._seconds[phase]
        self._end = boottime() + CHATTER * self._silence
        self._arm(boottime())

    def feed(self) -> None:
        """Something got further. Cheap enough to be called for every block that was sent."""
        now = boottime()
        if now - self._fed >= min(1.0, self._silence / 10):
            self._arm(now)

    def share(self, fraction: float) -> float:
        """A part of the time until it strikes, in seconds: for waits that end with a reason before that."""
        return max(self._strikes - boottime(), 0.0) * fraction

    def _arm(self, now: float) -> None:
        self._fed = now
        self._strikes = min(now + self._silence, self._end)
        # Never 0, which would disarm the timer.
        signal.setitimer(signal.ITIMER_REAL, max(self._strikes - now, 0.001))
