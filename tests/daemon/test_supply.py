"""What is fetched when, with lists and downloads that a test conducts, and a clock that it turns."""

import asyncio
from collections.abc import Collection
from contextlib import asynccontextmanager, suppress
from datetime import datetime, time

import pytest
from msgspec.structs import replace

from station.core import supplying
from station.core.arriving import Lack
from station.core.events import OperatorTold, SupplyTold
from station.core.supplying import NOTHING_NEWER, Urgency, backoff, plan, suits, within
from station.core.wants import Want
from station.daemon import supply
from station.daemon.fetching import WRONG
from station.daemon.supply import Supply, Unsupplied
from station.errors import StorageError, Unreachable
from station.model.catalog import Arrival, ArrivalState, Fetching, Offer, Source

TWELVE, EIGHT = "iPhone13,2", "iPhone10,1"
PATIENCE = 5.0
NOTHING = Lack(title="No list has firmware for this model.", remedy="Import it.")


def offer(build: str = "23C55", version: str = "26.2", models: tuple[str, ...] = (TWELVE,)) -> Offer:
    return Offer(
        version=version,
        build=build,
        product_types=models,
        url=f"https://cdn/{build}.ipsw",
        size=1000,
        sha256=f"{build:0<64}",
        sources=(Source.IPSW_ME,),
    )


NEWEST, NEWER, OTHER = offer(), offer("23D30", "26.3"), offer("20H30", "16.7", (EIGHT,))


class Download:
    """One that a test conducts."""

    def __init__(self, order: bytes) -> None:
        self.build = order.decode()
        self.stopped = False
        self._end: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def ends(self, code: int, says: str = "") -> None:
        self._end.set_result((code, says))

    @property
    def over(self) -> bool:
        return self._end.done()

    async def ended(self) -> tuple[int, str]:
        return await self._end

    async def stop(self) -> None:
        self.stopped = True
        if not self._end.done():
            self._end.set_result((-15, ""))


class World:
    """Lists, a store and a network."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.local: datetime | None = None
        self.offers: list[Offer] = [NEWEST]
        self.store: list[Offer] = []
        self.told_of: list[Arrival] = []
        self.downloads: list[Download] = []
        self.asked: list[frozenset[str]] = []
        self.reachable = True
        self.listed_at: float | None = 1000.0
        self.full = False
        self.broken = False
        self.news: list[SupplyTold | Offer] = []
        self.said: list[str] = []
        """To an operator."""
        self._stir = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    # -- a depot

    def refresh(self, product_types: Collection[str]) -> None:
        self.asked.append(frozenset(product_types))
        self._loop.call_soon_threadsafe(self._stir.set)
        if not self.reachable:
            raise Unreachable("No list can be reached.")
        self.listed_at = self.now

    def age(self) -> float | None:
        return None if self.listed_at is None else self.now - self.listed_at

    def pick(self, product_type: str, build: str, attended: bool) -> Offer | Lack:
        del attended
        if self.listed_at is None:
            return NOTHING
        fitting = [each for each in self.offers if product_type in each.product_types and build in ("", each.build)]
        return fitting[-1] if fitting else NOTHING

    def here(self, product_type: str, build: str) -> bool:
        if self.broken:
            raise OSError("the disk fails")
        return any(product_type in each.product_types and build in ("", each.build) for each in self.store)

    def arrival(self, offer: Offer) -> Arrival | None:
        return next((each for each in self.told_of if each.build == offer.build), None)

    def make_room(self, offer: Offer, in_use: Collection[str], seen: Collection[str]) -> None:
        del offer, in_use, seen
        if self.full:
            raise StorageError("The disk is full.", remedy="Remove something.")

    def order(self, offer: Offer) -> bytes:
        return offer.build.encode()

    def notices(self, product_types: Collection[str]) -> tuple[str, ...]:
        del product_types
        return ()

    # -- a starter

    async def start(self, order: bytes) -> Download:
        self.downloads.append(Download(order))
        self._stir.set()
        return self.downloads[-1]

    # -- who is told

    def tell(self, told: SupplyTold | OperatorTold) -> None:
        if isinstance(told, OperatorTold):
            self.said.append(told.says)
        else:
            self.news.append(told)
        self._stir.set()

    async def came(self, offer: Offer) -> None:
        self.news.append(offer)
        self._stir.set()

    @property
    def told(self) -> SupplyTold:
        return next((each for each in reversed(self.news) if isinstance(each, SupplyTold)), SupplyTold(arrivals=()))

    async def until(self, fits) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._stir.clear()
                with suppress(LookupError):  # nothing of it is there yet
                    if fits():
                        return
                await self._stir.wait()

    async def until_quiet(self, fits) -> None:
        """Wait for what nobody is told of."""
        async with asyncio.timeout(PATIENCE):
            while not fits():
                await asyncio.to_thread(lambda: None)

    def progress(self, build: str, done: int, state: ArrivalState = ArrivalState.FETCHING, **changes) -> None:
        arrival = Arrival(version="26.2", build=build, product_types=(TWELVE,), state=state, done=done, total=1000)
        self.told_of = [replace(arrival, **changes)]


class Driven(Supply):
    """Wakes when a test says that time has passed: the clock is the test's."""

    def later(self, world: World, seconds: float) -> None:
        world.now += seconds
        self._stirred.set()


@asynccontextmanager
async def supplied(world: World, fetching: Fetching = Fetching.NEEDED, hours: str = "22:00-06:00"):
    driven = Driven(world, world, fetching=fetching, hours=hours, clock=lambda: world.now, local=lambda: world.local)
    task = asyncio.create_task(driven.run(world.tell, world.came))
    try:
        yield driven
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def needs(driven: Supply, *models: str, promised: str = "", seen: tuple[str, ...] = ()) -> None:
    wants = {Want(product_type=model, build=promised, promised=bool(promised)) for model in models}
    driven.needs(wants=frozenset(wants), models=frozenset(models), seen=frozenset(seen), in_use=frozenset())


@pytest.fixture
async def world() -> World:
    return World()


async def test_what_a_phone_needs_is_fetched_and_told_in_order(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads and world.told.arrivals)
        assert world.downloads[0].build == "23C55"
        assert world.told.arrivals[0].state is ArrivalState.FETCHING
        world.progress("23C55", 430, seconds_left=360.0)
        driven.later(world, 1)
        await world.until(lambda: world.told.arrivals[0].done == 430)
        world.store.append(NEWEST)
        world.progress("23C55", 1000, ArrivalState.CHECKING)
        driven.later(world, 1)
        await world.until(lambda: world.told.arrivals[0].done == 1000)
        assert not world.downloads[0].stopped
        world.downloads[0].ends(0)
        await world.until(lambda: world.told.arrivals == ())
    (at,) = [number for number, each in enumerate(world.news) if each == NEWEST]
    assert isinstance(world.news[at - 1], SupplyTold)
    assert world.news[at - 1].arrivals
    assert world.news[at + 1].arrivals == ()
    assert len(world.downloads) == 1


async def test_nothing_is_fetched_that_is_here_or_that_nobody_needs(world):
    async with supplied(world) as driven:
        await world.until(lambda: world.news)
        world.store.append(NEWEST)
        needs(driven, TWELVE)
        await world.until(lambda: world.asked)
        assert world.downloads == []


async def test_two_phones_of_one_model_share_a_download_and_others_wait_their_turn(world):
    world.offers = [offer(models=(TWELVE, EIGHT)), offer("21A1", "17.0", ("iPhone11,8",))]
    async with supplied(world) as driven:
        needs(driven, TWELVE, EIGHT, "iPhone11,8")
        await world.until(lambda: world.downloads and len(world.told.arrivals) == 2)
        states = {each.build: (each.state, each.says) for each in world.told.arrivals}
        assert len(world.downloads) == 1
        running = world.downloads[0].build
        (other,) = set(states) - {running}
        assert states[other] == (ArrivalState.WAITING, supplying.ANOTHER_FIRST)


async def test_what_somebody_else_brought_is_told_before_it_is_no_longer_on_its_way(world):
    world.full = True  # it could not be fetched
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.told.arrivals[0].state is ArrivalState.FAILED)
        world.store.append(NEWEST)
        driven.later(world, 1)
        await world.until(lambda: world.told.arrivals == ())
    assert world.news[-2:] == [NEWEST, world.told]


async def test_what_is_not_wanted_any_more_is_stopped(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        needs(driven)
        await world.until(lambda: world.downloads[0].stopped)
        await world.until(lambda: world.told.arrivals == ())


async def test_what_is_promised_comes_before_what_is_needed(world):
    world.offers = [NEWEST, OTHER]
    async with supplied(world) as driven:
        needs(driven, EIGHT)
        await world.until(lambda: world.downloads)
        wants = {Want(product_type=EIGHT), Want(product_type=TWELVE, build="23C55", promised=True)}
        driven.needs(wants=frozenset(wants), models=frozenset({TWELVE, EIGHT}), seen=frozenset(), in_use=frozenset())
        await world.until(lambda: len(world.downloads) == 2)
        assert world.downloads[0].stopped
        assert world.downloads[1].build == "23C55"


async def test_a_failure_is_tried_again_later_and_later_and_then_given_up(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        for number in range(1, supply.MOST_FAILURES + 1):
            await world.until(lambda: len(world.downloads) == number)  # noqa: B023 (awaited at once)
            await world.until(lambda: world.told.arrivals[0].state is ArrivalState.FETCHING)
            world.progress("23C55", 0, ArrivalState.FAILED, says="The server cannot be reached.")
            world.downloads[-1].ends(1)
            if number < supply.MOST_FAILURES:
                await world.until(lambda: world.told.arrivals[0].state is ArrivalState.WAITING)
                assert world.told.arrivals[0].says == "The server cannot be reached. The station tries again by itself."
                driven.later(world, supply.LONGEST_BACKOFF)
        await world.until(lambda: world.told.arrivals[0].state is ArrivalState.FAILED)
        driven.later(world, supply.FORGIVE_SECONDS)
        await world.until(lambda: len(world.downloads) == supply.MOST_FAILURES + 1)


async def test_what_is_wrong_is_given_up_at_once(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        world.progress("23C55", 0, ArrivalState.FAILED, says="It is not what the lists say.", remedy="Import it.")
        world.downloads[0].ends(WRONG)
        await world.until(lambda: world.told.arrivals[0].state is ArrivalState.FAILED)
        assert (world.told.arrivals[0].says, world.told.arrivals[0].remedy) == (
            "It is not what the lists say.",
            "Import it.",
        )
        driven.ask()
        await world.until(lambda: len(world.downloads) == 2)


async def test_how_a_download_ended_is_not_lost_on_a_disk_that_fails(world, monkeypatch):
    arrival = world.arrival
    failed: list[Offer] = []

    def fail_once(offer):
        if world.downloads[0].over and not failed:
            failed.append(offer)
            raise StorageError("The firmware could not be read or written.")
        return arrival(offer)

    monkeypatch.setattr(world, "arrival", fail_once)
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        world.downloads[0].ends(WRONG, "It is not what the lists say.")
        await world.until_quiet(lambda: failed)
        driven.later(world, supply.FIRST_BACKOFF)
        await world.until(lambda: world.told.arrivals[0].state is ArrivalState.FAILED)
        assert len(world.downloads) == 1


async def test_what_only_a_programmer_understands_is_not_said(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        world.downloads[0].ends(3, "IndexError: list index out of range")
        await world.until(lambda: world.told.arrivals[0].state is ArrivalState.WAITING)
        assert world.told.arrivals[0].says == supplying.again("")


async def test_a_download_that_gets_no_further_is_ended(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        world.progress("23C55", 10)
        driven.later(world, supply.STALL_SECONDS - 1)
        await world.until(lambda: world.told.arrivals[0].done == 10)
        driven.later(world, supply.STALL_SECONDS)
        await world.until(lambda: world.downloads[0].stopped)
        await world.until(lambda: world.told.arrivals[0].state is ArrivalState.WAITING)
        assert world.told.arrivals[0].done == 10


async def test_why_a_download_pauses_is_said_and_a_pause_is_no_progress(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        for number in range(3):
            says = f"The server is busy. It is tried again. ({number})"
            world.progress("23C55", 10, ArrivalState.WAITING, says=says)
            driven.later(world, supply.STALL_SECONDS / 4)
            await world.until(lambda: world.told.arrivals[0].says == says)  # noqa: B023 (awaited at once)
            world.progress("23C55", 10)
            driven.later(world, 1)
            await world.until(lambda: world.told.arrivals[0].state is ArrivalState.FETCHING)
        driven.later(world, supply.STALL_SECONDS / 2)
        await world.until(lambda: world.downloads[0].stopped)


async def test_a_disk_that_fails_costs_nothing_but_time(world):
    world.broken = True
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until_quiet(lambda: not driven._stirred.is_set())
        world.broken = False
        driven.later(world, supply.FIRST_BACKOFF)
        await world.until(lambda: world.downloads)


async def test_what_begins_anew_is_no_download_that_gets_no_further(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        for done in (900, *range(0, 900, 100)):
            world.progress("23C55", done, says=f"at {done}")
            driven.later(world, supply.STALL_SECONDS / 2)
            await world.until(lambda done=done: world.told.arrivals[0].done == done)
        assert not world.downloads[0].stopped


async def test_no_room_is_said(world):
    world.full = True
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.news and world.told.arrivals)
        assert world.told.arrivals[0].state is ArrivalState.FAILED
        assert world.told.arrivals[0].remedy == "Remove something."
        assert world.downloads == []


async def test_what_cannot_be_had_is_said_and_lists_are_asked_at_once(world):
    world.reachable, world.listed_at = False, None
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.news and world.told.lacking)
        assert world.told.lacking[TWELVE] in (supplying.LOOKING, NOTHING)
        await world.until(lambda: world.told.lacking[TWELVE] == NOTHING)
        world.reachable = True
        driven.later(world, supply.FIRST_BACKOFF)
        await world.until(lambda: world.downloads)
        assert len(world.asked) == 2


async def test_lists_are_asked_now_and_then(world):
    world.store.append(NEWEST)
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.asked)
        assert driven._refresh is not None
        await driven._refresh
        driven.later(world, 1.2 * supply.REFRESH_SECONDS)
        needs(driven, TWELVE, seen=(EIGHT,))
        await world.until(lambda: len(world.asked) == 2)
        assert world.asked[-1] == {TWELVE, EIGHT}


async def test_lists_that_fail_as_nobody_foresaw_are_not_asked_over_and_over(world):
    refresh = world.refresh

    def fails(product_types: Collection[str]) -> None:
        refresh(product_types)
        raise ValueError

    world.refresh, world.listed_at = fails, None
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.asked)
        for _ in range(3):
            world.listed_at = None
            driven.later(world, 1)
            await world.until_quiet(lambda: not driven._stirred.is_set())
            await asyncio.gather(driven._refresh, return_exceptions=True)
        assert len(world.asked) == 1


async def test_an_operator_stops_and_asks(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        driven.stop("23C55")
        await world.until(lambda: world.downloads[0].stopped)
        await world.until(lambda: world.told.arrivals == ())
        assert world.told.lacking[TWELVE].title == "An operator has stopped the download of iOS 26.2."
        driven.ask()
        await world.until(lambda: len(world.downloads) == 2)


async def test_an_operator_gets_the_newest_although_something_is_here(world):
    world.offers, world.store = [NEWEST, NEWER], [NEWEST]
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.asked)
        assert world.downloads == []
        driven.ask()
        await world.until(lambda: world.downloads)
        assert world.downloads[0].build == "23D30"
        assert world.said == []


async def test_what_comes_out_after_an_operator_asked_was_not_meant(world):
    world.store = [NEWEST]
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await refreshed(world, driven, 1)
        driven.ask()
        await refreshed(world, driven, 2)
        driven.later(world, 1)
        await world.until_quiet(lambda: not driven._needs.asked)
        assert world.said == [NOTHING_NEWER]
        world.offers = [NEWEST, NEWER]
        driven.later(world, 2 * supply.REFRESH_SECONDS)
        await refreshed(world, driven, 3)
        assert world.downloads == []


async def refreshed(world: World, driven: Driven, times: int) -> None:
    """Wait until the lists were read so often."""
    await world.until(lambda: len(world.asked) == times)
    assert driven._refresh is not None
    await driven._refresh


async def test_ahead_of_need_only_in_its_hours_and_only_while_nobody_waits(world):
    world.offers = [NEWEST, OTHER]
    async with supplied(world, Fetching.AHEAD) as driven:
        needs(driven, seen=(EIGHT,))
        world.local = datetime(2026, 1, 1, 12, 0)  # noqa: DTZ001 (local)
        driven.later(world, 1)
        await world.until(lambda: world.asked)
        assert world.downloads == []
        world.local = datetime(2026, 1, 1, 23, 0)  # noqa: DTZ001 (local)
        driven.later(world, 1)
        await world.until(lambda: world.downloads)
        needs(driven, TWELVE, seen=(EIGHT,))
        await world.until(lambda: len(world.downloads) == 2)
        assert world.downloads[0].stopped
        world.store.append(NEWEST)
        world.downloads[1].ends(0)
        await world.until(lambda: len(world.downloads) == 3)
        world.local = datetime(2026, 1, 2, 6, 0)  # noqa: DTZ001 (local)
        driven.later(world, 1)
        await world.until(lambda: world.downloads[2].stopped)


async def test_the_download_ends_with_the_daemon(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
    assert world.downloads[0].stopped


async def test_what_was_fetched_and_cannot_be_used_is_not_fetched_over_and_over(world):
    async with supplied(world) as driven:
        needs(driven, TWELVE)
        await world.until(lambda: world.downloads)
        world.downloads[0].ends(0)
        await world.until(lambda: world.told.arrivals and world.told.arrivals[0].state is ArrivalState.WAITING)
        assert len(world.downloads) == 1


async def test_a_station_that_fetches_nothing_does_nothing():
    nothing = Unsupplied()
    nothing.needs(wants=frozenset())
    nothing.ask()
    nothing.stop("23C55")
    await nothing.run(lambda told: pytest.fail(str(told)), World().came)


@pytest.mark.parametrize(
    ("hours", "clock", "inside"),
    [
        ("22:00-06:00", time(22, 0), True),
        ("22:00-06:00", time(5, 59), True),
        ("22:00-06:00", time(6, 0), False),
        ("22:00-06:00", time(21, 59), False),
        ("01:00-05:00", time(3, 0), True),
        ("01:00-05:00", time(5, 0), False),
        ("01:00-05:00", time(0, 59), False),
    ],
)
def test_hours(hours, clock, inside):
    assert within(hours, datetime.combine(datetime(2026, 1, 1), clock)) is inside  # noqa: DTZ001 (local)


def test_waits_grow_and_end():
    waits = [backoff(failures, first=10, longest=600) for failures in range(1, 7)]
    assert waits == [10, 30, 90, 270, 600, 600]
    assert backoff(10**9, first=10, longest=600) == 600


@pytest.mark.parametrize(
    ("pins", "denied", "fits"),
    [
        ({}, (), True),
        ({"all": "26.2"}, (), True),
        ({"all": "23C55"}, (), True),
        ({"all": "26.1"}, (), False),
        ({"all": "26.1", TWELVE: "26.2"}, (), True),
        ({"all": "26.2", TWELVE: "26.1"}, (), False),
        ({EIGHT: "16.7"}, (), True),
        ({"all": "26.2"}, ("23C55",), False),
        ({}, ("23D30",), True),
    ],
)
def test_pins_and_denials(pins, denied, fits):
    assert suits("26.2", "23C55", product_type=TWELVE, pins=pins, denied=denied) is fits


def test_a_plan_has_each_offer_once_the_most_urgent_first():
    both = offer(models=(TWELVE, EIGHT))
    found = plan(
        {Want(product_type=EIGHT), Want(product_type=TWELVE, build="23C55", promised=True)},
        asked=(TWELVE,),
        ahead=(TWELVE, EIGHT, "iPhone11,8"),
        here=lambda *_: False,
        pick=lambda model, *_: both if model in (TWELVE, EIGHT) else NOTHING,
    )
    assert [(errand.offer, errand.urgency) for errand in found.errands] == [(both, Urgency.PROMISED)]
    assert found.lacking == {}
