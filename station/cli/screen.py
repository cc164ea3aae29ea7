"""`station screen`: what the kiosk runs, and pictures of it for those who cannot stand before it."""

import re
from pathlib import Path
from typing import Annotated

import typer

from station.cli.client import SOCKET, Socket
from station.cli.plainly import plain_errors


def screen(
    socket: Socket = SOCKET,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels.", metavar="WxH")] = "",
    fullscreen: Annotated[
        bool | None,
        typer.Option("--fullscreen/--windowed", help="By default: fullscreen where there is no desktop."),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Save a PNG here whenever a bay's state or phase changes.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Save one PNG of the station as it is, and end.")] = None,
) -> None:
    """Show the station on a screen."""
    from station.screen import app  # noqa: PLC0415 pygame is this command's alone

    pixels = _pixels(size)
    with plain_errors():
        if picture is not None:
            app.photograph(socket, picture, size=pixels)
        else:
            app.run(socket, size=pixels, fullscreen=fullscreen, pictures=pictures)


def _pixels(size: str) -> tuple[int, int] | None:
    if not size:
        return None
    match = re.fullmatch(r"(\d{3,4})x(\d{3,4})", size)
    if match is None:
        raise typer.BadParameter(f"{size!r} is not WIDTHxHEIGHT, such as 800x480.")
    return int(match[1]), int(match[2])
