"""From a finger to a lamp: nothing on the way waits but the debouncing.

How long it takes in milliseconds is the benchmark's business; here it is shown that there is nothing else to wait for:
every timer that is longer is held back, and the turns of the loop are counted.
"""

import asyncio
from asyncio import BaseEventLoop
from typing import Any, cast

import pytest

from station.adapters.gpio import DEBOUNCE_SECONDS, Panel
from station.adapters.pins import MockPins
from station.model.api import BayState, Lamp
from station.model.lights import Bulb
from station.model.panel import Button, Control, Pin
from tests.core.helpers import ONE, RECOVERY, TWO, A, B, arrived

BUTTONS: dict[Button, Pin] = {Button(Control.START): 5, Button(Control.START, TWO): "gpiochip2:0"}
LAMPS: dict[Bulb, Pin] = {
    **{Bulb(lamp): 16 + number for number, lamp in enumerate(Lamp)},
    **{Bulb(lamp, bay): f"gpiochip{2 + int(bay)}:{line}" for bay in (ONE, TWO) for line, lamp in enumerate(Lamp)},
}
MOST_TURNS = 60
"""Of the loop: each takes well under a millisecond, on a Raspberry Pi too."""


@pytest.mark.parametrize("button", BUTTONS, ids=str)
async def test_a_press_is_seen_at_the_lamp_after_the_debouncing_and_nothing_else(house, button, monkeypatch):
    bay = button.bay or ONE
    pins, loop = MockPins(), cast("BaseEventLoop", asyncio.get_running_loop())
    async with house.daemon() as daemon:
        panel = Panel(buttons=BUTTONS, lamps=LAMPS, report=daemon.loop.button, pins=pins)
        daemon.light = panel.show
        daemon.tell(arrived(A, ONE, RECOVERY), arrived(B, TWO, RECOVERY))
        for each in (ONE, TWO):
            await daemon.until(lambda view: view.state is BayState.READY and "START" in view.hint, bay=each)
        ready = pins.pin(LAMPS[Bulb(Lamp.READY, bay)])
        assert ready.state

        turns, changed = [0], asyncio.Event()
        inside: Any = loop  # what a loop does in a turn is its own
        run_once, call_at, set_state = inside._run_once, loop.call_at, ready._set_state

        def counted() -> None:
            turns[0] += not changed.is_set()
            run_once()

        def held_back(when, *call, **context):
            longer = when - loop.time() > DEBOUNCE_SECONDS
            return call_at(when + 3600 * longer, *call, **context)

        def seen(value) -> None:
            set_state(value)
            changed.set()

        monkeypatch.setattr(loop, "_run_once", counted)
        monkeypatch.setattr(ready, "_set_state", seen)
        async with asyncio.timeout(10):
            monkeypatch.setattr(loop, "call_at", held_back)
            pins.pin(BUTTONS[button]).drive_low()
            await changed.wait()
        monkeypatch.undo()
        assert not ready.state
        assert turns[0] < MOST_TURNS
        await daemon.until(lambda view: view.state is BayState.ARMED, bay=bay)
        panel.close()
