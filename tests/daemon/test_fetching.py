"""Who asks the lists and fetches: a child, or a unit that systemd, which is played here, starts for a connection."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from station.adapters.catalogs import Catalogs
from station.daemon.fetching import BROKEN, FAILED, AskStarter, FetcherChildren, FetcherUnits, Lists
from station.errors import Unreachable
from station.model.catalog import FirmwareHosts
from station.virtual.hosting.host import VirtualHost

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]
DAYS = 30
PROGRAM = (sys.executable, "-m", "station.fetcher")


class Systemd:
    """Starts the fetcher for each who connects."""

    def __init__(self) -> None:
        self.program = PROGRAM
        self.started: list[subprocess.Popen[bytes]] = []

    def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = writer.get_extra_info("socket").fileno()
        os.set_blocking(line, True)
        self.started.append(subprocess.Popen(self.program, stdin=line, stdout=line))
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is the fetcher's
        writer.close()


@pytest.fixture
async def systemd(tmp_path: Path) -> AsyncGenerator[Systemd, None]:
    systemd = Systemd()
    async with await asyncio.start_unix_server(systemd.serve, tmp_path / "systemd"):
        yield systemd
    for process in systemd.started:
        process.kill()
        await asyncio.to_thread(process.wait)


@pytest.fixture(params=["child", "unit"])
def starter(request: pytest.FixtureRequest, tmp_path: Path, systemd: Systemd) -> AskStarter:
    del systemd  # it serves
    return FetcherChildren() if request.param == "child" else FetcherUnits(tmp_path / "systemd")


async def test_what_the_lists_say_comes_and_stays(starter: AskStarter, tmp_path: Path):
    async with VirtualHost(tmp_path / "v") as host:
        hosts = host.firmware_hosts
        here = Catalogs(tmp_path / "lists", hosts, timedelta(days=DAYS))
        lists = Lists(tmp_path / "lists", hosts, days=DAYS, here=here, asks=starter)
        known = await asyncio.to_thread(lists.refresh, ["iPhone13,2"])
        assert known.reached
        kept = await asyncio.to_thread(lists.known)
        assert (kept.offers, kept.checked) == (known.offers, known.checked)


async def test_lists_that_cannot_be_reached_are_told_as_such(starter: AskStarter, tmp_path: Path):
    hosts = FirmwareHosts(ipsw_me="http://127.0.0.1:9", appledb="", apple="", origins=())
    here = Catalogs(tmp_path / "lists", hosts, timedelta(days=DAYS))
    known = await asyncio.to_thread(
        Lists(tmp_path / "lists", hosts, days=DAYS, here=here, asks=starter).refresh, ["iPhone13,2"]
    )
    assert known.reached == ()
    assert "cannot be reached" in known.troubles[0]


async def test_a_question_that_is_none(starter: AskStarter):
    asking = await starter.start(b"{}")
    code, said = await asking.ended()
    assert (code, "no errand" in said) == (FAILED, True)


async def test_nobody_who_could_ask(tmp_path: Path):
    hosts = FirmwareHosts()
    here = Catalogs(tmp_path / "lists", hosts, timedelta(days=DAYS))
    lists = Lists(tmp_path / "lists", hosts, days=DAYS, here=here, asks=FetcherUnits(tmp_path / "nobody"))
    with pytest.raises(Unreachable, match="Nobody can be started"):
        await asyncio.to_thread(lists.refresh, ["iPhone13,2"])


async def test_a_unit_that_says_nothing_is_broken(tmp_path: Path, systemd: Systemd):
    systemd.program = (sys.executable, "-c", "pass")
    asking = await FetcherUnits(tmp_path / "systemd").start(b"{}")
    assert await asking.ended() == (BROKEN, "")


async def test_who_is_stopped_ends(starter: AskStarter, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        hosts = FirmwareHosts(ipsw_me=f"http://127.0.0.1:{silent.getsockname()[1]}", appledb="", apple="", origins=())
        question = {"type": "ask", "directory": str(tmp_path), "hosts": hosts, "days": 1, "models": ["iPhone13,2"]}
        asking = await starter.start(msgspec.json.encode(question))
        connection, _ = await asyncio.get_running_loop().sock_accept(silent)
        with connection:
            end = asyncio.create_task(asking.ended())
            await asking.stop()
            async with asyncio.timeout(60):
                code, _ = await end
    assert code != 0
