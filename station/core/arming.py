"""START, then HOLD CONFIRM: how a person's two deliberate acts become a consent."""

from dataclasses import dataclass

from station.core.events import Moment
from station.errors import Refused
from station.model.base import BayId, Ecid, PlugId, format_ecid
from station.model.consent import Consent, Hand, Options
from station.model.firmware import Firmware
from station.model.panel import Control, ControlState
from station.model.service import Service

ARMED_SECONDS = 30.0
HOLD_SECONDS = 2.0
LATE_SECONDS = 0.5
"""A hold that is looked at later than this proves nothing: the finger may have left while nobody looked."""


@dataclass(frozen=True, kw_only=True)
class Armed:
    """START was pressed: exactly what confirming would allow."""

    bay: BayId
    ecid: Ecid
    plug: PlugId
    service: Service
    options: Options
    firmware: Firmware | None
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


class Arming:
    """At most one armed START in the whole station: there is one CONFIRM, and it must not be ambiguous."""

    def __init__(self) -> None:
        self.armed: Armed | None = None
        self.holding: Holding | None = None
        self._buttons = dict.fromkeys(Control, ControlState.UP)

    @property
    def faulty(self) -> tuple[Control, ...]:
        """The buttons that are stuck, were held at start, or bounce."""
        return tuple(control for control, state in self._buttons.items() if state is ControlState.FAULT)

    def arm(self, armed: Armed) -> None:
        """START. A CONFIRM that is already down does not count: it must be pressed after."""
        self.armed, self.holding = armed, None

    def disarm(self, bay: BayId | None = None) -> None:
        """Forget START, if it was for this bay (None: any)."""
        if self.armed is not None and bay in (None, self.armed.bay):
            self.armed = self.holding = None

    def button(self, control: Control, state: ControlState, now: Moment) -> bool:
        """Take in a button's change. Returns whether START was pressed."""
        before, self._buttons[control] = self._buttons[control], state
        if state is ControlState.FAULT:
            self.disarm()
        pressed = state is ControlState.DOWN and before is ControlState.UP
        if control is Control.START:
            return pressed
        if pressed:
            self.hold(Hand.BUTTONS, now)
        else:
            self.release(Hand.BUTTONS)
        return False

    def hold(self, hand: Hand, now: Moment) -> None:
        """CONFIRM went down."""
        if self.armed is not None and self.holding is None and now.at < self.armed.until and not self.faulty:
            self.holding = Holding(since=now.at, hand=hand)

    def release(self, hand: Hand) -> None:
        """CONFIRM went up: too early, or the consent would have been made."""
        if self.holding is not None and self.holding.hand is hand:
            self.holding = None

    def tick(self, now: Moment) -> Consent | None:
        """Forget a START that is too old; make the consent when CONFIRM was seen to be held long enough."""
        if self.armed is None:
            return None
        if self.holding is not None:
            held = self.holding.since + HOLD_SECONDS
            if now.at > held + LATE_SECONDS:
                self.holding = None
            elif held <= self.armed.until and now.at >= held:
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
        return min(self.armed.until, self.holding.since + HOLD_SECONDS)
