"""Phones in normal mode on an exported bus, with ports of the tests' own."""

import asyncio
from collections.abc import Callable
from functools import partial

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.boot import iboot
from station.virtual.faults.kinds import Fault, Faults
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, Handler, VirtualPhone
from station.virtual.system import lockdownd
from tests.virtual_usb.helpers import KEY, Lab

ECHO, COUNT, SOURCE, DEAF, ONCE = 1001, 1002, 1003, 1004, 1005
AMOUNT = 3_000_001


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a length and so many bytes, answer their sum."""
    size = int.from_bytes(await reader.readexactly(4))
    total = 0
    while size:
        data = await reader.read(min(size, 1 << 16))
        if not data:
            return
        size -= len(data)
        total += sum(data)
    writer.write(total.to_bytes(8))
    await writer.drain()


def pattern(size: int) -> bytes:
    """Bytes that do not repeat with any packet's length."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


async def source(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send AMOUNT bytes and hang up once they are on their way."""
    writer.transport.set_write_buffer_limits(0)
    writer.write(pattern(AMOUNT))
    await writer.drain()


async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Neither read nor write."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own class has it
    await asyncio.Event().wait()


async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read until the host has nothing more to say, then answer all of it."""
    writer.write(await reader.read())
    await writer.drain()


HANDLERS: dict[int, Handler] = {ECHO: echo, COUNT: count, SOURCE: source, DEAF: deaf, ONCE: once}


def plug(
    lab: Lab,
    number: int = 1,
    *faults: Fault,
    model: str = "iPhone 12",
    more: Callable[[VirtualPhone], dict[int, Handler]] | None = None,
) -> VirtualPhone:
    """Plug in a phone that runs an iOS: number n is ECID n in socket 1-1.n."""

    def boot(phone: VirtualPhone) -> lockdownd.Lockdownd:
        running = lockdownd.boot(phone, apple=KEY.public_key)
        running.listeners |= HANDLERS | (more(phone) if more else {})
        return running

    boots = Boots({PhoneMode.NORMAL: boot, PhoneMode.RECOVERY: partial(iboot.boot, apple=KEY.public_key)})
    identity = find_model(model).identity(Ecid(number))
    phone = VirtualPhone(identity, System("18.5", "22F76"), boots, faults=Faults(faults))
    lab.bus.plug(phone, SocketPath(f"1-1.{number}"))
    return phone
