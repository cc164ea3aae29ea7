"""How fast a virtual phone takes a system image: its ASR sink against a plain socket's, with one and the same sender.

    python -m tests.bench.bench_asr [--image MIB] [--rounds N]

The phone's sink is reached through the usbmuxd socket, checks the SHA-1 of every chunk and what it read out of band.
The plain sink is a thread that receives into one buffer and forgets it. The sender is a process of its own that has
image and sums ready: the library's client hashes each chunk between two sends, which costs more than either sink
and would hide the difference. What counts is a phone that is as fast as the plain sink, or takes 1 GB/s.

Then once more through a cable that carries what USB 2 does, against that limit.
"""

import argparse
import asyncio
import hashlib
import io
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from plistlib import dumps, loads
from typing import Any

from rich.console import Console
from rich.table import Table

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.bus import Bus
from station.virtual.cable import USB2
from station.virtual.firmware.root_hash import CHUNK
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, Handler, VirtualPhone
from station.virtual.restore import asr
from station.virtual.usb.protocol import UsbDevice
from station.virtual.usb.usbmuxd import serve_usbmuxd

MIB = 1 << 20
BLOCK = 64 * MIB
"""The image is this much, again and again: it fits into memory, and into no cache."""
HEADER = struct.Struct("<4I")


@dataclass(frozen=True)
class Took:
    """What a sink took for one image."""

    seconds: float
    cpu: float
    """Processor seconds of this process, without the sender's: says more than the clock on a busy machine."""


@dataclass(frozen=True)
class Speed:
    """How fast a sink is: megabytes (10^6) each second, in every round."""

    name: str
    rounds: list[float]
    cpu: float
    """Processor seconds for a gigabyte, at best."""

    @classmethod
    def of(cls, name: str, size: int, rounds: list[Took]) -> "Speed":
        """From what it took for images of one size."""
        return cls(name, [size / 1e6 / took.seconds for took in rounds], min(t.cpu for t in rounds) / size * 1e9)

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds)


class Sink:
    """What the phone runs: an ASR port, and the clock on it."""

    usb: UsbDevice | None = None

    def __init__(self, _phone: VirtualPhone) -> None:
        self.listeners: dict[int, Handler] = {asr.PORT: self._serve}
        self.took: asyncio.Future[Took] = asyncio.get_running_loop().create_future()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def progress(_arrived: int) -> None:
            pass

        size = await asr.initiate(reader, writer)
        samples = await asr.sample(reader, writer, size)
        clock = _start()
        await asr.payload(writer, size, samples, progress)
        self.took.set_result(clock())


def _start() -> Callable[[], Took]:
    began, used = time.perf_counter(), time.process_time()
    return lambda: Took(time.perf_counter() - began, time.process_time() - used)


async def into_phone(size: int, *, rate: float | None = None) -> Took:
    """What a phone takes for the image; `rate`: of its cable, bytes a second."""
    with tempfile.TemporaryDirectory() as directory:
        bus, mux = Bus(), Path(directory) / "usbmuxd"
        phone = VirtualPhone(find_model("iPhone 12").identity(Ecid(1)), None, Boots(dict.fromkeys(PhoneMode, Sink)))
        async with serve_usbmuxd(bus, mux):
            bus.plug(phone, SocketPath("1-1"))
            await phone.disappear()
            phone.appear(PhoneMode.RESTORE)
            assert isinstance(phone.running, Sink)
            phone.cable.rate = rate
            sender = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.bench.bench_asr", "--send", mux, str(size)
            )
            took = await phone.running.took
            await sender.wait()
            await bus.unplug(SocketPath("1-1"))
    return took


def into_socket(size: int) -> Took:
    """What a plain sink takes for the image."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{directory}/sink")
        server.listen()
        sender = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_asr", "--send", f"{directory}/sink", str(size), "--plain"]
        )
        connection, _ = server.accept()
        left = size + asr.SUM * (size // CHUNK)
        with connection:
            buffer = memoryview(bytearray(MIB))
            left -= connection.recv_into(buffer)
            clock = _start()
            while left:
                left -= connection.recv_into(buffer)
            took = clock()
        sender.wait()
    return took


def send(path: str, size: int, *, plain: bool) -> None:
    """Be the host: ASR as pymobiledevice3 `restore/asr.py` speaks it, or with `plain` the payload alone."""
    image = hashlib.shake_256(b"image").digest(BLOCK)
    chunks = [image[at : at + CHUNK] for at in range(0, BLOCK, CHUNK)]
    summed = [chunk + hashlib.sha1(chunk, usedforsecurity=False).digest() for chunk in chunks]
    with socket.socket(socket.AF_UNIX) as host:
        host.connect(path)
        if not plain:
            _connect(host)
            _validate(host, image, size)
        for number in range(size // CHUNK):
            host.sendall(summed[number % len(summed)])
        host.shutdown(socket.SHUT_WR)
        host.recv(1)


def _connect(host: socket.socket) -> None:
    """Ask usbmuxd for the phone's ASR port."""
    body = dumps({"MessageType": "ListDevices"})
    devices = _ask(host, body)["DeviceList"]
    port = socket.htons(asr.PORT)
    _ask(host, dumps({"MessageType": "Connect", "DeviceID": devices[0]["DeviceID"], "PortNumber": port}))


def _ask(host: socket.socket, body: bytes) -> dict[str, Any]:
    host.sendall(HEADER.pack(HEADER.size + len(body), 1, 8, 1) + body)
    length, *_ = HEADER.unpack(host.recv(HEADER.size, socket.MSG_WAITALL))
    answer: dict[str, Any] = loads(host.recv(length - HEADER.size, socket.MSG_WAITALL))
    return answer


def _validate(host: socket.socket, image: bytes, size: int) -> None:
    """Answer what is read out of band, until the payload is asked for."""
    with host.makefile("rb", buffering=0) as lines:
        _command(lines)
        host.sendall(dumps({"Checksum Chunk Size": CHUNK, "Payload": {"Port": 1, "Size": size}}))
        while (command := _command(lines))["Command"] != "Payload":
            at = command["OOB Offset"] % BLOCK
            host.sendall((image[at:] + image)[: command["OOB Length"]])


def _command(lines: io.RawIOBase) -> dict[str, Any]:
    data = b""
    while not data.endswith(b"</plist>\n"):
        data += lines.read(1) or b""
    command: dict[str, Any] = loads(data)
    return command


async def run(options: argparse.Namespace) -> list[Speed]:
    """Measure both, in turns, so that a slower minute of the machine is one for both."""
    size = options.image * MIB // BLOCK * BLOCK
    plain: list[Took] = []
    phone: list[Took] = []
    for _ in range(options.rounds):
        plain.append(into_socket(size))
        phone.append(await into_phone(size))
    slowly = min(size, 4 * BLOCK)
    slow = [await into_phone(slowly, rate=USB2)]
    return [
        Speed.of("plain socket", size, plain),
        Speed.of("virtual phone", size, phone),
        Speed.of("the same on USB 2", slowly, slow),
    ]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=int, default=2048, help="MiB of system image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--send", nargs=2, metavar=("SOCKET", "BYTES"), help="be the sender (internal)")
    parser.add_argument("--plain", action="store_true", help="the sender for the plain sink (internal)")
    options = parser.parse_args()
    if options.send:
        send(options.send[0], int(options.send[1]), plain=options.plain)
    else:
        show(asyncio.run(run(options)), options)


def show(speeds: list[Speed], options: argparse.Namespace) -> None:
    """Print the table; the ratio is to the plain socket."""
    table = Table(title=f"A system image of {options.image} MiB, checksums on")
    for heading in ("sink", "MB/s", "slowest", "fastest", "ratio", "to 1 GB/s", "to USB 2", "CPU s/GB"):
        table.add_column(heading, justify="left" if heading == "sink" else "right")
    for speed in speeds:
        figures = (speed.median, min(speed.rounds), max(speed.rounds))
        ratios = (
            speed.median / speeds[0].median,
            min(speed.median, 1000) / min(speeds[0].median, 1000),
            speed.median * 1e6 / USB2,
        )
        numbers = (*(f"{figure:.0f}" for figure in figures), *(f"{figure:.2f}" for figure in (*ratios, speed.cpu)))
        table.add_row(speed.name, *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
