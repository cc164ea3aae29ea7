"""`station firmware share`: let other stations have the firmware that is here."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from station.adapters.sharing.stock import PORT, Stock
from station.cli.plainly import fail, plain_errors, require
from station.daemon import settings

LIKE = f"It is written like 192.168.1.20:{PORT}, or :{PORT}."
WHERE = "Where others reach it; all addresses of this machine by default."


STORE = "The firmware store, if not the settings' one."
"""Whether it can be read is seen below: what typer asks counts no capability (station-share.service)."""


def share(
    where: Annotated[str, typer.Argument(metavar="[HOST][:PORT]", help=WHERE)] = f":{PORT}",
    store: Annotated[Path | None, typer.Option("--store", readable=False, help=STORE)] = None,
) -> None:
    """Let other stations in this network have the firmware that is here, until it is stopped.

    They name this one in their settings (nearby, in the table supply). Nothing else can be read, nothing be changed.
    """
    host, port = _address(where)
    with plain_errors():
        place = store or settings.load().firmware_store
    require(place)
    with plain_errors():
        asyncio.run(_share(place, host, port))


async def _share(place: Path, host: str, port: int) -> None:
    from station.adapters.sharing.server import serving  # noqa: PLC0415 (a web server, for this one command)

    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with serving(place, host, port) as (address, bound):
        count = len(await asyncio.to_thread(Stock(place).list))
        many = "1 firmware" if count == 1 else f"{count} firmwares"
        shown = f"[{address}]" if ":" in address else address
        typer.echo(f"{many} can be had at {shown}:{bound}. Whatever comes can too, once it is here.")
        await over.wait()


def _address(where: str) -> tuple[str, int]:
    """HOST and PORT. Ends when they are none."""
    try:
        parts = urlsplit(f"//{where}")
        port = PORT if parts.port is None else parts.port
        host = parts.hostname or ""
    except ValueError:  # what is no port, or half an address
        fail(f"“{where}” is no address. {LIKE}")
    if where != parts.netloc or parts.username is not None:
        fail(f"“{where}” is no address. {LIKE}")
    return host, port
