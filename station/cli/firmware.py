"""`station firmware`: the firmware store by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from station.adapters.firmware import FirmwareStore
from station.adapters.unpacked import Advance
from station.cli.plainly import fail, in_words, plain_errors, require
from station.daemon import settings
from station.errors import StationError
from station.model.firmware import Firmware

app = typer.Typer(help="Firmware the station keeps.", no_args_is_help=True, add_completion=False)

EMPTY = "There is no firmware in the store. Import some: station firmware import FILE.ipsw"

Store = Annotated[Path | None, typer.Option("--store", help="The firmware store, if not the settings' one.")]


@app.command("list")
def list_firmware(store: Store = None) -> None:
    """Show every firmware, oldest version first."""
    table = Table("Version", "Build", "Models", box=None)
    kept = _open(store)
    with plain_errors():
        everything = kept.list()
    for firmware in everything:
        table.add_row(firmware.version, firmware.build, ", ".join(firmware.product_types))
    if table.row_count:
        Console().print(table)
    else:
        typer.echo(EMPTY)
    _warn_of_unusable(kept)


@app.command("import")
def import_firmware(
    path: Annotated[Path, typer.Argument(help="An IPSW file, or the directory of an unpacked one.")],
    store: Store = None,
) -> None:
    """Copy an IPSW into the store, whole or not at all."""
    if not path.exists():
        fail(f"There is no file {path}.")
    with plain_errors(), _progress("Importing") as advance:
        firmware = _open(store, write=True).import_ipsw(path, advance)
    typer.echo(f"{_name(firmware)} is in the store.")


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
    chosen = [firmware for firmware in everything if build in (None, firmware.build)]
    if build is not None and not chosen:
        fail(f"There is no firmware {build} in the store. See what there is: station firmware list")
    failed = build is None and _warn_of_unusable(kept)
    for firmware in chosen:
        try:
            with _progress(f"Reading {firmware.build}") as advance:
                kept.verify(firmware, advance, full=True)
            typer.echo(f"{_name(firmware)} is undamaged.")
        except StationError as error:
            failed = True
            typer.echo(in_words(error), err=True)
    if failed:
        raise typer.Exit(1)


def _open(store: Path | None, *, write: bool = False) -> FirmwareStore:
    """The store that the daemon uses, unless another is named. Ends when the settings do not tell, or it is shut."""
    with plain_errors():
        place = store or settings.load().firmware_store
    require(place, write=write)
    return FirmwareStore(place)


def _warn_of_unusable(store: FirmwareStore) -> bool:
    """Name what is in the store and cannot be used; whether there is anything."""
    with plain_errors():
        found = store.unusable()
    for each in found:
        what = _name(each.firmware) if each.firmware else each.name
        typer.echo(f"{what} is damaged and cannot be used: {each.why}. Import it again.", err=True)
    return bool(found)


def _name(firmware: Firmware) -> str:
    return f"iOS {firmware.version} ({firmware.build}) for {', '.join(firmware.product_types)}"


@contextmanager
def _progress(words: str) -> Iterator[Advance]:
    """A bar on the terminal, gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(words, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
