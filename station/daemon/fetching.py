"""The process that asks the lists and fetches: started, watched and ended. The daemon itself has no network."""

import asyncio
import os
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from station.adapters.catalogs import Catalogs, Known
from station.errors import Unreachable
from station.model.catalog import FirmwareHosts

NICE = 10
"""Below everything that works on a phone."""
END_SECONDS = 3.0
"""How long it may take to end when it is told to, before it is killed."""

FAILED = 1
"""Its exit code when it could not be fetched now. What it said last is why, in words for people: so with WRONG."""
WRONG = 2
"""Its exit code when what the servers have is not what was offered: fetching it again would bring the same."""
BROKEN = 3
"""Its exit code, or what counts as such, when something is wrong with itself."""
MOST_SAID = 2000
MOST_ANSWERED = 64 << 20
"""Bytes: some ten times what all lists together say."""

End = tuple[int, str]
"""An exit code, and the last line that was said on standard error."""


class Fetch(Protocol):
    """A download that is under way."""

    async def ended(self) -> End:
        """Wait for its end; how it ended."""
        ...

    async def stop(self) -> None:
        """End it: what is here of it stays. Returns when it is gone."""
        ...


class FetchStarter(Protocol):
    """Starts downloads."""

    async def start(self, order: bytes) -> Fetch:
        """Start one. Raises OSError.

        Args:
            order: what to fetch, where from, and where it goes: a line of JSON for `station.fetcher`.
        """
        ...


class Asking(Fetch, Protocol):
    """The lists are being asked."""

    answer: bytes
    """What was written, once it has ended."""


class AskStarter(Protocol):
    """Starts who asks the lists."""

    async def start(self, order: bytes) -> Asking:
        """Start one. Raises OSError.

        Args:
            order: what to ask: a line of JSON for `station.fetcher`.
        """
        ...


class ChildProcess:
    """`python -m station.fetcher`, which ends when this process does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.answer = b""

    async def ended(self) -> End:
        """Wait for its end; how it ended."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.answer, said = await asyncio.gather(
            _read(self._process.stdout, MOST_ANSWERED), _read(self._process.stderr, MOST_SAID)
        )
        lines = said.decode(errors="replace").strip().splitlines()
        return await self._process.wait(), lines[-1] if lines else ""

    async def stop(self) -> None:
        """End it; kill it when it does not."""
        for end in (self._process.terminate, self._process.kill):
            if self._process.returncode is not None:
                return
            with suppress(ProcessLookupError):
                end()
            with suppress(TimeoutError):  # stuck in the kernel: it ends when it can
                async with asyncio.timeout(END_SECONDS):
                    await self._process.wait()


class FetcherChildren:
    """Starts them as child processes."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment

    async def start(self, order: bytes) -> ChildProcess:
        """Start one, below everything else that runs here."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "station.fetcher"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        assert process.stdin is not None
        with suppress(OSError):  # one that ended at once says so with its exit code
            process.stdin.write(order + b"\n")
            await process.stdin.drain()
            process.stdin.close()
        return ChildProcess(process)


class _Report(msgspec.Struct):
    code: int
    said: str = ""


class Unit:
    """An instance of station-fetcher@.service, at the other end of a connection; it ends when that does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._end = asyncio.create_task(self._hear(reader))
        self.answer = b""

    async def ended(self) -> End:
        """Wait for its end; how it ended."""
        return await asyncio.shield(self._end)

    async def stop(self) -> None:
        """End it: it sees that nobody waits any more, and kills itself when it does not get to that."""
        with suppress(OSError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(2 * END_SECONDS):
                await asyncio.shield(self._end)
        self._writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> End:
        try:
            said = await _read(reader, MOST_ANSWERED)
        except OSError:
            said = b""
        self._writer.close()
        answer, _, last = said.removesuffix(b"\n").rpartition(b"\n")
        try:
            report = msgspec.json.decode(last, type=_Report)
        except ValueError:
            return BROKEN, ""
        self.answer = answer
        return report.code, report.said


class FetcherUnits:
    """Has systemd start them: one for each connection to station-fetcher.socket."""

    def __init__(self, path: Path) -> None:
        """Connect to systemd's socket at `path`."""
        self._path = path

    async def start(self, order: bytes) -> Unit:
        """Start one. Raises OSError."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        with suppress(OSError):  # one that ended at once is seen to have
            writer.write(order + b"\n")
            await writer.drain()
        return Unit(reader, writer)


class Lists:
    """The lists of firmware, which are read here and asked by a process that has a network."""

    def __init__(self, directory: Path, hosts: FirmwareHosts, *, days: int, here: Catalogs, asks: AskStarter) -> None:
        """Ask nothing yet, from within the running loop.

        Args:
            directory: where what they say is kept.
            hosts: where they are.
            days: how long what they said counts.
            here: the same lists, to be read.
            asks: starts who asks.
        """
        self._question = {"type": "ask", "directory": str(directory), "hosts": hosts, "days": days}
        self._here = here
        self._asks = asks
        self._loop = asyncio.get_running_loop()

    def known(self) -> Known:
        """What they said before, as far as it counts. Reads the disk only."""
        return self._here.known()

    def refresh(self, product_types: Collection[str]) -> Known:
        """Ask all of them about these models. Blocks, for minutes: not on the loop. Raises Unreachable."""
        order = msgspec.json.encode({**self._question, "models": sorted(product_types)})
        return asyncio.run_coroutine_threadsafe(self._ask(order), self._loop).result()

    async def _ask(self, order: bytes) -> Known:
        try:
            asking = await self._asks.start(order)
        except OSError as error:
            raise Unreachable(f"Nobody can be started who asks the lists: {error.strerror}.") from error
        try:
            code, said = await asking.ended()
        except asyncio.CancelledError:
            await asking.stop()
            raise
        if code != 0:
            raise Unreachable(said if code == FAILED and said else "The lists could not be asked.")
        return msgspec.json.decode(asking.answer, type=Known)


async def _read(reader: asyncio.StreamReader, most: int) -> bytes:
    """All that comes, or the last of it."""
    said = bytearray()
    while some := await reader.read(1 << 16):
        said += some
        del said[:-most]
    return bytes(said)
