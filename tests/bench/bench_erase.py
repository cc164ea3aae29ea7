"""Phones erased one after the other, with nobody there: what each takes, and how much of that is the station's.

    python -m tests.bench.bench_erase [--phones N] [--pace FACTOR] [--service SERVICE]

One bay, one standing order, a real daemon with its workers. The phone's own time (its steps, its restart) is measured
in the phone; whatever else passes between the plug and the record is the station's overhead. Phone 0 is plugged in
the moment the daemon has started, while its first worker still loads; the limit is for those after it.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from station.adapters.firmware import FirmwareStore
from station.model.record import Outcome
from station.model.service import SERVICES, Service
from tests.system.firmware import make_store
from tests.system.night import Turn, give_order, take_turn
from tests.system.rig import make_rig

LIMIT = 2.0
"""Seconds that the station may add to what the phone takes."""
BAY = "1"


async def run(service: Service, *, phones: int, pace: float) -> list[Turn]:
    """Give the order, and plug one phone after the other."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        path = Path(name) / "store"
        store = make_store(path) if SERVICES[service].firmware else FirmwareStore(path)
        async with make_rig(store, bays=(BAY,), pace=pace) as rig, rig.station() as station:
            await give_order(station, service, count=1 + phones)
            return [await take_turn(station, BAY, pace=pace) for _ in range(1 + phones)]


def show(service: Service, turns: list[Turn]) -> None:
    """Print a line a phone, and where the time of the last one went."""
    table = Table(title=f"{SERVICES[service].title}: {len(turns) - 1} phones in a row, nobody there")
    for heading in ("phone", "outcome", "plug to record s", "phone's own s", "station's s", f"under {LIMIT:.0f} s"):
        table.add_column(heading, justify="right")
    for number, turn in enumerate(turns):
        outcome = turn.record.outcome.value
        times = (f"{turn.wall:.2f}", f"{turn.own:.2f}", f"{turn.overhead:.2f}")
        table.add_row(str(number), outcome, *times, "yes" if turn.overhead < LIMIT else "NO" if number else "—")
    console = Console()
    console.print(table)
    counted = turns[1:]
    verified = sum(turn.record.outcome is Outcome.VERIFIED for turn in counted)
    overhead = [turn.overhead for turn in counted]
    console.print(
        f"{verified} of {len(counted)} verified. The station's part: median {median(overhead):.2f} s, "
        f"most {max(overhead):.2f} s, limit {LIMIT:.0f} s."
    )
    console.print("The last one, as its tile showed it (a snapshot comes every tenth of a second):")
    for name, seconds in turns[-1].states:
        console.print(f"  {seconds:5.2f} s  {name}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, default=10, help="after phone 0")
    parser.add_argument("--pace", type=float, default=1.0, help="1: it takes its time, 0: it takes none")
    parser.add_argument("--service", type=Service, choices=list(Service), default=Service.ERASE)
    options = parser.parse_args()
    show(options.service, asyncio.run(run(options.service, phones=options.phones, pace=options.pace)))


if __name__ == "__main__":
    main()
