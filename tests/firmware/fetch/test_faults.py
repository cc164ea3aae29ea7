"""Everything that servers do to a download: afterwards the store is right, or nothing is left and it is said why."""

import asyncio
import os
import shutil
import ssl
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from starlette.datastructures import MutableHeaders

from station.adapters.fetch import FetchRules, arrivals, leftovers
from station.errors import InputRejected, Refused, StationError, Unreachable
from station.model.catalog import ArrivalState, FirmwareHosts
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.certificates import Authority
from station.virtual.apple.servers import LOOPBACK, AppleServers
from tests.firmware.fetch.conftest import Fetcher, mixed, offer_of
from tests.firmware.fetch.test_fetch import assert_right
from tests.firmware.fetch.zips import make_zip

pytestmark = pytest.mark.system

KIB, MIB = 1 << 10, 1 << 20


def behave(apple: AppleServers, behaviour: Behaviour, after: int = 0) -> None:
    apple.behaviours[AppleService.CDN] = behaviour
    apple.cut_after = after


def asked(apple: AppleServers) -> list[str]:
    return [seen.range for seen in apple.requests]


def limits(fetcher: Fetcher, **changes: float) -> None:
    fetcher.limits = msgspec.structs.replace(fetcher.limits, **changes)


async def failing(fetcher: Fetcher, kind: type[StationError], why: str) -> StationError:
    with pytest.raises(kind, match=why) as caught:
        await asyncio.to_thread(fetcher)
    assert caught.value.remedy
    (arrival,) = arrivals(fetcher.store.path)
    assert (arrival.state, arrival.says) == (ArrivalState.FAILED, str(caught.value))
    assert fetcher.store.list() == []
    return caught.value


async def until(fetcher: Fetcher, done: int) -> int:
    """Fetch so many bytes at least, and stop; how many it were."""
    fetcher.stop = threading.Event()
    fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=1 * MIB)

    def watch() -> None:
        while not fetcher.stop.wait(0.01):
            state = next(fetcher.store.path.glob(".fetch-*/state.json"), None)
            if state and msgspec.json.decode(state.read_bytes())["position"]["offset"] >= done:
                fetcher.stop.set()

    watcher = asyncio.create_task(asyncio.to_thread(watch))
    with pytest.raises(Refused, match="stopped"):
        await asyncio.to_thread(fetcher)
    await watcher
    fetcher.stop = threading.Event()
    fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=None)
    state = msgspec.json.decode(next(fetcher.store.path.glob(".fetch-*/state.json")).read_bytes())
    return int(min(state["position"]["offset"], state["hashed"]["count"]))


@pytest.mark.parametrize("every", [64 * KIB, pytest.param(5001, marks=pytest.mark.long)])
async def test_cut_again_and_again(apple, fetcher, zipped, every):
    behave(apple, Behaviour.CUT, every)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


@pytest.mark.parametrize("behaviour", [Behaviour.STALL, Behaviour.TRICKLE])
async def test_stalls(apple, fetcher, zipped, behaviour):
    limits(fetcher, least_bytes=1000)
    behave(apple, behaviour, 700 * KIB)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


async def test_a_server_without_ranges(apple, fetcher, zipped):
    behave(apple, Behaviour.WHOLE)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


async def test_a_mirror_without_ranges_is_good_for_all_of_it(apple, mirror, fetcher, zipped):
    behave(mirror, Behaviour.WHOLE)
    limits(fetcher, in_vain_bytes=100 * KIB)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert [seen.range for seen in mirror.requests][-1] == "bytes=0-"
    assert apple.requests
    assert not any(seen.range.endswith("-") for seen in apple.requests)


@pytest.mark.parametrize("there", [True, False])
async def test_a_server_without_ranges_is_waited_for_when_there_is_no_other(apple, mirror, fetcher, zipped, there):
    behave(mirror, Behaviour.WHOLE)
    behave(apple, Behaviour.WHOLE if there else Behaviour.UNAVAILABLE)
    limits(fetcher, in_vain_bytes=100 * KIB)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


async def test_it_goes_on_where_it_was(apple, fetcher, zipped):
    offset = await until(fetcher, 200 * KIB)
    (arrival,) = arrivals(fetcher.store.path)
    assert (arrival.state, arrival.total) == (ArrivalState.WAITING, zipped.stat().st_size)
    (leftover,) = leftovers(fetcher.store.path)
    assert (leftover.id, leftover.held, leftover.idle_seconds < 60) == (fetcher.offer.id, False, True)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert asked(apple)[-1] == f"bytes={offset}-"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another")
async def test_what_root_leaves_of_a_download_belongs_to_the_station(apple, fetcher):
    fetcher.store.path.mkdir()
    os.chown(fetcher.store.path, 12345, 12345)
    await until(fetcher, 100 * KIB)
    (directory,) = fetcher.store.path.glob(".fetch-*")
    assert {path.lstat().st_uid for path in (directory, *directory.rglob("*"))} == {12345}


@pytest.mark.parametrize("lost", ["ipsw/*.dmg", "state.json", "ipsw"])
async def test_what_somebody_deleted_comes_again(apple, fetcher, zipped, lost):
    await until(fetcher, 300 * KIB)
    for path in fetcher.store.path.glob(f".fetch-*/{lost}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


@pytest.mark.parametrize("change", [{"taken": 1 << 40}, {"bits": 9}])
async def test_a_disk_that_changes_where_it_was_begins_anew(apple, fetcher, zipped, change):
    await until(fetcher, 300 * KIB)
    (path,) = fetcher.store.path.glob(".fetch-*/state.json")
    state = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(state | {"position": state["position"] | change}))
    assert_right(fetcher, zipped, await asyncio.wait_for(asyncio.to_thread(fetcher), 10))
    assert asked(apple)[-1] == "bytes=0-"


async def test_it_goes_on_at_a_server_without_ranges(apple, fetcher, zipped):
    await until(fetcher, 300 * KIB)
    behave(apple, Behaviour.WHOLE)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


WORDS = {
    Behaviour.REFUSE: "answers 403",
    Behaviour.UNAVAILABLE: "answers 503",
    Behaviour.PORTAL: "its file has .* bytes",
    Behaviour.GARBAGE: "its file has 4096 bytes",
    Behaviour.LOOP: "from one address to the next",
    Behaviour.HANG: "does not answer",
    Behaviour.LONGER: "another part|hung up|its file has",
    Behaviour.ELSEWHERE: "another part",
}


@pytest.mark.parametrize("behaviour", WORDS)
async def test_a_mirror_that_is_no_use(mirror, fetcher, zipped, behaviour):
    behave(mirror, behaviour)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert mirror.requests


@pytest.mark.parametrize("behaviour", WORDS)
async def test_the_only_server_is_no_use(apple, fetcher, behaviour):
    behave(apple, behaviour)
    limits(fetcher, tries=2)
    await failing(fetcher, Unreachable, WORDS[behaviour])
    assert len(apple.requests) <= 2 * 6  # six: a redirect is followed five times


async def test_a_mirror_that_points_to_another_server(apple, mirror, fetcher, zipped):
    behave(mirror, Behaviour.AWAY)
    mirror.redirect_to = f"{apple.origin}/ipsw"
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert all(seen.range for seen in mirror.requests)
    assert len(mirror.requests) == len(apple.requests)


async def test_a_mirror_that_points_to_where_firmware_may_not_come_from(apple, mirror, fetcher, zipped):
    async with AppleServers() as stranger:
        behave(mirror, Behaviour.AWAY)
        mirror.redirect_to = stranger.origin + stranger.cdn.offer(zipped).rpartition("/")[0]
        assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
        assert mirror.requests
        assert apple.requests
        assert not stranger.requests


@pytest.mark.parametrize("there", ["file:///etc", "https://xn--", "http://[::1", "http://a@127.0.0.1"])
async def test_a_mirror_that_points_to_what_is_no_server(mirror, fetcher, zipped, there):
    behave(mirror, Behaviour.AWAY)
    mirror.redirect_to = there
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


async def test_a_good_mirror_is_all_it_takes(apple, mirror, fetcher, zipped):
    limits(fetcher, stall_seconds=5.0)
    behave(apple, Behaviour.UNAVAILABLE)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert not apple.requests


async def test_a_mirror_that_drips_is_not_waited_for(apple, mirror, fetcher, zipped):
    limits(fetcher, least_bytes=1000)
    behave(mirror, Behaviour.TRICKLE)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert apple.requests


@asynccontextmanager
async def dripping(context: ssl.SSLContext | None) -> AsyncGenerator[str]:
    """A server whose headers never end; its address."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.create_task(reader.read())
        writer.write(b"HTTP/1.1 206 Partial Content\r\nX-Endless: ")
        while not gone.done():
            writer.write(b"x")
            await asyncio.wait([gone], timeout=0.02)
        writer.transport.abort()

    async with await asyncio.start_server(drip, LOOPBACK, 0, ssl=context) as server:
        yield f"{'https' if context else 'http'}://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("secret", [False, True])
async def test_headers_that_never_end(fetcher, tmp_path, secret):
    authority, context = Authority(), None
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    if secret:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(authority.certify(tmp_path / "server.pem", LOOPBACK))
    async with dripping(context) as origin:
        fetcher.offer = msgspec.structs.replace(fetcher.offer, url=f"{origin}/a.ipsw")
        hosts = FirmwareHosts(origins=(origin,), authorities=str(tmp_path / "authority.pem"))
        fetcher.rules = FetchRules(hosts=hosts)
        limits(fetcher, connect_seconds=0.3, tries=2)
        await failing(fetcher, Unreachable, "it does not answer")


async def test_an_etag_that_nobody_could_send_back(apple, fetcher, zipped, monkeypatch):
    def start(_: object, headers: MutableHeaders) -> None:
        headers["etag"] = '"\xfc"'

    monkeypatch.setattr("station.virtual.apple.cdn._Tampering._start", start)
    behave(apple, Behaviour.CUT, 64 * KIB)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


async def test_an_etag_that_always_changes(apple, fetcher, zipped):
    behave(apple, Behaviour.CHANGING)
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


@pytest.mark.parametrize("place", [3000, 400 * KIB])
async def test_a_mirror_with_a_wrong_bit(mirror, fetcher, zipped, place):
    limits(fetcher, stall_seconds=5.0)  # it is asked first, and for all
    behave(mirror, Behaviour.CORRUPT)
    mirror.corrupt_at = place
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert any("arrived damaged" in arrival.says for arrival in fetcher.told)


async def test_a_wrong_bit_everywhere(apple, fetcher):
    behave(apple, Behaviour.CORRUPT)
    apple.corrupt_at = 400 * KIB
    await failing(fetcher, InputRejected, "damaged twice")
    assert sorted(path.name for path in fetcher.store.path.glob(".fetch-*/*")) == ["lock", "progress.json"]


async def test_another_file_than_the_one_in_the_list(apple, fetcher, zipped):
    fetcher.offer = offer_of(zipped, fetcher.offer.url, sha256="", sha1="0" * 40)
    await failing(fetcher, InputRejected, "digest is wrong, twice")
    assert asked(apple).count("bytes=0-") == 2
    assert sorted(path.name for path in fetcher.store.path.glob(".fetch-*/*")) == ["lock", "progress.json"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"build": "23C72"}, "says that it is"),
        ({"product_types": ("iPhone99,1",)}, "not for iPhone99,1"),
        ({"url": "http://127.0.0.2/x.ipsw"}, "may not come from"),
        ({"sha256": "../../etc"}, "recognise"),
        ({"build": "../.."}, "no build"),
    ],
)
async def test_what_is_not_what_was_offered_is_not_fetched(apple, fetcher, zipped, changes, why):
    fetcher.offer = offer_of(zipped, **({"url": fetcher.offer.url} | changes))
    with pytest.raises(InputRejected, match=why):
        await asyncio.to_thread(fetcher)
    assert "bytes=0-" not in asked(apple)
    assert fetcher.store.list() == []


async def test_what_is_in_the_store_is_not_fetched_again(apple, fetcher, zipped):
    first = await asyncio.to_thread(fetcher)
    assert await asyncio.to_thread(fetcher) == first
    assert asked(apple).count("bytes=0-") == 1
    assert_right(fetcher, zipped, first)


@asynccontextmanager
async def tls(fetcher: Fetcher, zipped: Path, host: str, *, expired: bool = False) -> AsyncGenerator[Path]:
    """Have it fetched from a server with such a certificate; yields where its authority is to be found."""
    authority, directory = Authority(), fetcher.store.path.parent
    (directory / "authority.pem").write_bytes(authority.certificate)
    certificate = authority.certify(directory / "server.pem", host, expired=expired)
    async with AppleServers(certificate=certificate) as servers:
        fetcher.offer = offer_of(zipped, servers.origin + servers.cdn.offer(zipped))
        hosts = FirmwareHosts(origins=(servers.origin,), authorities=str(directory / "authority.pem"))
        fetcher.rules = FetchRules(hosts=hosts)
        yield directory / "authority.pem"


async def test_over_tls(fetcher, zipped):
    async with tls(fetcher, zipped, LOOPBACK):
        assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))


@pytest.mark.parametrize("wrong", ["name", "age", "authority"])
async def test_a_wrong_certificate(fetcher, zipped, wrong):
    async with tls(fetcher, zipped, "apple.test" if wrong == "name" else LOOPBACK, expired=wrong == "age") as file:
        if wrong == "authority":
            file.write_bytes(Authority().certificate)
        await failing(fetcher, Unreachable, "certificate is not valid")


async def test_only_one_process_fetches_it(apple, fetcher, zipped):
    behave(apple, Behaviour.HANG)
    limits(fetcher, stall_seconds=0.7, tries=1)
    first = asyncio.create_task(asyncio.to_thread(fetcher))
    await apple.arrival(AppleService.CDN)
    with pytest.raises(Refused, match="already"):
        await asyncio.to_thread(fetcher)
    (leftover,) = leftovers(fetcher.store.path)
    assert leftover.held
    behave(apple, Behaviour.OK)
    with pytest.raises(Unreachable):
        await first
    assert zipped.exists()


async def test_not_faster_than_allowed(fetcher, zipped):
    fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=2 * MIB)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert loop.time() - began >= (zipped.stat().st_size - MIB // 2) / (2 * MIB)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file of the same name and length with another image in it."""
    file: Path = tmp_path / "iPhone_Restore.ipsw"
    parts = [replace(part, content=part.content[::-1]) if part.name == "os.dmg" else part for part in mixed()]
    file.write_bytes(make_zip(parts))
    return file


@pytest.mark.parametrize("soon", [True, False], ids=["while it comes", "meanwhile"])
async def test_the_file_on_the_server_changes(apple, fetcher, zipped, other, soon):
    apple.cdn.offer(other)
    await until(fetcher, 200 * KIB)
    if soon:  # it goes on with the other one, and then there is the right one
        behave(apple, Behaviour.CUT, 64 * KIB)
        fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=MIB)
        first = asyncio.create_task(asyncio.to_thread(fetcher))
        async with apple._arrived:
            await apple._arrived.wait_for(lambda: sum(each.endswith("-") for each in asked(apple)) > 3)
        apple.cdn.offer(zipped)
        assert_right(fetcher, zipped, await first)
        assert any("has changed" in arrival.says for arrival in fetcher.told)
    else:
        apple.cdn.offer(zipped)
        assert_right(fetcher, zipped, await asyncio.to_thread(fetcher))
    assert asked(apple).count("bytes=0-") == 2
