"""All lists: asked side by side, each on its own, and put together with what they said before."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from station.adapters.catalogs import apple, appledb, ipsw_me
from station.adapters.catalogs.asking import NotThereError, ask, client
from station.adapters.catalogs.cache import Cache, Shelf, filled, unchanged
from station.adapters.catalogs.sieve import Sieve, is_product
from station.core.catalog import Contradiction, merge
from station.core.supplying import clock_is_wrong
from station.errors import InputRejected, StationError, StorageError, Unreachable
from station.model.catalog import FirmwareHosts, Offer, Source

ANSWER_SECONDS = 90.0
"""For one answer, of 10 MB at most in practice, over a poor line."""
MODELS_AT_ONCE = 4
"""Of which ipsw.me is asked at a time."""
FUTURE = 86_400.0
"""Seconds that a list may seem to have been asked ahead of now, before the station's clock is not believed."""


_FLOOR = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""It is later than that: a computer without a clock of its own may begin in 1970."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What all lists say together."""

    offers: tuple[Offer, ...] = ()
    """One for each IPSW, the newest first; what is contradicted is not among them."""
    contradictions: tuple[Contradiction, ...] = ()
    checked: Mapping[Source, float] = field(default_factory=dict)
    """When each was asked last that counts still, in seconds since 1970: the oldest of its answers."""
    troubles: tuple[str, ...] = ()
    """What is wrong with them, each in plain words."""
    configured: tuple[Source, ...] = ()
    """Those that this station asks."""
    reached: tuple[Source, ...] = ()
    """Those of which at least one answer came just now."""
    clock_wrong: bool = False
    """The station's clock is far behind: when something was asked cannot be told."""

    @property
    def asked(self) -> float | None:
        """When any of them was asked last, in seconds since 1970; None: never, or too long ago."""
        return max(self.checked.values(), default=None)


@dataclass
class _Round:
    """One time of asking."""

    shelves: list[Shelf] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    reached: set[Source] = field(default_factory=set)

    def trouble(self, says: str) -> None:
        if says not in self.troubles:
            self.troubles.append(says)


class Catalogs:
    """The lists, as one station asks for them and keeps what they say."""

    def __init__(
        self,
        directory: Path,
        hosts: FirmwareHosts,
        max_age: timedelta,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Lists that were not looked at yet.

        Args:
            directory: where what they say is kept; made when there is something to keep.
            hosts: where they are.
            max_age: how long what they said counts when they cannot be asked.
            answer_seconds: how long one answer may take, all in all.
            now: the time of day, in seconds since 1970.
        """
        self._hosts = hosts
        self._origins = tuple(origin.rstrip("/").lower() for origin in hosts.origins)
        self._max_age = max_age.total_seconds()
        self._cache = Cache(directory)
        self._seconds = answer_seconds
        self._now = now
        bases = {Source.IPSW_ME: hosts.ipsw_me, Source.APPLEDB: hosts.appledb, Source.APPLE: hosts.apple}
        self._bases = {source: base.rstrip("/") for source, base in bases.items() if base}

    def known(self) -> Known:
        """What they said before, as far as it counts. Reads the disk only."""
        shelves, troubles = self._cache.shelves()
        return self._together(shelves, _Round(troubles=troubles))

    def refresh(self, product_types: Collection[str]) -> Known:
        """Ask all of them about these models, and put it together with what they said before. Blocks, for minutes.

        That one of them cannot be reached, or says what makes no sense, hurts no other: it is told in `troubles`, and
        what it said before counts still.

        Raises:
            ConfigError: the file with authorities cannot be used.
        """
        models = sorted({product_type for product_type in product_types if is_product(product_type)})
        done = asyncio.run(self._ask_all(models))
        shelves, damaged = self._cache.shelves()
        for says in damaged:
            done.trouble(says)
        fresh = {(shelf.source, shelf.about): shelf for shelf in done.shelves}  # the disk may be full
        others = [shelf for shelf in shelves if (shelf.source, shelf.about) not in fresh]
        return self._together([*others, *fresh.values()], done)

    async def _ask_all(self, models: list[str]) -> _Round:
        done = _Round()
        jobs: dict[Source, Callable[[httpx.AsyncClient], Awaitable[None]]] = {
            Source.IPSW_ME: lambda asker: self._ask_ipsw_me(asker, models, done),
            Source.APPLEDB: lambda asker: self._ask_appledb(asker, models, done),
            Source.APPLE: lambda asker: self._ask_apple(asker, done),
        }
        plain = all(base.startswith("http:") for base in self._bases.values())
        async with client(self._hosts.authorities, plain=plain) as asker:
            await asyncio.gather(*(jobs[source](asker) for source in self._bases))
        return done

    async def _ask_ipsw_me(self, asker: httpx.AsyncClient, models: list[str], done: _Round) -> None:
        """Model by model; when it cannot be reached for one it is not asked for the others."""
        base = self._bases[Source.IPSW_ME]
        turns = asyncio.Semaphore(MODELS_AT_ONCE)
        broken = False

        async def one(model: str) -> None:
            nonlocal broken
            shelf = self._cache.read(Source.IPSW_ME, model, ipsw_me.address(base, model))
            async with turns:
                if not broken:
                    broken = not await self._ask(
                        asker, shelf, lambda body, sieve: ipsw_me.parse(body, model, sieve), done, ipsw_me.MAX_BYTES
                    )

        await asyncio.gather(*map(one, models))

    async def _ask_appledb(self, asker: httpx.AsyncClient, models: list[str], done: _Round) -> None:
        base = self._bases[Source.APPLEDB]
        for system in sorted({appledb.system(model) for model in models}):
            shelf = self._cache.read(Source.APPLEDB, system, appledb.address(base, system))
            await self._ask(asker, shelf, appledb.parse, done, appledb.MAX_BYTES)

    async def _ask_apple(self, asker: httpx.AsyncClient, done: _Round) -> None:
        base = self._bases[Source.APPLE]
        also = apple.ALSO if base.startswith("https:") else ()
        await self._ask(asker, self._cache.read(Source.APPLE, "all", base), apple.parse, done, apple.MAX_BYTES, also)

    async def _ask(
        self,
        asker: httpx.AsyncClient,
        shelf: Shelf,
        parse: Callable[[bytes, Sieve], None],
        done: _Round,
        most: int,
        also: tuple[str, ...] = (),
    ) -> bool:
        """Ask for what is on a shelf, and put there what comes. False when the server cannot be reached."""
        who, now = shelf.source.value, self._now()
        try:
            answer = await ask(
                asker, shelf.address, shelf.validators, who=who, most=most, seconds=self._seconds, also=also
            )
            if answer.body is None:
                shelf = unchanged(shelf, now)
            else:
                sieve = Sieve(shelf.source, self._origins)
                # In a thread, because the other lists' deadlines run on.
                await asyncio.to_thread(parse, answer.body, sieve)
                if strangers := sieve.strangers():
                    hosts = ", ".join(strangers[:3])[:100]
                    done.trouble(f"{who} names firmware that is not on Apple's servers ({hosts}). It is left out.")
                shelf = filled(shelf, answer, sieve.offers, now, self._max_age)
            done.reached.add(shelf.source)
            done.shelves.append(shelf)
            self._cache.keep(shelf)
        except NotThereError:
            done.trouble(f"{who} has no list for {shelf.about}.")
        except StorageError as error:
            done.trouble(f"{error} {error.remedy}")
        except StationError as error:
            done.trouble(f"{error} {error.remedy}".strip())
            return not isinstance(error, Unreachable | InputRejected)
        return True

    def _together(self, shelves: Iterable[Shelf], done: _Round) -> Known:
        """What counts of what was kept."""
        now = self._now()
        opinions: list[Offer] = []
        checked: dict[Source, float] = {}
        too_old: set[Source] = set()
        behind = now < _FLOOR
        for shelf in sorted(shelves, key=lambda shelf: (list(Source).index(shelf.source), shelf.about)):
            base = self._bases.get(shelf.source)
            if base is None or not shelf.address.startswith(base):
                continue  # of another network, or no longer asked
            if shelf.checked > now + FUTURE:
                behind = True
                continue
            if not self._counts(shelf.checked, now):
                too_old.add(shelf.source)
                continue
            checked[shelf.source] = min(shelf.checked, checked.get(shelf.source, shelf.checked))
            gone = {model for model, believed in shelf.held.items() if not self._counts(believed, now)}
            opinions += (offer for offer in shelf.offers if self._usable(offer, gone))
            if shelf.held:
                done.trouble(_turned_back(shelf))
        days = round(self._max_age / 86_400)
        for source in sorted(too_old - checked.keys(), key=list(Source).index):
            done.trouble(f"What {source.value} said is more than {days} days old, and does not count any more.")
        if behind:
            done.trouble(clock_is_wrong(datetime.fromtimestamp(now, UTC).date().isoformat()))
        merged = merge(opinions)
        return Known(
            offers=merged.offers,
            contradictions=merged.contradictions,
            checked=checked,
            troubles=tuple(done.troubles),
            configured=tuple(self._bases),
            reached=tuple(source for source in self._bases if source in done.reached),
            clock_wrong=behind,
        )

    def _counts(self, checked: float, now: float) -> bool:
        return now - self._max_age <= checked <= now + FUTURE

    def _usable(self, offer: Offer, gone: set[str]) -> bool:
        """Where firmware may come from may have been changed since."""
        return offer.url.lower().startswith(tuple(f"{origin}/" for origin in self._origins)) and not (
            gone & set(offer.product_types)
        )


def _turned_back(shelf: Shelf) -> str:
    models = sorted(shelf.held)
    what = f"{', '.join(models[:3])}{f' and {len(models) - 3} others' if len(models) > 3 else ''}"
    return f"{shelf.source.value} lists older iOS than before for {what}. What it said before counts."
