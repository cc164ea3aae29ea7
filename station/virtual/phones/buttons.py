"""A phone's buttons, below everything that it runs: pressed and released over time, they do what they do on a real one.

What they do is decided by the boot ROM and the power chip, so it does not matter whether the screen shows anything,
whether the system hangs, or whether the phone is off. The seconds are those of `station.core.guides` and its sources;
where those say "about", here it is one number. How long exactly a real phone wants them held, nobody here has measured.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from station.model.base import Message
from station.model.guide import Family, Key
from station.model.phone import PhoneMode
from station.virtual.phones.models import MODELS, Reader
from station.virtual.phones.phone import VirtualPhone

RESET_SECONDS = {Family.FACE: 10.0, Family.PAD: 10.0, Family.SEVEN: 8.0, Family.HOME: 8.0, Family.PAD_HOME: 8.0}
"""How long the long press takes until the phone goes off."""
LOGO_SECONDS = 8.0
"""How long it takes from there, still held, until it is past the apple, in recovery mode."""
BOTH_SECONDS = (4.0, 10.0)
"""How long the lock button may be held, of a phone that is off, while the other one is down too, for DFU mode."""
ALONE_SECONDS = 8.0
"""How long that other one must then be held alone."""
TAP_SECONDS = 2.5
"""A press that takes longer is no tap."""
GAP_SECONDS = 5.0
"""Between two taps, and to the long press."""
ON_SECONDS = 3.0
"""How long the lock button is held to turn on a phone that is off."""
SOS_SECONDS = 3.0
"""How long the lock button and a volume button are held together until a phone that is on calls for help."""
BOOT_SECONDS = 1.0
"""From the apple to the bus: of default pace, as any other restart."""

SOS = "buttons:sos"
"""In a phone's history: it began to call for help."""

_LOCK = {Family.FACE: Key.SIDE, Family.PAD: Key.TOP, Family.SEVEN: Key.SIDE, Family.HOME: Key.SIDE}
_OTHER = {Family.FACE: Key.DOWN, Family.PAD: Key.DOWN, Family.SEVEN: Key.DOWN, Family.HOME: Key.HOME}
_TAPPED = frozenset({Family.FACE, Family.PAD})
"""Up and down are tapped before; the other families' two buttons are held together from the start."""
_VOLUME = frozenset({Key.UP, Key.DOWN})
_FIRST_FACE = 0x8015
"""The chip of the iPhone 8 and the X: from then on a home button takes no part."""
_FIRST_SEVEN = 0x8010


class Hold(Message, frozen=True, kw_only=True):
    """These keys are down, and no other, for so long."""

    keys: tuple[Key, ...]
    seconds: float
    """At the default pace."""


class Effect(Enum):
    """What presses bring about."""

    RESET = "reset"
    """It goes off, whatever it was doing."""
    BOOT = "boot"
    """It starts what it starts by itself."""
    RECOVERY = "recovery"
    DFU = "dfu"
    SOS = "sos"


class _Stage(Enum):
    UP = "up"
    """Nothing of note is held."""
    HELD = "held"
    """The press that resets."""
    OFF = "off"
    """It has gone off, and the lock button is still down."""
    BOTH = "both"
    """It is off; both are down, after the lock button alone."""
    ALONE = "alone"
    """It is off; the lock button was let go, the other one not."""
    SPENT = "spent"
    """Whatever is held means nothing until all is let go."""


def family_of(phone: VirtualPhone) -> Family:
    """How a phone's buttons are pressed."""
    me = phone.identity
    reader = next((model.reader for model in MODELS if model.product_type == me.product_type), Reader.FACE)
    if me.is_ipad:
        return Family.PAD_HOME if reader is Reader.HOME else Family.PAD
    if me.chip_id >= _FIRST_FACE:
        return Family.FACE
    return Family.SEVEN if me.chip_id == _FIRST_SEVEN else Family.HOME


@dataclass
class Panel:
    """What is held, for how long, and what comes of it. It knows no clock: `due` says when, `elapse` lets it pass."""

    family: Family
    on: bool = True
    """Whether the phone is on."""
    calls: bool = True
    """Whether it runs a system that could call for help."""
    keys: frozenset[Key] = frozenset()
    _stage: _Stage = _Stage.UP
    _since: float = 0.0
    """Seconds in this stage."""
    _down: float = 0.0
    """Seconds that these keys are down."""
    _taps: list[Key] = field(default_factory=list)
    """Volume buttons that were tapped, one soon after the other."""
    _called: bool = False
    """Whether this press called for help."""

    @property
    def _lock(self) -> Key:
        return _LOCK.get(self.family, Key.TOP)

    @property
    def _both(self) -> frozenset[Key]:
        return frozenset({self._lock, _OTHER.get(self.family, Key.HOME)})

    @property
    def _other(self) -> frozenset[Key]:
        return self._both - {self._lock}

    def press(self, keys: Iterable[Key]) -> Effect | None:
        """From now on these keys are down, and no other."""
        # The sixth generation of iPhones has it at the side, the ones before and the first SE at the top.
        top = self.family is Family.HOME
        now = frozenset(Key.SIDE if top and key is Key.TOP else key for key in keys)
        before, held = self.keys, self._down
        if now == before:
            return None
        self.keys, self._down, self._called = now, 0.0, False
        effect = self._moved(before, held)
        if not now and self._stage in (_Stage.SPENT, _Stage.HELD):
            self._stay(_Stage.UP)
        return effect

    def due(self) -> float | None:
        """Seconds until something comes of it, if nothing is moved; None: never."""
        waits = [self._stage_due()]
        if self._calls:
            waits.append(SOS_SECONDS - self._down)
        return min((max(0.0, wait) for wait in waits if wait is not None), default=None)

    def elapse(self, seconds: float) -> Effect | None:
        """Let so many seconds pass, at most `due`."""
        self._since += seconds
        self._down += seconds
        if self._calls and self._down >= SOS_SECONDS:
            self._called = True
            return Effect.SOS
        if not self.keys and self._down > GAP_SECONDS:
            self._taps.clear()
        wait = self._stage_due()
        return self._ripe() if wait is not None and wait <= 0 else None

    @property
    def _calls(self) -> bool:
        """Whether a phone that is on is about to call for help: the old gesture on a new phone does that."""
        together = self._lock in self.keys and bool(self.keys & _VOLUME)
        return self.family is Family.FACE and self.on and self.calls and together and not self._called

    def _moved(self, before: frozenset[Key], held: float) -> Effect | None:
        """Fingers moved."""
        match self._stage:
            case _Stage.OFF if self.keys == self._both and self.family in _TAPPED:
                self._stay(_Stage.BOTH)
                return None
            case _Stage.OFF if self.keys == self._other and self.family not in _TAPPED:
                self._stay(_Stage.ALONE)  # held together from the start: only the lock button is let go
                return None
            case _Stage.BOTH if self.keys == self._other and self._since >= BOTH_SECONDS[0]:
                self._stay(_Stage.ALONE)
                return None
            case _Stage.OFF | _Stage.BOTH | _Stage.ALONE:
                return self._start(Effect.BOOT)
            case _:
                self._note(before, held)
        if self.keys and self.keys == self._resetting and self._stage is _Stage.UP:
            self._stay(_Stage.HELD)
        elif self._stage is _Stage.HELD:
            self._stay(_Stage.SPENT)
        return None

    def _note(self, before: frozenset[Key], held: float) -> None:
        """Remember taps, in order; any other press ends them."""
        if before and not self._taps_on(before, held):
            self._taps.clear()

    def _taps_on(self, before: frozenset[Key], held: float) -> bool:
        if len(before) != 1 or not before <= _VOLUME or held > TAP_SECONDS:
            return False
        self._taps = [*self._taps, *before][-2:]
        return True

    @property
    def _resetting(self) -> frozenset[Key]:
        """The press that makes the phone go off, if it is held."""
        if self.family not in _TAPPED:
            return self._both
        tapped = self._taps == [Key.UP, Key.DOWN]
        return frozenset({self._lock}) if tapped or not self.on else frozenset()

    def _stage_due(self) -> float | None:  # noqa: PLR0911 one line a stage
        match self._stage:
            case _Stage.HELD if not self.on and not self._taps and self.family in _TAPPED:
                return ON_SECONDS - self._since
            case _Stage.HELD:
                return RESET_SECONDS[self.family] - self._since
            case _Stage.OFF:
                return LOGO_SECONDS - self._since
            case _Stage.BOTH:
                return BOTH_SECONDS[1] - self._since
            case _Stage.ALONE:
                return ALONE_SECONDS - self._since
            case _Stage.UP if not self.on and self.keys == {self._lock}:
                return ON_SECONDS - self._down
            case _:
                return None

    def _ripe(self) -> Effect:
        """The time of a stage has come."""
        match self._stage:
            case _Stage.HELD if self.on or self._taps or self.family not in _TAPPED:
                self.on = False
                self._taps.clear()
                self._stay(_Stage.OFF)
                return Effect.RESET
            case _Stage.OFF:
                return self._start(Effect.RECOVERY)
            case _Stage.ALONE:
                return self._start(Effect.DFU)
            case _:
                return self._start(Effect.BOOT)

    def _start(self, effect: Effect) -> Effect:
        self.on, self._down = True, 0.0
        self._stay(_Stage.SPENT)
        return effect

    def _stay(self, stage: _Stage) -> None:
        self._stage, self._since = stage, 0.0


class Buttons:
    """The buttons of one phone, and the fingers on them."""

    def __init__(self, family: Family) -> None:
        self._panel = Panel(family)
        self._fingers = asyncio.Lock()

    async def press(self, phone: VirtualPhone, holds: Iterable[Hold]) -> None:
        """Press and hold, one after the other, at the phone's pace; then let go of everything."""
        async with self._fingers:
            for hold in holds:
                await self._hold(phone, hold)
            await _bring_about(phone, self._panel.press(()))

    async def _hold(self, phone: VirtualPhone, hold: Hold) -> None:
        self._panel.on = not phone.off
        self._panel.calls = phone.mode is PhoneMode.NORMAL
        await _bring_about(phone, self._panel.press(hold.keys))
        left = hold.seconds
        while left > 0:
            due = self._panel.due()
            wait = left if due is None else min(left, due)
            await phone.pace.pause(wait)
            left -= wait
            await _bring_about(phone, self._panel.elapse(wait))


async def _bring_about(phone: VirtualPhone, effect: Effect | None) -> None:
    if effect is None or phone.battery == 0 or phone.bus is None or phone.socket is None:
        return  # an empty phone, or one without a cable, whose screen nobody sees
    phone.note(f"buttons:{effect.value}")
    match effect:
        case Effect.RESET:
            await phone.power_off()
        case Effect.BOOT:
            phone.restart_into(seconds=BOOT_SECONDS)
        case Effect.RECOVERY:
            phone.restart_into(PhoneMode.RECOVERY, seconds=0)
        case Effect.DFU:
            phone.restart_into(PhoneMode.DFU, seconds=0)
        case Effect.SOS:
            pass  # the history has it: there is nobody to call here
