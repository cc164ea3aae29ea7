"""How a connection to one of a phone's ports begins and is served, whatever carries it: usbmuxd's socket or USB."""

import asyncio
from contextlib import suppress

from station.model.phone import PhoneMode
from station.virtual.faults.kinds import PhoneGoneError, RefusedError, StatusError, StayError
from station.virtual.phones.phone import Running, VirtualPhone

MUXED = (PhoneMode.NORMAL, PhoneMode.RESTORE)
"""The modes in which a phone speaks usbmux."""
STREAM_LIMIT = 1 << 20
"""Bytes a connection's reader buffers: system images stream through here at a gigabyte a second."""


async def knock(phone: VirtualPhone, running: Running, port: int) -> None:
    """Ask whether the phone accepts a connection to `port`: the step "connect:PORT".

    Args:
        phone: the phone.
        running: what it runs, as whoever asks knows it.
        port: the port.

    Raises:
        PhoneGoneError: it left the bus, or runs something else by now.
        RefusedError: it does not accept.
    """
    if phone.running is not running:
        raise PhoneGoneError
    step = asyncio.create_task(phone.step(f"connect:{port}"))
    phone.keep(step)  # a phone that leaves while it is silent ends the wait
    try:
        await asyncio.wait({step})
    finally:
        step.cancel()
    if step.cancelled() or phone.running is not running:
        raise PhoneGoneError
    if step.exception() is not None or port not in running.listeners:
        raise RefusedError(str(port))


async def converse(phone: VirtualPhone, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a connection that was accepted, until it ends. A fault of which nobody makes more hangs up."""
    try:
        with suppress(RefusedError, StatusError, StayError):
            await phone.serve(port, reader, writer)
    finally:
        writer.transport.abort()  # the phone left: what serves a connection is ended with it
