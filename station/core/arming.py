"""START, then HOLD CONFIRM: how a person's two deliberate acts become a consent."""

from collections import defaultdict
from dataclasses import dataclass, replace

from station.core.arriving import Target
from station.core.events import Moment
from station.errors import Refused
from station.model.api import HOLD_BEAT
from station.model.base import BayId, Ecid, PlugId, format_ecid
from station.model.consent import Consent, Hand, Options
from station.model.panel import Button, Control, ControlState
from station.model.service import Service

ARMED_SECONDS = 30.0
HOLD_SECONDS = 2.0
LATE_SECONDS = 0.5
"""A hold that is looked at later than this proves nothing: the finger may have left while nobody looked."""
UNSEEN_SECONDS = 2 * HOLD_BEAT
"""A hold on the screen is over when the screen has not said for so long that it still sees the finger."""


@dataclass(frozen=True, kw_only=True)
class Armed:
    """START was pressed: exactly what confirming would allow."""

    bay: BayId
    ecid: Ecid
    plug: PlugId
    service: Service
    options: Options
    firmware: Target | None
    """What is installed, here or on its way."""
    until: float

    def consent(self, hand: Hand, now: Moment) -> Consent:
        """What confirming it means."""
        return Consent(
            ecid=self.ecid,
            bay=self.bay,
            plug=self.plug,
            service=self.service,
            by=hand,
            at=now.utc,
            options=self.options,
        )


@dataclass(frozen=True, kw_only=True)
class Holding:
    """CONFIRM is down since."""

    since: float
    hand: Hand
    seen: float
    """When it was last known to be down. A button's wire says when it is let go; a screen may freeze instead."""

    @property
    def lapses(self) -> float | None:
        """When it is over unless it is seen again; None: a button's never is."""
        return self.seen + UNSEEN_SECONDS if self.hand is Hand.SCREEN else None

    @property
    def full(self) -> float:
        """When it was long enough."""
        return self.since + HOLD_SECONDS

    def confirms(self, now: Moment) -> bool:
        """Whether it was seen to be long enough: a screen's word from before that says nothing about now."""
        return self.full <= (self.seen if self.hand is Hand.SCREEN else now.at)


class Arming:
    """At most one armed START in the whole station: there is one CONFIRM, and it must not be ambiguous."""

    def __init__(self) -> None:
        self.armed: Armed | None = None
        self.holding: Holding | None = None
        self.buttons: defaultdict[Button, ControlState] = defaultdict(lambda: ControlState.UP)
        """What each does, as far as is known."""

    @property
    def faulty(self) -> tuple[Button, ...]:
        """The buttons that are stuck, were held at start, or bounce."""
        return tuple(button for button, state in self.buttons.items() if state is ControlState.FAULT)

    def arm(self, armed: Armed) -> None:
        """START. A CONFIRM that is already down does not count: it must be pressed after."""
        self.armed, self.holding = armed, None

    def disarm(self, bay: BayId | None = None) -> None:
        """Forget START, if it was for this bay (None: any)."""
        if self.armed is not None and bay in (None, self.armed.bay):
            self.armed = self.holding = None

    def note(self, button: Button, state: ControlState) -> bool:
        """Take in a button's change, whatever it means. Returns whether it was pressed.

        A fault disarms: of one of the station's own buttons whatever waits, of a bay's what waits in that bay.
        """
        before, self.buttons[button] = self.buttons[button], state
        if state is ControlState.FAULT:
            self.disarm(button.bay)
        return state is ControlState.DOWN and before is ControlState.UP

    def button(self, button: Button, state: ControlState, now: Moment) -> bool:
        """Take in a button's change. Returns whether START was pressed."""
        pressed = self.note(button, state)
        if button.control is Control.START:
            return pressed
        if pressed:
            self.hold(Hand.BUTTONS, now)
        else:
            self.release(Hand.BUTTONS)
        return False

    def hold(self, hand: Hand, now: Moment) -> None:
        """CONFIRM went down."""
        if self.armed is None or self.holding is not None or now.at >= self.armed.until:
            return
        if not any(button.bay in (None, self.armed.bay) for button in self.faulty):
            self.holding = Holding(since=now.at, hand=hand, seen=now.at)

    def goes_on(self, bay: BayId, now: Moment) -> None:
        """The screen still sees the finger. Of a hold that is over, or of another bay, that says nothing."""
        if self.holding is None or self.holding.lapses is None or self.armed is None or self.armed.bay != bay:
            return
        self.holding = None if now.at >= self.holding.lapses else replace(self.holding, seen=now.at)

    def release(self, hand: Hand) -> None:
        """CONFIRM went up: too early, or the consent would have been made."""
        if self.holding is not None and self.holding.hand is hand:
            self.holding = None

    def tick(self, now: Moment) -> Consent | None:
        """Forget a START that is too old; make the consent when CONFIRM was seen to be held long enough."""
        if self.armed is None:
            return None
        if self.holding is not None:
            lapses, full = self.holding.lapses, self.holding.full
            if now.at > full + LATE_SECONDS or (lapses is not None and now.at >= lapses):
                self.holding = None
            elif full <= self.armed.until and self.holding.confirms(now):
                return self.armed.consent(self.holding.hand, now)
        if now.at >= self.armed.until:
            self.disarm()
        return None

    def operator(self, bay: BayId, ecid: Ecid, now: Moment) -> Consent:
        """An operator's word in place of the hold. Raises Refused unless it names the armed phone."""
        if self.armed is None or self.armed.bay != bay or now.at >= self.armed.until:
            raise Refused("Nothing is waiting to be confirmed here.", remedy="Give START first.")
        if self.armed.ecid != ecid:
            raise Refused(f"The phone in bay {bay} is {format_ecid(self.armed.ecid)}, not {format_ecid(ecid)}.")
        return self.armed.consent(Hand.OPERATOR, now)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next."""
        if self.armed is None:
            return None
        if self.holding is None:
            return self.armed.until
        return min(self.armed.until, self.holding.full if self.holding.lapses is None else self.holding.lapses)
