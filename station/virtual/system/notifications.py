"""The notification centre of a running system (Darwin notify): names that are posted, and those who wait for them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MAX_WAITING = 1000
"""Notifications that wait for one observer; more are lost, as nobody promises that each is delivered."""


@dataclass(eq=False)
class Observer:
    """Somebody who waits for some names."""

    names: set[str] | None
    """Which; None: all."""
    waiting: "asyncio.Queue[str]" = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))
    """What was posted of them, in order."""


class NotificationCentre:
    """Where anything on the phone posts a name, and anything observes."""

    def __init__(self) -> None:
        self._observers: set[Observer] = set()

    def post(self, name: str) -> None:
        """Tell everybody who observes that name."""
        for observer in self._observers:
            if (observer.names is None or name in observer.names) and not observer.waiting.full():
                observer.waiting.put_nowait(name)

    @contextmanager
    def observe(self, names: set[str] | None) -> Iterator[Observer]:
        """An observer of these names, or of all; `Observer.names` may grow meanwhile."""
        observer = Observer(names)
        self._observers.add(observer)
        try:
            yield observer
        finally:
            self._observers.discard(observer)
