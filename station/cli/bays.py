"""`station bays`: which USB socket is which bay."""

import asyncio
from typing import TYPE_CHECKING

import typer

from station.adapters.api import ApiClient, connect
from station.cli.client import SOCKET, Bay, Socket, run
from station.cli.operator import AskPin, obeyed, operating
from station.errors import Refused
from station.model.api import ForgetBay, LearnBay
from station.model.base import BayId
from station.model.operator import SESSION_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(help="Show, teach and forget bays.", no_args_is_help=True, add_completion=False)


@app.command("list")
def show(unlock: AskPin = False, socket: Socket = SOCKET) -> None:
    """Show the bays; for an operator with their sockets."""
    run(_list(socket, unlock=unlock))


@app.command()
def learn(bay: Bay, unlock: AskPin = False, socket: Socket = SOCKET) -> None:
    """Make the socket that the next phone is plugged into this bay, if it is none yet."""
    run(_learn(socket, BayId(bay), unlock=unlock))


@app.command()
def forget(bay: Bay, unlock: AskPin = False, socket: Socket = SOCKET) -> None:
    """Forget a bay that has no phone in it."""
    run(_forget(socket, BayId(bay), unlock=unlock))


async def _list(socket: "Path", *, unlock: bool) -> None:
    if not unlock:
        async with connect(socket) as client:
            snapshot = await client.snapshot()
        sockets = {} if snapshot.operator is None else {line.bay: line.socket for line in snapshot.operator.bays}
    else:
        async with operating(socket, unlock=True) as client:
            snapshot = await client.snapshot()
            while snapshot.operator is None:
                snapshot = await client.snapshot()
            sockets = {line.bay: line.socket for line in snapshot.operator.bays}
    for bay in snapshot.bays:
        typer.echo(f"  {bay.bay:>8}  {sockets.get(bay.bay, ''):10}  {bay.title}".rstrip())
    if not snapshot.bays:
        typer.echo("A socket becomes a bay when the first phone is plugged into it.")


async def _learn(socket: "Path", bay: BayId, *, unlock: bool) -> None:
    async with operating(socket, unlock=unlock) as client:
        await obeyed(client, LearnBay(id=3, bay=bay))
        typer.echo(f"Plug a phone into the socket that is to be bay {bay}.")
        try:
            async with asyncio.timeout(SESSION_SECONDS):
                await _arrived(client, bay)
        except TimeoutError:
            raise Refused("No phone came into a socket that is no bay.", remedy="Try it again.") from None
    typer.echo(f"It is bay {bay} from now on.")


async def _arrived(client: ApiClient, bay: BayId) -> None:
    """Wait until there is a phone in this bay, which was empty."""
    while not any(each.bay == bay and each.phone for each in (await client.snapshot()).bays):
        pass


async def _forget(socket: "Path", bay: BayId, *, unlock: bool) -> None:
    async with operating(socket, unlock=unlock) as client:
        await obeyed(client, ForgetBay(id=3, bay=bay))
    typer.echo(f"Bay {bay} is forgotten.")
