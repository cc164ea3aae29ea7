"""The finger on the glass: from touches to commands. One finger counts; what it began on decides what it means.

A wet or dirty touchscreen invents touches. So a target must have been in its place for a moment before it can
be touched (what appears under a falling finger is never hit), a second finger means nothing, and a finger that
slides off, or whose target changes, means nothing any more.
"""

from collections.abc import Hashable

from pygame import Rect

from station.model.api import Command
from station.screen.canvas import Target
from station.screen.office import Key
from station.screen.pages import Turn

SETTLE = 0.3
"""Seconds a target must have been shown, unchanged and unmoved, before it can be touched."""
FORGET = 15.0
"""Seconds after which a finger that never left the glass is taken for a ghost, and the next one counts."""

Place = tuple[int, int]
Touched = Command | Turn | Key
"""What a touch may mean."""
_Shown = tuple[tuple[int, int, int, int], Target]


class Finger:
    """The one finger. Every method returns what the touch means."""

    def __init__(self) -> None:
        self._who: Hashable = None
        self._at: Place = (0, 0)
        self._came = 0.0
        self._shown: dict[_Shown, float] = {}
        self._on: _Shown | None = None

    @property
    def pressed(self) -> Target | None:
        """What is being touched, to be drawn so."""
        return self._on[1] if self._on is not None else None

    @property
    def since(self) -> float:
        """When the finger came that is on the glass."""
        return self._came

    def show(self, targets: list[tuple[Rect, Target]], now: float) -> list[Touched]:
        """Tell what can be touched now, after the picture changed."""
        keys = [((box.x, box.y, box.w, box.h), target) for box, target in targets]
        self._shown = {key: self._shown.get(key, now) for key in keys}
        return self._keep_or_leave()

    def down(self, who: Hashable, at: Place, now: float) -> list[Touched]:
        """A finger, named by `who`, came down. One that was down already has left meanwhile, and nobody said so."""
        commands: list[Touched] = []
        if self._who is not None:
            if who != self._who and now - self._came < FORGET:
                return commands
            commands = self.lost()
        self._who, self._at, self._came = who, at, now
        on = self._under(at)
        if on is not None and now - self._shown[on] >= SETTLE:
            self._on = on
            if on[1].release is not None:
                commands.append(on[1].command)
        return commands

    def move(self, who: Hashable, at: Place) -> list[Touched]:
        """A finger moved."""
        if who != self._who:
            return []
        self._at = at
        return self._keep_or_leave()

    def up(self, who: Hashable, at: Place) -> list[Touched]:
        """A finger left."""
        if who != self._who:
            return []
        commands = self.move(who, at)
        self._who = None
        on, self._on = self._on, None
        if on is not None and not on[1].hold:
            commands.append(on[1].release or on[1].command)
        return commands

    def stayed(self, now: float) -> list[Touched]:
        """What a finger means that has stayed long enough on a target to be held. Told after all that it did."""
        if self._on is None or not self._on[1].hold or now - self._came < self._on[1].hold:
            return []
        on, self._on = self._on, None
        return [on[1].command]

    def lost(self) -> list[Touched]:
        """The touchscreen, the window or the station went away: nobody touches anything."""
        self._who = None
        return self._leave()

    def _under(self, at: Place) -> _Shown | None:
        """The topmost target at a place."""
        return next((key for key in reversed(self._shown) if Rect(key[0]).collidepoint(at)), None)

    def _keep_or_leave(self) -> list[Touched]:
        return self._leave() if self._on is not None and self._under(self._at) != self._on else []

    def _leave(self) -> list[Touched]:
        on, self._on = self._on, None
        return [on[1].release] if on is not None and on[1].release is not None else []
