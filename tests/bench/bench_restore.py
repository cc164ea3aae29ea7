"""What a restore costs: the station's worker against the stock library, in the same run, on virtual phones.

    python -m tests.bench.bench_restore [--image MIB] [--cryptex MIB] [--at-once N] [--zip]

CPU seconds and peak memory are those of the process that restores (the kernel's account of it and its children),
so the virtual phone's own work beside it does not count; wall time is shared with it, and says the least.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from station.adapters.jobdir import JobDirectory
from station.model.firmware import Firmware
from station.virtual.firmware.ipsw import zip_ipsw
from station.virtual.phones.phone import VirtualPhone
from tests.worker.station_host import StationHost, make_firmware, station_host

MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """What one way of restoring costs; of several at once: the sum, and the highest peak."""

    name: str
    wall: float
    cpu: float
    peak: float
    """Peak resident memory of one process, MiB."""


async def spend(command: list[str], log: Path) -> dict[str, float]:
    """Run a command to its end; CPU seconds and peak memory of it and its children."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.spend", log, *command, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    used: dict[str, float] = json.loads(output)
    if used["status"]:
        sys.exit(f"{' '.join(command[:4])} failed ({used['status']}); see {log}")
    return used


class Bench:
    """Restores phones from recovery, in either way."""

    def __init__(self, station: StationHost, firmware: Firmware, logs: Path) -> None:
        self._station = station
        self._firmware = firmware
        self._logs = logs

    async def measure(self, name: str, stock: str | None, count: int) -> Cost:
        """Restore `count` phones at once; by the stock library from the firmware `stock`, or by workers."""
        phones = [self._station.plug(auto_boot=False) for _ in range(count)]
        commands = [self._stock(phone, stock) if stock else self._worker(phone) for phone in phones]
        began = time.monotonic()
        logs = [self._logs / f"{name}-{number}.log" for number in range(count)]
        usages = await asyncio.gather(*(spend(*each) for each in zip(commands, logs, strict=True)))
        wall = time.monotonic() - began
        for phone in phones:
            assert phone.system is not None, "the phone was not restored"
            assert phone.system.build == self._firmware.build
            assert phone.socket is not None
            await self._station.host.bus.unplug(phone.socket)
        return Cost(name, wall, sum(usage["cpu"] for usage in usages), max(usage["peak"] for usage in usages))

    def _worker(self, phone: VirtualPhone) -> list[str]:
        directory = JobDirectory.create(self._station.jobs, self._station.spec(phone))
        return [sys.executable, "-m", "station.worker", str(directory.path)]

    def _stock(self, phone: VirtualPhone, firmware: str) -> list[str]:
        reach = msgspec.json.encode(self._station.host.reach).decode()
        return [sys.executable, "-m", "tests.bench.stock", firmware, str(phone.identity.ecid), reach]


async def run(options: argparse.Namespace) -> list[Cost]:
    """Make the firmware, and measure."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory)))
        firmware = await asyncio.to_thread(
            make_firmware,
            directory / "firmware",
            os_bytes=options.image * MIB,
            cryptex_bytes=options.cryptex * MIB,
            ramdisk_bytes=options.ramdisk * MIB,
        )
        station = await stack.enter_async_context(station_host(directory, firmware))
        bench = Bench(station, firmware, directory)
        costs = [
            await bench.measure("station worker", None, 1),
            await bench.measure("stock library, directory", firmware.directory, 1),
        ]
        if options.zip:
            packed = await asyncio.to_thread(zip_ipsw, Path(firmware.directory), directory / "firmware.ipsw")
            costs.append(await bench.measure("stock library, stored zip", str(packed), 1))
        if options.at_once > 1:
            costs.append(await bench.measure(f"station worker, {options.at_once} at once", None, options.at_once))
        return costs


def show(costs: list[Cost], options: argparse.Namespace) -> None:
    """Print the table; ratios are to the stock library with the directory."""
    gigabytes = (options.image + options.cryptex) * MIB / 1e9
    stock = costs[1]
    table = Table(title=f"One restore: image {options.image} MiB, Cryptex {options.cryptex} MiB")
    for heading in ("", "wall s", "CPU s", "CPU s/GB", "peak RSS MiB", "CPU ratio", "RSS ratio"):
        table.add_column(heading, justify="left" if not heading else "right")
    for cost in costs:
        restores = options.at_once if "at once" in cost.name else 1
        per_gigabyte = cost.cpu / gigabytes / restores
        table.add_row(
            cost.name,
            f"{cost.wall:.1f}",
            f"{cost.cpu:.1f}",
            f"{per_gigabyte:.2f}",
            f"{cost.peak:.0f}",
            f"{cost.cpu / restores / stock.cpu:.2f}",
            f"{cost.peak / stock.peak:.2f}",
        )
    Console().print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=int, default=2048, help="MiB of system image")
    parser.add_argument("--cryptex", type=int, default=1638, help="MiB of system Cryptex")
    parser.add_argument("--ramdisk", type=int, default=100, help="MiB of ramdisk")
    parser.add_argument("--at-once", type=int, default=4, help="phones at once; 1: leave that out")
    parser.add_argument("--zip", action="store_true", help="the stock library from a zip, too")
    parser.add_argument("--directory", default=None, help="where there is room for the firmware, twice")
    options = parser.parse_args()
    show(asyncio.run(run(options)), options)


if __name__ == "__main__":
    main()
