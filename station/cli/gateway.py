"""`station gateway`."""

from pathlib import Path
from typing import Annotated

import typer

from station.gateway.__main__ import run


def gateway(
    reach: Annotated[
        Path | None, typer.Option(help="Where other servers are than Apple's: reach.json of a virtual host.")
    ] = None,
) -> None:
    """Let workers reach Apple, and nobody else, through the listening unix socket on standard input."""
    raise typer.Exit(run(reach))
