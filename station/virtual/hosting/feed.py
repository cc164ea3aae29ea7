"""The hotplug feed: what udev is for real sockets, a socket is for virtual ones. One JSON UsbEvent a line."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import structlog

from station.model.phone import UsbArrived, UsbEvent, UsbGone
from station.virtual.sockets import Address, connect, listening_on_all

if TYPE_CHECKING:  # whoever only follows the feed (`usb.vhci`, in a guest) needs no phones
    from station.virtual.bus import Bus

log = structlog.get_logger(__name__)

MAX_LINE = 4096
SEND_SECONDS = 10.0
"""A client that leaves so long unread what it was sent is cut off."""
MAX_WAIT = 10.0
"""Seconds between two attempts to reach the feed, at most."""

_decoder: msgspec.json.Decoder[UsbEvent] = msgspec.json.Decoder(UsbEvent)


@asynccontextmanager
async def serve_feed(bus: "Bus", *at: Address) -> AsyncGenerator[list[Address], None]:
    """Tell whoever connects to one of these addresses of every phone on the bus, then of what comes and goes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with bus.watch() as events:
            # A client has nothing to say: what can be read is that it hung up.
            work = {asyncio.create_task(_send(events, writer)), asyncio.create_task(reader.read(1))}
            try:
                await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)

    async with listening_on_all(at, serve, limit=MAX_LINE) as addresses:
        yield addresses


async def _send(events: "asyncio.Queue[UsbEvent]", writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(msgspec.json.encode(await events.get()) + b"\n")
        async with asyncio.timeout(SEND_SECONDS):
            await writer.drain()


async def usb_events(address: Address, *, retry_seconds: float = 1.0) -> AsyncGenerator[UsbEvent, None]:
    """Yield every phone that is plugged in, then each arrival and departure, for ever.

    When the feed is lost every phone it told of is gone; it is looked for again after `retry_seconds`, then less
    and less often.
    """
    wait = retry_seconds
    while True:
        present = set()
        async for event in _connection(address):
            wait = retry_seconds
            if isinstance(event, UsbArrived):
                present.add(event.socket)
            else:
                present.discard(event.socket)
            yield event
        for socket in sorted(present):
            yield UsbGone(socket=socket)
        await asyncio.sleep(wait)
        wait = min(2 * wait, MAX_WAIT)


async def _connection(address: Address) -> AsyncGenerator[UsbEvent, None]:
    """The events of one connection, until it is lost."""
    try:
        reader, writer = await connect(address, limit=MAX_LINE)
    except OSError as error:
        log.info("no feed of virtual phones", address=str(address), error=str(error))
        return
    try:
        while line := await reader.readline():
            yield _decoder.decode(line)
    except (OSError, ValueError) as error:  # ValueError: no event (msgspec), or a line that is too long
        log.warning("the feed of virtual phones broke", address=str(address), error=str(error))
    finally:
        writer.close()
