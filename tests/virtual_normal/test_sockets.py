"""Unix sockets: whatever was connected is not, once the context is closed."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from station.virtual.sockets import listening


@pytest.mark.parametrize("turns", range(8))
async def test_no_connection_outlives_the_server(tmp_path, turns):
    async def serve(reader, _writer):
        await reader.read()

    path = tmp_path / "socket"
    async with listening(path, serve, limit=100):
        reader, writer = await asyncio.open_unix_connection(path)
        for _ in range(turns):  # of the loop: accepting takes several
            await asyncio.sleep(0)
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    writer.close()
    assert not path.exists()


@pytest.mark.parametrize("turns", range(4))
async def test_what_connects_as_it_closes_is_not_lost_open(tmp_path, turns):
    async def serve(reader, _writer):
        await reader.read()

    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        async with listening(tmp_path / "socket", serve, limit=100):
            client.connect(str(tmp_path / "socket"))  # by the kernel: the loop has not seen it
            for _ in range(turns):
                await asyncio.sleep(0)
        with suppress(ConnectionError):
            assert client.recv(1) == b""


async def test_what_nobody_reads_is_not_waited_for(tmp_path):
    size = 8 << 20

    async def serve(reader, writer):
        writer.write(bytes(size))
        await reader.read()

    async with listening(tmp_path / "socket", serve, limit=100):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "socket", limit=100)
        got = await reader.readexactly(1)
    got += await reader.read()
    assert len(got) < size
    writer.close()


async def test_a_connection_that_fails_harms_no_other(tmp_path):
    async def serve(reader, writer):
        writer.write(b"%d" % (1 // int(await reader.readline())))

    async def ask(text):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
        writer.write(text)
        answer = await reader.read()
        writer.close()
        return answer

    async with listening(tmp_path / "socket", serve, limit=100):
        assert [await ask(text) for text in (b"0\n", b"1" * 200, b"1\n")] == [b"", b"", b"1"]


async def test_says_when_a_path_is_too_long():
    async def serve(reader, writer): ...

    with pytest.raises(ValueError, match="107"):
        async with listening(Path("/tmp", "x" * 103), serve, limit=100):
            pass
