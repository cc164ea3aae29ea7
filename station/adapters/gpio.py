"""Buttons and lamps through gpiozero. Real or mock pins: the factory that is passed in decides, nothing here does.

gpiozero calls back from threads of its own; everything hops onto the event loop at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import gpiozero
import structlog

from station.model.api import Lamp
from station.model.panel import Control, ControlState

DEBOUNCE_SECONDS = 0.05
"""A press counts once it has stood this long; a shorter glitch is nothing. A release counts at once: a finger that
leaves CONFIRM must end the hold, and a contact that bounces then merely has to be held again."""
STUCK_SECONDS = 10.0
BOUNCING_EDGES = 40
"""So many edges within a second are a broken contact, not a finger."""

RHYTHMS: dict[Lamp, tuple[float, float] | None] = {
    # Seconds on and off; None is steady. Each lamp has its own rhythm, so that colour is never all there is.
    # 2 Hz lies within IEC 60073's 1.4 to 2.8 Hz for "act now".
    Lamp.READY: None,
    Lamp.PERSON: (0.25, 0.25),
    Lamp.WORKING: (1.0, 1.0),
    Lamp.DONE: (1.9, 0.1),
    Lamp.FAULT: (0.1, 0.4),
}

log = structlog.get_logger(__name__)


class Button:
    """One debounced button, watched for faults. Reports each change once, on the loop."""

    def __init__(
        self, control: Control, pin: int | str, report: Callable[[Control, ControlState], None], factory: Any
    ) -> None:
        self._control = control
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._state = ControlState.UP
        self._edges: deque[float] = deque(maxlen=BOUNCING_EDGES)
        self._settling: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        # Not gpiozero.Button, whose thread wakes ten times a second to see whether it is held: the core does that.
        self._device = gpiozero.DigitalInputDevice(pin, pull_up=True, pin_factory=factory)
        self._device.when_activated = self._edge_from_thread
        self._device.when_deactivated = self._edge_from_thread
        if self._device.is_active:
            # Somebody leans on it, or the wire is broken: it must be seen released before it may mean anything.
            self._become(ControlState.FAULT)

    def close(self) -> None:
        """Give the pin back."""
        for timer in (self._settling, self._stuck):
            if timer is not None:
                timer.cancel()
        self._device.close()

    def _edge_from_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._edge)

    def _edge(self) -> None:
        now = self._loop.time()
        self._edges.append(now)
        if len(self._edges) == BOUNCING_EDGES and now - self._edges[0] < 1.0:
            self._become(ControlState.FAULT)
        if self._state is ControlState.DOWN and not self._device.closed and not self._device.is_active:
            self._become(ControlState.UP)
        if self._settling is not None:
            self._settling.cancel()
        self._settling = self._loop.call_later(DEBOUNCE_SECONDS, self._settle)

    def _settle(self) -> None:
        self._settling = None
        if self._device.closed:
            return
        if not self._device.is_active:
            self._become(ControlState.UP)
        elif self._state is ControlState.UP:
            self._become(ControlState.DOWN)

    def _become(self, state: ControlState) -> None:
        if state is self._state:
            return
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        if state is ControlState.DOWN:
            self._stuck = self._loop.call_later(STUCK_SECONDS, self._become, ControlState.FAULT)
        if state is ControlState.FAULT:
            log.warning("button fault", button=self._control.value)
        self._state = state
        self._report(self._control, state)


class Panel:
    """The station's buttons and its one lamp set."""

    def __init__(
        self,
        *,
        buttons: dict[Control, int | str],
        lamps: dict[Lamp, int | str],
        report: Callable[[Control, ControlState], None],
        factory: Any = None,
    ) -> None:
        """Take the pins. To be made on the running loop.

        Args:
            buttons: the pin of each button, wired to ground.
            lamps: the pin of each lamp, wired to ground through its resistor or driver.
            report: called on the loop with each debounced change of a button.
            factory: gpiozero's pin factory; None lets gpiozero find the machine's own.
        """
        self._lamps = {lamp: gpiozero.LED(pin, pin_factory=factory) for lamp, pin in lamps.items()}
        self._shown: Lamp | None = None
        self._buttons = [Button(control, pin, report, factory) for control, pin in buttons.items()]

    def show(self, lamp: Lamp) -> None:
        """Light one lamp in its rhythm, and no other."""
        if lamp is self._shown:
            return
        self._shown = lamp
        for which, led in self._lamps.items():
            rhythm = RHYTHMS[which]
            if which is not lamp:
                led.off()
            elif rhythm is None:
                led.on()
            else:
                led.blink(on_time=rhythm[0], off_time=rhythm[1])

    def close(self) -> None:
        """All lamps dark, all pins given back: a dark station says that nobody watches the phones."""
        for button in self._buttons:
            button.close()
        for led in self._lamps.values():
            led.close()
