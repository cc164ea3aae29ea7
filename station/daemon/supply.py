"""Where firmware comes from: lists of what there is are kept fresh, and what is needed is fetched, one at a time.

It runs beside the loop and owns nothing that decides about phones: it is told what they want (`needs`), and tells
what is on its way (`SupplyTold`), always after what has come (`came`). It is long because it is one thing: what is
fetched now follows from what is wanted, what has failed, who asked and what the clock says, all at once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from msgspec.structs import replace

from station.core.arriving import Lack
from station.core.events import OperatorTold, SupplyTold
from station.core.supplying import (
    ANOTHER_FIRST,
    LOOKING,
    NOTHING_CAME,
    NOTHING_NEWER,
    USELESS,
    Errand,
    Plan,
    Urgency,
    again,
    backoff,
    plan,
    stopped_by_operator,
    within,
)
from station.core.wants import Want
from station.daemon.fetching import FAILED, WRONG, End, Fetch, FetchStarter
from station.errors import StationError
from station.model.catalog import Arrival, ArrivalState, Fetching, Offer

REFRESH_SECONDS = 6 * 3600.0
"""Between two looks at the lists, give or take a tenth: not all stations ask at once."""
STALE_SECONDS = 900.0
"""How old the lists may be when a phone needs something that is not here."""
FIRST_BACKOFF, LONGEST_BACKOFF = 10.0, 600.0
"""Seconds before a download is tried again."""
LONGEST_LIST_BACKOFF = 3600.0
"""The same for the lists. While a phone waits it is at most LONGEST_BACKOFF."""
MOST_FAILURES = 6
"""So often in a row a download may fail without getting any further: half an hour."""
STALL_SECONDS = 600.0
"""A download that gets no further for so long is ended, and tried again."""
FORGIVE_SECONDS = 1800.0
"""After which what had failed for good is tried again, if it is still wanted."""
LOOK_SECONDS = 1.0
"""Between two looks at how far a download is."""
AHEAD_SECONDS = 600.0
"""Between two looks at the clock, where firmware is fetched ahead of need."""


Tell = Callable[[SupplyTold | OperatorTold], None]
Came = Callable[[Offer], Awaitable[None]]

log = structlog.get_logger(__name__)


class Depot(Protocol):
    """The store and the lists. Every call blocks."""

    def refresh(self, product_types: Collection[str]) -> None:
        """Ask the lists anew, as far as they can be reached. Raises Unreachable when none could be."""
        ...

    def age(self) -> float | None:
        """Seconds since a list was read; None: never."""
        ...

    def pick(self, product_type: str, build: str, attended: bool) -> Offer | Lack:
        """What is offered for a model and a build (empty: what this station gives it), or why there is none."""
        ...

    def here(self, product_type: str, build: str) -> bool:
        """Whether the store has it."""
        ...

    def arrival(self, offer: Offer) -> Arrival | None:
        """What its download says of itself. Raises StorageError: the disk does not tell."""
        ...

    def make_room(self, offer: Offer, in_use: Collection[str], seen: Collection[str]) -> None:
        """Remove what may be removed until it fits: nothing that is in use or needed for models that were seen.

        Raises:
            StorageError: there is no disk to put it on.
        """
        ...

    def order(self, offer: Offer) -> bytes:
        """What the process is told that fetches it."""
        ...

    def notices(self, product_types: Collection[str]) -> tuple[str, ...]:
        """What an operator should know of the lists, in sentences."""
        ...


@dataclass
class _Tries:
    """What became of a download so far."""

    failures: int = 0
    """In a row, without getting any further."""
    done: int = 0
    again_at: float = 0.0
    failed_at: float | None = None
    """Since when it is given up."""
    says: str = ""
    remedy: str = ""


@dataclass
class _Run:
    """The download that is under way."""

    errand: Errand
    fetch: Fetch
    end: "asyncio.Task[End]"
    seen: Arrival | None = None
    progressed_at: float = 0.0

    @property
    def state(self) -> ArrivalState | None:
        """What it said last that it is at."""
        return None if self.seen is None else self.seen.state


@dataclass
class _Needs:
    wants: frozenset[Want] = frozenset()
    models: frozenset[str] = frozenset()
    """Of the phones that are here."""
    seen: frozenset[str] = frozenset()
    """Of phones that were here."""
    in_use: frozenset[str] = frozenset()
    asked: set[str] = field(default_factory=set)
    """Models for which an operator wants the newest."""
    stopped: set[str] = field(default_factory=set)
    """Builds that an operator does not want."""


class Unsupplied:
    """Of a station that fetches nothing: its firmware is imported."""

    async def run(self, tell: Tell, came: Came) -> None:
        """There is nothing to do."""

    def needs(self, **wanted: object) -> None:
        """Whatever is needed, people bring it."""

    def ask(self) -> None:
        """Nobody is asked."""

    def stop(self, build: str) -> None:
        """Nothing is on its way."""


class Supply:
    """Keeps the lists fresh and fetches what is needed."""

    def __init__(
        self,
        depot: Depot,
        fetches: FetchStarter,
        *,
        fetching: Fetching,
        hours: str,
        clock: Callable[[], float],
        local: Callable[[], datetime | None],
    ) -> None:
        """Fetch nothing yet.

        Args:
            depot: the store and the lists.
            fetches: starts downloads.
            fetching: when anything is fetched.
            hours: local time in which it is fetched ahead of need.
            clock: CLOCK_BOOTTIME seconds.
            local: local time; None: it is not known.
        """
        self._depot = depot
        self._fetches = fetches
        self._fetching = fetching
        self._hours = hours
        self._clock = clock
        self._local = local
        self._needs = _Needs()
        self._tries: dict[str, _Tries] = {}
        self._run: _Run | None = None
        self._stirred = asyncio.Event()
        self._refresh: asyncio.Task[None] | None = None
        self._refreshed_for: frozenset[str] = frozenset()
        self._refresh_failures = 0
        self._refresh_tried_at: float | None = None
        self._refresh_every = REFRESH_SECONDS
        self._told: SupplyTold | None = None
        self._planned: dict[str, Offer] = {}
        """What was to be fetched when that was looked at last."""

    # -- what others tell

    def needs(
        self, *, wants: frozenset[Want], models: frozenset[str], seen: frozenset[str], in_use: frozenset[str]
    ) -> None:
        """What is wanted now. Cheap: it is said again and again."""
        now = self._needs
        if (wants, models, seen, in_use) != (now.wants, now.models, now.seen, now.in_use):
            now.wants, now.models, now.seen, now.in_use = wants, models, seen, in_use
            self._stirred.set()

    def ask(self) -> None:
        """An operator wants the newest for the models that are here, now."""
        self._needs.asked |= self._needs.models
        self._needs.stopped.clear()
        self._tries.clear()
        self._refresh_tried_at, self._refresh_failures = None, 0
        self._stirred.set()

    def stop(self, build: str) -> None:
        """An operator does not want this build to be fetched."""
        self._needs.stopped.add(build)
        self._stirred.set()

    # -- what it does

    async def run(self, tell: Tell, came: Came) -> None:
        """Work until cancelled; then the download ends too, and is gone on with the next time.

        Args:
            tell: is told what is on its way, whenever that changes, and an operator when nothing newer is to be had.
            came: looks for what has come, and tells of it; waited for before `tell` is called again.
        """
        self._tell, self._came = tell, came
        try:
            while True:
                self._stirred.clear()
                try:
                    wait = await self._turn()
                except (StationError, OSError) as error:  # a disk that fails costs the supply, not the daemon
                    log.warning("firmware cannot be seen to", error=str(error))
                    wait = FIRST_BACKOFF
                try:
                    async with asyncio.timeout(wait):
                        await self._stirred.wait()
                except TimeoutError:
                    pass
        finally:
            if self._refresh is not None:
                self._refresh.cancel()
            await self._stop_run()

    async def _turn(self) -> float:
        """Do what is due. Returns for how many seconds nothing is, if nobody stirs."""
        now = self._clock()
        self._forgive(now)
        await self._take_end(now)
        known = await asyncio.to_thread(self._plan)
        await self._tell_of_what_others_brought(known)
        wait = await self._keep_fresh(known, now)
        if self._refresh is not None and self._refresh.done() and not self._refresh_failures:
            # What was asked for is on its way, or there is nothing newer: what comes out next year was not meant.
            coming = {model for each in known.errands for model in each.offer.product_types}
            if self._needs.asked and not self._needs.asked & coming:
                self._tell(OperatorTold(says=NOTHING_NEWER))
            self._needs.asked &= coming
        self._tries = {each: tries for each, tries in self._tries.items() if each in _ids(known)}
        await self._drive(known, now)
        notices = await asyncio.to_thread(self._depot.notices, self._models)
        self._say(known, now, notices)
        waits = [wait, *(tries.again_at - now for tries in self._tries.values() if tries.again_at > now)]
        waits += [tries.failed_at + FORGIVE_SECONDS - now for tries in self._tries.values() if tries.failed_at]
        if self._run is not None:
            waits.append(LOOK_SECONDS)
        if self._fetching is Fetching.AHEAD:
            waits.append(AHEAD_SECONDS)
        return max(0.05, min(waits))

    async def _tell_of_what_others_brought(self, known: Plan) -> None:
        """What needs no fetching any more may be here: imported by hand, for example."""
        gone = {name: offer for name, offer in self._planned.items() if name not in _ids(known)}
        self._planned = {each.offer.id: each.offer for each in known.errands}
        for offer in gone.values():
            if await asyncio.to_thread(self._depot.here, offer.product_types[0], offer.build):
                await self._came(offer)

    # -- the lists

    @property
    def _models(self) -> frozenset[str]:
        return self._needs.models | self._needs.seen

    async def _keep_fresh(self, known: Plan, now: float) -> float:
        """Have the lists asked anew when it is time. Returns in how many seconds it is."""
        if self._refresh is not None and not self._refresh.done():
            return REFRESH_SECONDS
        needy = bool(known.lacking) or any(each.urgency < Urgency.AHEAD for each in known.errands)
        unknown = bool(known.lacking) and not self._models <= self._refreshed_for
        if self._refresh_tried_at is None or unknown:
            due = now
        elif self._refresh_failures:
            longest = LONGEST_BACKOFF if needy else LONGEST_LIST_BACKOFF
            due = self._refresh_tried_at + backoff(self._refresh_failures, first=FIRST_BACKOFF, longest=longest)
        else:
            age = await asyncio.to_thread(self._depot.age)
            often = STALE_SECONDS if known.lacking else self._refresh_every
            due = self._refresh_tried_at + often if age is None else now - age + often
            due = max(due, self._refresh_tried_at + STALE_SECONDS)  # whatever the disk says of their age
        if due > now:
            return due - now
        if not self._models:
            return REFRESH_SECONDS  # there is nothing to ask about
        self._refresh = asyncio.create_task(self._do_refresh())
        return REFRESH_SECONDS

    async def _do_refresh(self) -> None:
        models = self._models
        try:
            await asyncio.to_thread(self._depot.refresh, models)
        except Exception as error:  # noqa: BLE001 (what nobody foresaw must not be asked again every second)
            self._refresh_failures += 1
            log.warning("the lists of firmware cannot be read", error=repr(error), failures=self._refresh_failures)
        else:
            self._refresh_failures = 0
            log.info("lists of firmware read", models=len(models))
        self._refresh_every = REFRESH_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311 (no secret)
        self._refreshed_for, self._refresh_tried_at = models, self._clock()
        self._stirred.set()

    # -- what to fetch

    def _plan(self) -> Plan:
        ahead: Collection[str] = ()
        local = self._local() if self._fetching is Fetching.AHEAD else None
        if local is not None and within(self._hours, local):
            ahead = self._models
        depot, needs = self._depot, self._needs
        found = plan(needs.wants, asked=tuple(needs.asked), ahead=ahead, here=depot.here, pick=depot.pick)
        found = self._with_what_is_being_put_away(found)
        stopped = [each for each in found.errands if each.offer.build in needs.stopped]
        lacking = dict(found.lacking)
        for errand in stopped:
            lacking |= dict.fromkeys(errand.offer.product_types, stopped_by_operator(errand.offer.version))
        return Plan(errands=tuple(each for each in found.errands if each not in stopped), lacking=lacking)

    def _with_what_is_being_put_away(self, found: Plan) -> Plan:
        """A download that is in the store is not over before its process is: only then is it told that it has come."""
        run = self._run
        if run is None or any(each.offer.id == run.errand.offer.id for each in found.errands):
            return found
        offer = run.errand.offer
        if not self._depot.here(offer.product_types[0], offer.build):
            return found
        return Plan(errands=(run.errand, *found.errands), lacking=found.lacking)

    def _forgive(self, now: float) -> None:
        for name, tries in list(self._tries.items()):
            if tries.failed_at is not None and now >= tries.failed_at + FORGIVE_SECONDS:
                del self._tries[name]

    async def _drive(self, known: Plan, now: float) -> None:
        """Have the most urgent that may be tried now fetched, and nothing else."""
        may = [each for each in known.errands if self._may_try(each.offer.id, now)]
        run = self._run
        if run is not None:
            still = next((each for each in known.errands if each.offer.id == run.errand.offer.id), None)
            if still is not None and not any(each.urgency < still.urgency for each in may):
                run.errand = still
                await self._watch(run, now)
                return
            log.info("download stopped", build=run.errand.offer.build, wanted=still is not None)
            await self._stop_run()
        for errand in may:
            if await self._start(errand, now):
                return

    def _may_try(self, name: str, now: float) -> bool:
        tries = self._tries.get(name)
        return tries is None or (tries.failed_at is None and tries.again_at <= now)

    async def _start(self, errand: Errand, now: float) -> bool:
        offer = errand.offer
        try:
            await asyncio.to_thread(self._depot.make_room, offer, self._needs.in_use, self._models)
            fetch = await self._fetches.start(self._depot.order(offer))
        except (StationError, OSError) as error:
            remedy = getattr(error, "remedy", "")
            log.warning("download not started", build=offer.build, error=str(error))
            self._tries[offer.id] = _Tries(failed_at=now, says=str(error), remedy=remedy)
            return False
        log.info("download started", build=offer.build, version=offer.version, bytes=offer.size)
        end = asyncio.create_task(fetch.ended())
        end.add_done_callback(lambda _: self._stirred.set())
        self._run = _Run(errand=errand, fetch=fetch, end=end, progressed_at=now)
        return True

    async def _watch(self, run: _Run, now: float) -> None:
        """See how far it is; end it when it gets no further."""
        seen = await self._seen(run.errand.offer)
        tries = self._tries.setdefault(run.errand.offer.id, _Tries())
        if seen is not None and seen.done > tries.done:
            tries.done, tries.failures, run.progressed_at = seen.done, 0, now
        if seen is not None and run.seen is not None and seen.done != run.seen.done:
            run.progressed_at = now  # what begins anew has less than before, and comes all the same
        if seen is not None and seen.state is ArrivalState.CHECKING and run.state is not ArrivalState.CHECKING:
            run.progressed_at = now  # nothing comes any more, and it is not over
        run.seen = seen or run.seen
        if now - run.progressed_at >= STALL_SECONDS:
            log.warning("download stalls", build=run.errand.offer.build)
            await self._stop_run()
            self._count_failure(run.errand.offer, NOTHING_CAME, "", now)

    async def _seen(self, offer: Offer) -> Arrival | None:
        return await asyncio.to_thread(self._depot.arrival, offer)

    async def _take_end(self, now: float) -> None:
        """The download has ended: it is here, or it is not."""
        run = self._run
        if run is None or not run.end.done():
            return
        code, complaint = run.end.result()
        offer = run.errand.offer
        seen = None if code == 0 else await self._seen(offer)
        self._run = None  # not before that was read: where the disk fails, it is looked at again
        if code == 0:
            log.info("download is here", build=offer.build, version=offer.version)
            self._needs.asked -= set(offer.product_types)
            self._planned.pop(offer.id, None)
            await self._came(offer)
            if await asyncio.to_thread(self._depot.here, offer.product_types[0], offer.build):
                self._tries.pop(offer.id, None)
            else:
                self._count_failure(offer, USELESS, "", now)
            return
        words = complaint if code in (FAILED, WRONG) else ""
        says, remedy = (words, "") if seen is None or not seen.says else (seen.says, seen.remedy)
        log.warning("download failed", build=offer.build, code=code, says=says or complaint)
        if code == WRONG:
            self._tries[offer.id] = _Tries(failed_at=now, says=says, remedy=remedy)
            return
        tries = self._tries.setdefault(offer.id, _Tries())
        if seen is not None and seen.done > tries.done:
            tries.done, tries.failures = seen.done, 0
        self._count_failure(offer, says, remedy, now)

    def _count_failure(self, offer: Offer, says: str, remedy: str, now: float) -> None:
        tries = self._tries.setdefault(offer.id, _Tries())
        tries.failures += 1
        tries.says, tries.remedy = says, remedy
        if tries.failures >= MOST_FAILURES:
            tries.failed_at = now
        else:
            tries.again_at = now + backoff(tries.failures, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF)

    async def _stop_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            await run.fetch.stop()
            run.end.cancel()  # one that is stuck in the kernel ends when it can
            await asyncio.wait([run.end])

    # -- what others are told

    def _say(self, known: Plan, now: float, notices: tuple[str, ...]) -> None:
        lacking = dict(known.lacking)
        if self._refresh is not None and not self._refresh.done():
            lacking |= dict.fromkeys(set(lacking) - self._refreshed_for, LOOKING)
        told = SupplyTold(
            arrivals=tuple(self._arrival(each, now) for each in known.errands),
            lacking=lacking,
            notices=notices,
        )
        if told != self._told:
            self._told = told
            self._tell(told)

    def _arrival(self, errand: Errand, now: float) -> Arrival:
        offer, run = errand.offer, self._run
        tries = self._tries.get(offer.id, _Tries())
        waiting = Arrival(
            version=offer.version,
            build=offer.build,
            product_types=offer.product_types,
            state=ArrivalState.WAITING,
            done=tries.done,
            total=offer.size,
        )
        if run is not None and run.errand.offer.id == offer.id:
            if run.seen is None or run.state is ArrivalState.FAILED:  # of an earlier try: it has not said anything yet
                return replace(waiting, state=ArrivalState.FETCHING)
            return replace(run.seen, product_types=offer.product_types)
        if tries.failed_at is not None:
            return replace(waiting, state=ArrivalState.FAILED, says=tries.says, remedy=tries.remedy)
        if tries.again_at > now:
            return replace(waiting, says=again(tries.says))
        return replace(waiting, says=ANOTHER_FIRST)


def _ids(known: Plan) -> set[str]:
    return {each.offer.id for each in known.errands}
