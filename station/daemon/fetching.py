"""The process that fetches: at most one, started, watched and ended."""

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

NICE = 10
"""Below everything that works on a phone."""
END_SECONDS = 3.0
"""How long it may take to end when it is told to, before it is killed."""

FAILED = 1
"""Its exit code when it could not be fetched now. What it said last is why, in words for people: so with WRONG."""
WRONG = 2
"""Its exit code when what the servers have is not what was offered: fetching it again would bring the same."""
MOST_SAID = 2000

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


class ChildProcess:
    """`python -m station.fetcher`, which ends when this process does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ended(self) -> End:
        """Wait for its end; how it ended."""
        said = b""
        assert self._process.stderr is not None
        while some := await self._process.stderr.read(1 << 12):
            said = (said + some)[-MOST_SAID:]
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


class ChildStarter:
    """Starts them as child processes."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment

    async def start(self, order: bytes) -> ChildProcess:
        """Start one, below everything else that runs here."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "station.fetcher"),
            stdin=asyncio.subprocess.PIPE,
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
