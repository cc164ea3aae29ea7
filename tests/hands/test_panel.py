"""A finger on a mock pin, over the socket, reaches the station as a debounced press."""

import asyncio

from gpiozero.pins.mock import MockFactory

from station.adapters.gpio import Panel
from station.model.api import Lamp
from station.model.panel import Control, ControlState
from station.virtual.hosting.panel import Hand, serving_panel

BUTTONS: dict[Control, int | str] = {Control.START: 5, Control.CONFIRM: 6}
LAMPS: dict[Lamp, int | str] = {lamp: 16 + number for number, lamp in enumerate(Lamp)}


async def test_presses_arrive_and_lamps_are_seen(tmp_path):
    reports: asyncio.Queue[tuple[Control, ControlState]] = asyncio.Queue()
    factory = MockFactory()
    panel = Panel(buttons=BUTTONS, lamps=LAMPS, report=lambda *what: reports.put_nowait(what), factory=factory)
    try:
        async with serving_panel(tmp_path / "panel", factory, buttons=BUTTONS, lamps=LAMPS):
            hand = Hand(tmp_path / "panel")
            async with asyncio.timeout(5):
                await hand.press(Control.CONFIRM, seconds=0.1)
                assert await reports.get() == (Control.CONFIRM, ControlState.DOWN)
                assert await reports.get() == (Control.CONFIRM, ControlState.UP)
            panel.show(Lamp.READY)
            assert await hand.look() == (Lamp.READY,)
    finally:
        panel.close()
        factory.close()
