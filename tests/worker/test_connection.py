"""A connection to a phone's port, as the worker uses it."""

import asyncio
import socket

from station.worker.connection import PhoneConnection


async def closing_cancelled_after(turns: int) -> bool:
    """Cancel a task that hangs up, after some turns of the loop. Whether it was cancelled, if it had not ended."""
    ours, theirs = socket.socketpair()
    with theirs:
        connection = PhoneConnection(*await asyncio.open_unix_connection(sock=ours))
        closing = asyncio.create_task(connection.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        requested = closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        return not requested or closing.cancelled()


async def test_hanging_up_never_swallows_a_cancellation():
    # Whoever serves requests in a loop would go on serving for ever.
    assert all([await closing_cancelled_after(turns) for turns in range(1, 10)])
