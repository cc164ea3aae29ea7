"""What the tests of services share: a trusted client of the library's, and programs from Debian's packages."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pymobiledevice3.lockdown import LockdownClient, create_using_usbmux

from station.virtual.phones.phone import VirtualPhone


@asynccontextmanager
async def trusted(phone: VirtualPhone, **options: Any) -> AsyncIterator[LockdownClient]:
    """The library's client, as a host that the phone trusts; nobody is waited for."""
    async with await create_using_usbmux(phone.identity.udid, **{"pair_timeout": 0} | options) as client:
        yield client


@asynccontextmanager
async def started(phone: VirtualPhone, service: type, **options: Any) -> AsyncIterator[Any]:
    """A service's client of the library's, connected: `started(phone, AfcService)`."""
    async with trusted(phone) as client, service(client, **options) as connected:
        yield connected


async def introduce(phone: VirtualPhone) -> None:
    """Pair with a phone; usbmuxd keeps the record, so that programs started later are trusted."""
    async with trusted(phone):
        pass


@dataclass(frozen=True)
class Ran:
    """What became of a program."""

    code: int
    out: str
    err: str


async def run(program: str, *arguments: str, seconds: float = 15.0) -> Ran:
    """Run a program from a Debian package against the phones of this test. Skips the test when it is not installed.

    See `introduce` for programs that need to be trusted. The environment says where usbmuxd and HOME are: see the
    fixture `mux_path`.
    """
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    # libusbmuxd wants the word UNIX in front of a path; the library would take it for a host's name.
    environment = os.environ | {"USBMUXD_SOCKET_ADDRESS": f"UNIX:{os.environ['USBMUXD_SOCKET_ADDRESS']}"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, *arguments, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
