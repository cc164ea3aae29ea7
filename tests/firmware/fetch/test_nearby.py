"""A firmware comes from another station, which may lie: then from Apple, and it is said why."""

import asyncio
import json
import os
import re
import shutil
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.responses import Response, StreamingResponse

from station.adapters.fetch import arrivals
from station.adapters.fetch import neighbour as client
from station.adapters.fetch.digests import Digest
from station.adapters.firmware import FirmwareStore
from station.adapters.ipsw import MANIFEST
from station.adapters.origins import Vouching
from station.errors import Refused, StorageError, Unreachable
from station.model.catalog import ArrivalState
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.servers import AppleServers
from tests.firmware.fetch.conftest import MANIFEST_DATA, QUICK, Fetcher, mixed
from tests.firmware.fetch.neighbours import OBJECTS, Neighbour, sharing
from tests.firmware.fetch.test_fetch import assert_right
from tests.firmware.fetch.zips import Made, make_zip

pytestmark = pytest.mark.system

KIB, MIB = 1 << 10, 1 << 20
LIST = "/v1/firmware"


SOUND = msgspec.structs.replace(QUICK, stall_seconds=10.0, connect_seconds=10.0)
"""Where nobody stalls: a busy machine is not one."""
STALLING = msgspec.structs.replace(QUICK, stall_seconds=1.0, least_bytes=1000, tries=2)


@pytest.fixture(autouse=True)
def _patient(fetcher: Fetcher) -> None:
    fetcher.limits = SOUND


@pytest.fixture
def theirs(tmp_path: Path, zipped: Path) -> FirmwareStore:
    """What the other station has."""
    store = FirmwareStore(tmp_path / "theirs", reserve=0)
    store.import_ipsw(zipped)
    return store


@pytest.fixture
async def neighbour(fetcher: Fetcher, theirs: FirmwareStore) -> AsyncGenerator[Neighbour]:
    async with sharing(Neighbour(theirs.path)) as station:
        fetcher.rules = msgspec.structs.replace(fetcher.rules, nearby=(station.address,))
        yield station


def digest_of(store: FirmwareStore, path: str) -> str:
    (firmware,) = store.list()
    return (Path(firmware.directory) / path).resolve().name


def from_apple(apple: AppleServers) -> int:
    """Bytes that were asked of Apple; -1: all that there is."""
    asked = 0
    for seen in apple.requests:
        if seen.service is AppleService.CDN:
            if not (part := re.fullmatch(r"bytes=(\d+)-(\d+)", seen.range)):
                return -1
            asked += int(part[2]) + 1 - int(part[1])
    return asked


def assert_it_came_from(fetcher: Fetcher, zipped: Path, station: Neighbour, vouching=Vouching.TABLE) -> None:
    (firmware,) = fetcher.store.list()
    assert_right(fetcher, zipped, firmware)
    origin = fetcher.store.origin(firmware)
    assert origin is not None
    assert (origin.host, origin.vouching) == (station.host, vouching)
    last = fetcher.told[-1]
    assert (last.origin, last.nearby, last.done == last.total > 0) == (station.host, True, True)


def assert_it_came_from_apple(fetcher: Fetcher, zipped: Path, apple: AppleServers, why: str = "") -> None:
    (firmware,) = fetcher.store.list()
    assert_right(fetcher, zipped, firmware)
    origin = fetcher.store.origin(firmware)
    assert origin is not None
    assert (origin.host, origin.vouching) == (apple.host, Vouching.DIGEST)
    assert (fetcher.told[-1].origin, fetcher.told[-1].nearby) == (apple.host, False)
    assert any(re.search(why, told.says) for told in fetcher.told), {told.says for told in fetcher.told}


async def until(fetcher: Fetcher, neighbour: Neighbour, sha256: str, done: int) -> int:
    """Fetch so many bytes of a content at least, and stop; how many it were."""
    state = fetcher.store.path / f".fetch-{fetcher.offer.id}" / "near.json"
    fetcher.stop = threading.Event()
    fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=1 * MIB)

    def here() -> int:
        files = json.loads(state.read_bytes())["files"] if state.exists() else {}
        return next((each["written"] for each in files.values() if each["sha256"] == sha256), 0)

    def watch() -> None:
        while not fetcher.stop.wait(0.01):
            if here() >= done:
                fetcher.stop.set()

    watcher = asyncio.create_task(asyncio.to_thread(watch))
    try:
        with pytest.raises(Refused, match="stopped"):
            await asyncio.to_thread(fetcher)
    finally:
        fetcher.stop.set()
        await watcher
    fetcher.stop = threading.Event()
    fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=None)
    return here()


async def test_it_comes_from_a_neighbour(apple, neighbour, fetcher, zipped):
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour)
    # The table of contents and the manifest, of which at most so much is read at first.
    assert 0 < from_apple(apple) < 400 * KIB
    assert len(set(neighbour.contents)) == len(neighbour.contents)


async def test_one_that_has_something_else_is_not_asked_for_it(apple, neighbour, fetcher, zipped):
    neighbour.answers[LIST] = lambda _: Response(b"[]")
    await asyncio.to_thread(fetcher)
    assert_it_came_from_apple(fetcher, zipped, apple)
    assert [path for path, _ in neighbour.asked] == [LIST]


@pytest.mark.parametrize(
    ("behaviour", "after"),
    [
        (Behaviour.CUT, 400 * KIB),
        (Behaviour.STALL, 600 * KIB),
        pytest.param(Behaviour.TRICKLE, 600 * KIB, marks=pytest.mark.long),
        pytest.param(Behaviour.WHOLE, 0, marks=pytest.mark.long),
    ],
)
async def test_one_that_breaks_off(neighbour, fetcher, zipped, behaviour, after):
    """As long as something new comes."""
    if behaviour in (Behaviour.STALL, Behaviour.TRICKLE):
        fetcher.limits = STALLING
    neighbour.behaviour, neighbour.conduct.cut_after = behaviour, after
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (Behaviour.CORRUPT, "is not what it says"),
        (Behaviour.STALL, "does not answer"),
        (Behaviour.CUT, "connection broke"),
        pytest.param(Behaviour.LONGER, "should have", marks=pytest.mark.long),
        pytest.param(Behaviour.UNAVAILABLE, "answers 503", marks=pytest.mark.long),
        pytest.param(Behaviour.HANG, "does not answer", marks=pytest.mark.long),
        pytest.param(Behaviour.AWAY, "answers 307", marks=pytest.mark.long),
    ],
)
async def test_one_that_is_no_use(apple, neighbour, theirs, fetcher, zipped, behaviour, why):
    if behaviour in (Behaviour.STALL, Behaviour.HANG):
        fetcher.limits = STALLING
    neighbour.behaviour, neighbour.only = behaviour, digest_of(theirs, "os.dmg")
    neighbour.conduct.cut_after, neighbour.conduct.redirect_to = 0, apple.origin
    await asyncio.to_thread(fetcher)
    assert_it_came_from_apple(fetcher, zipped, apple, why)


async def test_one_that_goes_in_the_middle_of_a_file(apple, fetcher, theirs, zipped):
    fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=1 * MIB)
    begun, image = asyncio.Event(), digest_of(theirs, "cryptex.dmg")
    async with sharing(Neighbour(theirs.path, after=lambda path: begun.set() if path.endswith(image) else None)) as one:
        fetcher.rules = msgspec.structs.replace(fetcher.rules, nearby=(one.address,))
        fetching = asyncio.create_task(asyncio.to_thread(fetcher))
        await begun.wait()
    await fetching
    assert_it_came_from_apple(fetcher, zipped, apple, f"It does not come from {one.host}: it cannot be reached")


def listed(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], Response]:
    """Another list of files than the true one."""

    def make(body: bytes) -> Response:
        said = json.loads(body)
        change(said)
        return Response(json.dumps(said))

    return make


def endless(_: bytes) -> Response:
    async def zeros():
        while True:
            yield bytes(1 << 16)
            await asyncio.sleep(0)  # when nobody listens any more, nothing else lets others run

    return StreamingResponse(zeros())


LIES = {
    "a file less": (listed(lambda said: said["files"].pop(2)), "is not Apple's"),
    "a file more": (
        listed(lambda said: said["files"].append({"path": "more", "size": 1, "sha256": "0" * 64})),
        "'more' is not Apple's",
    ),
    "a way out": (
        listed(lambda said: said["files"][3].update(path="../../../../tmp/gone")),
        "contradicts itself",
    ),
    "twice the same": (listed(lambda said: said["files"].append(said["files"][0])), "contradicts itself"),
    "another length": (listed(lambda said: said["files"][1].update(size=1 << 60)), "is not Apple's"),
    "another content": (
        listed(lambda said: said["files"][5].update(sha256=said["files"][4]["sha256"])),
        "should have|is not Apple's",
    ),
    "another manifest": (listed(lambda said: said.update(manifest_sha256="0" * 64)), "contradicts itself"),
    "no list": (lambda _: Response(b"\xff\x00"), "does not say what a station says"),
    "too much": (lambda _: Response(bytes(5 << 20)), "too long"),
    "without end": (endless, "does not say how much"),
}


QUICK_ONES = ("a way out", "another content", "too much", "without end")


@pytest.mark.parametrize(
    "lie", [lie if lie in QUICK_ONES else pytest.param(lie, marks=pytest.mark.long) for lie in LIES]
)
async def test_one_that_lies_about_what_it_has(apple, neighbour, theirs, fetcher, zipped, lie):
    make, why = LIES[lie]
    (firmware,) = theirs.list()
    neighbour.answers[f"{LIST}/{Path(firmware.directory).parent.name}"] = make
    await asyncio.to_thread(fetcher)
    assert_it_came_from_apple(fetcher, zipped, apple, why)


def changed(name: str, content: bytes) -> list[Made]:
    return [with_content(made, content) if made.name == name else made for made in mixed()]


def with_content(made: Made, content: bytes) -> Made:
    return Made(made.name, content, made.ends, made.descriptor, made.far, made.gap)


@pytest.mark.parametrize(
    ("name", "why"),
    [("os.dmg", "its 'os.dmg' is not Apple's"), (MANIFEST, "its manifest is not Apple's")],
)
async def test_one_whose_firmware_is_not_apples(apple, fetcher, zipped, tmp_path, name, why):
    """It is consistent in itself: only Apple's word tells."""
    true = {made.name: made.content for made in mixed()}[name]
    other = true.replace(b"Erase", b"erase") if name == MANIFEST else true[:-1] + bytes((true[-1] ^ 1,))
    (tmp_path / "other.ipsw").write_bytes(make_zip(changed(name, other)))
    theirs = FirmwareStore(tmp_path / "theirs", reserve=0)
    if name == MANIFEST:
        other = MANIFEST_DATA.replace(b"os.dmg", b"cryptex.dmg")
        (tmp_path / "other.ipsw").write_bytes(make_zip(changed(name, other)))
    theirs.import_ipsw(tmp_path / "other.ipsw")
    async with sharing(Neighbour(theirs.path)) as neighbour:
        fetcher.rules = msgspec.structs.replace(fetcher.rules, nearby=(neighbour.address,))
        await asyncio.to_thread(fetcher)
        assert_it_came_from_apple(fetcher, zipped, apple, re.escape(why))


async def test_a_liar_is_not_asked_again_and_others_are(apple, neighbour, theirs, fetcher, zipped):
    neighbour.behaviour, neighbour.only = Behaviour.CORRUPT, digest_of(theirs, "os.dmg")
    apple.behaviours[AppleService.CDN] = Behaviour.CORRUPT  # the zip comes to nothing: there will be another try
    apple.corrupt_at = 10_000
    with pytest.raises(Exception, match="twice"):
        await asyncio.to_thread(fetcher)
    neighbour.asked.clear()
    apple.behaviours[AppleService.CDN] = Behaviour.OK
    async with sharing(Neighbour(theirs.path)) as honest:
        fetcher.rules = msgspec.structs.replace(fetcher.rules, nearby=(neighbour.address, honest.address))
        await asyncio.to_thread(fetcher)
        assert_it_came_from(fetcher, zipped, honest)
    assert neighbour.asked == []


@pytest.mark.long
async def test_what_came_from_one_that_is_gone_counts_at_the_next(apple, neighbour, theirs, fetcher, zipped):
    first = digest_of(theirs, "os.dmg")
    neighbour.behaviour, neighbour.only = Behaviour.CUT, first
    neighbour.conduct.cut_after = 0
    async with sharing(Neighbour(theirs.path)) as other:
        fetcher.rules = msgspec.structs.replace(fetcher.rules, nearby=(neighbour.address, other.address))
        await asyncio.to_thread(fetcher)
        assert_it_came_from(fetcher, zipped, other)
        assert not set(neighbour.contents) - {first} & set(other.contents)


async def test_it_goes_on_where_it_was(neighbour, theirs, fetcher, zipped):
    sha256 = digest_of(theirs, "os.dmg")
    offset = await until(fetcher, neighbour, sha256, 200 * KIB)
    (arrival,) = arrivals(fetcher.store.path)
    assert (arrival.state, arrival.nearby) == (ArrivalState.WAITING, True)
    neighbour.asked.clear()
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour)
    assert (OBJECTS + sha256, f"bytes={offset}-") in neighbour.asked


@pytest.mark.long
async def test_what_was_not_compared_yet_is_after_a_crash(apple, neighbour, theirs, fetcher, zipped, monkeypatch):
    """It dies when all of a file is here, written down, and wrong; there is no checksum of Apple's either."""
    apple.behaviours[AppleService.CDN], fetcher.limits = Behaviour.HANG, STALLING
    neighbour.behaviour, neighbour.only = Behaviour.CORRUPT, digest_of(theirs, "os.dmg")
    hexdigest = Digest.hexdigest

    def dies(digest: Digest) -> str:
        said = hexdigest(digest)
        if digest.state().count == 900_000:
            raise RuntimeError("dead")
        return said

    monkeypatch.setattr(Digest, "hexdigest", dies)
    with pytest.raises(RuntimeError, match="dead"):
        await asyncio.to_thread(fetcher)
    monkeypatch.setattr(Digest, "hexdigest", hexdigest)
    neighbour.behaviour = Behaviour.OK
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour, Vouching.NOBODY)


async def test_what_the_store_loses_meanwhile_comes_after_all(neighbour, theirs, fetcher, zipped, tmp_path):
    other = MANIFEST_DATA.replace(b"23C71", b"23C72")
    (tmp_path / "other.ipsw").write_bytes(make_zip(changed(MANIFEST, other)))
    before = fetcher.store.import_ipsw(tmp_path / "other.ipsw")
    manifest = digest_of(theirs, MANIFEST)

    def prune(path: str) -> None:
        if path.endswith(manifest):
            fetcher.store.remove([Path(before.directory).parent.name])

    neighbour.after = prune
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour)
    assert digest_of(theirs, "os.dmg") in neighbour.contents


async def test_a_list_that_drips_is_not_waited_for(apple, neighbour, fetcher, zipped, monkeypatch):
    monkeypatch.setattr(client, "_SECONDS", 0.3)

    async def drip():
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    neighbour.answers[LIST] = lambda _: StreamingResponse(drip(), headers={"Content-Length": "100000"})
    await asyncio.to_thread(fetcher)
    assert_it_came_from_apple(fetcher, zipped, apple, "too slow")


@pytest.mark.long
@pytest.mark.parametrize("change", ["shorter", pytest.param("gone", marks=pytest.mark.long), "state"])
async def test_a_disk_that_changed_where_it_was(neighbour, theirs, fetcher, zipped, change):
    sha256 = digest_of(theirs, "os.dmg")
    await until(fetcher, neighbour, sha256, 200 * KIB)
    directory = fetcher.store.path / f".fetch-{fetcher.offer.id}"
    file = directory / "ipsw" / "os.dmg"
    if change == "shorter":
        os.truncate(file, 100)
    elif change == "gone":
        file.unlink()
    else:
        state = (directory / "near.json").read_bytes()
        (directory / "near.json").write_bytes(state.replace(b'"written":', b'"written":1'))
    neighbour.asked.clear()
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour)
    assert (OBJECTS + sha256, "") in neighbour.asked


async def test_what_the_store_has_is_not_fetched(apple, neighbour, theirs, fetcher, zipped, tmp_path):
    """All but the manifest are another build's too."""
    other = MANIFEST_DATA.replace(b"23C71", b"23C72")
    (tmp_path / "other.ipsw").write_bytes(make_zip(changed(MANIFEST, other)))
    before = fetcher.store.import_ipsw(tmp_path / "other.ipsw")
    await asyncio.to_thread(fetcher)
    assert neighbour.contents == [digest_of(theirs, MANIFEST)]
    fetcher.store.remove([Path(before.directory).parent.name])
    assert_it_came_from(fetcher, zipped, neighbour)


async def test_without_apple_it_is_believed_as_a_stick_is(apple, neighbour, fetcher, zipped):
    fetcher.limits = STALLING
    apple.behaviours[AppleService.CDN] = Behaviour.HANG
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour, Vouching.NOBODY)


@pytest.mark.long
async def test_without_apple_too_it_has_to_be_what_was_asked_for(apple, neighbour, fetcher):
    fetcher.limits = STALLING
    apple.behaviours[AppleService.CDN] = Behaviour.HANG
    fetcher.offer = msgspec.structs.replace(fetcher.offer, product_types=("iPhone13,2", "iPhone99,1"))
    neighbour.answers[LIST] = lambda body: Response(body.replace(b'"iPhone13,2"', b'"iPhone13,2","iPhone99,1"'))
    with pytest.raises(Unreachable):
        await asyncio.to_thread(fetcher)
    assert any("it is not for iPhone99,1" in told.says for told in fetcher.told), [told.says for told in fetcher.told]


async def test_an_apple_that_answers_otherwise_is_not_one_that_is_away(apple, neighbour, fetcher):
    apple.behaviours[AppleService.CDN] = Behaviour.UNAVAILABLE
    with pytest.raises(Unreachable):
        await asyncio.to_thread(fetcher)
    assert neighbour.contents == []


@pytest.mark.long
async def test_what_began_to_come_from_apple_goes_on_there(apple, neighbour, fetcher, zipped):
    nearby, fetcher.rules = fetcher.rules.nearby, msgspec.structs.replace(fetcher.rules, nearby=())
    apple.behaviours[AppleService.CDN], apple.cut_after = Behaviour.CUT, 1 * MIB
    fetcher.limits = msgspec.structs.replace(SOUND, tries=1, stall_seconds=1.0)
    state = fetcher.store.path / f".fetch-{fetcher.offer.id}" / "state.json"
    stop = threading.Thread(target=lambda: wait_for(state, fetcher.stop))
    stop.start()
    fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=1 * MIB)
    with pytest.raises(Refused):
        await asyncio.to_thread(fetcher)
    stop.join()
    fetcher.stop = threading.Event()
    fetcher.rules = msgspec.structs.replace(fetcher.rules, nearby=nearby, bytes_per_second=None)
    kept = fetcher.store.path.with_name("kept")
    shutil.copytree(fetcher.store.path, kept)
    apple.behaviours[AppleService.CDN] = Behaviour.HANG
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour, Vouching.NOBODY)
    shutil.rmtree(fetcher.store.path)
    kept.rename(fetcher.store.path)
    neighbour.asked.clear()
    apple.behaviours[AppleService.CDN] = Behaviour.OK
    fetcher.store = FirmwareStore(fetcher.store.path, reserve=0)
    await asyncio.to_thread(fetcher)
    assert_it_came_from_apple(fetcher, zipped, apple)
    assert neighbour.asked == []


def wait_for(state: Path, stop: threading.Event) -> None:
    while not stop.wait(0.01):
        if state.exists():
            stop.set()


async def test_one_that_drips_is_no_help(apple, neighbour, theirs, fetcher, zipped):
    fetcher.limits = msgspec.structs.replace(SOUND, near_seconds=0.3, least_bytes=1)
    neighbour.behaviour, neighbour.only = Behaviour.TRICKLE, digest_of(theirs, "os.dmg")
    neighbour.conduct.cut_after = 0
    await asyncio.to_thread(fetcher)
    assert_it_came_from_apple(fetcher, zipped, apple, "too slow")


@pytest.mark.long
async def test_not_faster_than_allowed(neighbour, fetcher, zipped):
    fetcher.rules = msgspec.structs.replace(fetcher.rules, bytes_per_second=4 * MIB)
    began = asyncio.get_running_loop().time()
    await asyncio.to_thread(fetcher)
    assert asyncio.get_running_loop().time() - began > zipped.stat().st_size / (4 * MIB) / 2
    assert_it_came_from(fetcher, zipped, neighbour)


async def test_no_room(neighbour, fetcher):
    fetcher.store.reserve = 1 << 60
    with pytest.raises(Exception, match="MiB more"):
        await asyncio.to_thread(fetcher)
    assert neighbour.contents == []


async def test_others_fill_the_disk(neighbour, theirs, fetcher, zipped):
    image = digest_of(theirs, "os.dmg")

    def fill(path: str) -> None:
        if path.endswith(image):
            fetcher.store.reserve = 1 << 60

    neighbour.after = fill
    with pytest.raises(StorageError, match="MiB more"):
        await asyncio.to_thread(fetcher)
    neighbour.after = lambda _: None
    fetcher.store.reserve = 0
    before = set(neighbour.contents)
    neighbour.asked.clear()
    await asyncio.to_thread(fetcher)
    assert_it_came_from(fetcher, zipped, neighbour)
    assert set(neighbour.contents) & before <= {image}
