"""`station logs`: what whoever is asked for help wants to see, in one file."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from station.adapters import bundle
from station.cli.checkup import examine
from station.cli.plainly import plain_errors
from station.daemon.settings import Settings, load


def logs(
    to: Annotated[Path, typer.Option("--to", help="The directory that gets it; by default this one.")] = Path(),
) -> None:
    """Write the logs, what the doctor finds and the settings to one zip file; nothing of what is on a phone."""
    with plain_errors():
        settings = load()
        name = f"restore-station-logs-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"
        typer.echo(bundle.write(to, name, _parts(settings)))


def _parts(settings: Settings) -> Iterator[tuple[str, bytes]]:
    yield "doctor.txt", "".join(_doctor(settings)).encode()
    yield "settings.json", settings.model_dump_json(indent=2).encode()
    yield "journal.txt", bundle.journal()
    yield from bundle.worker_logs(settings.state)


def _doctor(settings: Settings) -> Iterator[str]:
    for finding in examine(settings):
        yield f"{'✔' if finding.fine else '✘'} {finding.what}: {finding.found}\n"
        if not finding.fine:
            yield f"    {finding.remedy}\n"
