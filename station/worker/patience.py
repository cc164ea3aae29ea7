"""Waiting for something outside: soon at first, then once a second, and never for ever."""

import asyncio
from collections.abc import AsyncIterator

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


async def tries(seconds: float, *, longest: float = LONGEST_PAUSE) -> AsyncIterator[None]:
    """Yield once for each try: at once, then after pauses that double up to `longest`, and a last time at the end."""
    clock = asyncio.get_running_loop().time
    end, pause = clock() + seconds, FIRST_PAUSE
    yield
    while (left := end - clock()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, longest)
        yield
