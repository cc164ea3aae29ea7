"""What has nothing to do does nothing: a station with a phone that is ready, and sixteen phones that nobody asks.

Counted by the kernel, not timed by us: processor time, and how often each thread gave up the processor by itself,
which is how often something woke it. A rare look (at the machine's health, four times a minute) may wake a thread
a dozen times at once where others want the disk and the processor too, so it is moments that are counted, not waits.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState
from tests.system import many_phones
from tests.system.rig import make_rig

pytestmark = pytest.mark.system

SETTLE = 1.0
"""Seconds in which nothing may happen any more, before it counts."""
PATIENCE = 20.0
"""Seconds for all that follows from plugging a phone in, on a busy machine."""
SECONDS = 4.0
TICK = 1 / os.sysconf("SC_CLK_TCK")
MAX_LOAD = 0.01
"""Of one core, both processes together."""
MAX_LOAD_OF_PHONES = 0.02
MOMENT = 0.125
"""Seconds. What one look at the disk waits for, however often that is, lies within a moment or two."""
MAX_WAKEFUL = 2.0
"""Moments a second in which a thread woke, each thread. Nothing may look around more often than once a second."""


@dataclass(frozen=True)
class Usage:
    """What a process has used since it began."""

    seconds: float
    """Of processor time, its own and the kernel's for it."""
    wake_ups: dict[str, int]
    """By thread."""


def usage(process: Process) -> Usage:
    """What a process has used until now (proc(5))."""
    place = Path(f"/proc/{process.pid}")
    user, system = place.joinpath("stat").read_text().rpartition(")")[2].split()[11:13]
    return Usage(
        (int(user) + int(system)) * TICK, {task.name: _wake_ups(task) for task in place.joinpath("task").iterdir()}
    )


async def quiet(*processes: Process) -> list[Usage]:
    """Wait until they have nothing to do any more, if ever; what they have used until then."""
    async with asyncio.timeout(PATIENCE):
        while True:
            before = [usage(process) for process in processes]
            await asyncio.sleep(SETTLE)
            after = [usage(process) for process in processes]
            same = all(then.wake_ups.keys() == now.wake_ups.keys() for then, now in zip(before, after, strict=True))
            if same and sum(now.seconds - then.seconds for then, now in zip(before, after, strict=True)) <= TICK:
                return after


def _wake_ups(task: Path) -> int:
    lines = dict(line.split(":", 1) for line in task.joinpath("status").read_text().splitlines())
    return int(lines["voluntary_ctxt_switches"])


async def test_nothing_polls(store: FirmwareStore, tmp_path: Path):
    async with make_rig(store) as rig, rig.station() as station:
        rig.plug("1")
        await station.until_state("1", BayState.READY)
        async with rig.screen(tmp_path) as window:
            processes = (station.process, window)
            moments = [await quiet(*processes)]
            async with asyncio.timeout(PATIENCE):
                for _ in range(round(SECONDS / MOMENT)):
                    await asyncio.sleep(MOMENT)
                    moments.append([usage(process) for process in processes])
    used = sum(now.seconds for now in moments[-1]) - sum(then.seconds for then in moments[0])
    assert used / SECONDS < MAX_LOAD
    for name, told in zip(("daemon", "screen"), zip(*moments, strict=True), strict=True):
        wakeful = Counter(
            thread
            for then, now in pairwise(told)
            for thread, woke in then.wake_ups.items()
            if now.wake_ups.get(thread, woke) > woke
        )
        assert all(count / SECONDS <= MAX_WAKEFUL for count in wakeful.values()), f"{name}: {wakeful}"
        assert told[-1].wake_ups.keys() <= told[0].wake_ups.keys(), f"{name} started threads"


async def test_sixteen_phones_in_one_process_cost_nothing(tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", many_phones.__name__, tmp_path, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(15):
            assert await process.stdout.readline() == b"ready\n"
        await asyncio.sleep(SETTLE)
        before = usage(process)
        await asyncio.sleep(SECONDS)
        after = usage(process)
        process.stdin.close()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert (after.seconds - before.seconds) / SECONDS < MAX_LOAD_OF_PHONES
