"""What several lists of firmware say together, and which firmware of it a model is given.

Whoever makes a list can err, and whoever sits between can lie. So no list is believed against another: what two of
them tell differently is not used, and nobody fetches unattended what only one of them knows. What a phone is given in
the end is what Apple signs for it; that is asked elsewhere.
"""

import dataclasses
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from station.core.pruning import EVERY_MODEL
from station.core.versions import Age, age, installable, is_build
from station.model.catalog import Offer, Source
from station.model.firmware import Firmware


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """A firmware that is told of differently, and so is not used."""

    version: str
    build: str
    product_types: tuple[str, ...]
    says: str


@dataclass(frozen=True, kw_only=True)
class Merged:
    """All lists together."""

    offers: tuple[Offer, ...] = ()
    """One for each IPSW, the newest first."""
    contradictions: tuple[Contradiction, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What an operator decided, and who asks."""

    pins: Mapping[str, str] = field(default_factory=dict)
    """Product type, or EVERY_MODEL, to the version or build that it is given."""
    denied: Collection[str] = ()
    """Builds that nobody is given."""
    build: str = ""
    """The version or build that is asked for this time, whatever is pinned; empty: none in particular."""
    unattended: bool = True
    """Nobody looks: then two lists have to give the same digest, if two are asked at all."""
    catalogs: int = len(Source)
    """How many lists this station asks."""

    def pinned(self, product_type: str) -> str:
        """What a model is pinned to; empty: to nothing."""
        return self.pins.get(product_type) or self.pins.get(EVERY_MODEL, "")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a model is given, or why there is nothing for it."""

    offer: Offer | None = None
    reason: str = ""
    """Why there is none."""
    remedy: str = ""
    warning: str = ""
    """What a person should know about what was chosen."""


def merge(opinions: Iterable[Offer]) -> Merged:
    """One offer for each IPSW that is listed. The order of what is said does not matter.

    What two say of the same build and model is of the same file; so is what has the same address or digest, or is of
    the same build and has the same file name. When it cannot be, none of it is used.

    Args:
        opinions: what each list says; each names the one source that says it.
    """
    offers: list[Offer] = []
    contradictions: list[Contradiction] = []
    for group in _put_together(set(opinions), _marks):
        if wrong := _contradicted(group):
            contradictions += wrong
        else:
            offers.append(_together(group))
    offers.sort(key=lambda offer: (_age(offer), offer.product_types, offer.url), reverse=True)
    contradictions.sort(key=lambda each: (each.build, each.product_types, each.says), reverse=True)
    return Merged(offers=tuple(offers), contradictions=tuple(contradictions))


def choose(
    offers: Iterable[Offer], product_type: str, choice: Choice, contradictions: Iterable[Contradiction] = ()
) -> Chosen:
    """What a model is given: what is asked for or pinned, exactly that; else the newest release that Apple signs.

    Args:
        offers: what there is (`merge`).
        product_type: the model.
        choice: what the operator decided.
        contradictions: what the lists do not agree about, to be named when it would have been chosen.
    """
    fitting = sorted((offer for offer in offers if product_type in offer.product_types), key=_age, reverse=True)
    disputed = [each for each in contradictions if product_type in each.product_types]
    wanted = choice.build or choice.pinned(product_type)
    if wanted:
        return _exactly(wanted, fitting, disputed, choice)
    releases = [offer for offer in fitting if not offer.beta and offer.signed is not False]
    allowed = [offer for offer in releases if offer.build not in choice.denied]
    usable = [offer for offer in allowed if _enough(offer, choice)]
    if usable:
        return Chosen(offer=usable[0], warning=_warning(usable[0], allowed, disputed))
    if allowed:
        return _alone(allowed[0])
    return _nothing(fitting, releases, disputed)


def newer(
    offers: Sequence[Offer], kept: Iterable[Firmware], product_types: Iterable[str], choice: Choice
) -> tuple[Offer, ...]:
    """What is out and would be given these models, and is newer than the newest that the store has for them.

    A model for which the store has nothing is not told of: that is no news. The newest comes first.
    """
    ages: dict[str, Age] = {}
    for firmware in kept:
        for product_type in firmware.product_types:
            ours = age(firmware.version, firmware.build)
            ages[product_type] = max(ages.get(product_type, ours), ours)
    watched = dataclasses.replace(choice, unattended=False)
    found: dict[str, Offer] = {}
    for product_type in product_types:
        offer = choose(offers, product_type, watched).offer
        if offer is not None and product_type in ages and _age(offer) > ages[product_type]:
            found[offer.id] = offer
    return tuple(sorted(found.values(), key=_age, reverse=True))


def beyond(version: str) -> str:
    """A warning when this program is not known to install such a version; else empty."""
    if installable(version):
        return ""
    return f"This station has not installed iOS {version} before. Update its software first."


def _age(offer: Offer) -> Age:
    return age(offer.version, offer.build)


def _put_together(said: Collection[Offer], marks: Callable[[Offer], Iterable[Hashable]]) -> Collection[list[Offer]]:
    """Everything, in groups of what has a mark in common, by however many steps."""
    parents: dict[Hashable, Hashable] = {}

    def root(mark: Hashable) -> Hashable:
        while (parent := parents.setdefault(mark, mark)) != mark:
            parents[mark] = mark = parents[parent]
        return mark

    for opinion in said:
        first, *others = marks(opinion)
        for other in others:
            parents[root(other)] = root(first)
    groups: dict[Hashable, list[Offer]] = {}
    for opinion in said:
        groups.setdefault(root(next(iter(marks(opinion)))), []).append(opinion)
    return groups.values()


def _marks(offer: Offer) -> Iterable[Hashable]:
    """What no other IPSW has."""
    yield ("address", offer.url.partition("://")[2])
    for product_type in offer.product_types:
        yield (offer.build, product_type)
    for mark in _marks_of_file(offer):
        yield (offer.build, *mark) if mark[0] == "name" else mark


def _marks_of_file(offer: Offer) -> Iterable[tuple[str, str]]:
    yield ("name", offer.url.rpartition("/")[2])
    if offer.sha256:
        yield ("sha256", offer.sha256)
    if offer.sha1:
        yield ("sha1", offer.sha1)


def _contradicted(group: list[Offer]) -> list[Contradiction]:
    """What they tell differently of what should be one file: once for each build that it could be."""
    ways: dict[str, Collection[object]] = {
        "the version": {offer.version for offer in group},
        "the build": {offer.build for offer in group},
        "the size": {offer.size for offer in group if offer.size},
        "the SHA-256": {offer.sha256 for offer in group if offer.sha256},
        "the SHA-1": {offer.sha1 for offer in group if offer.sha1},
    }
    differing = [what for what, values in ways.items() if len(values) > 1]
    if not differing and len(_put_together(group, _marks_of_file)) > 1:
        differing = ["the file"]  # of two names, and no digest says that it is the same
    if not differing:
        return []
    who = sorted({source.value for offer in group for source in offer.sources})
    tell = f"{' and '.join(who)} do not agree about" if len(who) > 1 else f"{who[0]} contradicts itself about"
    found = []
    for build in {offer.build for offer in group}:
        said = [offer for offer in group if offer.build == build]
        version, product_types = max(said, key=_age).version, _united(said)
        what = f"iOS {version} ({build}) for {_some(product_types)}"
        says = f"{tell} {' and '.join(differing)} of {what}. It is not used."
        found.append(Contradiction(version=version, build=build, product_types=product_types, says=says))
    return found


def _together(group: list[Offer]) -> Offer:
    first = min(group, key=lambda offer: (not offer.url.startswith("https:"), offer.url))
    signed = {offer.signed for offer in group} - {None}
    sources = {source for offer in group for source in offer.sources}
    alone = [offer for offer in group if len(offer.sources) == 1]
    vouching = [{offer.sources for offer in alone if kind(offer)} for kind in (_sha256, _sha1)]
    return replace(
        first,
        product_types=_united(group),
        size=max(offer.size for offer in group),
        sha256=max(map(_sha256, group)),
        sha1=max(map(_sha1, group)),
        released=min((offer.released for offer in group if offer.released), default=""),
        signed=any(signed) if signed else None,
        sources=tuple(source for source in Source if source in sources),
        beta=all(offer.beta for offer in group),
        confirmed=any(offer.confirmed for offer in group) or any(len(who) > 1 for who in vouching),
    )


def _sha256(offer: Offer) -> str:
    return offer.sha256


def _sha1(offer: Offer) -> str:
    return offer.sha1


def _united(group: list[Offer]) -> tuple[str, ...]:
    return tuple(sorted({product_type for offer in group for product_type in offer.product_types}))


def _some(product_types: Sequence[str], most: int = 3) -> str:
    named = ", ".join(product_types[:most])
    return named if len(product_types) <= most else f"{named} and {len(product_types) - most} others"


def _nothing(fitting: list[Offer], releases: list[Offer], disputed: list[Contradiction]) -> Chosen:
    if disputed:
        return _disputed(disputed[0])
    if releases:
        reason = f"All that Apple signs for this model is denied here: {_named(releases)}."
        return Chosen(reason=reason, remedy="Deny less in the settings (supply.denied).")
    if fitting:
        reason = "As far as is known, Apple signs no firmware for this model any more."
        return Chosen(reason=reason, remedy="Look again later.")
    remedy = "Look at the model's name (it is written like iPhone13,2), or look again later."
    return Chosen(reason="No list has firmware for this model.", remedy=remedy)


def _disputed(contradiction: Contradiction) -> Chosen:
    return Chosen(reason=contradiction.says, remedy="Look again tomorrow, or import firmware by hand.")


def _exactly(wanted: str, fitting: list[Offer], disputed: list[Contradiction], choice: Choice) -> Chosen:
    found = [offer for offer in fitting if _is(offer, wanted)]
    allowed = [offer for offer in found if offer.build not in choice.denied]
    usable = [offer for offer in allowed if _enough(offer, choice)]
    if usable:
        offer = next((each for each in usable if each.signed is not False), usable[0])
        return Chosen(offer=offer, warning=_warning(offer, usable, []))
    if allowed:
        return _alone(allowed[0])
    if found:
        return Chosen(reason=f"{_named(found)} is denied here.", remedy="Take it out of supply.denied in the settings.")
    for each in disputed:
        if wanted in (each.build, each.version):
            return _disputed(each)
    what = f"{'the build' if is_build(wanted) else 'iOS'} {wanted}"
    if choice.build:
        return Chosen(
            reason=f"No list has {what} for this model.", remedy="See what there is: station firmware catalog"
        )
    reason = f"This station gives this model {what} and nothing else, and no list has it."
    return Chosen(reason=reason, remedy="Import it by hand, or change supply.pins in the settings.")


def _is(offer: Offer, wanted: str) -> bool:
    """Whether it is that very build, or a release of that very version."""
    return offer.build == wanted if is_build(wanted) else offer.version == wanted and not offer.beta


def _enough(offer: Offer, choice: Choice) -> bool:
    return offer.confirmed or not choice.unattended or choice.catalogs < 2


def _alone(offer: Offer) -> Chosen:
    reason = f"Only {offer.sources[0].value} vouches for iOS {offer.version} ({offer.build}) so far."
    remedy = "It is fetched when a second list gives the same digest. Whoever trusts it fetches it by hand."
    return Chosen(reason=reason, remedy=remedy)


def _warning(offer: Offer, others: list[Offer], disputed: list[Contradiction]) -> str:
    says = []
    newer_ones = [other for other in others if _age(other) > _age(offer)]
    if newer_ones:
        says.append(f"iOS {newer_ones[0].version} is out, and only {newer_ones[0].sources[0].value} vouches for it.")
    says += [each.says for each in disputed if age(each.version, each.build) > _age(offer)][:1]
    if not offer.confirmed:
        says.append(f"Only {offer.sources[0].value} vouches for it.")
    if offer.signed is False:
        says.append("As far as is known, Apple does not sign it any more.")
    says.append(beyond(offer.version))
    return " ".join(filter(None, says))


def _named(offers: Sequence[Offer]) -> str:
    return ", ".join(f"iOS {offer.version} ({offer.build})" for offer in offers)
