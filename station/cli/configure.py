"""`station configure`: what restore-station-first-boot.service runs."""

from pathlib import Path
from typing import Annotated

import typer

from station.adapters.machine import Machine
from station.cli.plainly import fail, in_words
from station.errors import ConfigError, StorageError

PROBLEM = "station-problem.txt"
"""Beside the file that is wrong."""


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
    from station.daemon import first_boot, office  # noqa: PLC0415 heavy, and this command's alone

    problem, shown = file.with_name(PROBLEM), runtime / office.BOOT_PROBLEM
    machine = Machine(root, keep=settings.with_name("machine.json"))
    try:
        machine.restore()
        places = first_boot.Places(settings=settings, state=state, machine=machine)
        taken = first_boot.take(file, places) if file.exists() else False
        for old in (problem, shown):
            old.unlink(missing_ok=True)
    except (ConfigError, StorageError) as error:
        _tell(problem, shown, in_words(error))
    except OSError as error:
        _tell(problem, shown, f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.")
    else:
        typer.echo(f"Taken: {file}." if taken else "Nothing new.")


def _tell(problem: Path, shown: Path, words: str) -> None:
    """Beside the file, for whoever puts the card into a computer; on the screen; and where errors go."""
    text = f"The station could not take what station.toml says, and took nothing of it:\n\n{words}\n"
    for path, says in ((problem, text), (shown, words)):
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_text(says, encoding="utf-8", newline="\r\n" if path == problem else None)
        except OSError as error:
            typer.echo(f"{path} cannot be written: {error.strerror}.", err=True)
    fail(words)
