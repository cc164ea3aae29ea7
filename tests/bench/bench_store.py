"""The firmware store against what anybody has: cat, sha256sum, the stock library on a zip file, a person's patience.

    python -m tests.bench.bench_store [--image MIB] [--directory PLACE] [--models N] [--builds N]

What is read is read from the disk, not from memory, in both columns of a line.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from station.adapters.firmware import FirmwareStore
from station.adapters.objects import link_to
from station.adapters.unpacked import Digests, FileDigest
from station.core.pruning import Policy, plan
from station.daemon.chosen import ChosenFirmware
from station.model.firmware import Firmware
from station.virtual.firmware.ipsw import make_ipsw, zip_ipsw
from station.virtual.phones.models import find_model

MIB = 1 << 20
LIMIT = 0.050
"""Seconds in which a store of 40 models by 5 builds is listed and chosen from."""
FILES = 150
"""In one firmware."""
TIMES = 5
OURS = ("station, full", "station, before each use")

console = Console()


def forget(directory: Path) -> None:
    """Have the kernel forget what it has read of the files below."""
    os.sync()
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def spent(do: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds that something takes, its child processes' included."""
    began, before = time.monotonic(), _cpu()
    do()
    return time.monotonic() - began, _cpu() - before


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def verification(store: FirmwareStore, firmware: Firmware) -> None:
    """Reading everything again, against sha256sum over the same files, and against the disk alone."""
    size = sum(store.kept()[0].bytes_of.values())
    files = sorted({str(path.resolve()) for path in Path(firmware.directory).rglob("*") if path.is_file()})

    def peer(program: str) -> Callable[[], object]:
        return lambda: subprocess.run([program, *files], check=True, stdout=subprocess.DEVNULL)

    table = Table(title=f"Verification of {size / 1e9:.1f} GB in {len(files)} files; median of {TIMES} by turns")
    for heading in ("", "s/GB", "CPU s/GB", "ratio", "CPU ratio"):
        table.add_column(heading, justify="left" if not heading else "right")
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ("cat", "sha256sum", *OURS)}
    for _ in range(TIMES):
        for name, do in (
            ("cat", peer("cat")),
            ("sha256sum", peer("sha256sum")),
            (OURS[0], lambda: store.verify(firmware, full=True)),
            (OURS[1], lambda: store.verify(firmware)),
        ):
            forget(store.path)
            runs[name].append(spent(do))
    walls = {name: median(wall for wall, _ in found) for name, found in runs.items()}
    cpus = {name: median(cpu for _, cpu in found) for name, found in runs.items()}
    for name, wall in walls.items():
        ratios = (f"{wall / walls['sha256sum']:.3f}", f"{cpus[name] / cpus['sha256sum']:.3f}")
        table.add_row(name, f"{wall / size * 1e9:.3f}", f"{cpus[name] / size * 1e9:.3f}", *ratios)
    console.print(table)


def start_up(store: FirmwareStore, firmware: Firmware, packed: Path) -> None:
    """Opening a firmware as a worker does, against the stock library on the zip file; imports are not counted."""
    table = Table(title=f"A restore's start-up; median of {TIMES}, each in a new process")
    for heading in ("", "ms", "ratio"):
        table.add_column(heading, justify="left" if not heading else "right")
    told = msgspec.json.encode(firmware).decode()
    arguments = {"stock library, zip": ("stock", str(packed)), "station, store": ("station", told)}
    found: dict[str, list[float]] = {name: [] for name in arguments}
    for _ in range(TIMES):
        for name, how in arguments.items():
            forget(store.path)
            forget(packed.parent)
            command = [sys.executable, "-m", "tests.bench.opening", *how]
            found[name].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    stock = median(found["stock library, zip"])
    for name, seconds in found.items():
        table.add_row(name, f"{median(seconds) * 1000:.1f}", f"{median(seconds) / stock:.2f}")
    console.print(table)


def many(path: Path, models: int, builds: int) -> FirmwareStore:
    """A store of many small firmwares that share most; not durable, which the real ones are."""
    digest = [hashlib.sha256(bytes([number])).hexdigest() for number in range(FILES)]
    for number, sha256 in enumerate(digest):
        place = path / "objects" / sha256[:2] / sha256
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes([number]))
    for model in range(models):
        for build in range(builds):
            own = hashlib.sha256(f"{model} {build}".encode()).hexdigest()
            names = {f"Firmware/part/{number}.im4p": each for number, each in enumerate(digest)}
            files = tuple(FileDigest(path=name, size=1, sha256=each) for name, each in sorted(names.items()))
            digests = Digests(
                version=f"26.{build}",
                build=f"23{'ABCDEFGHIJ'[build]}{100 + build}",
                product_types=(f"iPhone{model // 4 + 8},{model % 4 + 1}",),
                manifest_sha256=own,
                files=files,
            )
            root = path / digests.name / "ipsw"
            (root / "Firmware/part").mkdir(parents=True)
            for file in files:
                (root / file.path).symlink_to(link_to(file.path, file.sha256))
            (root.parent / "digests.json").write_bytes(msgspec.json.encode(digests))
    return FirmwareStore(path)


def looking(path: Path, models: int, builds: int) -> None:
    """Listing and choosing where there is much."""
    many(path, models, builds)
    product_types = [f"iPhone{model // 4 + 8},{model % 4 + 1}" for model in range(models)]
    policy = Policy(seen=frozenset(product_types), pins={}, denied=frozenset())
    table = Table(title=f"{models} models by {builds} builds: {models * builds} firmwares of {FILES} files each")
    for heading in ("", "ms", f"under {LIMIT * 1000:.0f} ms"):
        table.add_column(heading, justify="left" if not heading else "right")

    def timed(name: str, do: Callable[[], object], *, limited: bool = True) -> None:
        seconds = median(spent(do)[0] for _ in range(TIMES))
        verdict = ("yes" if seconds < LIMIT else "NO") if limited else ""
        table.add_row(name, f"{seconds * 1000:.1f}", verdict)

    store = FirmwareStore(path)
    chosen = ChosenFirmware(store, pins={product_types[0]: "26.1"}, denied=("23C102",))
    timed("list, the first time in a process", lambda: FirmwareStore(path).list())
    timed("list, from then on", store.list)
    timed("every firmware for a model", lambda: store.every_for(product_types[0]))
    timed("choosing for a model", lambda: chosen.every_for(product_types[0]))
    timed("what is unusable", store.unusable)
    timed("what each takes, and what to prune", lambda: plan(store.kept(), policy, 1), limited=False)
    console.print(table)


def main() -> None:
    """Make it all, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=int, default=1024, help="MiB of the system image")
    parser.add_argument("--directory", help="where: on the disk that is measured")
    parser.add_argument("--models", type=int, default=40)
    parser.add_argument("--builds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory) as name:
        place = Path(name)
        ipsw = make_ipsw(
            place / "ipsw",
            version="26.2.1",
            build="23C71",
            models=[find_model("iPhone 12")],
            os_bytes=options.image * MIB,
            cryptex_bytes=options.image * MIB // 8,
            ramdisk_bytes=64 * MIB,
        )
        store = FirmwareStore(place / "store", reserve=0)
        firmware = store.import_ipsw(ipsw)
        verification(store, firmware)
        (place / "zip").mkdir()
        start_up(store, firmware, zip_ipsw(ipsw, place / "zip" / "firmware.ipsw"))
        looking(place / "many", options.models, options.builds)


if __name__ == "__main__":
    main()
