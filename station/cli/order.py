"""`station order`: a standing order, for the bench and the night."""

import re
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from station.adapters.order_report import report_of, text_of
from station.adapters.orders import OrderShelf
from station.cli.client import SOCKET, Socket, in_bays, run_command
from station.cli.plainly import fail, plain_errors, require
from station.daemon import settings
from station.model.api import EndOrder, Order
from station.model.base import BayId
from station.model.consent import Options
from station.model.service import SERVICES, Service

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh])")


def order(
    service: Annotated[Service | None, typer.Argument(help="What each phone gets.")] = None,
    bays: Annotated[str, typer.Option(help="Bays, with commas between them; by default every bay.")] = "",
    count: Annotated[int, typer.Option(min=1, help="For how many phones.")] = 1,
    lasts: Annotated[str, typer.Option("--for", help="For how long from now: 45m, 8h.")] = "12h",
    keep_esim: Annotated[bool, typer.Option(help="Erase: whether the phones' mobile plans stay.")] = True,
    end: Annotated[bool, typer.Option("--end", help="End the order; what has begun goes on.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="What came of the last order, or of the one that holds.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="With --report: for programs.")] = False,
    state: Annotated[
        Path | None, typer.Option("--state", help="With --report: the station's state directory, if not as set.")
    ] = None,
    socket: Socket = SOCKET,
) -> None:
    """Give the next phones a service with nobody there (operator_confirm): each is confirmed by this order, once."""
    if sum((service is not None, end, report)) != 1:
        raise typer.BadParameter("Say a service, or --end, or --report, and only one of them.")
    if report:
        _report(state, json=json)
    elif service is None:
        run_command(socket, EndOrder(id=1))
    else:
        names = tuple(BayId(name.strip()) for name in bays.split(",") if name.strip())
        seconds = _seconds(lasts)
        options = Options(keep_esim=keep_esim)
        run_command(socket, Order(id=1, service=service, bays=names, count=count, seconds=seconds, options=options))
        phones = "The next phone" if count == 1 else f"The next {count} phones"
        typer.echo(f"{phones}, {in_bays(names)}: “{SERVICES[service].title}”, unattended, for {lasts}.")


def _report(state: Path | None, *, json: bool) -> None:
    with plain_errors():
        house = state or settings.load().state
        require(house)
        require(house / "orders")
        shelf = OrderShelf(house)
        note = shelf.newest()
        if note is None:
            fail("There was no standing order.")
        found = report_of(note, shelf.records(note))
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        typer.echo(text_of(found), nl=False)


def _seconds(text: str) -> float:
    """A duration such as 45m or 8h, in seconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"“{text}” is no duration: write 45m or 8h.", param_hint="--for")
    return float(match[1]) * _UNITS[match[2]]
