"""Work that may wait, done while nothing is going on at the station, and broken off at once when something begins.

The daemon says what is going on, on its socket. Where there is none, its workers and downloads may live all the same:
they hold locks. What is done is a program of its own, because only killing a process ends a long reading at once, and
because whoever is killed in the middle of it must have left everything whole anyway.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog

from station.adapters.api import connect
from station.adapters.fetch import leftovers
from station.adapters.jobdir import JobDirectory
from station.adapters.listing import entries_of
from station.daemon.settings import Settings
from station.errors import Refused, StationError
from station.model.api import BayState, Snapshot
from station.model.catalog import ArrivalState

LOOK_SECONDS = 5.0
"""Between two looks at a station whose daemon does not run."""
END_SECONDS = 5.0
"""How long a killed process may take to end, which waits for the disk."""
BUSY = frozenset({BayState.READING, BayState.QUEUED, BayState.ARMED, BayState.WORKING})
COMING = frozenset({ArrivalState.FETCHING, ArrivalState.CHECKING})

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    code: int
    said: str
    """All of it, errors too."""


def is_busy(snapshot: Snapshot) -> bool:
    """Whether something is going on that nothing may slow down."""
    at_work = any(bay.state in BUSY or (bay.state is BayState.NEEDS_PERSON and bay.job) for bay in snapshot.bays)
    return at_work or any(arrival.state in COMING for arrival in snapshot.arrivals)


class Quiet:
    """Knows whether nothing is going on, for as long as `follow` runs."""

    def __init__(self, settings: Settings, *, lasting: float) -> None:
        """Know nothing yet.

        Args:
            settings: which station it is.
            lasting: for how many seconds nothing must have gone on before anything is begun.
        """
        self._settings = settings
        self._lasting = lasting
        self._quiet = asyncio.Event()
        self._busy = asyncio.Event()
        self._busy.set()

    async def follow(self) -> None:
        """Listen to the daemon for ever; look for locks where there is none."""
        while True:
            with suppress(Refused, msgspec.MsgspecError):  # the latter: it is of another version
                async with connect(self._settings.socket) as client:
                    while True:
                        self._know(busy=is_busy(await client.snapshot()))
            self._know(busy=await asyncio.to_thread(self._anybody_works))
            await asyncio.sleep(LOOK_SECONDS)

    async def run(self, arguments: Sequence[str]) -> Done:
        """Have `station ARGUMENTS` run to its end while it is quiet: once it is, and as often as it takes."""
        while True:
            await self._has_lasted()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "station", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=os.environ,
            )
            ends = asyncio.create_task(process.communicate())
            stirs = asyncio.create_task(self._busy.wait())
            try:
                await asyncio.wait({ends, stirs}, return_when=asyncio.FIRST_COMPLETED)
                if ends.done():
                    said, _ = await ends
                    code = process.returncode or 0
                    words = said.decode(errors="replace").strip()
                    return Done(code, words or (f"It ended with {code}, and said nothing." if code else ""))
                log.info("broken off: something is going on", what=" ".join(arguments))
            finally:
                stirs.cancel()
                await _end(process, ends)

    def _know(self, *, busy: bool) -> None:
        (self._busy if busy else self._quiet).set()
        (self._quiet if busy else self._busy).clear()

    async def _has_lasted(self) -> None:
        while True:
            await self._quiet.wait()
            try:
                async with asyncio.timeout(self._lasting):
                    await self._busy.wait()
            except TimeoutError:
                return

    def _anybody_works(self) -> bool:
        """Whether a worker or a download lives that its daemon left behind."""
        with suppress(OSError, StationError):
            jobs = [path for path in entries_of(self._settings.state / "jobs", missing_ok=True) if path.is_dir()]
            return any(JobDirectory(path).alive() for path in jobs) or any(
                each.held for each in leftovers(self._settings.firmware_store)
            )
        return True  # what cannot be looked at may be anything


async def _end(process: asyncio.subprocess.Process, ends: "asyncio.Task[tuple[bytes, bytes]]") -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await asyncio.wait({ends}, timeout=END_SECONDS)  # one that is stuck in the kernel ends when it can
