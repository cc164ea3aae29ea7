"""How quick the station's face is: sixteen phones with everything happening at once, on this machine's own processor.

    python -m tests.bench.bench_screen [--size WxH] [--scale FACTOR]

Prints what was measured, its limit, and their ratio (below 1 is good). The display is SDL's dummy, so all that is drawn
is drawn in software, and what a display itself takes is not in it.

    frame           drawing one picture, the 95th percentile: 16 bays whose jobs get on with every picture
    ring            the same while CONFIRM is held, and the ring moves sixty times a second
    idle            processor time of a real `station screen` that shows 16 bays, of one core, while nothing happens
    event to pixel  from a snapshot's sending, in another process, to the picture that shows it
    press to lamp   from a finger on START, on mock pins, to the lamp: a real daemon with a virtual phone
    first frame     from the start of a real `station screen` to its first picture
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

os.environ["SDL_VIDEODRIVER"] = "dummy"

import pygame
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table
from websockets.exceptions import ConnectionClosedOK

from station.model.api import BayState, Cancel, Snapshot
from station.model.panel import Control
from station.screen.app import Kiosk, boottime
from station.screen.client import Link
from station.screen.wake import Alarm
from station.screen.window import open_window
from tests.screen.samples import CONFIRM, JOB, bay, station
from tests.screen.server import frame, serving
from tests.system.firmware import make_store
from tests.system.rig import make_rig

BAYS = 16
FRAMES = 600
RINGS = 240
EVENTS = 150
PRESSES = 12
STARTS = 5
IDLE_SECONDS = 10.0
SETTLE = 2.0
PATIENCE = 20.0


@dataclass(frozen=True)
class Measured:
    """One line of the table; `value` and `limit` in the same unit."""

    what: str
    value: float
    limit: float
    unit: str
    said: str = ""


def high(values: list[float]) -> float:
    """The 95th percentile."""
    return quantiles(values, n=20)[-1]


def busy(number: int, now: float) -> Snapshot:
    """Sixteen bays, `number` pictures later: every job got on, and some bay is in another state."""
    views = []
    for place in range(BAYS):
        state = list(BayState)[(number // 20 + place) % 9] if place % 4 == 0 else BayState.WORKING
        view = bay(state, place + 1, selected=place == 6)
        if state is BayState.WORKING:
            fraction = (number / 400 + place / BAYS) % 1
            view = replace(view, job=replace(JOB, fraction=fraction, eta=now + 900 - number / 10 - 40 * place))
        if view.confirm is not None:
            view = replace(view, confirm=replace(CONFIRM, until=now + 20))
        views.append(view)
    return replace(station(*views), sequence=number)


class Unwired(Link):
    """A link that the benchmark fills itself."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), lambda: None)


def draw(what: str, snapshots: Callable[[int, float], Snapshot], count: int) -> Measured:
    """How long each of `count` pictures takes, all that a step does included."""
    link = Unwired()
    kiosk = Kiosk(link)
    took, worked = [], []
    for number in range(count):
        link.snapshot = snapshots(number, boottime())
        drawn, began, busy_before = kiosk.drawn, time.perf_counter(), time.thread_time()
        kiosk.step()
        took.append(time.perf_counter() - began)
        worked.append(time.thread_time() - busy_before)
        assert kiosk.drawn == drawn + 1
    # Where the two differ, somebody else had the processor.
    said = f"median {median(took) * 1e3:.1f}; of processor time {high(worked) * 1e3:.1f}"
    return Measured(f"{what}, 95th percentile", high(took) * 1e3, 16, "ms", said)


def frames(scale: float) -> Measured:
    """Pictures of sixteen bays."""
    return draw("frame", busy, max(40, round(FRAMES * scale)))


def rings(scale: float) -> Measured:
    """Pictures of a ring that fills."""

    def held(number: int, now: float) -> Snapshot:
        confirm = replace(CONFIRM, until=now + 20, holding_since=now - number / RINGS * CONFIRM.hold_seconds)
        views = [bay(BayState.WORKING, place + 2) for place in range(BAYS - 1)]
        return station(replace(bay(BayState.ARMED, selected=True), confirm=confirm), *views)

    return draw("ring", held, max(40, round(RINGS * scale)))


@asynccontextmanager
async def real_screen(address: Path, size: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, float], None]:
    """A `station screen` that has drawn its first picture, and how long that took."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.setblocking(False)
        notify = address.with_name("notify")
        notify.unlink(missing_ok=True)
        ear.bind(str(notify))
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "station", "screen", "--socket", str(address), "--size", size),
            env=os.environ | {"NOTIFY_SOCKET": str(notify)},
        )
        try:
            async with asyncio.timeout(PATIENCE):
                assert await asyncio.get_running_loop().sock_recv(ear, 99) == b"READY=1"
            yield process, time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def first_frames(address: Path, size: str) -> Measured:
    """Starts of a screen whose daemon is there."""
    took = []
    async with serving(address, busy(0, boottime())):
        for _ in range(STARTS):
            async with real_screen(address, size) as (_, seconds):
                took.append(seconds)
    return Measured("first frame, slowest", max(took), 2, "s", f"of {STARTS} starts, quickest {min(took):.2f}")


def used(pid: int) -> float:
    """Seconds of processor time a process has used (proc(5))."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def idle(address: Path, size: str) -> Measured:
    """A screen to which nothing happens."""
    resting = [bay(BayState.READY if place % 2 else BayState.DONE, place + 1) for place in range(BAYS)]
    async with serving(address, station(*resting)), real_screen(address, size) as (process, _):
        await asyncio.sleep(SETTLE)
        before = used(process.pid)
        await asyncio.sleep(IDLE_SECONDS)
        share = (used(process.pid) - before) / IDLE_SECONDS
    return Measured("idle, share of one core", share * 100, 1, "%", f"over {IDLE_SECONDS:.0f} s")


async def speak(address: Path) -> None:
    """Be a daemon to which something happens seven times a second, never in step with a heartbeat."""
    async with serving(address, busy(0, boottime())) as server:
        connection = await server.came.get()
        for number in range(1, EVENTS + 1):
            await asyncio.sleep(0.12 + number % 7 / 100)
            now = boottime()
            with suppress(ConnectionClosedOK):  # it has seen enough
                await connection.send(frame(replace(busy(number * 7, now), at=boottime())).decode())
        await asyncio.sleep(1)


def events(address: Path) -> Measured:
    """Snapshots from another process, by way of the real link, alarm and loop."""
    pid = os.spawnv(
        os.P_NOWAIT, sys.executable, [sys.executable, "-m", "tests.bench.bench_screen", "--speak", str(address)]
    )
    took: list[float] = []
    alarm = Alarm()
    with alarm:
        link = Link(address, alarm.ring)
        kiosk = Kiosk(link)
        link.start()
        deadline = time.monotonic() + PATIENCE + EVENTS
        seen = -1
        while time.monotonic() < deadline and len(took) < EVENTS - 5:
            pause = kiosk.step()
            snapshot = link.snapshot
            if snapshot is not None and snapshot.sequence != seen and kiosk.shows(snapshot):
                took.append(boottime() - snapshot.at)
                seen = snapshot.sequence
            alarm.sleep(pause)
        link.stop()
    os.waitpid(pid, 0)
    took = took[1:]  # the greeting was made before anybody came
    return Measured(
        "event to pixel, 95th percentile", high(took) * 1e3, 100, "ms", f"slowest of {len(took)}: {max(took) * 1e3:.0f}"
    )


async def presses() -> Measured:
    """START, on the pins of a real daemon."""
    took = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        async with make_rig(make_store(Path(name) / "store"), bays=("1",)) as rig, rig.station() as at:
            rig.plug("1")
            await at.until_state("1", BayState.READY)
            hand = rig.hand
            for _ in range(PRESSES):
                await asyncio.sleep(0.5)
                before = await hand.look()
                began = time.perf_counter()
                press = asyncio.create_task(hand.press(Control.START, seconds=0.3))
                async with asyncio.timeout(PATIENCE):
                    while await hand.look() == before:
                        pass
                took.append(time.perf_counter() - began)
                await press
                await at.until_state("1", BayState.ARMED)
                await at.command(Cancel, "1")
                await at.until_state("1", BayState.READY)
    return Measured(
        "press to lamp, slowest", max(took) * 1e3, 50, "ms", f"of {len(took)}, quickest {min(took) * 1e3:.0f}"
    )


def show(lines: list[Measured], size: str) -> None:
    """Print the table."""
    table = Table(title=f"The screen at {size}, {BAYS} bays; ratio below 1 is good")
    for heading in ("what", "measured", "limit", "ratio", ""):
        table.add_column(heading, justify="left" if heading in ("what", "") else "right")
    for line in lines:
        ratio = line.value / line.limit
        value = f"{line.value:.2f} {line.unit}"
        table.add_row(
            line.what,
            value,
            f"{line.limit:g} {line.unit}",
            f"{ratio:.2f}",
            line.said if ratio < 1 else f"OVER. {line.said}",
        )
    Console(width=120).print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--scale", type=float, default=1.0, help="how many pictures, as a factor")
    parser.add_argument("--speak", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.speak:
        asyncio.run(speak(options.speak))
        return
    width, height = (int(side) for side in options.size.split("x"))
    open_window(size=(width, height), fullscreen=False)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        address = Path(name) / "socket"
        lines = [frames(options.scale), rings(options.scale), events(address)]
        pygame.display.quit()
        lines.append(asyncio.run(first_frames(address, options.size)))
        lines.append(asyncio.run(idle(address, options.size)))
    lines.append(asyncio.run(presses()))
    show(lines, options.size)


if __name__ == "__main__":
    main()
