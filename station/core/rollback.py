"""A list of firmware only ever grows at its new end: one that has become older was turned back, and is not believed."""

from collections.abc import Iterable, Mapping

from station.core.versions import Age, age
from station.model.base import Message
from station.model.catalog import Offer


class Newest(Message, frozen=True, kw_only=True):
    """The newest release that a list has ever had for a model."""

    version: str
    build: str
    listed: float
    """When it was in the list last, in seconds since 1970."""


def turned_back(remembered: Mapping[str, Newest], said: Iterable[Offer]) -> frozenset[str]:
    """The models for which a list has nothing newer than, nor any longer, the newest release that it once had.

    A list that says of it that it is not signed any more still has it. One that only ever names the newest has
    something newer.
    """
    builds: dict[str, set[str]] = {}
    for product_type, offer in _by_model(said):
        builds.setdefault(product_type, set()).add(offer.build)
    newest = _newest(said)
    return frozenset(
        product_type
        for product_type, was in remembered.items()
        if was.build not in builds.get(product_type, ())
        and (product_type not in newest or age(newest[product_type].version, newest[product_type].build) < _age(was))
    )


def remember(remembered: Mapping[str, Newest], said: Iterable[Offer], now: float) -> dict[str, Newest]:
    """What is remembered after a list has said that, and was believed."""
    kept = dict(remembered)
    for product_type, offer in _newest(said).items():
        was = kept.get(product_type)
        if was is None or age(offer.version, offer.build) >= _age(was):
            kept[product_type] = Newest(version=offer.version, build=offer.build, listed=now)
    return kept


def forget(remembered: Mapping[str, Newest], oldest: float) -> dict[str, Newest]:
    """What is still remembered when nothing counts that was listed before `oldest`, in seconds since 1970.

    Now and then Apple takes a release back for good; a list that follows is not to be doubted for ever.
    """
    return {product_type: newest for product_type, newest in remembered.items() if newest.listed >= oldest}


def _newest(said: Iterable[Offer]) -> dict[str, Offer]:
    found: dict[str, Offer] = {}
    for product_type, offer in _by_model(said):
        was = found.get(product_type)
        if not offer.beta and (was is None or age(offer.version, offer.build) > age(was.version, was.build)):
            found[product_type] = offer
    return found


def _by_model(said: Iterable[Offer]) -> Iterable[tuple[str, Offer]]:
    return ((product_type, offer) for offer in said for product_type in offer.product_types)


def _age(newest: Newest) -> Age:
    return age(newest.version, newest.build)
