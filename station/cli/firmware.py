"""`station firmware`: the firmware store by hand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from station.adapters.fetch import discard, leftovers
from station.adapters.firmware import FirmwareStore
from station.adapters.history import History
from station.adapters.ipsw import find_ipsws
from station.adapters.ipsw_export import export
from station.adapters.jobdir import JobDirectory
from station.adapters.listing import entries_of
from station.adapters.origins import Origin, Vouching
from station.adapters.premises import disk_trouble
from station.adapters.unpacked import Advance
from station.cli import fetch, share
from station.cli.plainly import fail, in_words, plain_errors, require
from station.core import pruning
from station.core.pruning import Kept, Policy
from station.daemon import settings
from station.daemon.settings import Settings
from station.errors import InputRejected, StationError
from station.model.firmware import Firmware

app = typer.Typer(help="Firmware the station keeps.", no_args_is_help=True, add_completion=False)
app.command("catalog")(fetch.catalog)
app.command("fetch")(fetch.fetch_firmware)
app.command("share")(share.share)

GIVEN_UP_SECONDS = 86_400.0
"""After which a download that nobody went on with is one that is not wanted."""
EMPTY = "There is no firmware in the store. Fetch some, or import a file: station firmware fetch, import."

Store = Annotated[Path | None, typer.Option("--store", help="The firmware store, if not the settings' one.")]
Build = Annotated[str, typer.Argument(help="A build, such as 23C71.")]


@app.command("list")
def list_firmware(store: Store = None) -> None:
    """Show every firmware, oldest version first, with what it takes of the disk alone and together with others."""
    ours, kept = _settings(), _open(store)
    right = [Column(name, justify="right") for name in ("Own", "Shared")]
    table = Table("Version", "Build", "Models", *right, "", box=None)
    with plain_errors():
        sizes = {each.name: each for each in kept.kept(_promised(ours))}
        everything = kept.list()
    for firmware in everything:
        each = sizes[_directory(firmware)]
        own = pruning.freed_by([*sizes.values()], [each.name])
        shared = sum(each.bytes_of.values()) - own
        notes = ", ".join((*_notes(each, ours), *_whence(kept.origin(firmware))))
        table.add_row(
            firmware.version, firmware.build, ", ".join(firmware.product_types), decimal(own), decimal(shared), notes
        )
    if table.row_count:
        Console().print(table)
    else:
        typer.echo(EMPTY)
    _warn_of_unusable(kept)


@app.command("import")
def import_firmware(
    path: Annotated[
        Path, typer.Argument(help="An IPSW file, the folder of an unpacked one, or a stick or folder with several.")
    ],
    store: Store = None,
) -> None:
    """Copy IPSWs into the store, each whole or not at all."""
    if not path.exists():
        fail(f"There is no file {path}.")
    with plain_errors():
        found = find_ipsws(path)
    if not found:
        fail(f"There is no IPSW in {path}. They are files that end in .ipsw.")
    kept = _open(store, write=True)
    failed = False
    for source in found:
        try:
            with _progress(f"Importing {source.name}") as advance:
                firmware = kept.import_ipsw(source, advance)
            typer.echo(f"{_name(firmware)} is in the store.")
        except StationError as error:
            failed = True
            skipped = f"{source.name} was skipped. " if len(found) > 1 else ""
            typer.echo(f"{skipped}{in_words(error)}", err=True)
    if failed:
        raise typer.Exit(1)


@app.command("export")
def export_firmware(
    build: Build,
    folder: Annotated[Path, typer.Argument(help="Where the .ipsw file goes, such as a USB stick.")],
    store: Store = None,
) -> None:
    """Write firmware as .ipsw files that another station can import."""
    kept = _open(store)
    for firmware in _of_build(kept, build):
        with plain_errors(), kept.lease(firmware), _progress(f"Writing {firmware.build}") as advance:
            written = export(firmware, folder, advance)
        typer.echo(f"{_name(firmware)} is in {written}.")


@app.command("verify")
def verify_firmware(
    build: Annotated[str | None, typer.Argument(help="A build, such as 23C71; every one by default.")] = None,
    store: Store = None,
) -> None:
    """Read every file of the firmware again, and compare it with what was imported."""
    kept = _open(store, write=True)  # how it was found is written down there
    with plain_errors():
        everything = kept.list()
    if build is None and not everything:
        typer.echo(EMPTY)
    failed = build is None and _warn_of_unusable(kept)
    done: dict[tuple[int, int, int], str] = {}
    for firmware in everything if build is None else _of_build(kept, build):
        try:
            with _progress(f"Reading {firmware.build}") as advance:
                kept.verify(firmware, advance, full=True, done=done)
            typer.echo(f"{_name(firmware)} is undamaged.")
        except StationError as error:
            failed = True
            typer.echo(in_words(error), err=True)
    if failed:
        raise typer.Exit(1)


@app.command("prune")
def prune_firmware(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    keep: Annotated[int | None, typer.Option(min=1, help="How many builds stay for each model.")] = None,
    store: Store = None,
) -> None:
    """Remove what nobody would miss: what is damaged, denied, replaced by newer firmware, or a download given up.

    What a job uses or the settings pin stays, and the newest for each model.
    """
    ours, kept = _settings(), _open(store, write=not dry_run)
    with plain_errors():
        everything = kept.kept(_promised(ours))
        plan = pruning.surplus(everything, _policy(ours, keep))
        left = _given_up(kept.path, dry_run=dry_run)
    if not plan.names:
        if not left:
            typer.echo("There is nothing to remove.")
        return
    known = {each.name: each for each in everything}
    if dry_run:
        for name in plan.names:
            typer.echo(f"{_words(known[name])} would be removed.")
        typer.echo(f"That would free {decimal(plan.freed)}.")
        return
    _remove(kept, [known[name] for name in plan.names])


@app.command("remove")
def remove_firmware(
    build: Build,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: Store = None,
) -> None:
    """Remove a build. One that a job uses or the settings pin stays."""
    ours, kept = _settings(), _open(store, write=True)
    with plain_errors():
        everything = [each for each in kept.kept(_promised(ours)) if build in (each.build, each.name)]
    if not everything:
        _none(build)
    for each in everything:
        if each.in_use:
            fail(f"{_words(each)} is in use by a job. Try again when it is done.")
        if pruning.pinned(each, ours.supply.pins):
            fail(f"{_words(each)} is pinned in the settings. Take that away first: pins, in the table supply.")
    for each in everything:
        typer.echo(f"{_words(each)} will be removed.")
    if not yes and not typer.confirm("Remove it?"):
        raise typer.Exit(1)
    _remove(kept, everything)


def _given_up(store: Path, *, dry_run: bool) -> bool:
    """Remove downloads that nobody goes on with, or only say so; whether there are any. Raises StorageError."""
    found = [each for each in leftovers(store) if not each.held and each.idle_seconds >= GIVEN_UP_SECONDS]
    for each in found:
        if not dry_run:
            with disk_trouble():
                discard(each)
        what = f"What was downloaded of {each.id}, and not gone on with for a day,"
        typer.echo(f"{what} {'would be' if dry_run else 'was'} removed.")
    return bool(found)


def _settings() -> Settings:
    with plain_errors():
        return settings.load()


def _open(store: Path | None, *, write: bool = False) -> FirmwareStore:
    """The store that the daemon uses, unless another is named. Ends when the settings do not tell, or it is shut."""
    place = store or _settings().firmware_store
    require(place, write=write)
    return FirmwareStore(place)


def _promised(ours: Settings) -> frozenset[str]:
    """Directories of firmware that jobs of this station have been given, also those whose worker does not run yet.

    Raises:
        OSError: the jobs cannot be looked through.
    """
    promised = set()
    for path in entries_of(ours.state / "jobs", missing_ok=True):
        job = JobDirectory(path)
        try:
            firmware = job.spec().firmware
        except InputRejected:
            continue
        if firmware is not None and job.ended() is None:
            promised.add(_directory(firmware))
    return frozenset(promised)


def _policy(ours: Settings, keep: int | None) -> Policy:
    times = History.read(ours.state).times()
    return Policy(
        seen=frozenset(model for _, model, _ in times.seconds if model),
        pins=ours.supply.pins,
        denied=frozenset(ours.supply.denied),
        keep=ours.supply.keep if keep is None else keep,
    )


def _notes(each: Kept, ours: Settings) -> Iterator[str]:
    if each.in_use:
        yield "in use"
    if pruning.pinned(each, ours.supply.pins):
        yield "pinned"
    if each.build in ours.supply.denied:
        yield "denied"


def _whence(origin: Origin | None) -> Iterator[str]:
    """Whom it came from, where that was another station."""
    if origin is not None and origin.vouching is not Vouching.DIGEST:
        compared = "" if origin.vouching is Vouching.TABLE else ", not compared with Apple's"
        yield f"from {origin.host}{compared}"


def _of_build(kept: FirmwareStore, build: str) -> Sequence[Firmware]:
    """All firmware of a build: one for each family of models. Ends when there is none."""
    with plain_errors():
        found = [firmware for firmware in kept.list() if build in (firmware.build, _directory(firmware))]
    if not found:
        _none(build)
    return found


def _none(build: str) -> NoReturn:
    fail(f"There is no firmware {build} in the store. See what there is: station firmware list")


def _remove(kept: FirmwareStore, chosen: Sequence[Kept]) -> None:
    """Remove firmware, and say what came of it. Ends with 1 when something stayed."""
    with plain_errors():
        removed = kept.remove(each.name for each in chosen)
    for each in chosen:
        if each.name in removed.in_use:
            typer.echo(f"{_words(each)} is in use by a job, and stays.", err=True)
        else:
            typer.echo(f"{_words(each)} was removed.")
    typer.echo(f"{decimal(removed.freed)} became free.")
    if removed.in_use:
        raise typer.Exit(1)


def _warn_of_unusable(store: FirmwareStore) -> bool:
    """Name what is in the store and cannot be used; whether there is anything."""
    with plain_errors():
        found = store.unusable()
    for each in found:
        what = _name(each.firmware) if each.firmware else each.name
        typer.echo(f"{what} is damaged and cannot be used: {each.why}. Import or download it again.", err=True)
    return bool(found)


def _directory(firmware: Firmware) -> str:
    """The name of its directory in the store."""
    return Path(firmware.directory).parent.name


def _name(firmware: Firmware) -> str:
    return f"iOS {firmware.version} ({firmware.build}) for {', '.join(firmware.product_types)}"


def _words(each: Kept) -> str:
    if not each.product_types:
        return each.name
    return f"iOS {each.version} ({each.build}) for {', '.join(each.product_types)}"


@contextmanager
def _progress(words: str) -> Iterator[Advance]:
    """A bar on the terminal, gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(words, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
