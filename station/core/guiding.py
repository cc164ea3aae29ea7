"""Leading a person through presses of buttons: told of the time and of USB, it knows the step and what was seen.

A step ends when its time is up, when the person says so, or when USB shows what it waits for. Nothing is ever said
of the phone that USB does not show at that moment.
"""

from dataclasses import dataclass, field

from station.core import guides
from station.model.api import GuideView
from station.model.guide import FAMILY_WORDS, TARGET_WORDS, Family, Press, Seen, Target
from station.model.phone import PhoneMode

LONGEST_SECONDS = 900.0
"""A guide that has gone on for so long is nobody's any more."""
IDLE_SECONDS = 180.0
"""How long a guide waits for somebody to try again."""
SHOWN_SECONDS = 20.0
"""How long it says that it worked."""
LATE_SECONDS = 5.0
"""How much longer than it takes a press goes on whose phone is still on the bus, which it must leave."""
TRIES = 2
"""With the same buttons, before other ones are worth trying."""

MODES = {Target.RESTART: PhoneMode.NORMAL, Target.RECOVERY: PhoneMode.RECOVERY, Target.DFU: PhoneMode.DFU}
"""The mode that each target shows on USB."""

_IN_MODE: dict[PhoneMode, str] = {
    PhoneMode.NORMAL: "It has started, as usual.",
    PhoneMode.RECOVERY: "It is in recovery mode.",
    PhoneMode.DFU: "It is in DFU mode.",
    PhoneMode.RESTORE: "It has started, as usual.",
}
_ARRIVED: dict[Target, str] = {
    Target.RESTART: "It has restarted. Let go.",
    Target.RECOVERY: "It is in recovery mode. Let go.",
    Target.DFU: "It is in DFU mode. Let go; its screen stays black.",
}
_TOO_SHORT: dict[Target, str] = {
    Target.RESTART: "It only restarted.",
    Target.RECOVERY: "It only restarted: the buttons were let go too early. Hold on, past the apple.",
    Target.DFU: "It only restarted: the buttons were let go too early or too late.",
}


@dataclass(kw_only=True)
class Guiding:
    """One guide, from its first step until somebody ends it, or nobody goes on."""

    target: Target
    family: Family
    known: bool
    """Whether the phone is known to be of that family; otherwise other buttons are tried too."""
    mode: PhoneMode | None
    """What USB shows; None: nothing."""
    at: float
    """When it began."""
    ended: bool = False
    tries: int = 0
    """How often these buttons led nowhere."""
    step: int = 0
    began: float = field(init=False)
    steps: tuple[Press, ...] = field(init=False)
    _was: PhoneMode | None = field(init=False)
    """What USB showed before the first press."""
    _left: bool = field(init=False)
    """Whether the phone has left the bus since."""

    def __post_init__(self) -> None:
        self._again(self.at)

    @property
    def over(self) -> bool:
        """Whether all steps are done: it arrived, or somebody may try again."""
        return self.step >= len(self.steps)

    @property
    def seen(self) -> Seen:
        """What USB shows, held against where the guide leads."""
        if self.mode is None:
            return Seen.NOTHING
        moved = self._left or self._was is None
        if self.mode is MODES[self.target] and (moved or self.target is not Target.RESTART):
            return Seen.ARRIVED
        if self.mode is not self._was:
            return Seen.OTHER_MODE
        return Seen.RESTARTED if self._left else Seen.UNMOVED

    def saw(self, mode: PhoneMode | None, at: float) -> None:
        """USB shows something else: the phone is there in a mode, or has left (None)."""
        if self.ended or mode is self.mode:
            return
        self.mode = mode
        pressing = 0 < self.step < len(self.steps)
        if mode is None:
            self._left = True
            if pressing and self.steps[self.step].until_gone:
                self._advance(at)
        elif self.step == 0 and (self.target is Target.RESTART or self.seen is not Seen.ARRIVED):
            self._look()  # it was plugged in, or is still starting from the time before: nobody has pressed yet
        else:
            self._finish(at)

    def next(self, at: float) -> None:
        """The person goes on: with the next step, or once more from the first."""
        if self.ended:
            return
        if not self.over:
            self._advance(at)
        elif self.seen is Seen.ARRIVED:
            self.ended = True
        else:
            self.tries += 1
            if not self.known and self.tries >= TRIES:
                self.family, self.tries = guides.NEXT_FAMILY[self.family], 0
            self._again(at)

    def tick(self, at: float) -> None:
        """Time has passed."""
        if self.ended or at < self.deadline:
            return
        if at >= self.at + LONGEST_SECONDS or self.over:
            self.ended = True
        elif self._stays:
            self._finish(at)  # the next press, with the screen still on, would call for help on some phones
        else:
            self._advance(at)

    @property
    def deadline(self) -> float:
        """When `tick` is due next."""
        return min(self.at + LONGEST_SECONDS, self.began + self._seconds())

    def view(self) -> GuideView:
        """As people see it."""
        return GuideView(
            target=self.target,
            family=self.family,
            step=self.step,
            steps=self.steps,
            began=self.began,
            seen=self.seen,
            says=self._says(),
            warning=guides.warning(self.family, self.target, known=self.known),
        )

    def _seconds(self) -> float:
        """How long this step, or the end, lasts."""
        if self.over:
            return SHOWN_SECONDS if self.seen is Seen.ARRIVED else IDLE_SECONDS
        return self.steps[self.step].seconds + (LATE_SECONDS if self._stays else 0)

    @property
    def _stays(self) -> bool:
        """Whether the phone is still on the bus in a step that is to make it leave."""
        return self.steps[self.step].until_gone and self.mode is not None and not self._left

    def _again(self, at: float) -> None:
        self.steps = guides.steps(self.family, self.target)
        self.step, self.began = 0, at
        self._look()

    def _look(self) -> None:
        """Remember what USB shows before anybody presses."""
        self._was, self._left = self.mode, False

    def _advance(self, at: float) -> None:
        if self.step == 0:
            self._look()
        self.step, self.began = self.step + 1, at

    def _finish(self, at: float) -> None:
        """No more steps: what USB shows is what became of it."""
        self.step, self.began = len(self.steps), at

    def _says(self) -> str:
        seen = self.seen
        if seen is Seen.ARRIVED:
            return _ARRIVED[self.target]
        if not self.over:
            return "It is off." if seen is Seen.NOTHING and self._left else ""
        return f"{self._what_happened(seen)} {self._what_next()}"

    def _what_happened(self, seen: Seen) -> str:
        if seen is Seen.NOTHING:
            return "It went off, and is not back yet." if self._left else "Nothing is to be seen of it on USB."
        if seen is Seen.UNMOVED:
            return "Nothing happened: it did not even go off."
        if seen is Seen.RESTARTED:
            return _TOO_SHORT[self.target]
        assert self.mode is not None
        return _IN_MODE[self.mode]

    def _what_next(self) -> str:
        if self.tries + 1 < TRIES:
            return "Again, a little slower: press “Next”."
        if not self.known:
            other = FAMILY_WORDS[guides.NEXT_FAMILY[self.family]]
            return f"“Next” shows other buttons: {other}."
        return f"Try another cable and socket. If nothing leads to {TARGET_WORDS[self.target]}, stop here."
