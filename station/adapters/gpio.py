"""Buttons, lamps and the buzzer through gpiozero. Real or mock pins: what is passed in decides, nothing here does.

gpiozero calls back from threads of its own; everything hops onto the event loop at once.
"""

import asyncio
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import gpiozero
import structlog

from station.adapters.buzzer import Buzzer
from station.adapters.lamps import Lamps, Led
from station.adapters.pins import Pins
from station.core.sounds import Sound
from station.errors import ConfigError
from station.model.lights import Bulb, Lights
from station.model.panel import Button, ControlState, Pin

DEBOUNCE_SECONDS = 0.02
"""A press counts once it has stood this long; a shorter glitch is nothing. (A lamp is to answer within 50 ms.) A
release counts at once: a finger that leaves CONFIRM must end the hold, and a contact that bounces then merely has to
be held again."""
WATCH_SECONDS = 0.1
"""While a button is down its pin is read so often: an edge that gets lost must not hold CONFIRM."""
STUCK_SECONDS = 10.0
BOUNCING_EDGES = 40
"""So many edges within a second are a broken contact, not a finger."""

Report = Callable[[Button, ControlState], None]

log = structlog.get_logger(__name__)


class Contact:
    """One debounced button, watched for faults. Reports each change once, on the loop."""

    def __init__(self, button: Button, device: Any, report: Report) -> None:
        """Begin to watch. `device`: a gpiozero.DigitalInputDevice.

        Not a gpiozero.Button, whose thread wakes ten times a second to see whether it is held: the core does that.
        """
        self._button = button
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._state = ControlState.UP
        self._edges: deque[float] = deque(maxlen=BOUNCING_EDGES)
        self._settling: asyncio.TimerHandle | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._stuck_at = 0.0
        self._device = device
        device.when_activated = self._edge_from_thread
        device.when_deactivated = self._edge_from_thread
        if self._pressed() is not False:
            # Somebody leans on it, or the wire is broken: it must be seen released before it may mean anything.
            self._become(ControlState.FAULT)

    def close(self) -> None:
        """Give the pin back."""
        for timer in (self._settling, self._watching):
            if timer is not None:
                timer.cancel()
        self._device.close()

    def _pressed(self) -> bool | None:
        """Whether it is closed now; None: it cannot be told."""
        try:
            return bool(self._device.is_active)
        except Exception as error:  # noqa: BLE001 lgpio's own error is a bare Exception
            log.warning("button cannot be read", button=self._button, error=str(error))
            return None

    def _edge_from_thread(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._edge)

    def _edge(self) -> None:
        if self._device.closed:
            return
        now = self._loop.time()
        self._edges.append(now)
        if len(self._edges) == BOUNCING_EDGES and now - self._edges[0] < 1.0:
            self._become(ControlState.FAULT)
        if self._state is ControlState.DOWN and self._pressed() is False:
            self._become(ControlState.UP)
        if self._settling is not None:
            self._settling.cancel()
        self._settling = self._loop.call_later(DEBOUNCE_SECONDS, self._settle)

    def _settle(self) -> None:
        self._settling = None
        match self._pressed():
            case None:
                self._become(ControlState.FAULT)
            case False:
                self._become(ControlState.UP)
            case True:
                if self._state is ControlState.UP:
                    self._become(ControlState.DOWN)

    def _watch(self) -> None:
        """It is said to be down: see whether it still is, and since when."""
        pressed = self._pressed()
        if pressed is None or self._loop.time() >= self._stuck_at:
            self._become(ControlState.FAULT)
        elif pressed:
            self._watch_later()
        else:
            self._become(ControlState.UP)

    def _watch_later(self) -> None:
        self._watching = self._loop.call_later(min(WATCH_SECONDS, STUCK_SECONDS), self._watch)

    def _become(self, state: ControlState) -> None:
        if state is self._state:
            return
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if state is ControlState.DOWN:
            self._stuck_at = self._loop.time() + STUCK_SECONDS
            self._watch_later()
        if state is ControlState.FAULT:
            log.warning("button fault", button=self._button)
        self._state = state
        self._report(self._button, state)


class Panel:
    """All buttons and lamps, of the station and of its bays, and the buzzer."""

    def __init__(
        self,
        *,
        buttons: Mapping[Button, Pin],
        lamps: Mapping[Bulb, Pin],
        report: Report,
        pins: Pins,
        buzzer: Pin | None = None,
    ) -> None:
        """Take the pins. To be made on the running loop.

        Args:
            buttons: the pin of each button, wired to ground.
            lamps: the pin of each lamp, wired to ground through its resistor or driver.
            report: called on the loop with each debounced change of a button.
            pins: where pins are found.
            buzzer: the pin of a piezo disc.

        Raises:
            ConfigError: some cannot be used, and which, and why. None is taken then.
        """
        self._pins = pins
        self._refused: defaultdict[str, list[str]] = defaultdict(list)
        self._contacts: list[Contact] = []
        self._buzzer: Buzzer | None = None
        leds: dict[Bulb, Led] = {}
        for bulb, pin in lamps.items():
            with self._taking(f"{bulb.lamp.value}{_of(bulb.bay)}", pin):
                factory, name = pins.find(pin)
                leds[bulb] = Led(gpiozero.LED(name, pin_factory=factory), pins.place(pin))
        self._lamps = Lamps(leds)
        for button, pin in buttons.items():
            with self._taking(f"{button.control.value}{_of(button.bay)}", pin):
                factory, name = pins.find(pin)
                device = gpiozero.DigitalInputDevice(name, pull_up=True, pin_factory=factory)
                self._contacts.append(Contact(button, device, report))
        if buzzer is not None:
            with self._taking("buzzer", buzzer):
                factory, name = pins.find(buzzer)
                self._buzzer = Buzzer(gpiozero.TonalBuzzer(name, pin_factory=factory))
        self._leds = list(leds.values())
        if self._refused:
            self.close()
            raise ConfigError(_in_words(self._refused), remedy=REMEDY)

    def show(self, lights: Lights) -> None:
        """Light one lamp of each set in its rhythm, and no other."""
        self._lamps.show(lights)

    def play(self, sound: Sound) -> None:
        """Have the buzzer say this, if there is one."""
        if self._buzzer is not None:
            self._buzzer.play(sound)

    def close(self) -> None:
        """All lamps dark, all pins given back: a dark station says that nobody watches the phones."""
        self._lamps.close()
        closings = [*(contact.close for contact in self._contacts), *(led.device.close for led in self._leds)]
        if self._buzzer is not None:
            closings.append(self._buzzer.close)
        for closing in closings:
            with suppress(Exception):  # one chip that is gone keeps no other from being given back
                closing()
        self._pins.close()

    @contextmanager
    def _taking(self, what: str, pin: Pin) -> Iterator[None]:
        try:
            with warnings.catch_warnings():  # of each driver that is not there, while the last may be
                warnings.simplefilter("ignore", gpiozero.PinFactoryFallback)
                yield
        except Exception as error:  # noqa: BLE001 lgpio's own error is a bare Exception
            self._refused[_why(error)].append(f"{what} ({pin})")


REMEDY = "See “station doctor”. A station without buttons and lamps: gpio.enabled = false."
BUSY = "GPIO busy"


def _why(error: Exception) -> str:
    """Why a pin cannot be used."""
    if isinstance(error, (gpiozero.BadPinFactory, ImportError)):
        return "no driver works here; one is installed with .venv/bin/pip install lgpio"
    words = str(error).strip("'")  # lgpio quotes
    return {
        BUSY: "something else has it: another program, or an overlay in config.txt",
        "can not open gpiochip": "there is no such chip here, or this user may not open it",
        "bad GPIO number": "the chip has no such line",
    }.get(words, words)


def _of(bay: str | None) -> str:
    return "" if bay is None else f" of bay {bay}"


def _in_words(refused: Mapping[str, list[str]]) -> str:
    """Which pins cannot be used, by the reason."""
    each = [f"{', '.join(names)}: {why.rstrip('.')}." for why, names in refused.items()]
    return f"These GPIO pins cannot be used. {' '.join(each)}"
