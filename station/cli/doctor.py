"""`station doctor`: what is wrong with this machine, and how to mend it."""

from pathlib import Path
from typing import Annotated

import typer

from station.cli.checkup import examine, examine_essentials
from station.cli.plainly import in_words
from station.daemon.settings import load
from station.errors import ConfigError


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(help="The settings, in place of /etc/restore-station/station.toml.", envvar="STATION_CONFIG"),
    ] = None,
    essentials: Annotated[
        bool, typer.Option("--essentials", help="Only what another version of the system could have broken.")
    ] = False,
) -> None:
    """Look at everything a station needs; say what is wrong and how to mend it. Exit code 1 when something is."""
    try:
        settings = load(config)
        settings.reach()
    except ConfigError as error:
        typer.echo(f"✘ settings: {in_words(error)}", err=True)
        raise typer.Exit(1) from error
    wrong = []
    for finding in (examine_essentials if essentials else examine)(settings):
        typer.echo(f"{'✔' if finding.fine else '✘'} {finding.what}: {finding.found}")
        if not finding.fine:
            wrong.append(finding.what)
            typer.echo(f"    {finding.remedy}")
    typer.echo(f"{len(wrong)} to mend: {', '.join(wrong)}." if wrong else "Nothing is wrong.")
    if wrong:
        raise typer.Exit(1)
