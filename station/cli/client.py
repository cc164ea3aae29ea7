"""An operator's hands: commands that talk to the daemon over its socket."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from station.adapters.api import ApiClient, connect
from station.cli.plainly import plain_errors
from station.errors import Refused
from station.model.api import DEFAULT_SOCKET, BayView, Cancel, Command, Dismiss, OperatorConfirm, Snapshot, Start
from station.model.base import BayId, Ecid, format_ecid
from station.model.service import Service

SOCKET = Path(DEFAULT_SOCKET)

SETTLE_SECONDS = 1.0
"""The daemon tells of every change within a tenth of a second."""

Socket = Annotated[Path, typer.Option("--socket", help="The daemon's socket.", envvar="STATION_SOCKET")]
Bay = Annotated[str, typer.Argument(help="The bay's name, as printed beside its socket.")]
Json = Annotated[bool, typer.Option("--json", help="The whole snapshot, for programs.")]


def status(socket: Socket = SOCKET, json: Json = False) -> None:
    """Show what is plugged in and what it is doing."""
    _run(_show(socket, json=json, follow=False))


def watch(socket: Socket = SOCKET, json: Json = False) -> None:
    """Show it again whenever it changes."""
    _run(_show(socket, json=json, follow=True))


def start(bay: Bay, service: Service, socket: Socket = SOCKET) -> None:
    """Press START for a bay."""
    _run(_command(socket, Start(id=1, bay=BayId(bay), service=service)))


def confirm(
    bay: Bay,
    ecid: Annotated[str, typer.Argument(help="The ECID of the phone you mean, in hexadecimal (0x…).")],
    socket: Socket = SOCKET,
) -> None:
    """Confirm that exactly this phone is erased, where the station's policy allows it."""
    try:
        number = Ecid(int(ecid, 16))
    except ValueError:
        raise typer.BadParameter(f"{ecid!r} is not a hexadecimal number.") from None
    _run(_command(socket, OperatorConfirm(id=1, bay=BayId(bay), ecid=number)))


def cancel(bay: Bay, socket: Socket = SOCKET) -> None:
    """Forget START, or end a job that has not begun to erase."""
    _run(_command(socket, Cancel(id=1, bay=BayId(bay))))


def dismiss(bay: Bay, socket: Socket = SOCKET) -> None:
    """Say that you have seen a bay's result."""
    _run(_command(socket, Dismiss(id=1, bay=BayId(bay))))


def run_command(socket: Path, command: Command) -> None:
    """Have the daemon carry out a command, and show the station after it; say why not when it is refused."""
    _run(_command(socket, command))


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        with plain_errors():
            asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _show(socket: Path, *, json: bool, follow: bool) -> None:
    async with connect(socket) as client:
        while True:
            snapshot = await client.snapshot()
            if json:
                typer.echo(msgspec.json.encode(snapshot).decode())
            else:
                _print(snapshot)
            if not follow:
                return
            sys.stdout.flush()


async def _command(socket: Path, command: Command) -> None:
    async with connect(socket) as client:
        answer = await client.command(command)
        if answer.refused:
            raise Refused(answer.refused, remedy=answer.remedy)
        await _settled(client)


async def _settled(client: ApiClient) -> None:
    """Show what became of a command: the snapshot after it, or the one there is when it changed nothing."""
    before = client.latest or await client.snapshot()
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            _print(await client.snapshot())
    except TimeoutError:
        _print(before)


def _print(snapshot: Snapshot) -> None:
    typer.echo(f"{snapshot.station}: {snapshot.lamp.value}. {snapshot.notice}".strip())
    for bay in snapshot.bays:
        typer.echo(f"  {bay.bay:>3}  {' · '.join(filter(None, _words(bay)))}")


def _words(bay: BayView) -> list[str]:
    words = [bay.title]
    if bay.job is not None:
        words.append(f"{int(bay.job.fraction * 100)} %")
    if bay.phone is not None:
        phone = bay.phone
        name = phone.model_name or phone.product_type or "iPhone"
        words += [name, f"iOS {phone.version}" if phone.version else phone.mode.value]
        words.append(format_ecid(phone.ecid) if phone.ecid is not None else "ECID unknown")
        words.append("EMULATED" if phone.emulated else "")
    if bay.result is not None and bay.result.record:
        words.append(f"record {bay.result.record}")
    words.append(bay.hint)
    return [word for word in words if word.isprintable()]
