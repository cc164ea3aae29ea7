"""`station virtual`: virtual phones and Apple's servers, for whatever program is pointed at them."""

import asyncio
import shlex
import signal
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import typer

from station.cli.logs import log_to_stderr
from station.cli.plainly import fail, plain_errors
from station.errors import InputRejected
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.hosting import listing
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.models import Model, find_model
from station.virtual.scenarios import scenario
from station.virtual.scenarios.play import Player
from station.virtual.scenarios.scenario import Scenario, parse_version

FAULT = "STEP=KIND[,FIELD=VALUE]…"
NUMBERS = ("status", "times", "after_bytes", "rate", "count", "seconds", "ecid")
TEXTS = ("serial", "hostile", "garble", "url")
"""What a fault on the command line may say, by the names of its fields."""

Scene = Callable[[VirtualHost], Awaitable[None]]
"""Plugs in the phones, and ends when nothing more is to happen by itself."""


def virtual(
    name: Annotated[
        str | None, typer.Argument(metavar="SCENARIO", help="A scenario to play: its name (--list), or its file.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where the sockets are made; by default somewhere new under /tmp.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="What to plug in (--list); by default an iPhone 12.")] = None,
    ios: Annotated[
        str | None, typer.Option(help="The iOS on it, VERSION/BUILD; empty: none, it is in recovery. [26.1/23B85]")
    ] = None,
    count: Annotated[int | None, typer.Option(min=0, max=64, help="How many phones; by default one.")] = None,
    pace: Annotated[
        float | None, typer.Option(min=0, help="1: a restore takes about half a minute. By default 1, or a scenario’s.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="As fast as can be: --pace 0.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar=FAULT, help="What goes wrong on each, as 'lockdown:EnterRecovery=unplug'. Repeatable."),
    ] = None,
    ipsw: Annotated[
        list[Path] | None,
        typer.Option(help="An IPSW that Apple signs; a zip file is offered too. Repeatable.", exists=True),
    ] = None,
    list_all: Annotated[
        bool, typer.Option("--list", help="Show every model, person, fault and scenario there is, and end.")
    ] = False,
) -> None:
    """Serve virtual phones until interrupted; say how they are reached."""
    if list_all:
        for line in listing.text():
            typer.echo(line)
        return
    if name is not None and (model, ios, count, fault) != (None, None, None, None):
        raise typer.BadParameter("a scenario says itself which phones there are.", param_hint="SCENARIO")
    with plain_errors():
        played = None if name is None else scenario.find(name)
        chosen = (1.0 if played is None else played.pace) if pace is None else pace
        scene = (
            _playing(played)
            if played is not None
            else _plugging(_order(model, ios, fault), 1 if count is None else count)
        )
        with TemporaryDirectory(prefix="station-virtual-") as temporary:
            where = directory or Path(temporary)
            log_to_stderr()
            asyncio.run(_serve(where, scene, pace=0.0 if fast else chosen, ipsws=ipsw or []))


def parse_fault(text: str) -> Fault:
    """Read a fault as the command line has it. Raises ValueError."""
    first, *extras = text.split(",")
    step, _, kind = first.rpartition("=")
    fields = dict(extra.partition("=")[::2] for extra in extras)
    if not step:
        raise ValueError(f"{text!r} is not {FAULT}")
    if kind not in (there_are := [known.value for known in FaultKind]):
        raise ValueError(f"no fault {kind!r}; there are {', '.join(there_are)}")
    if strange := fields.keys() - {*NUMBERS, *TEXTS}:
        raise ValueError(f"no field {min(strange)!r} of a fault; there are {', '.join((*NUMBERS, *TEXTS))}")
    return msgspec.convert({"at": step, "kind": kind, **fields}, Fault, strict=False)


def parse_ios(text: str) -> Installed:
    """Read VERSION/BUILD. Raises ValueError."""
    version, build = parse_version(text)
    return Installed(version=version, build=build)


def _order(model: str | None, ios: str | None, faults: Sequence[str] | None) -> Plug:
    """What to plug in. Raises BadParameter."""
    try:
        chosen = find_model(model or "iPhone 12")
        order = Plug(
            model=chosen.hardware_model,
            installed=parse_ios("26.1/23B85" if ios is None else ios) if ios != "" else None,
            faults=tuple(parse_fault(text) for text in faults or ()),
        )
        if order.installed is not None:
            _refuse_version(chosen, order.installed.version)
    except (KeyError, ValueError) as error:
        raise typer.BadParameter(str(error.args[0])) from error
    return order


def _refuse_version(model: Model, version: str) -> None:
    """Raise ValueError when this iOS was never made for this model, which says what to do about it."""
    try:
        model.refuse_version(version)
    except ValueError as error:
        raise ValueError(f"{error}; say which it has: --ios VERSION/BUILD") from error


def _plugging(order: Plug, count: int) -> Scene:
    async def plug(host: VirtualHost) -> None:
        for _ in range(count):
            phone = host.hands.plug(order)
            _remark(f"in {phone.socket}: {phone.identity.product_type} {phone.identity.udid}")
        _say_reach(host)

    return plug


def _playing(played: Scenario) -> Scene:
    async def play(host: VirtualHost) -> None:
        player = Player(played, host, tell=_remark)
        _remark(played.shows)
        with TemporaryDirectory(prefix="station-firmware-") as directory:
            for place in await player.make_firmware(Path(directory)):
                _remark(f"Apple signs {place}")
            _say_reach(host)
            try:
                await player.play()
            except (KeyError, ValueError) as error:
                raise InputRejected(f"The scenario cannot go on: {error.args[0]}.") from error
            _remark("that was all that happens by itself")
            await host.hands.quit.wait()

    return play


def _say_reach(host: VirtualHost) -> None:
    for name, value in host.environment.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    address = shlex.quote(f"UNIX:{host.reach.usbmuxd}")
    _remark(f"libimobiledevice's tools (idevice_id …) need instead: export USBMUXD_SOCKET_ADDRESS={address}")


def _remark(words: str) -> None:
    """Tell a person something, as comments: a shell can read all of the output."""
    for line in words.splitlines():
        typer.echo(f"# {line}")


async def _serve(directory: Path, scene: Scene, *, pace: float, ipsws: Sequence[Path]) -> None:
    """Serve until SIGINT, SIGTERM or a Quit. Raises InputRejected: it cannot."""
    try:
        async with VirtualHost(directory, pace=pace) as host:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, host.hands.quit.set)
            for ipsw in ipsws:
                await asyncio.to_thread(_sign, host, ipsw)
            playing = asyncio.ensure_future(scene(host))
            quitting = asyncio.create_task(host.hands.quit.wait())
            await asyncio.wait({playing, quitting}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()  # what it raised
                await quitting
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
    except OSError as error:
        raise InputRejected(f"Cannot serve in {directory}: {error.strerror or error}.") from error
    except ValueError as error:
        raise InputRejected(f"Cannot serve in {directory}: {error}.") from error


def _sign(host: VirtualHost, ipsw: Path) -> None:
    """Have Apple sign the builds of an IPSW, and offer it where it is a zip file. Ends with words when it is none."""
    take = host.apple.register if ipsw.is_dir() else host.apple.release
    try:
        take(ipsw)
    except FileNotFoundError as error:
        fail(f"{ipsw} is not an unpacked IPSW: there is no {error.filename}.")
    except (zipfile.BadZipFile, KeyError):
        fail(f"{ipsw} is not an IPSW: it is no zip file with a BuildManifest.plist.")
    except Exception as error:  # noqa: BLE001 - zipfile, plistlib and whoever reads a manifest raise a dozen kinds
        fail(f"{ipsw} is not an IPSW: {type(error).__name__}: {error}")
