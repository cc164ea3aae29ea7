"""Firmware that is on its way: which of it a phone could be given, and what to say while it comes."""

from collections.abc import Iterable
from dataclasses import dataclass

from station.model.catalog import Arrival, ArrivalState
from station.model.firmware import Firmware


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """Firmware that is to be installed, and is not here yet: exactly this build and no other."""

    product_type: str
    version: str
    build: str


Target = Firmware | Awaited
"""What is to be installed."""


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Why no firmware for a model is on its way, although it is needed."""

    title: str
    remedy: str


def arrival_of(arrivals: Iterable[Arrival], product_type: str, build: str = "") -> Arrival | None:
    """What is on its way for a model: of this build, else whichever; what has failed only where nothing else comes."""
    fitting = [each for each in arrivals if product_type in each.product_types and build in ("", each.build)]
    return min(fitting, key=lambda each: each.state is ArrivalState.FAILED, default=None)


def share(arrival: Arrival) -> int:
    """How much of it is here, in whole percent; 100 only when it is all."""
    return 0 if arrival.total <= 0 else max(0, min(arrival.done, arrival.total)) * 100 // arrival.total


def time_left(arrival: Arrival) -> str:
    """How much longer it takes, as exact as such a guess can be; empty: that cannot be told."""
    if arrival.state is not ArrivalState.FETCHING or arrival.seconds_left is None:
        return ""
    minutes = max(1, round(arrival.seconds_left / 60))
    if arrival.seconds_left < 60:
        return "less than a minute"
    if minutes < 100:
        return "about a minute" if minutes == 1 else f"about {minutes} minutes"
    return f"about {round(minutes / 60)} hours"


def how_far(arrival: Arrival) -> str:
    """A short sentence about it."""
    if arrival.state is ArrivalState.FAILED:
        return could_not(arrival)
    if arrival.state is ArrivalState.CHECKING:
        return f"iOS {arrival.version} is here, and is being checked."
    if arrival.state is ArrivalState.WAITING:
        return f"iOS {arrival.version} is still to be fetched. {arrival.says}".strip()
    left = time_left(arrival)
    if left:
        return f"iOS {arrival.version} is still being fetched: {share(arrival)} %, {left}."
    return f"iOS {arrival.version} is still being fetched: {share(arrival)} %."


def could_not(arrival: Arrival) -> str:
    """That it could not be had, and why."""
    return f"iOS {arrival.version} could not be fetched. {arrival.says}".strip()
