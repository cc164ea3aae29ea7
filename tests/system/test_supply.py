"""Firmware that is not here: found in lists, fetched, waited for and installed, by a station as it is delivered."""

import asyncio
import re
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from station.adapters.firmware import FirmwareStore
from station.adapters.origins import Vouching
from station.adapters.sharing.server import serving
from station.model.api import BayState, BayView, Cancel
from station.model.catalog import Arrival, ArrivalState
from station.model.gates import Gate
from station.model.record import Outcome
from station.model.service import Service
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.firmware.ipsw import make_ipsw, zip_ipsw
from station.virtual.phones.models import find_model
from tests.system.rig import Rig, make_rig

pytestmark = pytest.mark.system

VERSION, BUILD = "26.2", "23C55"
KIB = 1024


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small firmware for the iPhone 12, unpacked and as Apple's servers have it."""
    place = tmp_path_factory.mktemp("offered")
    ipsw = make_ipsw(
        place / "ipsw",
        version=VERSION,
        build=BUILD,
        models=[find_model("iPhone 12")],
        os_bytes=600 * KIB + 77,
        cryptex_bytes=200 * KIB + 5,
        ramdisk_bytes=100 * KIB,
    )
    return ipsw, zip_ipsw(ipsw, place / f"iPhone13,2_{VERSION}_{BUILD}_Restore.ipsw")


@asynccontextmanager
async def without_firmware(
    images: tuple[Path, Path], *, kbytes_per_second: int = 0, **supply: object
) -> AsyncGenerator[Rig, None]:
    """A station with nothing in its store; Apple has it."""
    settings = {"STATION_SUPPLY": msgspec.json.encode({"kbytes_per_second": kbytes_per_second, **supply}).decode()}
    place = Path(images[0].parent)
    async with make_rig(FirmwareStore(place / "nowhere"), settings=settings) as rig:
        rig.environment["STATION_FIRMWARE"] = str(rig.directory / "firmware")
        unpacked, zipped = images
        await asyncio.to_thread(rig.host.apple.register, unpacked)
        await asyncio.to_thread(rig.host.apple.offer, zipped)
        yield rig


def awaited(view: BayView) -> Arrival | None:
    return None if view.job is None else view.job.awaits


def arriving(view: BayView) -> bool:
    """Whether its firmware is on its way."""
    return any(offer.service is Service.RESTORE and not offer.findings and offer.told for offer in view.offers)


def is_here(view: BayView) -> bool:
    """Whether there is nothing to wait for any more."""
    return view.state is BayState.READY and view.hint.endswith(f"install iOS {VERSION}.")


def closed(view: BayView, service: Service) -> str:
    """Why a service cannot be given."""
    found = next((offer for offer in view.offers if offer.service is service), None)
    return "" if found is None else " ".join(finding.title for finding in found.findings)


def downloads(rig: Rig) -> list[str]:
    """What was asked of the CDN, each path once."""
    return sorted({seen.path for seen in rig.host.apple.requests if seen.service is AppleService.CDN})


@pytest.mark.timeout(120)
async def test_what_is_not_here_is_fetched_and_begins_by_itself_for_two_phones(images: tuple[Path, Path]):
    async with without_firmware(images, kbytes_per_second=2000) as rig, rig.station() as station:
        phones = {bay: rig.plug(bay) for bay in ("1", "2")}
        for bay, phone in phones.items():
            await station.until_bay(bay, arriving)
            await station.confirm(bay, phone)
            view = await station.until_state(bay, BayState.QUEUED)
            assert view.title == f"Waiting for iOS {VERSION}"
            assert phone.destructions == []
        coming = awaited(await station.until_bay("1", lambda view: awaited(view) is not None))
        assert coming is not None
        assert (coming.build, coming.total) == (BUILD, images[1].stat().st_size)
        assert coming.state in (ArrivalState.FETCHING, ArrivalState.CHECKING)
        for bay in phones:
            await station.until_recorded(bay, seconds=60)
        assert [record.outcome for record in rig.records()] == [Outcome.VERIFIED, Outcome.VERIFIED]
        assert all(record.firmware is not None and record.firmware.build == BUILD for record in rig.records())
        assert len(downloads(rig)) == 1
        assert FirmwareStore(rig.directory / "firmware").every_for("iPhone13,2")


@pytest.mark.timeout(120)
async def test_a_phone_that_leaves_meanwhile_gets_nothing_and_one_that_is_cancelled_neither(images: tuple[Path, Path]):
    async with without_firmware(images, kbytes_per_second=2000) as rig, rig.station() as station:
        leaving, staying = rig.plug("1"), rig.plug("2")
        for bay, phone in (("1", leaving), ("2", staying)):
            await station.until_bay(bay, arriving)
            await station.confirm(bay, phone)
        await station.clear("1")
        again = rig.plug("1")
        await station.obeyed(Cancel, "2")
        await station.until_bay(
            "2", lambda view: view.state is BayState.READY and "fetched" not in view.hint, seconds=60
        )
        await station.until_bay("1", lambda view: view.state is BayState.READY and "fetched" not in view.hint)
        assert rig.records() == []
        assert [each.destructions for each in (leaving, staying, again)] == [[], [], []]


@pytest.mark.timeout(120)
async def test_without_apple_it_says_so_and_erases_all_the_same(images: tuple[Path, Path]):
    async with without_firmware(images) as rig:
        rig.host.apple.behaviours[AppleService.CATALOG] = Behaviour.UNAVAILABLE
        async with rig.station() as station:
            phone = rig.plug("1")
            view = await station.until_bay("1", lambda view: "no list" in closed(view, Service.RESTORE))
            found = next(offer for offer in view.offers if offer.service is Service.RESTORE).findings
            assert [finding.gate for finding in found] == [Gate.FIRMWARE]
            assert "“Erase” works without it." in found[0].remedy
            await station.confirm("1", phone, Service.ERASE)
            await station.until_recorded("1", seconds=60)
            assert [record.outcome for record in rig.records()] == [Outcome.VERIFIED]


@pytest.mark.timeout(120)
async def test_what_the_servers_have_is_not_what_was_offered(images: tuple[Path, Path]):
    async with without_firmware(images, kbytes_per_second=2000) as rig:
        rig.host.apple.behaviours[AppleService.CDN] = Behaviour.CORRUPT
        async with rig.station() as station:
            phone = rig.plug("1")
            await station.until_bay("1", arriving)
            await station.confirm("1", phone)
            view = await station.until_bay("1", lambda view: view.title == "It did not begin", seconds=60)
            assert view.state is BayState.READY
            assert f"iOS {VERSION} could not be fetched." in view.hint
            assert (rig.records(), phone.destructions) == ([], [])


@pytest.mark.timeout(120)
async def test_it_comes_from_the_station_next_to_it(images: tuple[Path, Path], tmp_path: Path):
    """Which found it good itself. Apple is asked what it has to be, and for nothing of what it is."""
    unpacked, zipped = images
    theirs = FirmwareStore(tmp_path / "theirs", reserve=0)
    await asyncio.to_thread(theirs.import_ipsw, unpacked)
    async with (
        serving(theirs.path, "127.0.0.1", 0) as (host, port),
        without_firmware(images, nearby=[f"http://{host}:{port}"]) as rig,
        rig.station() as station,
    ):
        phone = rig.plug("1")
        await station.until_bay("1", lambda view: arriving(view) or is_here(view))
        await station.confirm("1", phone)
        await station.until_recorded("1", seconds=60)
        assert [record.outcome for record in rig.records()] == [Outcome.VERIFIED]
        store = FirmwareStore(rig.directory / "firmware")
        (firmware,) = store.list()
        origin = store.origin(firmware)
        assert origin is not None
        assert (origin.host, origin.vouching) == (f"{host}:{port}", Vouching.TABLE)
        ranges = [seen.range for seen in rig.host.apple.requests if seen.service is AppleService.CDN]
        parts = [re.fullmatch(r"bytes=(\d+)-(\d+)", each) for each in ranges]
        assert parts
        assert all(parts), ranges
        asked = [(int(part[1]), int(part[2])) for part in parts if part]
        with zipfile.ZipFile(zipped) as archive:
            offsets = {info.filename: info.header_offset for info in archive.infolist()}
            table = archive.start_dir
        manifest = offsets["BuildManifest.plist"]
        # The end, with a quarter of a megabyte of what is before it; the manifest, with what its header may be.
        size = zipped.stat().st_size
        assert all((end == size - 1 and start <= table) or start == manifest for start, end in asked), asked


@pytest.mark.timeout(120)
async def test_a_daemon_that_is_killed_goes_on_where_it_was(images: tuple[Path, Path]):
    async with without_firmware(images, kbytes_per_second=1000) as rig:
        async with rig.station() as station:
            rig.plug("1")
            await station.until_bay("1", arriving)
            state = rig.directory / "firmware"
            async with asyncio.timeout(60):
                while not list(state.glob(".fetch-*/state.json")):
                    await station.next()
            await station.kill()
        rig.environment["STATION_SUPPLY"] = "{}"
        async with rig.station() as station:
            await station.until_bay("1", is_here)
            asked = [seen for seen in rig.host.apple.requests if seen.service is AppleService.CDN]
            assert asked
            assert FirmwareStore(state).every_for("iPhone13,2")
