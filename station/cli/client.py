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
from station.model.consent import Options
from station.model.service import Service

SOCKET = Path(DEFAULT_SOCKET)

SETTLE_SECONDS = 1.0
"""The daemon tells of every change within a tenth of a second."""

Socket = Annotated[Path, typer.Option("--socket", help="The daemon's socket.", envvar="STATION_SOCKET")]
Bay = Annotated[str, typer.Argument(help="The bay's name, as printed beside its socket.")]
PhoneEcid = Annotated[
    Ecid,
    typer.Argument(
        parser=lambda word: Ecid(int(word, 16)),
        metavar="ECID",
        help="The ECID of the phone you mean, in hexadecimal (0x…).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="The whole snapshot, for programs.")]


def status(socket: Socket = SOCKET, json: Json = False) -> None:
    """Show what is plugged in and what it is doing."""
    run(_show(socket, json=json, follow=False))


def watch(socket: Socket = SOCKET, json: Json = False) -> None:
    """Show it again whenever it changes."""
    run(_show(socket, json=json, follow=True))


def start(
    bay: Bay,
    service: Annotated[Service | None, typer.Argument(help="By default the one that is chosen in the bay.")] = None,
    build: Annotated[str, typer.Option(help="Install this build, such as 23C71, and not the newest.")] = "",
    keep_esim: Annotated[bool, typer.Option(help="Erase: whether the phone's mobile plans stay.")] = True,
    stay_in_recovery: Annotated[
        bool, typer.Option("--stay-in-recovery", help="Rescue: keep it there instead.")
    ] = False,
    socket: Socket = SOCKET,
) -> None:
    """Press START for a bay."""
    options = Options(build=build, keep_esim=keep_esim, stay_in_recovery=stay_in_recovery)
    run(_start(socket, BayId(bay), service, options))


def confirm(bay: Bay, ecid: PhoneEcid, socket: Socket = SOCKET) -> None:
    """Confirm that exactly this phone is erased, where the station's policy allows it."""
    run_command(socket, OperatorConfirm(id=1, bay=BayId(bay), ecid=ecid))


def cancel(bay: Bay, socket: Socket = SOCKET) -> None:
    """Forget START, or end a job that has not begun to erase."""
    run(_command(socket, Cancel(id=1, bay=BayId(bay))))


def dismiss(bay: Bay, socket: Socket = SOCKET) -> None:
    """Say that you have seen a bay's result."""
    run(_command(socket, Dismiss(id=1, bay=BayId(bay))))


def run_command(socket: Path, command: Command) -> None:
    """Have the daemon carry out a command, and show the station after it; say why not when it is refused."""
    run(_command(socket, command))


def run(work: Coroutine[Any, Any, None]) -> None:
    """Do something with the daemon, and end with words when it does not work."""
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


def bay_of(snapshot: Snapshot, name: BayId) -> BayView:
    """One bay of a snapshot. Raises Refused when there is none of that name."""
    found = next((bay for bay in snapshot.bays if bay.bay == name), None)
    if found is None:
        raise Refused(f"There is no bay {name}.")
    return found


async def _start(socket: Path, name: BayId, service: Service | None, options: Options) -> None:
    async with connect(socket) as client:
        chosen = service or bay_of(await client.snapshot(), name).chosen
    if chosen is None:
        raise Refused(f"There is no phone in bay {name}.", remedy="Plug one in.")
    await _command(socket, Start(id=1, bay=name, service=chosen, options=options))


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
