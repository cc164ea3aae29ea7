"""Which firmware to delete when room is needed: what can be missed most easily, and nothing that somebody counts on."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from station.core.versions import Age, age
from station.errors import InputRejected

EVERY_MODEL = "all"
"""Stands for every model in pins."""

_OLDEST: Age = ((), (0, "", False, 0, ""))


@dataclass(frozen=True)
class Kept:
    """One firmware in the store."""

    name: str
    """Of its directory: names it in the plan."""
    version: str
    build: str
    product_types: tuple[str, ...]
    bytes_of: Mapping[str, int]
    """Bytes of each content. The same key in two firmwares: they share it, and it goes with the last that has it."""
    in_use: bool = False
    """Whether a job uses it, or will."""
    damaged: bool = False
    """It cannot be used; what is good of it only spares some copying when it is brought again."""


@dataclass(frozen=True)
class Policy:
    """What is to be kept."""

    seen: frozenset[str]
    """Models that were plugged in at this station."""
    pins: Mapping[str, str]
    """Model, or EVERY_MODEL, to the version or build that it is given."""
    denied: frozenset[str]
    """Builds that are never installed."""
    keep: int = 1
    """How many builds of each model that was seen are kept, the newest."""


@dataclass(frozen=True)
class Plan:
    """What to delete."""

    names: tuple[str, ...]
    """Of what can be missed most easily first; empty when it would not be enough."""
    freed: int
    """Bytes that this frees."""
    possible: int
    """Bytes that deleting all that may be deleted would free: when that is less than was wanted, there is no plan."""


def plan(kept: Sequence[Kept], policy: Policy, wanted: int) -> Plan:
    """What to delete so that `wanted` bytes become free.

    In this order, and of each kind the oldest first: what is damaged, what is denied, what is not among the newest
    `keep` of any of its models, what is only for models that never were here. Never what a job uses or a pin
    names, nor one of the newest `keep` for a model that was here. Whoever wants more gets the same and more; who
    wants what cannot be had gets nothing, because deleting good firmware in vain helps nobody.
    """
    gone: list[str] = []
    freed = 0
    enough = Plan(names=(), freed=0, possible=0) if wanted <= 0 else None
    sharing = Counter(key for each in kept for key in each.bytes_of)
    for each in _candidates(kept, policy):
        gone.append(each.name)
        sharing.subtract(each.bytes_of.keys())
        freed += sum(size for key, size in each.bytes_of.items() if not sharing[key])
        if enough is None and freed >= wanted:
            enough = Plan(names=tuple(gone), freed=freed, possible=0)
    return replace(enough or Plan(names=(), freed=0, possible=0), possible=freed)


def surplus(kept: Sequence[Kept], policy: Policy) -> Plan:
    """What nobody would miss at all, however much room there is: what is damaged, denied or superseded."""
    candidates = _candidates(kept, policy)
    newest = _newest(kept, policy)
    names = tuple(each.name for each in candidates if _rank(each, policy, newest) != _UNSEEN)
    return Plan(names=names, freed=freed_by(kept, names), possible=freed_by(kept, [each.name for each in candidates]))


def freed_by(kept: Sequence[Kept], names: Iterable[str]) -> int:
    """Bytes that become free when these are deleted."""
    gone = set(names)
    staying = {key for each in kept if each.name not in gone for key in each.bytes_of}
    going = {key: size for each in kept if each.name in gone for key, size in each.bytes_of.items()}
    return sum(size for key, size in going.items() if key not in staying)


def pinned(kept: Kept, pins: Mapping[str, str]) -> bool:
    """Whether a pin names it."""
    chosen = {pins[model] for model in (*kept.product_types, EVERY_MODEL) if model in pins}
    return bool(chosen & {kept.version, kept.build})


_DAMAGED, _DENIED, _SUPERSEDED, _UNSEEN = range(4)
"""Why one may be deleted, what can be missed most easily first."""


def _candidates(kept: Sequence[Kept], policy: Policy) -> list[Kept]:
    """All that may be deleted, in order."""
    newest = _newest(kept, policy)
    ranked = ((_rank(each, policy, newest), _age(each), each.name, each) for each in kept)
    return [each for *_, each in sorted((one for one in ranked if one[0] is not None), key=lambda one: one[:3])]


def _rank(each: Kept, policy: Policy, newest: Mapping[str, Sequence[str]]) -> int | None:
    """Why it may be deleted; None: it may not."""
    if each.in_use or pinned(each, policy.pins):
        return None
    if each.damaged:
        return _DAMAGED
    if each.build in policy.denied:
        return _DENIED
    among = {model for model in each.product_types if each.name in newest.get(model, ())}
    if not among:
        return _SUPERSEDED
    return None if among & policy.seen else _UNSEEN


def _newest(kept: Sequence[Kept], policy: Policy) -> Mapping[str, Sequence[str]]:
    """Names of the newest firmware for each model: of what may be installed."""
    good = sorted(
        (each for each in kept if not each.damaged and each.build not in policy.denied),
        key=lambda each: (_age(each), each.name),
        reverse=True,
    )
    newest: defaultdict[str, list[str]] = defaultdict(list)
    for each in good:
        for model in each.product_types:
            if len(newest[model]) < max(policy.keep, 1):
                newest[model].append(each.name)
    return newest


def _age(each: Kept) -> Age:
    """How old it is; what does not say is the oldest."""
    try:
        return age(each.version, each.build)
    except InputRejected:
        return _OLDEST
