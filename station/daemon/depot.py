"""The firmware store and the lists of firmware, as what supplies the station needs them. Every call blocks."""

import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from station.adapters.catalogs import Known
from station.adapters.fetch import FetchRules, arrival_of, discard, leftovers
from station.adapters.firmware import RESERVE, FirmwareStore
from station.core.arriving import Lack
from station.core.catalog import Choice, choose, newer
from station.core.pruning import Policy, plan
from station.core.supplying import CLOCK_WRONG, UNREACHABLE, are_old, is_out, warned
from station.daemon.chosen import ChosenFirmware
from station.daemon.supply_settings import Supply
from station.errors import StorageError, Unreachable
from station.model.catalog import Arrival, FirmwareHosts, Offer
from station.model.firmware import Firmware

OLD_LIST_SECONDS = 24 * 3600.0
"""From when on an operator is told how old the lists are."""


def rules(settings: Supply, hosts: FirmwareHosts) -> FetchRules:
    """From where firmware is fetched, and how fast, as the settings have it."""
    return FetchRules(
        hosts=hosts,
        mirrors=tuple(settings.mirrors),
        nearby=tuple(settings.nearby),
        bytes_per_second=settings.kbytes_per_second * 1000 or None,
    )


class Catalogs(Protocol):
    """The lists: `station.adapters.catalogs`, or who asks them elsewhere (`fetching.Lists`)."""

    def known(self) -> Known:
        """What they said before, as far as it counts."""
        ...

    def refresh(self, product_types: Collection[str]) -> Known:
        """Ask all of them about these models. Raises StationError."""
        ...


class Depot:
    """Both of them, and what the settings say about them."""

    def __init__(
        self, store: FirmwareStore, chosen: ChosenFirmware, catalogs: Catalogs, *, rules: FetchRules, settings: Supply
    ) -> None:
        """Look at nothing yet.

        Args:
            store: all firmware.
            chosen: what of it this station installs.
            catalogs: the lists.
            rules: from where firmware is fetched.
            settings: pins and denials, and how many builds are kept.
        """
        self._store = store
        self._chosen = chosen
        self._catalogs = catalogs
        self._rules = rules
        self._settings = settings
        self._known: Known | None = None

    def refresh(self, product_types: Collection[str]) -> None:
        """Ask the lists anew. Raises Unreachable when none answers."""
        self._known = self._catalogs.refresh(product_types)
        if not self._known.reached:
            raise Unreachable(" ".join(self._known.troubles) or "No list of firmware can be reached.")

    def age(self) -> float | None:
        """Seconds since a list was read; None: never, or too long ago."""
        asked = self._lists.asked
        return None if asked is None else max(0.0, time.time() - asked)

    def pick(self, product_type: str, build: str, attended: bool) -> Offer | Lack:
        """What is offered for a model and a build (empty: what this station gives it), or why there is none."""
        known = self._lists
        found = choose(known.offers, product_type, self._choice(build=build, attended=attended), known.contradictions)
        if found.offer is not None:
            return found.offer
        if known.asked is None:
            return CLOCK_WRONG if known.clock_wrong else UNREACHABLE
        return Lack(title=found.reason, remedy=found.remedy)

    def here(self, product_type: str, build: str) -> bool:
        """Whether the store has it; of any, what Apple signs still, as far as is known, where there is such a one."""
        here = self._chosen.every_for(product_type)
        if build or not here:
            return any(each.build == build for each in here)
        newest = here[-1].build
        same = (each for each in self._lists.offers if each.build == newest and product_type in each.product_types)
        if {each.signed for each in same} != {False}:
            return True
        instead = self.pick(product_type, "", attended=False)
        return not isinstance(instead, Offer) or instead.build == newest

    def arrival(self, offer: Offer) -> Arrival | None:
        """What its download says of itself. Raises StorageError: the disk does not tell."""
        return arrival_of(self._store.path, offer)

    def make_room(self, offer: Offer, in_use: Collection[str], seen: Collection[str]) -> None:
        """Remove what may be removed until it fits: never what a job uses or a pin names.

        First what there is of other downloads that nobody goes on with, the longest left one first.

        What does not fit although all was removed is fetched nonetheless: it may share much with what is here.

        Raises:
            StorageError: the disk fails.
        """
        try:
            self._store.path.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._store.path).free
        except OSError as error:
            raise StorageError(
                f"The firmware store cannot be used: {error.strerror}.", remedy="Check that its disk is there."
            ) from error
        here = self.arrival(offer)
        wanted = offer.size - (here.done if here else 0) + RESERVE - free
        for leftover in sorted(leftovers(self._store.path), key=lambda each: -each.idle_seconds):
            if wanted > 0 and leftover.id != offer.id and not leftover.held:
                with suppress(OSError):  # what cannot be deleted makes no room
                    wanted -= discard(leftover)
        if wanted <= 0:
            return
        kept = self._store.kept({Path(directory).parent.name for directory in in_use})
        policy = Policy(
            seen=frozenset(seen),
            pins=self._settings.pins,
            denied=frozenset(self._settings.denied),
            keep=self._settings.keep,
        )
        if names := plan(kept, policy, wanted).names:
            self._store.remove(names)

    def order(self, offer: Offer) -> bytes:
        """What the process is told that fetches it."""
        return msgspec.json.encode(
            {"type": "fetch", "store": str(self._store.path), "offer": offer, "rules": self._rules}
        )

    def notices(self, product_types: Collection[str]) -> tuple[str, ...]:
        """What is out and not here, and what is wrong with the lists, in sentences."""
        known, kept = self._lists, self._chosen.every()
        warnings = self._warnings(product_types)
        out = newer(known.offers, kept, product_types, self._choice())
        news = [_news(offer, kept, product_types, warnings.pop(offer, "")) for offer in out]
        others = [warned(offer.version, offer.build, warning) for offer, warning in warnings.items()]
        told = [*news, *others, *known.troubles]
        age = self.age()
        if age is not None and age > OLD_LIST_SECONDS:
            told.append(are_old(round(age / 86400)))
        return tuple(told)

    def _warnings(self, product_types: Collection[str]) -> dict[Offer, str]:
        """What to know about what an operator who fetches the newest would get, if there is anything."""
        known, choice = self._lists, self._choice()
        found = {
            chosen.offer: chosen.warning
            for chosen in (choose(known.offers, each, choice, known.contradictions) for each in sorted(product_types))
            if chosen.offer is not None and chosen.warning
        }
        return {offer: warning for offer, warning in found.items() if not self._has(offer)}

    def _has(self, offer: Offer) -> bool:
        return any(each.build == offer.build for each in self._chosen.every_for(offer.product_types[0]))

    @property
    def _lists(self) -> Known:
        if self._known is None:
            self._known = self._catalogs.known()
        return self._known

    def _choice(self, *, build: str = "", attended: bool = True) -> Choice:
        settings = self._settings
        return Choice(
            pins=settings.pins,
            denied=settings.denied,
            build=build,
            unattended=not attended,
            catalogs=len(self._lists.configured),
        )


def _news(offer: Offer, kept: Sequence[Firmware], product_types: Collection[str], warning: str) -> str:
    """Say that something newer than what is here is out, for how many models, and what to know about it."""
    models = set(offer.product_types) & set(product_types)
    ours = [each for each in kept if models & set(each.product_types)]
    served = {model for each in ours for model in each.product_types} & models
    return f"{is_out(offer.version, ours[-1].version, len(served))} {warning}".strip()
