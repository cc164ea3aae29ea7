"""A connection to a phone's port, as the worker uses it."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pymobiledevice3.exceptions import ConnectionTerminatedError
from pymobiledevice3.service_connection import build_plist

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


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[PhoneConnection, socket.socket], None]:
    """A connection, and the phone's end of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        connection = PhoneConnection(*await asyncio.open_unix_connection(sock=ours))
        try:
            yield connection, theirs
        finally:
            await connection.close()


async def test_a_phones_last_words_are_heard_after_sending_failed():
    async with connected() as (connection, phone):
        phone.sendall(build_plist({"Status": 53}))
        phone.close()
        with pytest.raises(ConnectionTerminatedError):
            await connection.send_plist({"what": "it does not wait for any more"})
        assert await connection.recv_plist() == {"Status": 53}


async def test_a_phones_last_words_are_heard_after_it_cut_the_connection():
    async with connected() as (connection, phone):
        await connection.send_plist({"what": "it has not read, so that its end is a reset"})
        phone.sendall(build_plist({"Log": "it says much"}) + build_plist({"Status": 53}))
        phone.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert await connection.recv_plist() == {"Log": "it says much"}
        assert await connection.recv_plist() == {"Status": 53}
        with pytest.raises(ConnectionTerminatedError):
            await connection.recv_plist()
