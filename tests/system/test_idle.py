"""What has nothing to do does nothing: a station with a phone that is ready, and sixteen phones that nobody asks.

Counted by the kernel, not timed by us: processor time, and how often each thread gave up the processor by itself,
which is how often something woke it.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
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
MAX_WAKE_UPS = 2.0
"""A second, each thread. Nothing may look around more often than once a second; a look may be two waits."""


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
            before = await quiet(*processes)
            await asyncio.sleep(SECONDS)
            after = [usage(process) for process in processes]
    used = sum(then.seconds for then in after) - sum(then.seconds for then in before)
    assert used / SECONDS < MAX_LOAD
    for name, then, now in zip(("daemon", "screen"), before, after, strict=True):
        lived = then.wake_ups.keys() & now.wake_ups.keys()
        woken = {thread: (now.wake_ups[thread] - then.wake_ups[thread]) / SECONDS for thread in lived}
        assert max(woken.values()) <= MAX_WAKE_UPS, f"{name}: {woken}"
        assert now.wake_ups.keys() <= then.wake_ups.keys(), f"{name} started threads"


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
