"""`station worker JOBDIR`."""

from pathlib import Path
from typing import Annotated

import typer

from station.worker import keeper


def worker(
    jobdir: Annotated[Path, typer.Argument(metavar="JOBDIR", help="The job's directory, with its spec.json.")],
) -> None:
    """Do one job: what the daemon starts for each, as a process of its own."""
    raise typer.Exit(keeper.main(jobdir))
