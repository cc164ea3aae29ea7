"""`station places`: what a person calls after the settings name another directory; deploy/install does too."""

import os
from pathlib import Path
from typing import Annotated

import typer

from station.adapters import unit_places
from station.cli.plainly import fail, plain_errors


def places(
    settings: Annotated[Path, typer.Option(help="The settings that name them.")] = Path(
        "/etc/restore-station/station.toml"
    ),
    root: Annotated[Path, typer.Option(help="The system whose units are meant.")] = Path("/"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be changed.")] = False,
) -> None:
    """Let the units reach the directories that the settings name: vault, firmware, records_copies. Needs root."""
    with plain_errors():
        if not unit_places.is_installed(root):
            fail("There are no units here: this station was not installed with deploy/install, and needs none.")
        files = unit_places.different(root, unit_places.wanted(unit_places.named_in(settings)))
        if not files:
            typer.echo("Nothing to change: the units reach what the settings name.")
            return
        for file, text in files.items():
            typer.echo(f"{'Removing' if text is None else 'Writing'} {file}")
        if dry_run:
            return
        if root == Path("/") and os.geteuid() != 0:
            fail("Needs root: sudo station places")
        unit_places.write(files)
        unit_places.tell_systemd(root)
    typer.echo("Now: sudo systemctl restart station")
