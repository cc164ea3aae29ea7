"""The gateway that a daemon starts where there is no systemd: it is there for workers, longer than the daemon."""

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest

from station.adapters.gateway import dial
from station.adapters.workers import HELD, Worker, spawn
from station.daemon import gateway
from station.daemon.gateway import OwnGateway
from station.errors import ConfigError
from tests.gateways import reach
from tests.processes import until_gone

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]
SECONDS = 30.0


def test_a_socket_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    own = OwnGateway(tmp_path / "file" / "gateway.sock", None)
    with pytest.raises(ConfigError, match="cannot be made"):
        own.open()
    own.close()


async def test_it_is_started_again_and_goes_with_the_last_worker(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(gateway, "PAUSE", 0.0)
    processes: asyncio.Queue[Worker] = asyncio.Queue()
    spawning = OwnGateway._spawn

    def noted(self: OwnGateway) -> Worker:
        process = spawning(self)
        loop.call_soon_threadsafe(processes.put_nowait, process)
        return process

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(OwnGateway, "_spawn", noted)
    async with await asyncio.start_server(_hangs_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        file = tmp_path / "reach.json"
        file.write_bytes(msgspec.json.encode(reach(signing_url=f"http://127.0.0.1:{port}/")))
        path = tmp_path / "gateway.sock"
        own = OwnGateway(path, file)
        await asyncio.to_thread(own.open)
        running = asyncio.create_task(own.run())
        first = await processes.get()
        (await asyncio.to_thread(dial, str(path), "127.0.0.1", port, SECONDS)).close()
        os.kill(first.pid, signal.SIGKILL)
        # Who asks while there is none waits for the next.
        (await asyncio.to_thread(dial, str(path), "127.0.0.1", port, SECONDS)).close()
        second = await processes.get()
        reading, writing = os.pipe()
        worker = spawn(("/bin/cat",), {0: reading, HELD: own.held})
        os.close(reading)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        own.close()  # as when the daemon dies
        (await asyncio.to_thread(dial, str(path), "127.0.0.1", port, SECONDS)).close()
        os.close(writing)
        worker.discard()
        await until_gone(second.pid)


async def _hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
