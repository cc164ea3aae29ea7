"""Cuts a disk off at random moments while records are written on it: run in the guest, as root.

    python -m tests.vm.power_cuts IMAGE SEED CUTS

IMAGE, a file with an ext4, is the disk. Between file system and disk is Linux's device mapper. A cut replaces its
table (dm-flakey, `drop_writes`): from that moment on nothing that is written reaches the disk, while whoever writes
is told that it did; he is killed then, the file system is taken away, and with it all that was only in memory. What
the disk had told to be written is kept: disks that lie about that are not played.

Each time the records must be what was written: all that were told to be durable before the cut, none twice, none that
nobody wrote, and a chain that verifies; and writing goes on. Prints one line for each cut, ends with 1 if one is wrong.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from station.adapters import audit
from station.adapters.chain import read, record_of
from station.adapters.records import RecordStore, chain_files
from station.adapters.signing import PublicKey, StationKey
from tests.records.samples import failed

NAME = "power-cuts"
PLACE = Path("/run/power-cuts")
STATE = PLACE / "state"
MOST = 4
"""Records that are waited for at most, before the cut comes."""
MOST_SECONDS = 0.5
"""How long after the last of them it comes at most: as long as one takes in the guest."""
SECTOR = 512


class Disk:
    """The device mapper's disk on a loop device."""

    def __init__(self, image: Path) -> None:
        self._loop = _run("losetup", "--find", "--show", str(image)).strip()
        self._sectors = image.stat().st_size // SECTOR

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Have the file system at PLACE; what was not on the disk is lost when the context ends, if it was cut off."""
        _run("dmsetup", "create", NAME, "--table", f"0 {self._sectors} linear {self._loop} 0")
        try:
            _run("mount", "-t", "ext4", f"/dev/mapper/{NAME}", str(PLACE))
            try:
                yield
            finally:
                _run("umount", str(PLACE))
        finally:
            _run("dmsetup", "remove", "--retry", NAME)

    def prepare_cut(self) -> None:
        """Have what is to come lie ready, so that the cut itself is one moment."""
        _run("dmsetup", "load", NAME, "--table", f"0 {self._sectors} flakey {self._loop} 0 0 3600 1 drop_writes")

    def cut(self) -> None:
        """Nothing reaches the disk any more; nothing is written down for the occasion either."""
        _run("dmsetup", "suspend", "--nolockfs", "--noflush", NAME)
        _run("dmsetup", "resume", NAME)

    def close(self) -> None:
        """Let go of the loop device."""
        _run("losetup", "--detach", self._loop)


def write_records(cut: int, told: int) -> None:
    """Append records for ever, and tell of each once it is durable."""

    async def work() -> None:
        store = await RecordStore.open(STATE)
        for number in count():
            job = f"job-{cut}-{number}"
            await store.append(failed(job))
            os.write(told, f"{job}\n".encode())

    asyncio.run(work())


def written_until_cut(disk: Disk, cut: int, chance: random.Random) -> set[str]:
    """Write records until the disk is cut off; those that were told to be durable before that."""
    disk.prepare_cut()
    reading, writing = os.pipe()
    wanted, pause = chance.randrange(MOST + 1), chance.uniform(0, MOST_SECONDS)
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            write_records(cut, writing)
        os._exit(1)
    os.close(writing)
    heard = b""
    while heard.count(b"\n") < wanted:
        more = os.read(reading, 4096)
        if not more:
            raise SystemExit("the writer has ended by itself")
        heard += more
    time.sleep(pause)  # the moment is to be a random one
    os.set_blocking(reading, False)
    with suppress(BlockingIOError):
        heard += os.read(reading, 1 << 16)
    disk.cut()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reading)
    return set(heard.decode().split())


def jobs() -> list[str]:
    """The jobs that the records are of, in the chain's order."""
    return [record_of(sealed).job for sealed in read(chain_files(STATE, StationKey))]


async def look(before: list[str], told: set[str], cut: int) -> list[str]:
    """Open the records as the station does after a power cut, and write one more. AssertionError: they are wrong."""
    store = await RecordStore.open(STATE)
    found = jobs()
    assert found[: len(before)] == before, "what had long been there is not there any more"
    new = found[len(before) :]
    assert told <= set(new), f"lost: {told - set(new)}"
    assert new == [f"job-{cut}-{number}" for number in range(len(new))], f"made up, or twice: {new}"
    last = await store.append(failed(f"after-{cut}"))
    assert last.number == len(found) + 1
    await store.close()
    files = chain_files(STATE, StationKey)
    report = audit.verify(files.path, PublicKey.read(files.public_key))
    assert report.good, report.findings
    assert report.records == len(found) + 1
    return jobs()


def main(image: Path, seed: int, cuts: int) -> None:
    """Cut so many times. AssertionError: something was lost."""
    chance = random.Random(seed)
    PLACE.mkdir(exist_ok=True)
    disk = Disk(image)
    there: list[str] = []
    try:
        for cut in range(cuts):
            with disk.mounted():
                told = written_until_cut(disk, cut, chance)
            with disk.mounted():
                before = len(there)
                there = asyncio.run(look(there, told, cut))
            sys.stdout.write(f"cut {cut}: {len(told)} told, {len(there) - before - 1} kept\n")
            sys.stdout.flush()
    finally:
        disk.close()


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.vm.power_cuts")
    parser.add_argument("image", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("cuts", type=int)
    arguments = parser.parse_args()
    main(arguments.image, arguments.seed, arguments.cuts)
