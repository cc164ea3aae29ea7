"""The process that fetches, as the station starts and ends it."""

import asyncio
import signal
import sys

import msgspec
import pytest

from station.adapters.fetch import arrivals, leftovers
from station.fetcher.__main__ import Errand
from station.model.catalog import ArrivalState
from station.virtual.apple.behaviour import AppleService, Behaviour
from tests.firmware.fetch.conftest import QUICK, Fetcher
from tests.firmware.fetch.test_fetch import assert_right

pytestmark = pytest.mark.system

COMMAND = (sys.executable, "-m", "station.fetcher")


async def start(errand: bytes, *command: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    process.stdin.write(errand + b"\n")
    await process.stdin.drain()
    return process


def errand_of(fetcher: Fetcher) -> bytes:
    slow = msgspec.structs.replace(QUICK, stall_seconds=30.0)
    errand = Errand(store=str(fetcher.store.path), offer=fetcher.offer, rules=fetcher.rules, limits=slow, reserve=0)
    return msgspec.json.encode(errand)


async def test_it_fetches_what_it_is_told_to(fetcher, zipped):
    process = await start(errand_of(fetcher), *COMMAND)
    async with asyncio.timeout(15):
        assert await process.communicate() == (b"", b"")
    assert process.returncode == 0
    assert_right(fetcher, zipped, *fetcher.store.list())


async def test_it_says_that_it_is_no_use_to_try_again(fetcher):
    fetcher.offer = msgspec.structs.replace(fetcher.offer, build="23C72")
    process = await start(errand_of(fetcher), *COMMAND)
    async with asyncio.timeout(15):
        _, told = await process.communicate()
    assert (process.returncode, b"says that it is" in told) == (2, True)


async def test_it_tells_what_nobody_foresaw_from_what_people_can_read(fetcher):
    errand = msgspec.json.decode(errand_of(fetcher))
    errand["limits"]["connect_seconds"] = -1  # what no socket takes
    process = await start(msgspec.json.encode(errand), *COMMAND)
    async with asyncio.timeout(15):
        _, told = await process.communicate()
    assert (process.returncode, b"Traceback" in told) == (3, True)


async def test_it_stops_when_it_is_told_to(apple, fetcher):
    apple.behaviours[AppleService.CDN], apple.cut_after = Behaviour.STALL, 1000
    process = await start(errand_of(fetcher), *COMMAND)
    async with asyncio.timeout(15):
        await apple.arrival(AppleService.CDN)
        process.send_signal(signal.SIGTERM)
        _, told = await process.communicate()
    assert (process.returncode, b"was stopped" in told) == (1, True)
    (arrival,) = arrivals(fetcher.store.path)
    assert arrival.state is ArrivalState.WAITING


async def test_it_ends_with_who_started_it(apple, fetcher):
    apple.behaviours[AppleService.CDN] = Behaviour.HANG
    parent = await start(errand_of(fetcher), "sh", "-c", '"$@"; true', "sh", *COMMAND)
    async with asyncio.timeout(15):
        await apple.arrival(AppleService.CDN)
        assert leftovers(fetcher.store.path)[0].held
        parent.kill()
        assert parent.stdout is not None
        await parent.stdout.read()  # ends when both did
    assert not leftovers(fetcher.store.path)[0].held


@pytest.mark.parametrize("errand", [b'{"store": 1}', b"\xff"])
async def test_what_is_no_errand(errand):
    process = await start(errand, *COMMAND)
    async with asyncio.timeout(15):
        _, told = await process.communicate()
    assert (process.returncode, b"no errand" in told) == (1, True)
