"""Phones that come and go on a bus."""

import asyncio

from station.model.phone import UsbGone

TURNS = 10
"""Of the loop: more than a restart takes at pace 0."""


async def slow_to_end() -> None:
    """A connection that takes a moment to end."""
    try:
        await asyncio.Event().wait()
    finally:
        for _ in range(TURNS):
            await asyncio.sleep(0)


async def test_a_phone_that_restarts_while_its_cable_is_pulled_stays_away(bus, plug):
    phone = plug()
    phone.keep(asyncio.create_task(slow_to_end()))
    await asyncio.sleep(0)
    async with bus.watch() as events:
        pulling = asyncio.create_task(bus.unplug(phone.socket))
        await asyncio.sleep(0)
        phone.restart_into()
        await pulling
        for _ in range(TURNS):
            await asyncio.sleep(0)
        seen = [events.get_nowait() for _ in range(events.qsize())]
    assert isinstance(seen[-1], UsbGone)
    assert phone.running is None
