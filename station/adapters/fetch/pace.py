"""How fast bytes may come, how fast they do, and when they will all be here."""

import time
from collections import deque
from threading import Event

_SPAN = 30.0
"""Seconds whose rate is taken for that of the rest."""
_BURST = 0.25
"""Seconds' worth of bytes that may come at once."""


class Throttle:
    """Lets a number of bytes through in each second."""

    def __init__(self, rate: int | None, stop: Event) -> None:
        self._rate, self._stop = rate, stop
        self._allowed, self._then = 0.0, time.monotonic()

    def most(self, wanted: int) -> int:
        """How many bytes to read at a time, so that they come evenly."""
        return wanted if self._rate is None else max(1, min(wanted, int(self._rate * _BURST)))

    def spend(self, count: int) -> None:
        """Wait until `count` bytes may have come; not when it is to stop."""
        if self._rate is None:
            return
        now = time.monotonic()
        self._allowed = min(self._rate * _BURST, self._allowed + (now - self._then) * self._rate) - count
        self._then = now
        if self._allowed < 0:
            self._stop.wait(-self._allowed / self._rate)


class Rate:
    """How many bytes came in the last while."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, done: int) -> None:
        """So many bytes are here now. Called about twice a second."""
        now = time.monotonic()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # some of it was thrown away
        self._seen.append((now, done))
        while self._seen[0][0] < now - _SPAN:
            self._seen.popleft()

    def seconds_for(self, left: int) -> float | None:
        """How long so many bytes will take; None: that cannot be told."""
        if len(self._seen) < 2:
            return None
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return left * (ended - began) / (last - first) if last > first and ended > began else None
