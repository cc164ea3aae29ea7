"""Buttons, lamps and buzzer over gpiozero's mock pins: the same code, the pins' rules included."""

import asyncio
import threading

import pytest
from gpiozero.pins.mock import MockPWMPin

from station.adapters import buzzer, gpio, lamps
from station.adapters.gpio import Panel
from station.adapters.pins import MockPins, Pins
from station.core.sounds import Sound
from station.errors import ConfigError
from station.model import lights
from station.model.api import Lamp
from station.model.base import BayId
from station.model.lights import Bulb
from station.model.panel import Button, Control, ControlState, Pin

START, CONFIRM = Button(Control.START), Button(Control.CONFIRM)
THREE = BayId("3")
START_OF_THREE = Button(Control.START, THREE)
BUTTONS: dict[Button, Pin] = {START: 5, CONFIRM: 6, START_OF_THREE: "gpiochip2:5"}
LAMPS: dict[Bulb, Pin] = {
    Bulb(Lamp.READY): 16,
    Bulb(Lamp.PERSON): 20,
    Bulb(Lamp.WORKING): 21,
    Bulb(Lamp.DONE): 26,
    Bulb(Lamp.FAULT): 19,
    **{Bulb(lamp, THREE): f"gpiochip2:{line}" for line, lamp in enumerate(Lamp)},
}
DOWN, UP, FAULT = ControlState.DOWN, ControlState.UP, ControlState.FAULT


class HeldPin(MockPWMPin):
    """A pin whose switch is closed from the start: a switch to ground wins over the pull-up."""

    def _set_pull(self, value):
        super()._set_pull(value)
        self.drive_low()


class Bench:
    """A panel on mock pins, and what it reported."""

    def __init__(self) -> None:
        self.pins = MockPins()
        self.reports: asyncio.Queue[tuple[Button, ControlState]] = asyncio.Queue()

    def build(self, *, buzzer_pin: Pin | None = None) -> Panel:
        return Panel(
            buttons=BUTTONS,
            lamps=LAMPS,
            report=lambda button, state: self.reports.put_nowait((button, state)),
            pins=self.pins,
            buzzer=buzzer_pin,
        )

    def press(self, button: Button) -> None:
        self.pins.pin(BUTTONS[button]).drive_low()

    def release(self, button: Button) -> None:
        self.pins.pin(BUTTONS[button]).drive_high()

    def lit(self) -> set[Bulb]:
        return {bulb for bulb, pin in LAMPS.items() if self.pins.pin(pin).state}

    async def next(self) -> tuple[Button, ControlState]:
        async with asyncio.timeout(5):
            return await self.reports.get()


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    bench.pins.close()


@pytest.fixture
async def panel(bench):
    panel = bench.build()
    yield panel
    panel.close()


@pytest.mark.parametrize("button", BUTTONS)
async def test_a_press_and_a_release_are_reported_once_each(bench, panel, button):
    bench.press(button)
    assert await bench.next() == (button, DOWN)
    bench.release(button)
    assert await bench.next() == (button, UP)
    assert bench.reports.empty()


async def test_bounces_are_one_press(bench, panel):
    for _ in range(5):
        bench.press(CONFIRM)
        bench.release(CONFIRM)
    bench.press(CONFIRM)
    assert await bench.next() == (CONFIRM, DOWN)
    bench.release(CONFIRM)
    assert await bench.next() == (CONFIRM, UP)


async def test_a_release_is_reported_before_its_bounces_are_over(bench, panel, monkeypatch):
    bench.press(CONFIRM)
    assert await bench.next() == (CONFIRM, DOWN)
    monkeypatch.setattr(gpio, "DEBOUNCE_SECONDS", 60)
    bench.release(CONFIRM)
    assert await bench.next() == (CONFIRM, UP)


async def test_a_release_whose_edge_is_lost_is_seen_all_the_same(bench, panel):
    bench.press(CONFIRM)
    assert await bench.next() == (CONFIRM, DOWN)
    bench.pins.pin(BUTTONS[CONFIRM])._state = True  # let go, and nobody is told
    assert await bench.next() == (CONFIRM, UP)


async def test_a_button_that_cannot_be_read_any_more_is_a_fault(bench, panel, monkeypatch):
    bench.press(START_OF_THREE)
    assert await bench.next() == (START_OF_THREE, DOWN)

    def gone():
        raise OSError("the expander does not answer")

    monkeypatch.setattr(bench.pins.pin(BUTTONS[START_OF_THREE]), "_get_state", gone)
    assert await bench.next() == (START_OF_THREE, FAULT)


async def test_a_panel_needs_no_thread(bench):
    before = threading.active_count()
    panel = bench.build()
    try:
        for lamp in Lamp:
            panel.show({None: lamp, THREE: lamp})
        assert threading.active_count() == before
    finally:
        panel.close()


async def test_a_glitch_is_nothing(bench, panel):
    bench.press(START)
    bench.release(START)
    bench.press(CONFIRM)  # a real press after it, so that there is something to wait for
    assert await bench.next() == (CONFIRM, DOWN)
    assert bench.reports.empty()


async def test_a_button_held_at_boot_is_a_fault_until_released(bench):
    factory, name = bench.pins.find(BUTTONS[CONFIRM])
    factory.pin(name, pin_class=HeldPin)
    panel = bench.build()
    try:
        assert await bench.next() == (CONFIRM, FAULT)
        bench.release(CONFIRM)
        assert await bench.next() == (CONFIRM, UP)
        bench.press(CONFIRM)
        assert await bench.next() == (CONFIRM, DOWN)
    finally:
        panel.close()


async def test_a_stuck_button_is_a_fault(bench, monkeypatch):
    monkeypatch.setattr(gpio, "STUCK_SECONDS", 0.01)
    panel = bench.build()
    try:
        bench.press(START)
        assert await bench.next() == (START, DOWN)
        assert await bench.next() == (START, FAULT)
        bench.release(START)
        assert await bench.next() == (START, UP)
    finally:
        panel.close()


async def test_endless_bouncing_is_a_fault(bench, panel):
    for _ in range(gpio.BOUNCING_EDGES):
        bench.press(START)
        bench.release(START)
    assert await bench.next() == (START, FAULT)
    assert await bench.next() == (START, UP)


# -- lamps


@pytest.fixture
def still(monkeypatch):
    """Lamps without rhythms."""
    monkeypatch.setattr(lights, "RHYTHMS", dict.fromkeys(Lamp))


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("lamp", Lamp)
async def test_only_the_lamps_that_are_shown_are_lit(bench, panel, lamp):
    for before in Lamp:
        panel.show({None: before, THREE: before})
        panel.show({None: lamp})
        assert bench.lit() == {Bulb(lamp)}
        panel.show({None: None, THREE: lamp})
        assert bench.lit() == {Bulb(lamp, THREE)}


@pytest.mark.usefixtures("still")
async def test_lamps_go_dark_when_the_station_ends(bench):
    panel = bench.build()
    panel.show({None: Lamp.READY, THREE: Lamp.DONE})
    assert len(bench.lit()) == 2
    written = [bench.pins.pin(pin).states for pin in LAMPS.values()]
    panel.close()
    assert not any(states[-1].state for states in written)


def lamps_of(bays: int, clock: "Clock") -> tuple[lamps.Lamps, dict[Bulb, "Bulbs"]]:
    """As many lamp sets on a clock that a test turns."""
    devices = {Bulb(lamp, BayId(str(bay))): Bulbs() for bay in range(bays) for lamp in Lamp}
    return lamps.Lamps({bulb: lamps.Led(device, "x") for bulb, device in devices.items()}, clock), devices


class Clock:
    """CLOCK_BOOTTIME, as a test has it."""

    def __init__(self) -> None:
        self.at = 86400.0

    def __call__(self) -> float:
        return self.at


class Bulbs:
    """A lamp that counts how often it was written to."""

    def __init__(self) -> None:
        self.lit = False
        self.written = 0
        self.breaks = False

    @property
    def value(self) -> bool:
        return self.lit

    @value.setter
    def value(self, lit: bool) -> None:
        self.written += 1
        if self.breaks:
            raise OSError("no answer")
        self.lit = lit


@pytest.mark.parametrize("lamp", Lamp)
async def test_lamps_that_show_the_same_are_lit_at_the_same_moments(lamp):
    clock = Clock()
    all_of_them, devices = lamps_of(16, clock)
    shown: dict[BayId | None, Lamp | None] = {}
    for bay in range(16):  # each begins at another moment
        shown[BayId(str(bay))] = lamp
        clock.at += 0.13
        all_of_them.show(dict(shown))
    for _ in range(200):
        clock.at += 0.07
        all_of_them._write()
        assert {device.lit for bulb, device in devices.items() if bulb.lamp is lamp} == {lights.is_lit(lamp, clock.at)}
        assert not any(device.lit for bulb, device in devices.items() if bulb.lamp is not lamp)
    all_of_them.close()


async def test_eighty_lamps_are_one_timer_that_wakes_as_seldom_as_can_be(monkeypatch):
    """16 bays, every rhythm shown somewhere: woken when something goes on or off, and never else."""
    clock = Clock()
    all_of_them, devices = lamps_of(16, clock)
    waits: list[float] = []

    class Timer:
        def __init__(self, delay: float, _: object) -> None:
            waits.append(delay)

        def cancel(self) -> None:
            pass

    monkeypatch.setattr(all_of_them._loop, "call_later", Timer)
    lamps_shown = list(Lamp)
    all_of_them.show({BayId(str(bay)): lamps_shown[bay % len(lamps_shown)] for bay in range(16)})
    began, woken = clock.at, 0
    while clock.at < began + 60:
        before = sum(device.written for device in devices.values())
        clock.at += waits.pop()
        all_of_them._write()
        woken += 1
        assert sum(device.written for device in devices.values()) > before, "woken for nothing"
        assert len(waits) == 1
    assert woken <= 60 * 7
    all_of_them.show({BayId(str(bay)): Lamp.READY for bay in range(16)})
    waits.clear()
    all_of_them._write()
    assert not waits, "what is steady costs nothing"


async def test_a_chip_that_fails_is_left_alone_for_a_while_and_then_shows_what_is(monkeypatch):
    clock = Clock()
    all_of_them, devices = lamps_of(16, clock)
    loop_time = [0.0]
    monkeypatch.setattr(all_of_them._loop, "time", lambda: loop_time[0])
    for device in devices.values():
        device.breaks = True
    all_of_them.show({BayId(str(bay)): Lamp.READY for bay in range(16)})
    assert sum(device.written for device in devices.values()) == 1
    all_of_them._write()
    assert sum(device.written for device in devices.values()) == 1
    for device in devices.values():
        device.breaks = False
    loop_time[0] += lamps.REST_SECONDS
    all_of_them._write()
    assert all(device.lit is (bulb.lamp is Lamp.READY) for bulb, device in devices.items())
    all_of_them.close()
    assert not any(device.lit for device in devices.values())


async def test_every_lamp_has_a_rhythm_of_its_own():
    assert set(lights.RHYTHMS) == set(Lamp)
    assert len(set(lights.RHYTHMS.values())) == len(Lamp)


@pytest.mark.parametrize("lamp", Lamp)
def test_a_change_is_where_a_lamp_changes(lamp):
    """Hours after boot too, where seconds are no round numbers."""
    at = 345_678.9
    for _ in range(50):
        change = lights.next_change([lamp], at)
        if change is None:
            assert lights.is_lit(lamp, at)
            return
        assert change > at
        assert lights.is_lit(lamp, change) is not lights.is_lit(lamp, (at + change) / 2)
        at = change


async def test_a_flashing_lamp_goes_on_and_off(bench, panel, monkeypatch):
    monkeypatch.setitem(lights.RHYTHMS, Lamp.PERSON, lights.Rhythm(0.01, 0.01))
    panel.show({None: Lamp.PERSON})
    states = bench.pins.pin(LAMPS[Bulb(Lamp.PERSON)]).states
    loop, four = asyncio.get_running_loop(), asyncio.Event()

    def look():
        if len(states) > 4:
            four.set()
        else:
            loop.call_later(0.005, look)

    look()
    async with asyncio.timeout(5):
        await four.wait()


# -- pins


async def test_line_5_of_an_expander_is_not_the_headers_pin_5(bench, panel):
    assert bench.pins.pin("gpiochip2:5") is not bench.pins.pin(5)
    bench.press(START_OF_THREE)
    assert await bench.next() == (START_OF_THREE, DOWN)
    assert bench.reports.empty()


async def test_every_pin_that_cannot_be_used_is_named_with_the_reason(bench):
    def build(**pins: Pin) -> Panel:
        return Panel(
            buttons={START: pins["start"], CONFIRM: pins["confirm"]},
            lamps={Bulb(Lamp.DONE, THREE): pins["lamp"]},
            report=lambda *_: None,
            pins=bench.pins,
        )

    with pytest.raises(ConfigError) as refused:
        build(start=99, confirm=6, lamp="gpiochip2:77")
    assert "start (99): 99 is not a valid pin name" in str(refused.value)
    assert "done of bay 3 (gpiochip2:77): 77 is not a valid pin name" in str(refused.value)
    assert "confirm" not in str(refused.value)
    build(start=5, confirm=6, lamp="gpiochip2:7").close()  # nothing was kept


async def test_a_machine_without_pins_says_so(monkeypatch):
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "none-there-is")
    with pytest.raises(ConfigError, match=r"start \(5\), confirm \(6\): no driver works here"):
        Panel(buttons={START: 5, CONFIRM: 6}, lamps={}, report=lambda *_: None, pins=Pins())


# -- the buzzer


class Disc:
    """A piezo disc that notes what it is told."""

    def __init__(self, until: int) -> None:
        self.heard: list[float | None] = []
        self.enough = asyncio.Event()
        self._until = until

    def play(self, tone: float | None) -> None:
        self.heard.append(None if tone is None else round(tone))
        if len(self.heard) == self._until:
            self.enough.set()


async def test_a_sound_is_played_once_and_to_its_end(monkeypatch):
    short = {sound: tuple((tone, 0.01) for tone, _ in notes) for sound, notes in buzzer.NOTES.items()}
    monkeypatch.setattr(buzzer, "NOTES", short)
    disc = Disc(until=4)
    told = buzzer.Buzzer(disc)
    told.play(Sound.DONE)
    told.play(Sound.FAILED)  # at the same time: not heard
    async with asyncio.timeout(5):
        await disc.enough.wait()
    assert disc.heard == [440, None, 659, None]
    told.play(Sound.FAILED)
    assert disc.heard[4:] == [220]


@pytest.mark.parametrize("sound", Sound)
async def test_every_sound_can_be_played(bench, sound):
    panel = bench.build(buzzer_pin=18)
    panel.play(sound)
    assert bench.pins.pin(18).frequency is not None
    panel.close()
    assert not bench.pins.pin(18).state


async def test_without_a_buzzer_nothing_is_heard(panel):
    panel.play(Sound.DONE)
