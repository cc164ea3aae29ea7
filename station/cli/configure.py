"""`station configure`: what restore-station-first-boot.service runs."""

from pathlib import Path
from typing import Annotated

import typer

from station.adapters import once, unit_places
from station.adapters.machine import Machine
from station.cli.plainly import fail, in_words
from station.errors import ConfigError, StationError, StorageError

PROBLEM = "station-problem.txt"
"""Beside the file that is wrong."""
NOTHING = "The station could not take what station.toml says, and took nothing of it"
NOT_ALL = "The station could not keep all that station.toml says, and tries it again at its next start"


def configure(
    file: Annotated[Path, typer.Argument(help="What to take: a station.toml as the image's boot partition has it.")],
    settings: Annotated[Path, typer.Option(help="The settings that it becomes part of.")] = Path(
        "/etc/restore-station/station.toml"
    ),
    state: Annotated[Path, typer.Option(help="The station's state directory.")] = Path("/var/lib/restore-station"),
    runtime: Annotated[Path, typer.Option(help="Where the daemon finds what went wrong.")] = Path(
        "/run/restore-station"
    ),
    root: Annotated[Path, typer.Option(help="The system whose name, time zone and Wi-Fi it sets.")] = Path("/"),
) -> None:
    """Take what is set on the boot partition, once. What is wrong with it is said in a file beside it."""
    try:
        _take_once(file, settings, state, runtime, root)
    finally:  # whatever becomes of that: a system that an update brought knows no other place of the settings'
        try:
            unit_places.agree(settings, root)
        except (StationError, OSError) as error:
            fail(in_words(error) if isinstance(error, StationError) else str(error))


def _take_once(file: Path, settings: Path, state: Path, runtime: Path, root: Path) -> None:
    problem, mark = file.with_name(PROBLEM), settings.with_name("taken")
    machine = Machine(root, keep=settings.with_name("machine.json"))
    try:
        machine.restore()
    except (StorageError, OSError) as error:
        typer.echo(str(error), err=True)
    try:
        if not file.exists() or once.is_done(file, mark):  # as at nearly every start: quickly
            problem.unlink(missing_ok=True)
            typer.echo("Nothing new.")
            return
    except OSError as error:
        typer.echo(str(error), err=True)
    from station.daemon import first_boot, office  # noqa: PLC0415 heavy, and rarely needed

    shown = runtime / office.BOOT_PROBLEM
    try:
        places = first_boot.Places(settings=settings, state=state, machine=machine, mark=mark)
        taken = first_boot.take(file, places)
        for old in (problem, shown):
            old.unlink(missing_ok=True)
    except ConfigError as error:
        _tell(problem, shown, in_words(error), NOTHING)
    except StorageError as error:
        _tell(problem, shown, in_words(error), NOT_ALL)
    except OSError as error:
        _tell(problem, shown, f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", NOT_ALL)
    else:
        typer.echo(f"Taken: {file}." if taken else "It says nothing.")


def _tell(problem: Path, shown: Path, words: str, what: str) -> None:
    """Beside the file, for whoever puts the card into a computer; on the screen; and where errors go."""
    text = f"{what}:\n\n{words}\n"
    for path, says in ((problem, text), (shown, words)):
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_text(says, encoding="utf-8", newline="\r\n" if path == problem else None)
        except OSError as error:
            typer.echo(f"{path} cannot be written: {error.strerror}.", err=True)
    fail(words)
