"""Waiting for a phone after its worker has ended: how long, and when it may be asked."""

from dataclasses import dataclass


@dataclass
class Vigil:
    """One wait at a time; each ends, and all of them together do."""

    wants_look: bool = False
    """Whether the phone should be asked for its facts now."""
    _look_at: float | None = None
    _until: float | None = None
    _latest: float = float("inf")

    def begin(self, latest: float) -> None:
        """From here to `latest`, so that a phone that comes and goes does not prolong it for ever."""
        self._latest = latest

    def wait(self, until: float, *, look_at: float | None = None) -> None:
        """Wait anew, asking the phone at `look_at` if at all."""
        self.wants_look, self._look_at, self._until = False, look_at, min(until, self._latest)

    def look_later(self, at: float) -> None:
        """Ask the phone again at `at`, if the wait is not over before."""
        self.wants_look, self._look_at = False, at

    def end(self) -> None:
        """Wait no more."""
        self.wants_look, self._look_at, self._until = False, None, None

    def tick(self, now: float) -> bool:
        """Let time pass. Returns whether the wait is over; it says so once."""
        if self._look_at is not None and now >= self._look_at:
            self.wants_look, self._look_at = True, None
        if self._until is None or now < self._until:
            return False
        self._until = None
        return True

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next."""
        return min((at for at in (self._until, self._look_at) if at is not None), default=None)
