"""What a station that shares its firmware gives to whom, and for how long."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from station.adapters.firmware import FirmwareStore
from station.adapters.sharing import server
from station.adapters.sharing.server import serving
from station.adapters.unpacked import FirmwareDamaged
from station.errors import ConfigError
from tests.firmware.tiny import tiny_ipsw

pytestmark = pytest.mark.system

LOOPBACK = "127.0.0.1"


@pytest.fixture
async def address(store, ipsw) -> AsyncGenerator[tuple[str, int]]:
    await asyncio.to_thread(store.import_ipsw, ipsw)
    async with serving(store.path, LOOPBACK, 0) as where:
        yield where


@pytest.fixture
async def ask(address) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}/v1", trust_env=False) as client:
        yield client


def place(store: FirmwareStore, path: str) -> Path:
    (firmware,) = store.list()
    return (Path(firmware.directory) / path).resolve()


async def test_everything_that_is_here_can_be_had(ask, store, ipsw):
    (shared,) = (await ask.get("/firmware")).json()
    assert (shared["version"], shared["build"], shared["product_types"]) == ("26.2.1", "23C71", ["iPhone13,2"])
    digests = (await ask.get(f"/firmware/{shared['name']}")).json()
    got = {}
    for file in digests["files"]:
        answer = await ask.get(f"/objects/{file['sha256']}")
        assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
        got[file["path"]] = answer.content
    assert got == {path.relative_to(ipsw).as_posix(): path.read_bytes() for path in ipsw.rglob("*") if path.is_file()}
    assert shared["size"] == sum(map(len, got.values()))


async def test_a_part(ask, store):
    image = place(store, "000-00001-001.dmg")
    answer = await ask.get(f"/objects/{image.name}", headers={"Range": "bytes=7-"})
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes 7-{image.stat().st_size - 1}/{image.stat().st_size}"
    assert answer.content == image.read_bytes()[7:]
    beyond = await ask.get(f"/objects/{image.name}", headers={"Range": f"bytes={1 << 70}-"})
    assert beyond.status_code == 416


async def test_what_comes_later_can_be_had_and_what_goes_cannot(ask, store, tmp_path):
    other = tiny_ipsw(tmp_path / "other", "26.3", "23D10", ("iPhone14,5",), {"os.dmg": b"other" * 99})
    firmware = await asyncio.to_thread(store.import_ipsw, other)
    name = Path(firmware.directory).parent.name
    assert name in {shared["name"] for shared in (await ask.get("/firmware")).json()}
    file = max((await ask.get(f"/firmware/{name}")).json()["files"], key=lambda file: file["size"])
    await asyncio.to_thread(store.remove, [name])
    assert [shared["build"] for shared in (await ask.get("/firmware")).json()] == ["23C71"]
    assert (await ask.get(f"/firmware/{name}")).status_code == 404
    assert (await ask.get(f"/objects/{file['sha256']}")).status_code == 404


async def test_what_was_found_damaged_is_not_offered(ask, store):
    (firmware,) = store.list()
    image = place(store, "000-00001-001.dmg")
    (shared,) = (await ask.get("/firmware")).json()
    with image.open("r+b") as file:
        file.write(b"rot")
    # Nobody has read it since: but it does not look any more as it did then.
    assert (await ask.get(f"/objects/{image.name}")).status_code == 404
    assert (await ask.get(f"/firmware/{shared['name']}")).status_code == 404
    with pytest.raises(FirmwareDamaged):
        await asyncio.to_thread(store.verify, firmware)
    assert (await ask.get("/firmware")).json() == []


async def test_what_was_never_read_whole_is_not_offered(ask, store):
    (firmware,) = store.list()
    (Path(firmware.directory).parent / "checked.json").unlink()
    assert (await ask.get("/firmware")).json() == []


@pytest.mark.parametrize(
    "path",
    [
        "objects/..%2f..%2f.lock",
        "objects/../../.lock",
        f"objects/{'0' * 64}",
        "firmware/..",
        "firmware/%2e%2e",
        "",
        "x",
    ],
)
async def test_nothing_else_can_be_had(address, store, path):
    """Not by any way of writing it: a client would tidy it up, so this is written by hand."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET /v1/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"404"
    writer.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed(ask, store, method):
    image = place(store, "000-00001-001.dmg")
    answer = await ask.request(method, f"/objects/{image.name}", content=b"x" * (1 << 20))
    assert answer.status_code == 405
    assert (await ask.get(f"/objects/{image.name}")).status_code == 200


async def test_what_is_being_sent_is_sent_to_its_end(address, store, tmp_path):
    """Though it is removed meanwhile."""
    content = os.urandom(16 << 20)
    other = tiny_ipsw(tmp_path / "other", "26.3", "23D10", ("iPhone14,5",), {"os.dmg": content})
    firmware = await asyncio.to_thread(store.import_ipsw, other)
    sha256 = (Path(firmware.directory) / "os.dmg").resolve().name
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET /v1/objects/{sha256} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    removed = await asyncio.to_thread(store.remove, [Path(firmware.directory).parent.name])
    assert removed.names
    assert await reader.read() == content
    writer.close()


async def closed(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


async def test_those_who_say_nothing_or_drip_are_not_waited_for(address, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(*address)
    over = asyncio.create_task(closed(reader))
    writer.write(b"GET /v1/firmware HTTP/1.1\r\nX: ")
    while not over.done():
        with contextlib.suppress(ConnectionError):
            writer.write(b"x")
        await asyncio.wait([over], timeout=0.02)
    writer.close()


async def test_those_who_take_nothing_are_not_waited_for(address, store, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)
    other = tiny_ipsw(tmp_path / "other", "26.3", "23D10", ("iPhone14,5",), {"os.dmg": bytes(64 << 20)})
    firmware = await asyncio.to_thread(store.import_ipsw, other)
    sha256 = (Path(firmware.directory) / "os.dmg").resolve().name
    lost, before = asyncio.Event(), server._Connection.connection_lost

    def connection_lost(self, exc):
        before(self, exc)
        lost.set()

    monkeypatch.setattr(server._Connection, "connection_lost", connection_lost)
    reader, writer = await asyncio.open_connection(*address)
    reader._transport.pause_reading()  # type: ignore[attr-defined]  # nothing public stops its reading
    writer.write(f"GET /v1/objects/{sha256} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await lost.wait()
    writer.close()


async def test_so_many_at_a_time_and_no_more(address, ask, monkeypatch):
    held = [await asyncio.open_connection(*address) for _ in range(server.MOST_OF_ONE)]
    with pytest.raises(httpx.HTTPError):
        await ask.get("/firmware")
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(15):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                assert (await ask.get("/firmware")).status_code == 200
                break


async def test_an_address_that_is_taken(address, store):
    with pytest.raises(ConfigError, match="cannot be shared"):
        async with serving(store.path, *address):
            pass


async def test_a_store_that_is_not_there(tmp_path):
    async with serving(tmp_path / "nowhere", LOOPBACK, 0) as (host, port), httpx.AsyncClient(trust_env=False) as client:
        assert json.loads((await client.get(f"http://{host}:{port}/v1/firmware")).content) == []
