"""A firmware from the network into the store, against what a shell does: the same image, server and disk, in one run.

    python -m tests.bench.bench_fetch [--gigabytes N] [--megabits N] [--rounds N] [--directory PATH]

The image is a zip of noise, four fifths stored, one fifth deflated text, with its manifest. It comes over loopback from
a process of its own that does nothing but sendfile(2), and is in memory by then, so the receiving side is what counts:

curl            `curl -o`: bytes on their way to the disk, nothing checked, nothing unpacked
curl, synced    the same, until they are on the disk, as those of a station are before it says so
shell           `curl | tee FILE | sha256sum`, then `unzip`
station         `python -m station.fetcher`: checked, unpacked, durable, and able to go on after a crash at any byte

With `--megabits`, such as 1000, the server sends no faster than such a line, which is what a station hangs on: then the
question is whether all the rest is done while it comes.

Processor time is of all processes of a side, memory of its largest, disk the most that its directory held at a time.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from station.adapters.fetch import FetchRules
from station.adapters.ipsw import MANIFEST
from station.fetcher.__main__ import Errand
from station.model.catalog import FirmwareHosts, Offer, Source
from tests.firmware.fetch.conftest import MANIFEST_DATA

GB = 10**9
BLOCK = 16 << 20
PIECE = 256 << 10
LOOPBACK = "127.0.0.1"
CURL = "curl --silent --show-error --fail"


@dataclass(frozen=True)
class Took:
    """What one side took for one image."""

    wall: float
    cpu: float
    memory: float
    """MiB."""
    disk: int


def make_image(file: Path, size: int) -> str:
    """Write an image of about that size; its SHA-256."""
    rng = random.Random(8)
    noise = rng.randbytes(BLOCK)
    words = [rng.randbytes(rng.randrange(3, 12)) for _ in range(5000)]
    text = b"".join(rng.choices(words, k=BLOCK // 8))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MANIFEST, MANIFEST_DATA, zipfile.ZIP_DEFLATED)
        packed = zipfile.ZipInfo("cryptex.dmg")
        packed.compress_type = zipfile.ZIP_DEFLATED
        packed._compresslevel = 1  # type: ignore[attr-defined]  # no public name before 3.13
        for info, wanted, content in ((packed, size // 5, text), (zipfile.ZipInfo("os.dmg"), size * 4 // 5, noise)):
            start = file.stat().st_size
            with archive.open(info, "w", force_zip64=True) as entry:
                while file.stat().st_size - start < wanted:
                    at = rng.randrange(len(content))
                    entry.write(content[at:] + content[:at])
    with file.open("rb") as whole:
        return hashlib.file_digest(whole, "sha256").hexdigest()


def serve(file: Path, megabits: int) -> None:
    """Answer requests for a file, or its end, by sendfile(2), not faster than a line; tells its port first."""
    listener = socket.create_server((LOOPBACK, 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0], file, megabits), daemon=True).start()


def answer(connection: socket.socket, file: Path, megabits: int) -> None:
    with connection, file.open("rb") as source:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (received := connection.recv(65536)):
                return
            request += received
        size, status, extra = file.stat().st_size, "200 OK", ""
        start, end = 0, size
        for line in request.decode().splitlines():
            if line.lower().startswith("range: bytes="):
                first, last = line.split("=")[1].split("-")
                start, end = int(first), int(last) + 1 if last else size
                status, extra = "206 Partial Content", f"Content-Range: bytes {start}-{end - 1}/{size}\r\n"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {end - start}\r\n{extra}Connection: close\r\n\r\n"
        try:
            connection.sendall(head.encode())
            if not megabits:
                connection.sendfile(source, start, end - start)
            began, sent = time.monotonic(), 0
            while megabits and start + sent < end:
                sent += os.sendfile(connection.fileno(), source.fileno(), start + sent, min(PIECE, end - start - sent))
                time.sleep(max(0, began + sent * 8e-6 / megabits - time.monotonic()))
        except OSError:
            return  # whoever asked has what it wanted


@contextmanager
def server(file: Path, megabits: int) -> Iterator[str]:
    """Its origin, while it serves."""
    command = [sys.executable, "-m", "tests.bench.bench_fetch", "--serve", str(file), "--megabits", str(megabits)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://{LOOPBACK}:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def held(directory: Path) -> int:
    """Bytes of the disk below a directory, as it is changed by others."""
    total = 0
    for above, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(f"{above}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def measure(place: Path, command: list[str], errand: bytes = b"") -> Took:
    """Run a command in an empty directory, which is deleted afterwards."""
    place.mkdir()
    os.sync()
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.25):
            most[0] = max(most[0], held(place))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    spend = [sys.executable, "-m", "tests.bench.spend", str(place / "log"), *command]
    told = subprocess.run(spend, input=errand, stdout=subprocess.PIPE, check=True).stdout
    wall = time.monotonic() - began
    over.set()
    watcher.join()
    used = json.loads(told)
    if used["status"]:
        raise SystemExit((place / "log").read_text())
    shutil.rmtree(place)
    return Took(wall, used["cpu"], used["peak"], most[0])


def sides(url: str, image: Path, sha256: str, place: Path) -> dict[str, tuple[list[str], bytes]]:
    """Each side's command, and what it is told on standard input."""
    offer = Offer(
        version="26.2.1",
        build="23C71",
        product_types=("iPhone13,2",),
        url=url,
        size=image.stat().st_size,
        sha256=sha256,
        sources=(Source.IPSW_ME,),
    )
    rules = FetchRules(hosts=FirmwareHosts(origins=(url.rsplit("/", 1)[0],)))
    errand = msgspec.json.encode(Errand(store=str(place), offer=offer, rules=rules)) + b"\n"
    file = f"{place}/file.ipsw"
    fetch = f"set -o pipefail; {CURL} {url}"
    check = f"tee {file} | sha256sum | grep -q {sha256}"
    return {
        "curl": (["bash", "-c", f"{fetch} -o {file}"], b""),
        "curl, synced": (["bash", "-c", f"{fetch} -o {file} && sync {file}"], b""),
        "shell": (["bash", "-c", f"{fetch} | {check} && unzip -q {file} -d {place}/unzipped"], b""),
        "station": ([sys.executable, "-m", "station.fetcher"], errand),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--megabits", type=int, default=0, help="each second; 0: as many as there can be")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="on the disk that is measured; default: the temporary one")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.megabits)
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-fetch-") as directory:
        image = Path(directory) / "made.ipsw"
        sha256 = make_image(image, int(options.gigabytes * GB))
        size = image.stat().st_size
        with server(image, options.megabits) as origin:
            place = Path(directory) / "place"
            found = sides(f"{origin}/made.ipsw", image, sha256, place)
            took: dict[str, list[Took]] = {side: [] for side in found}
            for _ in range(options.rounds):
                for side, (command, errand) in found.items():
                    took[side].append(measure(place, command, errand))
        with zipfile.ZipFile(image) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        report(took, size, unpacked)


def report(took: dict[str, list[Took]], size: int, unpacked: int) -> None:
    table = Table(
        title=f"{size / GB:.2f} GB, unpacked {unpacked / size:.2f} times as much; median of {len(took['curl'])}"
    )
    for column in ("", "wall s", "/ curl", "/ synced", "/ shell", "MB/s", "CPU s", "peak RSS MiB", "peak disk / image"):
        table.add_column(column, justify="left" if not column else "right")
    walls = {side: statistics.median(each.wall for each in rounds) for side, rounds in took.items()}
    for side, rounds in took.items():
        ratios = (f"{walls[side] / walls[other]:.2f}" for other in ("curl", "curl, synced", "shell"))
        table.add_row(
            *(side, f"{walls[side]:.2f}", *ratios, f"{size / 1e6 / walls[side]:.0f}"),
            f"{statistics.median(each.cpu for each in rounds):.1f}",
            f"{max(each.memory for each in rounds):.0f}",
            f"{max(each.disk for each in rounds) / size:.2f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
