"""Buttons and lamps over gpiozero's mock pins: the same code, the pins' rules included."""

import asyncio
import threading

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from station.adapters import gpio
from station.adapters.gpio import Panel
from station.model.api import Lamp
from station.model.panel import Control, ControlState

START, CONFIRM = 5, 6
LAMPS: dict[Lamp, int | str] = {
    Lamp.READY: 16,
    Lamp.PERSON: 20,
    Lamp.WORKING: 21,
    Lamp.DONE: 26,
    Lamp.FAULT: 19,
}


class HeldPin(MockPin):
    """A pin whose switch is closed from the start: a switch to ground wins over the pull-up."""

    def _set_pull(self, value):
        super()._set_pull(value)
        self.drive_low()


class Bench:
    """A panel on mock pins, and what it reported."""

    def __init__(self) -> None:
        self.factory = MockFactory()
        self.reports: asyncio.Queue[tuple[Control, ControlState]] = asyncio.Queue()

    def build(self) -> Panel:
        return Panel(
            buttons={Control.START: START, Control.CONFIRM: CONFIRM},
            lamps=LAMPS,
            report=lambda control, state: self.reports.put_nowait((control, state)),
            factory=self.factory,
        )

    def press(self, pin: int) -> None:
        self.factory.pin(pin).drive_low()

    def release(self, pin: int) -> None:
        self.factory.pin(pin).drive_high()

    async def next(self) -> tuple[Control, ControlState]:
        async with asyncio.timeout(5):
            return await self.reports.get()


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    bench.factory.close()


@pytest.fixture
async def panel(bench):
    panel = bench.build()
    yield panel
    panel.close()


async def test_a_press_and_a_release_are_reported_once_each(bench, panel):
    bench.press(START)
    assert await bench.next() == (Control.START, ControlState.DOWN)
    bench.release(START)
    assert await bench.next() == (Control.START, ControlState.UP)
    assert bench.reports.empty()


async def test_bounces_are_one_press(bench, panel):
    for _ in range(5):
        bench.press(CONFIRM)
        bench.release(CONFIRM)
    bench.press(CONFIRM)
    assert await bench.next() == (Control.CONFIRM, ControlState.DOWN)
    bench.release(CONFIRM)
    assert await bench.next() == (Control.CONFIRM, ControlState.UP)


async def test_a_release_is_reported_before_its_bounces_are_over(bench, panel, monkeypatch):
    bench.press(CONFIRM)
    assert await bench.next() == (Control.CONFIRM, ControlState.DOWN)
    monkeypatch.setattr(gpio, "DEBOUNCE_SECONDS", 60)
    bench.release(CONFIRM)
    assert await bench.next() == (Control.CONFIRM, ControlState.UP)


async def test_a_button_needs_no_thread_of_its_own(bench):
    before = threading.active_count()
    panel = bench.build()
    try:
        assert threading.active_count() == before
    finally:
        panel.close()


async def test_a_glitch_is_nothing(bench, panel):
    bench.press(START)
    bench.release(START)
    bench.press(CONFIRM)  # a real press after it, so that there is something to wait for
    assert await bench.next() == (Control.CONFIRM, ControlState.DOWN)
    assert bench.reports.empty()


async def test_a_button_held_at_boot_is_a_fault_until_released(bench):
    bench.factory.pin(CONFIRM, pin_class=HeldPin)
    panel = bench.build()
    try:
        assert await bench.next() == (Control.CONFIRM, ControlState.FAULT)
        bench.release(CONFIRM)
        assert await bench.next() == (Control.CONFIRM, ControlState.UP)
        bench.press(CONFIRM)
        assert await bench.next() == (Control.CONFIRM, ControlState.DOWN)
    finally:
        panel.close()


async def test_a_stuck_button_is_a_fault(bench, monkeypatch):
    monkeypatch.setattr(gpio, "STUCK_SECONDS", 0.01)
    panel = bench.build()
    try:
        bench.press(START)
        assert await bench.next() == (Control.START, ControlState.DOWN)
        assert await bench.next() == (Control.START, ControlState.FAULT)
        bench.release(START)
        assert await bench.next() == (Control.START, ControlState.UP)
    finally:
        panel.close()


async def test_endless_bouncing_is_a_fault(bench, panel):
    for _ in range(gpio.BOUNCING_EDGES):
        bench.press(START)
        bench.release(START)
    assert await bench.next() == (Control.START, ControlState.FAULT)
    assert await bench.next() == (Control.START, ControlState.UP)


@pytest.mark.parametrize("lamp", [lamp for lamp, rhythm in gpio.RHYTHMS.items() if rhythm is None])
async def test_only_the_lamp_that_is_shown_is_lit(bench, panel, lamp):
    for before in Lamp:
        panel.show(before)
        panel.show(lamp)
        assert {which for which, pin in LAMPS.items() if bench.factory.pin(pin).state} == {lamp}


async def test_every_lamp_has_a_rhythm_of_its_own(bench, panel):
    assert set(gpio.RHYTHMS) == set(Lamp)
    assert len(set(gpio.RHYTHMS.values())) == len(Lamp)


async def test_a_flashing_lamp_goes_on_and_off(bench, panel, monkeypatch):
    monkeypatch.setitem(gpio.RHYTHMS, Lamp.PERSON, (0.01, 0.01))
    changes: asyncio.Queue[bool] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    pin = bench.factory.pin(LAMPS[Lamp.PERSON])
    set_state = pin._set_state

    def watched(value):
        loop.call_soon_threadsafe(changes.put_nowait, bool(value))
        set_state(value)

    monkeypatch.setattr(pin, "_set_state", watched)
    panel.show(Lamp.PERSON)
    async with asyncio.timeout(5):
        while not await changes.get():
            pass
        assert not await changes.get()
        assert await changes.get()
