"""What a list says, once it was looked at: every field is checked, and what makes no sense is left out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import NoReturn
from urllib.parse import urlsplit

from station.core.versions import Age, age, is_beta, is_build
from station.errors import InputRejected
from station.model.catalog import Offer, Source

MAX_OFFERS = 50_000
"""Far more than there ever were."""
MAX_SKIPPED = 10_000
"""Entries of a list; to fail at each takes time."""
MAX_SIZE = 64 << 30
"""Bytes, some eight times a phone's IPSW."""
MAX_MODELS = 200
"""More than one IPSW is for."""

_PRODUCT = re.compile(r"(iPhone|iPad|iPod)\d{1,3},\d{1,3}", re.ASCII)
_VERSION = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,3})(.{0,40})", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9:/._~,%+()-]{1,500}\.ipsw", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_APPLES = (".apple.com", ".cdn-apple.com")
_OLDEST: Age = ((), (0, "", False, 0, ""))
_DIGESTS = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha1": re.compile(r"[0-9a-f]{40}")}


def is_product(text: str) -> bool:
    """Whether it names a model, such as iPhone13,2."""
    return _PRODUCT.fullmatch(text) is not None


def refuse_crowds(source: Source, data: bytes, mark: bytes, most: int) -> None:
    """Refuse an answer of more parts than it can have: the smallest take thirty times their size in memory.

    Args:
        source: whose it is.
        data: the answer.
        mark: what is between or before its parts.
        most: how often that may be in it.
    """
    if data.count(mark) > most:
        raise InputRejected(f"{source.value} answered with a list of more parts than it can have. It is not read.")


def no_list(source: Source) -> NoReturn:
    """Refuse an answer that is none of a list's."""
    raise InputRejected(
        f"{source.value} answered with something that is no list of firmware.",
        remedy="Look whether this network asks for a login first, in a browser.",
    )


@dataclass
class Sieve:
    """Takes entries of one list, and keeps what can be used."""

    source: Source
    origins: tuple[str, ...]
    """SCHEME://HOST[:PORT] that firmware may come from."""
    offers: list[Offer] = field(default_factory=list)
    elsewhere: list[tuple[str, str, Age]] = field(default_factory=list)
    """Releases that are where firmware may not come from: the host, the model, and which it is."""
    skipped: int = 0
    """Entries that could not be read."""

    def skip(self) -> None:
        """An entry cannot be read. Raises InputRejected when there are too many: then it is no list."""
        self.skipped += 1
        if self.skipped > MAX_SKIPPED:
            no_list(self.source)

    def take(
        self,
        *,
        version: str,
        build: str,
        product_types: Iterable[str],
        url: str,
        size: int | None,
        sha256: str | None,
        sha1: str | None,
        released: str | None = None,
        signed: bool | None = None,
        beta: bool = False,
    ) -> bool:
        """Keep an entry if all of it makes sense; whether it was kept. Raises InputRejected when there are too many."""
        if len(self.offers) + len(self.elsewhere) >= MAX_OFFERS:
            raise InputRejected(f"{self.source.value} lists more firmware than there can be.")
        number = _VERSION.fullmatch(version)
        models = sorted({product_type for product_type in product_types if is_product(product_type)})
        digests = {name: (said or "").lower() for name, said in (("sha256", sha256), ("sha1", sha1))}
        plausible = number is not None and is_build(build) and 0 < len(models) <= MAX_MODELS
        plausible = plausible and 0 <= (size or 0) <= MAX_SIZE and any(digests.values())
        plausible = plausible and all(not said or _DIGESTS[name].fullmatch(said) for name, said in digests.items())
        if number is None or not plausible:
            return False
        beta = beta or bool(number[2].strip()) or is_beta(build)
        host, address = self._address(url)
        if not address:
            if host and not beta:
                self.elsewhere += ((host, model, age(number[1], build)) for model in models)
            return False
        self.offers.append(
            Offer(
                version=number[1],
                build=build,
                product_types=tuple(models),
                url=address,
                size=size or 0,
                released=_day(released or ""),
                signed=signed,
                sources=(self.source,),
                beta=beta,
                sha256=digests["sha256"],
                sha1=digests["sha1"],
            )
        )
        return True

    def strangers(self) -> list[str]:
        """Hosts that are not Apple's, and are said to have something newer than what is kept of a model.

        Old firmware that Apple has no longer is listed in archives, and betas where one has to log in: that is no news.
        """
        newest: dict[str, Age] = {}
        for offer in self.offers:
            for model in offer.product_types:
                newest[model] = max(newest.get(model, _OLDEST), age(offer.version, offer.build))
        found = {host for host, model, which in self.elsewhere if model in newest and which > newest[model]}
        return sorted(host for host in found if not host.endswith(_APPLES))

    def _address(self, url: str) -> tuple[str, str]:
        """The host, and where it is if it may come from there. What is http and may be https is asked for in https."""
        if not _ADDRESS.fullmatch(url) or "/../" in url:
            return "", ""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return "", ""
        if parts.scheme not in ("http", "https") or not host:
            return "", ""
        safe = parts._replace(scheme="https")
        for whole in (safe, parts):
            if f"{whole.scheme}://{whole.netloc}".lower() in self.origins:
                return host, whole.geturl()
        return host, ""


def _day(released: str) -> str:
    """The day of a time such as 2026-01-26T18:00:00Z; empty when it is none."""
    match = _DAY.match(released)
    try:
        return date.fromisoformat(match[0]).isoformat() if match else ""
    except ValueError:
        return ""
