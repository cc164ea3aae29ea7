"""`station daemon`: what station.service runs."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from station.cli.logs import log_to_stderr
from station.cli.plainly import plain_errors


def daemon(
    config: Annotated[
        Path | None,
        typer.Option(help="The settings, in place of /etc/restore-station/station.toml.", envvar="STATION_CONFIG"),
    ] = None,
    virtual: Annotated[Path | None, typer.Option(help="Directory of a virtual host, in place of real phones.")] = None,
) -> None:
    """Own the station: watch phones, run jobs, keep records, until told to end."""
    gc.disable()  # what is loaded stays; to search it for what could go meanwhile takes an eighth of the start
    from station.daemon import main, settings  # noqa: PLC0415 heavy, and this command's alone

    gc.freeze()
    gc.enable()
    log_to_stderr()
    with plain_errors():
        main.run(settings.load(config, **({} if virtual is None else {"virtual": virtual})))
