"""The hotplug feed, through a real socket."""

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest

from station.model.base import SocketPath
from station.model.phone import PhoneMode, UsbArrived, UsbGone
from station.virtual.bus import Bus
from station.virtual.hosting.feed import serve_feed, usb_events

HERE = SocketPath("1-1.1")
FIRST = UsbArrived(socket=HERE, product_id=0x12A8, serial="000081010000000000000001", emulated=True)


@pytest.fixture
async def feed(tmp_path, bus):
    """The feed of the bus; ends with the test."""
    async with serve_feed(bus, tmp_path / "feed"):
        yield tmp_path / "feed"


async def test_tells_what_is_there_then_what_happens(plug, bus, feed):
    phone = plug(1)
    async with aclosing(usb_events(feed)) as events:
        assert await anext(events) == FIRST
        phone.restart_into(PhoneMode.RECOVERY)
        assert await anext(events) == UsbGone(socket=HERE)
        recovery = await anext(events)
        assert isinstance(recovery, UsbArrived)
        assert (recovery.product_id, recovery.socket) == (0x1281, "1-1.1")
        plug(2)
        await bus.unplug("1-1.1")
        assert isinstance(await anext(events), UsbArrived)
        assert await anext(events) == UsbGone(socket=HERE)


async def test_every_client_is_told(plug, feed):
    async with aclosing(usb_events(feed)) as one, aclosing(usb_events(feed)) as two:
        waiting = [asyncio.ensure_future(anext(events)) for events in (one, two)]
        plug(1)
        assert await asyncio.gather(*waiting) == [FIRST, FIRST]


async def test_a_client_that_leaves_is_forgotten(tmp_path):
    ended = asyncio.Event()

    class WatchedBus(Bus):
        @asynccontextmanager
        async def watch(self):
            async with super().watch() as events:
                yield events
            ended.set()

    async with serve_feed(WatchedBus(), tmp_path / "feed"):
        _, writer = await asyncio.open_unix_connection(tmp_path / "feed")
        writer.close()
        await ended.wait()


async def test_phones_are_gone_while_the_feed_is(plug, bus, tmp_path):
    path = tmp_path / "feed"
    async with aclosing(usb_events(path, retry_seconds=0.01)) as events:
        waiting = asyncio.ensure_future(anext(events))
        async with serve_feed(bus, path):
            plug(1)
            assert await waiting == FIRST
        assert await anext(events) == UsbGone(socket=HERE)
        async with serve_feed(bus, path):
            assert await anext(events) == FIRST


@pytest.mark.parametrize(
    "noise",
    [b'{"type": "arrived"}\n', b"x" * 100_000 + b"\n", b'{"type":"gone","socket":"1-1","more":1}\n', b"{"],
    ids=["incomplete", "too long", "too much", "torn"],
)
async def test_noise_ends_a_connection_not_the_watching(plug, bus, tmp_path, noise):
    path = tmp_path / "feed"
    served = asyncio.Event()

    async def serve(_, writer):
        writer.write(noise)
        writer.close()
        served.set()

    server = await asyncio.start_unix_server(serve, path)
    async with aclosing(usb_events(path, retry_seconds=0.01)) as events:
        waiting = asyncio.ensure_future(anext(events))
        await served.wait()
        server.close()
        plug(1)
        async with serve_feed(bus, path):
            assert await waiting == FIRST
