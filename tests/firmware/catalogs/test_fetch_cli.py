"""`station firmware catalog` and `station firmware fetch`, as a person uses them."""

import asyncio
import hashlib
import os
import random
import signal
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from station.adapters.fetch import FetchRules, fetch
from station.adapters.firmware import FirmwareStore
from station.adapters.sharing.server import serving
from station.cli.firmware import app
from station.model.catalog import Offer, Source
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.catalog import Build
from station.virtual.apple.servers import AppleServers
from station.virtual.firmware.ipsw import zip_ipsw
from tests.firmware.catalogs.conftest import PHONE, build, hosts
from tests.firmware.tiny import tiny_ipsw

pytestmark = pytest.mark.system  # whole commands, and a server for each

IMAGE = random.Random(1).randbytes(400_000)


@dataclass(frozen=True)
class Zipped:
    """A file, and how lists describe it."""

    path: Path
    content: bytes

    def build(self, path: str) -> Build:
        return replace(
            build("23C71", "26.2.1", PHONE),
            path=path,
            size=len(self.content),
            sha1=hashlib.sha1(self.content).hexdigest(),
            sha256=hashlib.sha256(self.content).hexdigest(),
        )


@pytest.fixture(scope="module")
def zipped(tmp_path_factory) -> Zipped:
    directory = tmp_path_factory.mktemp("cdn")
    unpacked = tiny_ipsw(directory / "ipsw", "26.2.1", "23C71", (PHONE,), {"os.dmg": IMAGE, "b": b"b"})
    file = zip_ipsw(unpacked, directory / "iPhone13,2_26.2.1_23C71_Restore.ipsw")
    return Zipped(file, file.read_bytes())


@pytest.fixture
async def offered(apple: AppleServers, zipped: Zipped) -> AppleServers:
    """One of the files that the lists have is there."""
    apple.catalog.builds[1] = zipped.build(apple.cdn.offer(zipped.path))
    return apple


class Person:
    """Who types commands at a station."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.store = FirmwareStore(state / "firmware", reserve=0)

    def settings(self, text: str) -> None:
        (self.state / "station.toml").write_text(text)

    async def __call__(self, *arguments: str):
        """Run a command."""
        return await asyncio.to_thread(CliRunner().invoke, app, [*arguments], env={"COLUMNS": "160"})


@pytest.fixture
def person(offered, tmp_path, monkeypatch) -> Person:
    monkeypatch.setenv("STATION_STATE", str(tmp_path))
    monkeypatch.setenv("STATION_CONFIG", str(tmp_path / "station.toml"))
    monkeypatch.setenv("STATION_VIRTUAL", str(tmp_path))
    (tmp_path / "station.toml").touch()
    point_at(tmp_path, offered)
    return Person(tmp_path)


def point_at(directory: Path, servers: AppleServers, **others: str) -> None:
    (directory / "firmware-hosts.json").write_bytes(msgspec.json.encode(hosts(servers, **others)))


def rows(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if "23" in line]


async def test_the_catalog_of_a_model(person):
    person.settings('[supply]\ndenied = ["23C55"]\n')
    result = await person("catalog", "iphone 12")
    assert result.exit_code == 0
    assert result.stdout.startswith("iPhone 12 (iPhone13,2)")
    beta, newest, older = rows(result.stdout)
    assert beta == ["26.3", "beta", "23D5103d", "2026-01-26", "yes", "9.0", "GB", "AppleDB"]
    assert newest[:4] == ["26.2.1", "23C71", "2026-01-26", "yes"]
    assert " ".join(newest[6:]) == "ipsw.me, AppleDB, Apple this station's choice"
    assert older[-1] == "denied"
    assert result.stderr == ""


async def test_fetching_what_a_model_needs(person):
    result = await person("fetch", "iPhone13,2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "iOS 26.2.1 (23C71) for iPhone 12: 401.2 kB\niOS 26.2.1 (23C71) is in the store.\n"
    (firmware,) = person.store.list()
    person.store.verify(firmware, full=True)
    assert (await person("fetch")).stdout == "iPhone 12: iOS 26.2.1 (23C71) is here already.\n"
    assert "this station's choice, here" in (await person("catalog", "--offline")).stdout


async def test_what_is_pinned_denied_or_not_there(person):
    person.settings('[supply]\npins = { "all" = "26.1" }\n')
    result = await person("fetch", PHONE)
    assert result.exit_code == 1
    assert result.stderr == (
        "iPhone 12: This station gives this model iOS 26.1 and nothing else, and no list has it."
        " Import it by hand, or change supply.pins in the settings.\n"
    )
    person.settings('[supply]\ndenied = ["23C71", "23C55"]\n')
    assert "denied here: iOS 26.2.1 (23C71), iOS 26.2 (23C55)." in (await person("fetch", PHONE)).stderr
    assert "No list has the build 22A1 for this model." in (await person("fetch", PHONE, "22A1")).stderr
    assert "There is no model “Nokia”" in (await person("fetch", "Nokia")).stderr
    assert "has seen no phone yet" in (await person("fetch")).stderr
    assert "one version or build at a time" in (await person("fetch", PHONE, "22A1", "26.1")).stderr
    assert person.store.list() == []


async def test_a_file_that_is_not_what_all_lists_say(person, offered):
    offered.catalog.builds[1] = replace(offered.catalog.builds[1], sha256="0" * 64, sha1="0" * 40)
    result = await person("fetch", PHONE)
    assert result.exit_code == 1
    assert result.stderr.startswith("iOS 26.2.1 (23C71): ")
    assert person.store.list() == []


async def test_what_one_list_alone_knows(person, offered, tmp_path):
    point_at(tmp_path, offered, appledb="http://127.0.0.1:9", apple="http://127.0.0.1:9")
    result = await person("fetch", PHONE)
    assert result.exit_code == 0
    assert "AppleDB cannot be reached: nothing answers at its address." in result.stderr
    assert "iPhone 12: Only ipsw.me vouches for it." in result.stderr


async def test_without_a_network(person, offered, tmp_path):
    await person("catalog", PHONE)
    offered.behaviours[AppleService.CATALOG] = Behaviour.UNAVAILABLE
    result = await person("catalog", PHONE)
    assert (result.exit_code, len(rows(result.stdout))) == (0, 3)
    assert "AppleDB: what it said just now counts for now." in result.stderr
    result = await person("catalog", PHONE, "--offline")
    assert (result.exit_code, len(rows(result.stdout))) == (0, 3)
    for path in (tmp_path / "catalogs").glob("*.json"):
        path.unlink()
    result = await person("fetch", PHONE)
    assert result.exit_code == 1
    assert "No list of firmware can be reached. Look at the network, or import an IPSW" in result.stderr
    assert (await person("catalog", PHONE, "--offline")).exit_code == 1


async def test_following_another_process(person, offered):
    """It is this process, which the lock does not know."""
    file = offered.catalog.builds[1]
    offer = Offer(
        version=file.version,
        build=file.build,
        product_types=file.product_types,
        url=offered.origin + file.path,
        size=file.size,
        sha256=file.sha256,
        sha1=file.sha1,
        sources=(Source.APPLE,),
    )
    begun = threading.Event()
    rules = FetchRules(hosts=hosts(offered), bytes_per_second=1_000_000)
    fetching = asyncio.create_task(
        asyncio.to_thread(fetch, person.store, offer, rules, lambda _: begun.set(), threading.Event())
    )
    await asyncio.to_thread(begun.wait)
    result = await person("fetch", PHONE)
    assert (await fetching).build == "23C71"
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("iOS 26.2.1 (23C71) is in the store.\n")


async def test_ctrl_c_keeps_what_is_here(person, offered):
    person.settings("[supply]\nkbytes_per_second = 100\n")
    process = await asyncio.create_subprocess_exec(
        *("env", "--default-signal=INT"),  # a shell's background job, as these tests may be, ignores it
        *(sys.executable, "-m", "typer", "station.cli.firmware", "run", "fetch", PHONE),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    async with asyncio.timeout(15):
        await offered.arrival(AppleService.CDN)
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (
        130,
        "Stopped. What is here of it stays: the same command goes on with it.\n",
    )
    person.settings("")
    assert (await person("fetch", PHONE)).exit_code == 0


async def test_from_the_station_nearby(person, zipped, tmp_path):
    theirs = FirmwareStore(tmp_path / "theirs", reserve=0)
    await asyncio.to_thread(theirs.import_ipsw, zipped.path)
    async with serving(theirs.path, "127.0.0.1", 0) as (host, port):
        person.settings(f'[supply]\nnearby = ["http://127.0.0.1:9", "http://{host}:{port}"]\n')
        result = await person("fetch", "iphone 12")
    assert result.exit_code == 0
    assert f"is in the store. It came from the station at {host}:{port}, and is what Apple has." in result.stdout
    listed = await person("list")
    assert f"from {host}:{port}" in listed.stdout


async def test_sharing_by_hand(person, zipped):
    """As a process, which ends when it is told to."""
    await asyncio.to_thread(person.store.import_ipsw, zipped.path)
    command = (sys.executable, "-m", "station", "firmware", "share", "127.0.0.1:0")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    words = (await process.stdout.readline()).decode().split()
    assert words[:5] == ["1", "firmware", "can", "be", "had"]
    async with httpx.AsyncClient(trust_env=False) as client:
        (shared,) = (await client.get(f"http://{words[6].rstrip('.')}/v1/firmware")).json()
    assert shared["build"] == "23C71"
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.parametrize("where", ["x:y", ":99999", "[::1", "::1", "a@b:1", "a/b"])
async def test_an_address_that_is_none(person, where):
    result = await person("share", where)
    assert result.exit_code == 1
    assert "is no address. It is written like 192.168.1.20:8750, or :8750." in result.stderr
