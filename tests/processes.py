"""Processes that are not our children."""

import asyncio
import os

PATIENCE = 30.0


async def until_gone(pid: int) -> None:
    """Wait until a process that is not our child has ended. Raises TimeoutError."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, over.set)
    try:
        async with asyncio.timeout(PATIENCE):
            await over.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
