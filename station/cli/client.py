"""An operator's hands: commands that talk to the daemon over its socket."""

import asyncio
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from station.adapters.api import ApiClient, connect
from station.cli.plainly import plain_errors
from station.core.arriving import how_far
from station.errors import Refused
from station.model.api import (
    DEFAULT_SOCKET,
    BayState,
    BayView,
    Cancel,
    Command,
    Dismiss,
    Lamp,
    OperatorConfirm,
    OrderView,
    Snapshot,
    Start,
)
from station.model.base import BayId, Ecid, format_ecid
from station.model.consent import Options
from station.model.service import SERVICES, Service

SOCKET = Path(DEFAULT_SOCKET)

SETTLE_SECONDS = 1.0
"""The daemon tells of every change within a tenth of a second."""

LAMP_WORDS = {
    Lamp.READY: "ready",
    Lamp.PERSON: "somebody is needed",
    Lamp.WORKING: "working",
    Lamp.DONE: "done",
    Lamp.FAULT: "fault",
}

LARGEST_ECID = (1 << 64) - 1

OPTIONS_OF = {
    "--build": {Service.REINSTALL, Service.RESTORE},
    "--no-keep-esim": {Service.ERASE},
    "--stay-in-recovery": {Service.RESCUE},
}
"""Which services an option means something for."""

Socket = Annotated[Path, typer.Option("--socket", help="The daemon's socket.", envvar="STATION_SOCKET")]
Bay = Annotated[str, typer.Argument(help="The bay's name, as printed beside its socket.")]
PhoneEcid = Annotated[
    str, typer.Argument(metavar="ECID", help="The ECID of the phone you mean, as `station status` shows it (0x…).")
]
Json = Annotated[bool, typer.Option("--json", help="The whole snapshot, for programs.")]


def status(socket: Socket = SOCKET, json: Json = False) -> None:
    """Show what is plugged in, and what is going on with it."""
    run(_show(socket, json=json, follow=False))


def watch(socket: Socket = SOCKET, json: Json = False) -> None:
    """Show the status, and then whatever changes in it, until Ctrl-C."""
    run(_show(socket, json=json, follow=True))


def start(
    bay: Bay,
    service: Annotated[
        Service | None,
        typer.Argument(help="What the phone gets (station offers BAY); by default what is chosen in the bay."),
    ] = None,
    build: Annotated[
        str, typer.Option(help="reinstall, restore: install this build, such as 23C71, and not the newest.")
    ] = "",
    keep_esim: Annotated[bool, typer.Option(help="erase: whether the phone's mobile plans stay.")] = True,
    stay_in_recovery: Annotated[
        bool, typer.Option("--stay-in-recovery", help="rescue: keep the phone in recovery, out of a boot loop.")
    ] = False,
    socket: Socket = SOCKET,
) -> None:
    """Press START for a bay. What erases a phone, or could, waits for CONFIRM then."""
    given = {"--build": bool(build), "--no-keep-esim": not keep_esim, "--stay-in-recovery": stay_in_recovery}
    for name, services in OPTIONS_OF.items():
        if given[name] and service is not None and service not in services:
            words = " and ".join(sorted(each.value for each in services))
            raise typer.BadParameter(f"only {words} can have it, not {service.value}.", param_hint=name)
    options = Options(build=build, keep_esim=keep_esim, stay_in_recovery=stay_in_recovery)
    run(_start(socket, BayId(bay), service, options))


def confirm(bay: Bay, ecid: PhoneEcid, socket: Socket = SOCKET) -> None:
    """Hold CONFIRM for exactly this phone after START, where the settings allow it (operator_confirm)."""
    run_command(socket, OperatorConfirm(id=1, bay=BayId(bay), ecid=ecid_of(ecid)))


def cancel(bay: Bay, socket: Socket = SOCKET) -> None:
    """Forget START, or end a job that has not begun to erase."""
    run(_command(socket, Cancel(id=1, bay=BayId(bay))))


def dismiss(bay: Bay, socket: Socket = SOCKET) -> None:
    """Say that you have seen a bay's last result: the bay is free for the next."""
    run(_command(socket, Dismiss(id=1, bay=BayId(bay))))


def ecid_of(word: str) -> Ecid:
    """What somebody typed, as an ECID. Raises BadParameter."""
    try:
        number = int(word, 16)
    except ValueError:
        number = 0
    if not 0 < number <= LARGEST_ECID:
        raise typer.BadParameter(
            f"“{word}” is no ECID. “station status” shows each phone's, such as 0x0005C11D331E9122.", param_hint="ECID"
        )
    return Ecid(number)


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
    shown: dict[str, str] = {}
    async with connect(socket) as client:
        while True:
            snapshot = await client.snapshot()
            words = {"": msgspec.json.encode(snapshot).decode()} if json else _parts(snapshot)
            for part, text in words.items():
                if shown.get(part) != text:  # a snapshot differs in more than is shown
                    typer.echo(text)
            shown = words
            if not follow:
                return
            sys.stdout.flush()


def bay_of(snapshot: Snapshot, name: BayId) -> BayView:
    """One bay of a snapshot. Raises Refused when there is none of that name."""
    found = next((bay for bay in snapshot.bays if bay.bay == name), None)
    if found is None:
        names = ", ".join(bay.bay for bay in snapshot.bays)
        there = f"There is: {names}." if names else "A socket becomes a bay when the first phone is plugged into it."
        raise Refused(f"There is no bay {name}.", remedy=there)
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
        snapshot = await _settled(client)
    name = getattr(command, "bay", None)
    typer.echo("\n".join(_parts(snapshot, only=name).values()))
    for bay in snapshot.bays:
        if bay.bay == name and bay.state is BayState.ARMED and bay.phone is not None and bay.phone.ecid is not None:
            typer.echo(f"       Or, where it may: station confirm {bay.bay} {format_ecid(bay.phone.ecid)}")


async def _settled(client: ApiClient) -> Snapshot:
    """What became of a command: the snapshot after it, or the one there is when it changed nothing."""
    before = client.latest or await client.snapshot()
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            return await client.snapshot()
    except TimeoutError:
        return before


def _parts(snapshot: Snapshot, *, only: BayId | None = None) -> dict[str, str]:
    """The station and each bay in lines; `only` one bay of it, where that is what somebody asked about."""
    parts = {"station": f"{snapshot.station}: {LAMP_WORDS[snapshot.lamp]}. {snapshot.notice}".strip()}
    if snapshot.order is not None:
        parts["order"] = _order(snapshot.order)
    for arrival in snapshot.arrivals if only is None else ():
        parts[f"firmware {arrival.build}"] = f"  Firmware: {how_far(arrival)}"
    for bay in snapshot.bays:
        if only in (None, bay.bay):
            hint = f"\n       {bay.hint}" if bay.hint and bay.hint.isprintable() else ""
            parts[f"bay {bay.bay}"] = f"  {bay.bay:>3}  {' · '.join(filter(None, _words(bay)))}{hint}"
    if not snapshot.bays:
        parts["bay"] = "  No phone has been plugged in yet."
    return parts


def in_bays(bays: Sequence[BayId]) -> str:
    """Which bays an order covers."""
    return f"bay{'' if len(bays) == 1 else 's'} {', '.join(bays)}" if bays else "every bay"


def _order(order: OrderView) -> str:
    """The standing order that holds."""
    where = in_bays(order.bays)
    counts = f"{order.left} to come, {order.done} done, {order.failed} not done"
    return f"  Standing order “{SERVICES[order.service].title}”, {where}: {counts}. (station order --report | --end)"


def _words(bay: BayView) -> list[str]:
    words = [bay.title]
    if bay.job is not None:
        words.append(f"{int(bay.job.fraction * 100)} %")
        words.append("" if bay.job.eta is None else _left(bay.job.eta))
    if bay.phone is not None:
        phone = bay.phone
        name = phone.model_name or phone.product_type or "iPhone"
        words += [name, f"iOS {phone.version}" if phone.version else phone.mode.value]
        words.append(format_ecid(phone.ecid) if phone.ecid is not None else "ECID unknown")
        words.append("EMULATED" if phone.emulated else "")
    if bay.result is not None and bay.result.record:
        words.append(f"record {bay.result.record}")
    return [word for word in words if word.isprintable()]


def _left(eta: float) -> str:
    """The time until `eta` (CLOCK_BOOTTIME seconds)."""
    from station.screen.words import time_left  # noqa: PLC0415 (pygame comes with it, and most answers need none)

    return time_left(eta - time.clock_gettime(time.CLOCK_BOOTTIME))
