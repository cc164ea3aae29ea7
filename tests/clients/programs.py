"""Runs clients as somebody at a terminal would."""

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest

from station.virtual.phones.phone import VirtualPhone

SECONDS = 15.0
"""For whatever a program does: generous, because other tests may have the processor."""


@dataclass(frozen=True)
class Ran:
    """What became of a program."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Whatever it wrote."""
        return self.out + self.err


async def debian(program: str, *arguments: str) -> Ran:
    """Run a program from a Debian package. Skips the test when it is not installed."""
    async with running(program, *arguments) as process:
        return await _ended(process)


async def library(*arguments: str) -> Ran:
    """Run pymobiledevice3's own command line."""
    async with running("pymobiledevice3", *arguments) as process:
        return await _ended(process)


async def said(*arguments: str) -> str:
    """What pymobiledevice3's own command line says when it is content."""
    ran = await library(*arguments)
    assert ran.code == 0, ran
    assert "ERROR" not in ran.err, ran
    return ran.out.rstrip("\n")


@asynccontextmanager
async def running(program: str, *arguments: str) -> AsyncIterator[Process]:
    """A client that is running; it is ended with the context."""
    address = os.environ["USBMUXD_SOCKET_ADDRESS"]
    if program == "pymobiledevice3":
        command = (sys.executable, "-m", program, "--no-color", *arguments)
    else:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        command = (program, *arguments)
        address = f"UNIX:{address}"  # libusbmuxd wants that; the library would take it for a host's name
    environment = os.environ | {"USBMUXD_SOCKET_ADDRESS": address}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line(process: Process, text: str) -> str:
    """The next line of what it writes that has this in it."""
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        async for read in process.stdout:
            if text in (found := read.decode()):
                return found
    raise AssertionError(f"it ended without {text!r}")


@contextmanager
def reaching(phone: VirtualPhone, name: str) -> Iterator[asyncio.Event]:
    """Set when the phone reaches this step, from now on."""
    reached = asyncio.Event()

    def passer_by(step: str) -> None:
        if step == name:
            reached.set()

    phone.passers_by.add(passer_by)
    try:
        yield reached
    finally:
        phone.passers_by.discard(passer_by)


async def _ended(process: Process) -> Ran:
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
