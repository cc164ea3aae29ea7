"""`station virtual`: virtual phones and Apple's servers, for whatever program is pointed at them."""

import asyncio
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import typer

from station.virtual.control import Installed, Plug
from station.virtual.faults import Fault
from station.virtual.host import VirtualHost
from station.virtual.models import MODELS, find_model

NAMES = ", ".join(model.name for model in MODELS)
FAULT = "STEP=KIND[,status=N][,times=N]"


def virtual(
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where the sockets are made; by default somewhere new under /tmp.")
    ] = None,
    model: Annotated[str, typer.Option(help=f"What to plug in: {NAMES}.")] = "iPhone 12",
    ios: Annotated[str, typer.Option(help="The iOS on it, VERSION/BUILD; empty: none, it is in recovery.")] = (
        "26.1/23B85"
    ),
    count: Annotated[int, typer.Option(min=0, max=64, help="How many phones.")] = 1,
    pace: Annotated[float, typer.Option(min=0, help="1: a restore takes about half a minute.")] = 1.0,
    fast: Annotated[bool, typer.Option("--fast", help="As fast as can be: --pace 0.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar=FAULT, help="What goes wrong on each, as 'lockdown:EnterRecovery=unplug'. Repeatable."),
    ] = None,
    ipsw: Annotated[
        list[Path] | None, typer.Option(help="An unpacked IPSW whose builds Apple signs. Repeatable.", exists=True)
    ] = None,
) -> None:
    """Serve virtual phones until interrupted; say how they are reached."""
    try:
        order = Plug(
            model=find_model(model).product_type,
            installed=parse_ios(ios) if ios else None,
            faults=tuple(parse_fault(text) for text in fault or ()),
        )
    except (KeyError, ValueError) as error:
        raise typer.BadParameter(str(error.args[0])) from error
    serving = _Serving(order, count=count, pace=0.0 if fast else pace, ipsws=ipsw or [])
    if directory is not None:
        asyncio.run(serving.run(directory))
        return
    with TemporaryDirectory(prefix="station-virtual-") as temporary:
        asyncio.run(serving.run(Path(temporary)))


def parse_fault(text: str) -> Fault:
    """Read a fault as the command line has it. Raises ValueError."""
    first, *extras = text.split(",")
    step, _, kind = first.rpartition("=")
    fields = dict(extra.partition("=")[::2] for extra in extras)
    if not step or fields.keys() - {"status", "times"}:
        raise ValueError(f"{text!r} is not {FAULT}")
    return msgspec.convert({"at": step, "kind": kind, **fields}, Fault, strict=False)


def parse_ios(text: str) -> Installed:
    """Read VERSION/BUILD. Raises ValueError."""
    version, _, build = text.partition("/")
    if not version or not build:
        raise ValueError(f"{text!r} is not VERSION/BUILD")
    return Installed(version=version, build=build)


class _Serving:
    def __init__(self, order: Plug, *, count: int, pace: float, ipsws: list[Path]) -> None:
        self._order = order
        self._count = count
        self._pace = pace
        self._ipsws = ipsws

    async def run(self, directory: Path) -> None:
        """Serve until SIGINT, SIGTERM or a Quit."""
        async with VirtualHost(directory, pace=self._pace) as host:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, host.hands.quit.set)
            for ipsw in self._ipsws:
                await asyncio.to_thread(host.apple.register, ipsw)
            for _ in range(self._count):
                phone = host.hands.plug(self._order)
                typer.echo(f"# in {phone.socket}: {phone.identity.product_type} {phone.identity.udid}")
            for name, value in host.environment.items():
                typer.echo(f"export {name}={value}")
            typer.echo(f"# libimobiledevice's tools: USBMUXD_SOCKET_ADDRESS=UNIX:{host.reach.usbmuxd}")
            await host.hands.quit.wait()
