"""The process that fetches is killed at any of its changes to the disk, or finds no room: nothing good is lost.

`strace` kills it, or has the kernel say that there is no room, at the Nth call of a kind in any of its threads; it says
too how much was received. The small disk is a file system of its own, in a namespace of its own.
"""

import asyncio
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from station.adapters.fetch import arrivals
from station.adapters.firmware import FirmwareStore
from station.fetcher.__main__ import Errand
from station.model.catalog import ArrivalState
from station.virtual.apple.servers import AppleServers
from tests.firmware.fetch.conftest import QUICK, Fetcher
from tests.firmware.fetch.test_fetch import assert_right
from tests.system.test_disk_full import namespaces_are_allowed, small_disk

EVERY = os.environ.get("TESTS_EVERY_STEP") == "1"
SAMPLE = 3

CALLS = ("pwrite64", "fallocate", "ftruncate", "fdatasync", "fsync", "rename", "mkdir", "unlink", "link", "symlink")
LIMITS = msgspec.structs.replace(
    QUICK, buffer=32 << 10, buffers=2, checkpoint_bytes=64 << 10, ahead=128 << 10, stall_seconds=5.0
)
"""Few calls, so that each can be tried."""
AT_RISK = LIMITS.checkpoint_bytes + LIMITS.ahead + (LIMITS.buffers + 1) * LIMITS.buffer
"""Bytes that a kill may cost: those since the last checkpoint."""
HEADERS = 600
"""Bytes of an answer at most, besides the part of the file."""

RECEIVED = re.compile(r"recvfrom\(.* = (\d+)$|<\.\.\. recvfrom resumed>.* = (\d+)$", re.MULTILINE)


def traces() -> bool:
    """Whether processes may be traced here."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not traces(), reason="no process may be traced here, or strace is not installed"),
    pytest.mark.timeout(1800 if EVERY else 60),
]


class Process:
    """`python -m station.fetcher`, as it is started by the station."""

    def __init__(self, fetcher: Fetcher, inside: tuple[str, ...] = ()) -> None:
        self.log = fetcher.store.path.parent / "strace"
        self.inside = inside
        errand = Errand(
            store=str(fetcher.store.path), offer=fetcher.offer, rules=fetcher.rules, limits=LIMITS, reserve=0
        )
        self.errand = msgspec.json.encode(errand) + b"\n"

    async def run(self, *inject: str) -> tuple[int, str]:
        """Its exit code and what it said."""
        options = [f"--inject={each}" for each in inject]
        calls = ",".join(("recvfrom", *CALLS))
        traced = ("strace", "-f", "-qq", "-o", str(self.log), f"--trace={calls}", "--seccomp-bpf", *options)
        process = await asyncio.create_subprocess_exec(
            *(*self.inside, *traced, sys.executable, "-m", "station.fetcher"),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(40):
            _, told = await process.communicate(self.errand)
        return process.returncode or 0, told.decode()

    def received(self) -> int:
        """Bytes that came in the last run."""
        return sum(int(a or b) for a, b in RECEIVED.findall(self.log.read_text(errors="replace")))

    def counts(self) -> dict[str, int]:
        """How often the busiest thread of the last run called what."""
        found: dict[tuple[str, str], int] = {}
        for thread, call in re.findall(r"^(\d+) +(\w+)\(", self.log.read_text(errors="replace"), re.MULTILINE):
            found[thread, call] = found.get((thread, call), 0) + 1
        return {call: max(n for (_, each), n in found.items() if each == call) for call in {key[1] for key in found}}


async def places(fetcher: Fetcher) -> list[tuple[str, int]]:
    """Every call of a whole run, or a few of them."""
    process = Process(fetcher)
    assert await process.run() == (0, "")
    counts = process.counts()
    shutil.rmtree(fetcher.store.path)
    every = [(call, number + 1) for call in CALLS for number in range(counts.get(call, 0))]
    assert {"pwrite64", "fallocate", "fdatasync", "fsync", "rename"} <= {call for call, _ in every}
    return every if EVERY else random.Random(6).sample(every, SAMPLE)


def fresh(apple: AppleServers, fetcher: Fetcher) -> None:
    apple.requests.clear()
    shutil.rmtree(fetcher.store.path, ignore_errors=True)
    fetcher.store = FirmwareStore(fetcher.store.path, reserve=0)


def of_the_whole(apple: AppleServers, received: int) -> int:
    """How much of what a process received was what it had asked for last, all the rest of the file."""
    for start, end in re.findall(r"bytes=(\d+)-(\d+)", " ".join(seen.range for seen in apple.requests)):
        received -= int(end) + 1 - int(start) + HEADERS
    return received - HEADERS


async def assert_goes_on(apple: AppleServers, fetcher: Fetcher, zipped: Path, received: int) -> None:
    """It ends well, and fetches little again."""
    before = of_the_whole(apple, received)
    apple.requests.clear()
    assert await Process(fetcher).run() == (0, "")
    (firmware,) = fetcher.store.list()
    assert_right(fetcher, zipped, firmware)
    for seen in apple.requests:
        if again := re.fullmatch(r"bytes=(\d+)-", seen.range):
            assert int(again[1]) >= before - AT_RISK


async def test_killed_anywhere(apple, fetcher, zipped):
    for call, number in await places(fetcher):
        fresh(apple, fetcher)
        process = Process(fetcher)
        status, _ = await process.run(f"{call}:signal=KILL:when={number}")
        assert status in (0, -9, 137), (call, number)
        if status:
            assert all(each.state is ArrivalState.WAITING for each in arrivals(fetcher.store.path))
            assert fetcher.store.unusable() == ()
        try:
            await assert_goes_on(apple, fetcher, zipped, process.received())
        except AssertionError as error:
            raise AssertionError((call, number)) from error


async def test_no_room_at_any_call(apple, fetcher, zipped):
    for call, number in await places(fetcher):
        fresh(apple, fetcher)
        process = Process(fetcher)
        status, told = await process.run(f"{call}:error=ENOSPC:when={number}")
        if status:
            assert status == 1, (call, number, told)
            assert "Traceback" not in told, (call, number, told)
            assert "disk" in told or "space" in told, (call, number, told)
        assert fetcher.store.unusable() == ()
        try:
            await assert_goes_on(apple, fetcher, zipped, process.received())
        except AssertionError as error:
            raise AssertionError((call, number, told)) from error


@pytest.mark.skipif(not namespaces_are_allowed(), reason="this kernel lets nobody mount a file system of their own")
async def test_a_full_disk_and_then_room(fetcher, zipped):
    async with small_disk(fetcher.store.path, 64 << 20) as disk:
        process = Process(fetcher, disk.inside)
        await disk.fill(leave=1 << 20)
        status, told = await process.run()
        assert (status, "MiB more" in told) == (1, True), told
        (arrival,) = arrivals(disk.seen)
        assert (arrival.state, bool(arrival.remedy)) == (ArrivalState.FAILED, True)
        await disk.make_room()
        assert await process.run() == (0, "")
        fetcher.store = FirmwareStore(disk.seen, reserve=0)
        (firmware,) = fetcher.store.list()
        fetcher.store.verify(firmware, full=True)
        assert zipped.exists()
