"""A screen that hangs ends itself, and systemd starts it anew: the kernel's timer, which needs no interpreter.

Lamps and buttons go on meanwhile; they are the daemon's. Before it ends, where it hung is written to the log.
"""

import faulthandler
import signal
from types import TracebackType
from typing import Self

STARTING = 30.0
"""Seconds until the loop must have begun: opening a display can take a while."""
HANGS = 10.0
"""Seconds without a step of the loop after which it hangs. It makes one a second when nothing happens."""
_SELDOM = 1.0


class Guard:
    """Ends the process by SIGALRM unless it is fed, while the context is open. Only in the main thread."""

    def __init__(self, *, starting: float = STARTING, hangs: float = HANGS) -> None:
        self._starting = starting
        self._hangs = hangs
        self._fed: float | None = None

    def __enter__(self) -> Self:
        # Writes every thread's stack, without the interpreter, then goes on to what the signal does by default.
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.setitimer(signal.ITIMER_REAL, self._starting)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.unregister(signal.SIGALRM)

    def feed(self, now: float) -> None:
        """The loop has made a step. `now` is on any clock that does not jump back."""
        if self._fed is None or now - self._fed >= _SELDOM:
            self._fed = now
            signal.setitimer(signal.ITIMER_REAL, self._hangs)
