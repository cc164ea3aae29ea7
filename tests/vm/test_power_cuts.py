"""The power goes at random moments while records are written, on a disk of the kernel's that can be cut off."""

import asyncio
from collections.abc import Callable

import pytest

from tests.vm.guest import Guest
from tests.vm.program import PROGRAM, PYTHON

pytestmark = [pytest.mark.vm, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

SEED = 20261121
CUTS = 8
BYTES = 32 << 20
SECONDS = 400.0
"""It takes half a minute on an idle machine."""


async def test_power_cuts_while_records_are_written(guest: Guest, measured: Callable[[str], None]):
    image = guest.out / "records.ext4"
    make = ("mke2fs", "-q", "-t", "ext4", str(image), f"{BYTES >> 10}k")
    process = await asyncio.create_subprocess_exec(*make)
    assert await process.wait() == 0
    disk = "/dev/shm/records.ext4"
    await guest.check("cp", str(image), disk)
    await guest.check("modprobe", "--all", "loop", "dm-flakey")
    program = f"cd {PROGRAM} && exec {PYTHON} -m tests.vm.power_cuts {disk} {SEED} {CUTS}"
    said = await guest.check("sh", "-c", program, seconds=SECONDS)
    assert said.count("told") == CUTS
    told, kept = (sum(int(line.split()[at]) for line in said.splitlines()) for at in (2, 4))
    measured(f"records: {CUTS} power cuts, {told} records told to be durable, {kept} kept, none lost")
    await guest.check("rm", disk)
