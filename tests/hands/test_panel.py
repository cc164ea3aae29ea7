"""A finger on a mock pin, over the socket, reaches the station as a debounced press."""

import asyncio
from pathlib import Path

import pytest

from station.adapters.gpio import Panel
from station.adapters.pins import MockPins
from station.model.api import Lamp
from station.model.base import BayId
from station.model.lights import Bulb
from station.model.panel import Button, Control, ControlState, Pin
from station.virtual.hosting.panel import Hand, serving_panel

THREE = BayId("3")
BUTTONS: dict[Button, Pin] = {
    Button(Control.START): 5,
    Button(Control.CONFIRM): 6,
    Button(Control.START, THREE): "gpiochip2:6",
}
LAMPS: dict[Bulb, Pin] = {Bulb(lamp): 16 + number for number, lamp in enumerate(Lamp)} | {
    Bulb(lamp, THREE): f"gpiochip2:{number}" for number, lamp in enumerate(Lamp)
}


class Before:
    """A person before a panel."""

    def __init__(self, path: Path) -> None:
        self.pins = MockPins()
        self.reports: asyncio.Queue[tuple[Button, ControlState]] = asyncio.Queue()
        self.panel = Panel(
            buttons=BUTTONS,
            lamps=LAMPS,
            report=lambda button, state: self.reports.put_nowait((button, state)),
            pins=self.pins,
        )
        self.hand = Hand(path)


@pytest.fixture
async def before(tmp_path):
    before = Before(tmp_path / "panel")
    async with serving_panel(tmp_path / "panel", before.pins.pin, buttons=BUTTONS, lamps=LAMPS):
        yield before
    before.panel.close()


@pytest.mark.parametrize("button", BUTTONS)
async def test_presses_arrive(before, button):
    async with asyncio.timeout(5):
        await before.hand.press(button.control, seconds=0.1, bay=button.bay)
        assert await before.reports.get() == (button, ControlState.DOWN)
        assert await before.reports.get() == (button, ControlState.UP)


async def test_lamps_are_seen(before):
    before.panel.show({None: Lamp.READY})
    assert await before.hand.look() == (Lamp.READY,)
    assert await before.hand.look(THREE) == ()
    before.panel.show({THREE: Lamp.READY})
    assert await before.hand.look_at_all() == {Bulb(Lamp.READY, THREE)}


async def test_a_button_that_is_not_there_cannot_be_pressed(before):
    with pytest.raises(LookupError, match="confirm of 3"):
        await before.hand.press(Control.CONFIRM, seconds=0, bay=THREE)
