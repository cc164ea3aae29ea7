"""Waiting for something outside: soon at first, then once a second, and never for ever."""

import asyncio
from collections.abc import AsyncIterator

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


async def tries(seconds: float) -> AsyncIterator[None]:
    """Yield once for each try: at once, then after pauses that double up to a second, and a last time at the end."""
    clock = asyncio.get_running_loop().time
    end, pause = clock() + seconds, FIRST_PAUSE
    yield
    while (left := end - clock()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
        yield
