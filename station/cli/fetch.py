"""`station firmware catalog` and `station firmware fetch`: what there is to be had, and having it here."""

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table

from station.adapters import fetch as fetching
from station.adapters.catalogs import Catalogs, Known
from station.adapters.fetch import FetchRules, arrivals, leftovers
from station.adapters.firmware import FirmwareStore
from station.adapters.history import History
from station.adapters.origins import Vouching
from station.cli.plainly import fail, in_words, plain_errors, require
from station.core.catalog import Choice, choose
from station.core.models import model_name, models_named
from station.core.versions import age, is_build, is_version
from station.daemon import settings
from station.daemon.depot import rules
from station.daemon.settings import Settings
from station.errors import Refused, StationError
from station.model.catalog import Arrival, ArrivalState, Offer
from station.model.firmware import Firmware

CHOSEN = "this station's choice"
SHOWN = 6
"""Versions of a model that are shown when nobody asks for all."""
LOOK_SECONDS = 0.5
"""Between two looks at how far another process is: it writes that down as often."""
BY_ANOTHER = "by another process"
INTERRUPTED = 130
"""As shells have it for Ctrl-C."""

MODEL = "A model, such as iPhone13,2 or 'iPhone 12'"

Store = Annotated[Path | None, typer.Option("--store", help="The firmware store, if not the settings' one.")]


def catalog(
    models: Annotated[
        list[str] | None, typer.Argument(help=f"{MODEL}; those that this station sees by default.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Show every version there ever was.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody: what was said before.")] = False,
    store: Store = None,
) -> None:
    """Show the firmware there is for a model, who says so, and what of it is here."""
    ours = _settings()
    kept = _kept(ours, store)
    wanted = _models(models or [], ours, kept)
    with plain_errors():
        catalogs = _catalogs(ours)
        known = catalogs.known() if offline else _ask(catalogs, wanted)
    for product_type in wanted:
        _show(product_type, known, kept, ours, most=None if everything else SHOWN)
    _tell_age(known)
    if known.asked is None:
        raise typer.Exit(1)


def fetch_firmware(
    what: Annotated[
        list[str] | None,
        typer.Argument(help=f"{MODEL}, and a version or build; what this station's models need by default."),
    ] = None,
    *,
    store: Store = None,
) -> None:
    """Download firmware into the store. What is interrupted goes on where it was."""
    ours = _settings()
    place = store or ours.firmware_store
    require(place, write=True)
    kept = _kept(ours, store)
    versions = [word for word in what or [] if is_build(word) or is_version(word)]
    if len(versions) > 1:
        fail("Name one version or build at a time.")
    wanted = _models([word for word in what or [] if word not in versions], ours, kept)
    with plain_errors():
        known = _ask(_catalogs(ours), wanted)
        hosts = ours.firmware_hosts()
    if known.asked is None:
        _tell_age(known)
        fail("No list of firmware can be reached. Look at the network, or import an IPSW from a stick.")
    offers, failed = _choose(known, wanted, kept, _choice(ours, known, build="".join(versions)))
    for offer in offers:
        failed |= not _fetch(FirmwareStore(place), offer, rules(ours.supply, hosts))
    if failed:
        raise typer.Exit(1)


def _settings() -> Settings:
    with plain_errors():
        return settings.load()


def _catalogs(ours: Settings) -> Catalogs:
    """Where the daemon keeps them too."""
    return Catalogs(ours.state / "catalogs", ours.firmware_hosts(), timedelta(days=ours.supply.catalog_days))


def _kept(ours: Settings, store: Path | None) -> Sequence[Firmware]:
    place = store or ours.firmware_store
    require(place)
    with plain_errors():
        return FirmwareStore(place).list()


def _ask(catalogs: Catalogs, models: Collection[str]) -> Known:
    """Ask all lists; what is wrong with any is told. Raises StationError."""
    console = Console(stderr=True)
    with console.status("Asking which firmware there is …") if console.is_terminal else _nothing():
        known = catalogs.refresh(models)
    for trouble in known.troubles:
        typer.echo(trouble, err=True)
    return known


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _models(words: Sequence[str], ours: Settings, kept: Iterable[Firmware]) -> list[str]:
    """The models that somebody names, or that this station has to do with. Ends when there are none."""
    if words:
        found: list[str] = []
        for word in words:
            named = models_named(word)
            if not named:
                fail(f"There is no model “{word}”. It is written like iPhone13,2 or 'iPhone 12', in quotes.")
            found += (model for model in named if model not in found)
        return found
    with plain_errors():
        times = History.read(ours.state).times()
    seen = {model for _, model, _ in times.seconds if model}
    seen |= {model for firmware in kept for model in firmware.product_types}
    if not seen:
        fail("This station has seen no phone yet. Say for which model: station firmware fetch 'iPhone 12'")
    return sorted(seen, key=_by_number)


def _by_number(product_type: str) -> tuple[str, list[int]]:
    """iPhone9,1 before iPhone13,2."""
    family = product_type.rstrip("0123456789,")
    return family, [int(part) for part in product_type.removeprefix(family).split(",") if part]


def _choice(ours: Settings, known: Known, *, build: str = "") -> Choice:
    return Choice(
        pins=ours.supply.pins,
        denied=ours.supply.denied,
        build=build,
        unattended=False,
        catalogs=len(known.configured),
    )


def _show(product_type: str, known: Known, kept: Iterable[Firmware], ours: Settings, *, most: int | None) -> None:
    """One model's table: the newest, and what is here or pinned however old it is."""
    here = {firmware.build for firmware in kept if product_type in firmware.product_types}
    choice = _choice(ours, known)
    chosen = choose(known.offers, product_type, choice, known.contradictions)
    offers = [offer for offer in known.offers if product_type in offer.product_types]
    right = Column("Size", justify="right")
    table = Table("Version", "Build", "Released", "Signed", right, "Says who", "", title_justify="left", box=None)
    table.title = f"{model_name(product_type)} ({product_type})"
    for number, offer in enumerate(offers):
        notes = list(_notes(offer, here, choice, product_type, chosen.offer))
        if most is not None and number >= most and not set(notes) & {"here", "pinned", CHOSEN}:
            continue
        table.add_row(
            f"{offer.version}{' beta' if offer.beta else ''}",
            offer.build,
            offer.released or "?",
            {True: "yes", False: "no", None: "?"}[offer.signed],
            decimal(offer.size) if offer.size else "?",
            ", ".join(source.value for source in offer.sources),
            ", ".join(notes),
        )
    if offers:
        Console().print(table)
    for each in known.contradictions:
        newest = chosen.offer is None or age(each.version, each.build) > age(chosen.offer.version, chosen.offer.build)
        if product_type in each.product_types and (newest or most is None):
            typer.echo(each.says, err=True)
    if chosen.offer is None:
        typer.echo(f"{model_name(product_type)}: {chosen.reason} {chosen.remedy}".strip())
    elif chosen.warning:
        typer.echo(f"iOS {chosen.offer.version} ({chosen.offer.build}): {chosen.warning}")


def _notes(offer: Offer, here: set[str], choice: Choice, product_type: str, chosen: Offer | None) -> Iterator[str]:
    if offer == chosen:
        yield CHOSEN
    if offer.build in here:
        yield "here"
    if choice.pinned(product_type) in (offer.build, offer.version):
        yield "pinned"
    if offer.build in choice.denied:
        yield "denied"


def _tell_age(known: Known) -> None:
    if known.asked is None:
        typer.echo("There is no list of firmware that counts still.", err=True)
        return
    for source in known.configured:
        asked = known.checked.get(source)
        if asked is None or source not in known.reached:
            here = "nothing is here" if asked is None else f"what it said {_ago(time.time() - asked)} counts for now"
            typer.echo(f"{source.value}: {here}.", err=True)


def _ago(seconds: float) -> str:
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def _choose(known: Known, models: Iterable[str], kept: Sequence[Firmware], choice: Choice) -> tuple[list[Offer], bool]:
    """What to fetch, each once, and whether there is nothing for some model."""
    offers: dict[str, Offer] = {}
    failed = False
    for product_type in models:
        name = model_name(product_type)
        chosen = choose(known.offers, product_type, choice, known.contradictions)
        offer = chosen.offer
        if offer is None:
            typer.echo(f"{name}: {chosen.reason} {chosen.remedy}".strip(), err=True)
            failed = True
        elif any(offer.build == firmware.build and product_type in firmware.product_types for firmware in kept):
            typer.echo(f"{name}: iOS {offer.version} ({offer.build}) is here already. {chosen.warning}".strip())
        elif offer.id not in offers:
            offers[offer.id] = offer
            if chosen.warning:
                typer.echo(f"{name}: {chosen.warning}", err=True)
    return list(offers.values()), failed


def _fetch(store: FirmwareStore, offer: Offer, rules: FetchRules) -> bool:
    """Fetch one, or follow whoever fetches it; whether it is here now. Ctrl-C ends the program."""
    name = f"iOS {offer.version} ({offer.build})"
    typer.echo(f"{name} for {', '.join(map(model_name, offer.product_types))}: {_size(offer)}")
    try:
        with _bar(name) as advance:
            while not _try(store, offer, rules, advance):
                pass  # who fetched it gave up: it goes on here
    except KeyboardInterrupt:
        typer.echo("Stopped. What is here of it stays: the same command goes on with it.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except StationError as error:
        typer.echo(f"{name}: {in_words(error)}", err=True)
        return False
    typer.echo(f"{name} is in the store. {_whence(store, offer)}".strip())
    return True


def _whence(store: FirmwareStore, offer: Offer) -> str:
    """Who sent it, where that was another station."""
    origin = next((store.origin(each) for each in store.list() if _is(each, offer)), None)
    if origin is None or origin.vouching is Vouching.DIGEST:
        return ""
    came = f"It came from the station at {origin.host}"
    if origin.vouching is Vouching.TABLE:
        return f"{came}, and is what Apple has."
    return f"{came}. Apple could not be reached: it is trusted like an import."


def _size(offer: Offer) -> str:
    return decimal(offer.size) if offer.size else "nobody says how large"


def _run(store: FirmwareStore, offer: Offer, rules: FetchRules, advance: "Advance") -> Firmware:
    """Fetch in a thread, so that Ctrl-C is heard. Raises as `fetch`, and KeyboardInterrupt when it has ended."""
    stop = threading.Event()
    with ThreadPoolExecutor(1, "fetch") as threads:
        future: Future[Firmware] = threads.submit(fetching.fetch, store, offer, rules, advance, stop)
        try:
            return future.result()
        finally:
            stop.set()


def _try(store: FirmwareStore, offer: Offer, rules: FetchRules, advance: "Advance") -> bool:
    """Fetch it, or follow whoever does; whether it is in the store now. Raises as `_run`."""
    try:
        _run(store, offer, rules, advance)
    except Refused:
        followed = _follow(store, offer, advance)
        if any(_is(firmware, offer) for firmware in store.list()):
            return True
        if not followed:
            raise
        return False
    return True


def _follow(store: FirmwareStore, offer: Offer, advance: "Advance") -> bool:
    """Tell how far another process is, for as long as it fetches; whether it did at all."""
    followed = False
    while any(leftover.id == offer.id and leftover.held for leftover in leftovers(store.path)):
        followed = True
        for arrival in arrivals(store.path):
            if (arrival.build, arrival.product_types) == (offer.build, offer.product_types):
                advance(replace(arrival, says=BY_ANOTHER))
        time.sleep(LOOK_SECONDS)
    return followed


def _is(firmware: Firmware, offer: Offer) -> bool:
    return offer.build == firmware.build and set(offer.product_types) <= set(firmware.product_types)


class Advance:
    """Draws how far a download is; gone when it is done."""

    def __init__(self, bars: Progress, name: str) -> None:
        self._bars = bars
        self._name = name
        self._bar: TaskID | None = None
        self._said = ""

    def __call__(self, arrival: Arrival) -> None:
        """Told by whoever fetches."""
        if arrival.state is ArrivalState.FETCHING and arrival.says not in ("", BY_ANOTHER, self._said):
            self._said = arrival.says
            typer.echo(f"{self._name}: {arrival.says}", err=True)
        says = {ArrivalState.CHECKING: "checking", ArrivalState.WAITING: "waiting"}.get(arrival.state, "")
        whence = f"from {arrival.origin}" if arrival.origin else ""
        words = ", ".join(filter(None, (self._name, says or arrival.says or whence)))
        done, total = arrival.done, arrival.total or None
        if self._bar is None:  # what was here before says nothing of how fast it is
            self._bar = self._bars.add_task(words, completed=done, total=total)
        self._bars.update(self._bar, description=words, completed=done, total=total)


@contextmanager
def _bar(name: str) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield Advance(bars, name)
