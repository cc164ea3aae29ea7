"""Trying the buttons and lamps: while it goes on, a button means nothing, and a lamp shows what it was told to."""

from collections.abc import Callable

from station.core.arming import Arming
from station.core.bays import Bays
from station.core.events import Moment
from station.core.policy import Policy
from station.core.situation import Situation
from station.errors import Refused
from station.model.api import LightLamp, TestPanel
from station.model.lights import Bulb, Lights
from station.model.operator import ControlLine

TRIAL_SECONDS = 120.0
"""So long after it began, or after a lamp was lit last, it ends by itself: lamps that show what somebody told them to
say nothing about the phones."""


class Trial:
    """Whether the panel is being tried, and what its lamps were told to show.

    It ends when it is told to, when the operator's pages close that it was begun from, and after TRIAL_SECONDS.
    The buttons' states go to `Arming` all the while: a button that is down when it ends must be let go first.
    """

    def __init__(self, arming: Arming, bays: Bays, policy: Policy, situation: Situation) -> None:
        self._arming = arming
        self._bays = bays
        self._policy = policy
        self._situation = situation
        self._until: float | None = None
        self._lit: Bulb | None = None
        self._of_session = False
        """Whether somebody at the operator's pages began it."""

    @property
    def on(self) -> bool:
        """Whether buttons mean nothing else now."""
        return self._until is not None

    @property
    def controls(self) -> tuple[ControlLine, ...]:
        """Every button that is wired, as it is now."""
        states = self._arming.buttons
        return tuple(
            ControlLine(control=button.control, bay=button.bay, state=states[button]) for button in self._policy.buttons
        )

    def command(self, command: TestPanel | LightLamp, now: Moment) -> None:
        """Carry out what an operator wants. Raises Refused, and then has changed nothing."""
        self._situation.require_operator(self._policy)
        match command:
            case TestPanel(on=False):
                self.end()
            case TestPanel():
                self._begin(now)
            case LightLamp():
                self._light(command, now)

    def end(self) -> None:
        """Buttons mean again what they mean, and lamps show what is."""
        self._until = self._lit = None

    def attend(self, now: Moment) -> None:
        """End it when its time is over, or nobody is at the operator's pages any more. To be asked after each event."""
        if self._until is not None and (now.at >= self._until or (self._of_session and not self._situation.operator)):
            self.end()

    @property
    def deadline(self) -> float | None:
        """When `attend` is due next."""
        return self._until

    def require_over(self) -> None:
        """Raises Refused while the panel is being tried: nobody arms or confirms anything with it."""
        if self.on:
            raise Refused("The buttons and lamps are being tried.", remedy="End that first, on the operator's page.")

    def lights(self, otherwise: Callable[[], Lights]) -> Lights:
        """What the lamps show: what they were told to while they are tried, else what is true."""
        if not self.on:
            return otherwise()
        dark: Lights = dict.fromkeys((None, *(bay.id for bay in self._bays)))
        return dark if self._lit is None else {**dark, self._lit.bay: self._lit.lamp}

    def _begin(self, now: Moment) -> None:
        if self._arming.armed is not None:
            raise Refused(
                f"Bay {self._arming.armed.bay} waits to be confirmed.", remedy="Confirm or cancel that first."
            )
        self._until, self._lit = now.at + TRIAL_SECONDS, None
        self._of_session = self._situation.operator

    def _light(self, command: LightLamp, now: Moment) -> None:
        if not self.on:
            raise Refused("The lamps show the phones now.", remedy="Begin to try the buttons and lamps first.")
        if command.bay is not None and self._bays.get(command.bay) is None:
            raise Refused(f"There is no bay {command.bay}.")
        self._lit = None if command.lamp is None else Bulb(command.lamp, command.bay)
        self._until = now.at + TRIAL_SECONDS
