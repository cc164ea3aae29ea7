"""What to fetch, and in which order: first what somebody waits for, last what may be needed some day."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from enum import IntEnum

from station.core.arriving import Lack
from station.core.pruning import EVERY_MODEL
from station.core.wants import Want
from station.model.catalog import Offer

ANOTHER_FIRST = "Another download comes first."
NOTHING_CAME = "Nothing came any more."
USELESS = "What was fetched cannot be used."
LOOKING = Lack(title="The station is looking up which firmware there is.", remedy="Wait a moment.")
UNREACHABLE = Lack(
    title="This model's firmware is not here, and no list of firmware can be reached.",
    remedy="Check the station's network connection, or import the firmware. “Erase” works without it.",
)


def again(why: str) -> str:
    """What to say of a download that failed, while it is not given up."""
    return f"{why} The station tries again by itself.".strip()


def stopped_by_operator(version: str) -> Lack:
    """Why nothing comes, after somebody did not want it."""
    title = f"An operator has stopped the download of iOS {version}."
    return Lack(title=title, remedy="It can be fetched from the operator's pages.")


def is_out(version: str, ours: str, models: int) -> str:
    """That there is something newer than what is here."""
    many = "1 model" if models == 1 else f"{models} models"
    return f"iOS {version} is out. This station has {ours} for {many}."


def clock_is_wrong(day: str) -> str:
    """Why no list counts; `day` as in 1970-01-01."""
    return f"The station's clock is wrong: it says {day}. Until it is right no list of firmware counts."


CLOCK_WRONG = Lack(
    title="This model's firmware is not here, and the station's clock is wrong.",
    remedy="Connect the station to a network: it sets its clock by that. Or import the firmware.",
)


def not_from(host: str, why: str) -> str:
    """Why another station's firmware is not used; `why` is a clause."""
    return f"It does not come from {host}: {why}."


def warned(version: str, build: str, warning: str) -> str:
    """What to know about a firmware before it is fetched."""
    return f"iOS {version} ({build}): {warning}"


def are_old(days: int) -> str:
    """That nothing new is known of."""
    return "The lists of firmware are a day old." if days == 1 else f"The lists of firmware are {days} days old."


NOTHING_NEWER = "There is nothing newer for the phones that are here."
"""What an operator is told who asked for the newest."""


class Urgency(IntEnum):
    """Who waits for it."""

    PROMISED = 0
    """A phone whose service was confirmed."""
    NEEDED = 1
    """A phone that is here."""
    ASKED = 2
    """An operator, who asked for the newest."""
    AHEAD = 3
    """Nobody yet."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """Something to fetch."""

    offer: Offer
    urgency: Urgency


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to fetch, the most urgent first."""

    errands: tuple[Errand, ...]
    lacking: Mapping[str, Lack]
    """By product type: why what is needed cannot be fetched."""


Pick = Callable[[str, str, bool], Offer | Lack]
"""What is offered for a product type and a build (empty: what this station gives that model), or why there is none.
Whether somebody looks at it comes last: nobody fetches unattended what only one list knows."""
Here = Callable[[str, str], bool]
"""Whether there is firmware in the store for a product type and a build (empty: any that may be installed)."""


def plan(wants: Iterable[Want], *, asked: Iterable[str], ahead: Iterable[str], here: Here, pick: Pick) -> Plan:
    """What to fetch.

    Args:
        wants: what phones that are here could be given.
        asked: product types for which an operator asked for the newest.
        ahead: product types that may come.
        here: what need not be fetched.
        pick: what there is to be had.
    """
    errands: dict[str, Errand] = {}
    lacking: dict[str, Lack] = {}
    for want in sorted(wants, key=lambda each: (not each.promised, each.product_type, each.build)):
        if here(want.product_type, want.build):
            continue
        found = pick(want.product_type, want.build, False)
        if isinstance(found, Lack):
            lacking[want.product_type] = found
        else:
            urgency = Urgency.PROMISED if want.promised else Urgency.NEEDED
            errands.setdefault(found.id, Errand(offer=found, urgency=urgency))
    for urgency, models in ((Urgency.ASKED, asked), (Urgency.AHEAD, ahead)):
        for model in sorted(models):
            found = pick(model, "", urgency is Urgency.ASKED)
            if not isinstance(found, Lack) and not here(model, found.build):
                errands.setdefault(found.id, Errand(offer=found, urgency=urgency))
    return Plan(errands=tuple(sorted(errands.values(), key=lambda each: each.urgency)), lacking=lacking)


def suits(version: str, build: str, *, product_type: str, pins: Mapping[str, str], denied: Collection[str]) -> bool:
    """Whether this station gives a model such firmware: what a pin names, or any where none does; never what is denied.

    Args:
        version: of the firmware.
        build: of the firmware.
        product_type: the model.
        pins: model, or EVERY_MODEL, to the version or build that it is given; a model's own comes first.
        denied: builds that are never installed.
    """
    pin = pins.get(product_type, pins.get(EVERY_MODEL))
    return build not in denied and pin in (None, version, build)


def within(hours: str, now: datetime) -> bool:
    """Whether a local time lies in a span such as "22:00-06:00"."""
    begin, end = (time.fromisoformat(part) for part in hours.split("-"))
    clock = now.time()
    return begin <= clock < end if begin < end else clock >= begin or clock < end


def backoff(failures: int, *, first: float, longest: float) -> float:
    """Seconds to wait after so many failures in a row."""
    return float(min(first * 3.0 ** min(max(failures - 1, 0), 16), longest))
