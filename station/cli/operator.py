"""What an operator chooses about the station itself: its PIN, its face, its policy."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from station.adapters import pin_hash
from station.adapters.api import ApiClient, connect
from station.adapters.choices import ChoicesFile
from station.cli.client import SOCKET, Socket, run
from station.cli.plainly import plain_errors
from station.daemon.lease import lease
from station.daemon.presets import Preset
from station.errors import Refused
from station.model.api import Command, Lock, SetFace, SetPin, Snapshot, Unlock, UsePolicy
from station.model.face import DARKEST, LANGUAGE_NAMES, Face, Language, Turn
from station.model.operator import PIN_DIGITS, PinState

AskPin = Annotated[
    bool,
    typer.Option("--unlock", help="Ask for the operator's PIN. Not needed where the settings allow it without."),
]
Yes = Annotated[bool | None, typer.Option()]


class Degrees(Enum):
    """How the display is mounted, as it is typed."""

    NONE = "0"
    RIGHT = "90"
    OVER = "180"
    LEFT = "270"


def pin(
    remove: Annotated[bool, typer.Option("--remove", help="Have none; whoever opens the pages next chooses one.")] = (
        False
    ),
    unlock: AskPin = False,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="For one that was forgotten: the state directory of a station that is stopped."),
    ] = None,
    socket: Socket = SOCKET,
) -> None:
    """Set, change or remove the PIN of the operator's pages."""
    if state is not None:
        with plain_errors():
            _set_offline(state, "" if remove else _ask_new())
    else:
        run(_set_pin(socket, "" if remove else _ask_new(), unlock=unlock))
    typer.echo("There is no PIN any more." if remove else "The PIN is set.")


def face(
    language: Annotated[Language | None, typer.Option(help="What the screen speaks.")] = None,
    turn: Annotated[Degrees | None, typer.Option(help="How the display is mounted: degrees clockwise.")] = None,
    large: Annotated[bool | None, typer.Option(help="Large print.")] = None,
    contrast: Annotated[bool | None, typer.Option(help="Black, white and strong colours only.")] = None,
    brightness: Annotated[int | None, typer.Option(min=DARKEST, max=100, help="Percent.")] = None,
    dim: Annotated[float | None, typer.Option(min=0, help="Seconds until the screen goes dim; 0: never.")] = None,
    sound: Annotated[bool | None, typer.Option(help="Whether the buzzer speaks.")] = None,
    unlock: AskPin = False,
    socket: Socket = SOCKET,
) -> None:
    """Show or change how the station looks and sounds."""
    given = {
        "language": language,
        "turn": None if turn is None else Turn(int(turn.value)),
        "large": large,
        "contrast": contrast,
        "brightness": brightness,
        "dim_seconds": dim,
        "sound": sound,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    run(_change_face(socket, changes, unlock=unlock))


def use(
    policy: Annotated[Preset, typer.Argument(help="The kind of station that it is from now on.")],
    unlock: AskPin = False,
    socket: Socket = SOCKET,
) -> None:
    """Choose what kind of station this is. It starts anew with that; phones that are being worked on do not notice."""
    run(_use(socket, policy, unlock=unlock))


@asynccontextmanager
async def operating(socket: Path, *, unlock: bool) -> AsyncGenerator[ApiClient, None]:
    """A connection on which an operator's commands are obeyed; the pages are closed again behind it."""
    async with connect(socket) as client:
        before = await client.snapshot()
        if not unlock or before.operator is not None:
            yield client
            return
        if before.pin is PinState.UNSET:
            raise Refused("There is no PIN yet.", remedy="Choose one: station pin")
        await obeyed(client, Unlock(id=1, pin=await asyncio.to_thread(typer.prompt, "PIN", hide_input=True)))
        try:
            yield client
        finally:
            await client.command(Lock(id=2))


async def obeyed(client: ApiClient, command: Command) -> None:
    """Have a command carried out. Raises Refused, with what helps here."""
    answer = await client.command(command)
    if answer.refused:
        snapshot = client.latest or await client.snapshot()
        shut = snapshot.operator is None and not isinstance(command, Unlock)
        raise Refused(
            answer.refused, remedy=f"{answer.remedy} With --unlock it asks for the PIN." if shut else answer.remedy
        )


async def _set_pin(socket: Path, new: str, *, unlock: bool) -> None:
    async with connect(socket) as client:
        snapshot = await client.snapshot()
        if new and snapshot.pin is PinState.UNSET:
            await obeyed(client, Unlock(id=1, pin=new))
            await obeyed(client, Lock(id=2))
            return
    async with operating(socket, unlock=unlock) as client:
        await obeyed(client, SetPin(id=3, pin=new))


def _set_offline(state: Path, new: str) -> None:
    """Whoever may write to the state directory needs no PIN. Raises ConfigError while a daemon has it."""
    with lease(state):
        file = ChoicesFile(state)
        choices = file.read().choices
        file.write(replace(choices, pin=pin_hash.make(new) if new else None, wrong=0))


def _ask_new() -> str:
    shortest, longest = PIN_DIGITS
    new: str = typer.prompt("The new PIN", hide_input=True, confirmation_prompt="Once more")
    if not (new.isascii() and new.isdigit() and shortest <= len(new) <= longest):
        raise typer.BadParameter(f"a PIN has {shortest} to {longest} digits.")
    return new


async def _change_face(socket: Path, changes: dict[str, Any], *, unlock: bool) -> None:
    if not changes:
        async with connect(socket) as client:
            typer.echo(_words(await client.snapshot()))
        return
    async with operating(socket, unlock=unlock) as client:
        now: Snapshot | None = client.latest or await client.snapshot()
        assert now is not None
        chosen = replace(now.face, **changes)
        await obeyed(client, SetFace(id=3, face=chosen))
    typer.echo(_words(replace(now, face=chosen)))


def _words(snapshot: Snapshot) -> str:
    face: Face = snapshot.face
    said = (
        LANGUAGE_NAMES[face.language],
        f"turned by {face.turn.value}°" if face.turn is not Turn.NONE else "",
        "large print" if face.large else "",
        "high contrast" if face.contrast else "",
        f"brightness {face.brightness} %",
        f"dim after {face.dim_seconds:g} s" if face.dim_seconds else "never dim",
        "with sound" if face.sound else "silent",
    )
    return ", ".join(filter(None, said))


async def _use(socket: Path, policy: Preset, *, unlock: bool) -> None:
    async with connect(socket) as client:
        if unlock:
            entered = await asyncio.to_thread(typer.prompt, "PIN", hide_input=True)
            await obeyed(client, Unlock(id=1, pin=entered))
        await obeyed(client, UsePolicy(id=2, policy=policy.value))  # whose end closes the pages as well
    typer.echo(f"This station is “{policy.value}” from now on.")
