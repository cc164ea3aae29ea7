"""`station update` as whoever is not root sees it: what does it belongs to the system (`deploy/update`)."""

from pathlib import Path
from typing import Annotated

import typer

from station.cli.plainly import fail


def update(
    file: Annotated[Path, typer.Argument(help="An update (.raucb).")],
    now: Annotated[bool, typer.Option(help="Do not wait for phones that are being worked on.")] = False,
) -> None:
    """Bring a station that was made from an image up to date, as root, and back again if it is no good."""
    command = f"sudo station update {file}{' --now' if now else ''}"
    fail(
        f"That is for root, on a station that was made from an image: {command}. "
        "Any other is brought up to date by the new version's deploy/install."
    )
