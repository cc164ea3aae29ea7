"""All lamps, driven by one timer: gpiozero's own blinking takes a thread for each LED, and each in a phase of its own.

The timer runs on the daemon's loop on purpose. A loop that is stuck flashes nothing: lamps that go on by themselves
would tell of work that nobody watches.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from station.adapters.clock import boottime
from station.model.api import Lamp
from station.model.lights import Bulb, Lights, is_lit, next_change

REST_SECONDS = 10.0
"""How long a chip is left alone that could not be written to. (A bus that hangs takes a second for each attempt.)"""
SLOW_SECONDS = 0.25
"""A chip that took so long for one lamp counts as one that could not."""
AFTER = 0.001
"""Seconds after an edge at which it is written: a timer may be early by a hair."""

log = structlog.get_logger(__name__)


class Led:
    """One LED, and what it was last told."""

    def __init__(self, device: Any, place: str) -> None:
        self.device = device
        self.place = place
        """The chip that it is on."""
        self.lit: bool | None = False
        """None: not known."""


class Lamps:
    """Shows one lamp of each set in its rhythm, and no other. All that show the same are lit at the same moments."""

    def __init__(self, lamps: Mapping[Bulb, Led], clock: Callable[[], float] = boottime) -> None:
        """Begin dark. To be made on the running loop.

        Args:
            lamps: every lamp that is wired.
            clock: CLOCK_BOOTTIME seconds: what rhythms are counted from, here and on a screen.
        """
        self._lamps = dict(lamps)
        self._clock = clock
        self._lights: Lights = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._resting: dict[str, float] = {}
        """Until when each chip is left alone, by the loop's clock."""

    def show(self, lights: Lights) -> None:
        """Show this from now on; at once, whatever the rhythms are at."""
        if lights != self._lights:
            self._lights = lights
            self._write()

    def close(self) -> None:
        """All dark: that says that nobody watches the phones."""
        if self._timer is not None:
            self._timer.cancel()
        self._lights = {}
        self._resting.clear()
        for led in self._lamps.values():
            if led.place not in self._resting:
                self._set(led, lit=False)

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        self._resting = {place: until for place, until in self._resting.items() if until > self._loop.time()}
        for bulb, led in self._lamps.items():
            wanted = self._lights.get(bulb.bay) is bulb.lamp and is_lit(bulb.lamp, now)
            if wanted is not led.lit and led.place not in self._resting:
                self._set(led, lit=wanted)
        waits = [until - self._loop.time() for until in self._resting.values()]
        if (change := next_change(self._shown(), now)) is not None:
            waits.append(change - now)
        if waits:
            self._timer = self._loop.call_later(max(min(waits), 0.0) + AFTER, self._write)

    def _shown(self) -> set[Lamp]:
        return {bulb.lamp for bulb in self._lamps if self._lights.get(bulb.bay) is bulb.lamp}

    def _set(self, led: Led, *, lit: bool) -> None:
        began = self._loop.time()
        try:
            led.device.value = lit
        except Exception as error:  # noqa: BLE001 lgpio's own error is a bare Exception
            self._rest(led, str(error))
        else:
            led.lit = lit
            if self._loop.time() - began > SLOW_SECONDS:
                self._rest(led, "it takes too long")

    def _rest(self, led: Led, why: str) -> None:
        log.warning("lamps cannot be reached", place=led.place, error=why)
        led.lit = None
        self._resting[led.place] = self._loop.time() + REST_SECONDS
