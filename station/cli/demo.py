"""`station demo`: the main job, done with a virtual phone by a real station, as a person would do it.

Three parties, each what it is in a shop: the daemon and the screen (processes of their own, as their units run
them), a virtual phone with Apple's servers (this process), and a person, who plugs the phone in, presses START
and holds CONFIRM: fingers on mock pins, behind which everything is the station's own. Each run begins with an empty
station, which finds and fetches the phone's firmware; only what Apple offers is kept from one to the next.
"""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console

from station.adapters.api import ApiClient, connect
from station.adapters.jobdir import JobDirectory
from station.cli.follow import Follower
from station.cli.logs import log_to_stderr
from station.cli.plainly import in_words
from station.errors import Refused, StationError
from station.model.api import BayState, BayView, Lamp, Snapshot
from station.model.base import BayId, SocketPath, format_ecid
from station.model.panel import Control
from station.model.record import Outcome
from station.virtual.firmware.ipsw import make_ipsw, zip_ipsw
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.hosting.panel import Hand
from station.virtual.phones.models import Model, find_model

BAY = BayId("1")
SOCKET = SocketPath("1-1")
OLD = ("26.1", "23B85")
NEW = ("26.2", "23C55")

MARK = ".demonstration"
"""Says that a directory is a demonstration's, and may be cleared by the next."""

START_SECONDS = 30.0
"""For a process to come up."""
READ_SECONDS = 60.0
"""For a phone that was plugged in to be read."""
JOB_SECONDS = 900.0
"""For the whole restore, however slow the phone is told to be."""
PRESS_SECONDS = 0.2
HOLD_SECONDS = 2.4
"""A little longer than the station asks for."""

COLOURS = {Lamp.DONE: "green", Lamp.FAULT: "red"}

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Stage:
    """Where everything of one demonstration is."""

    home: Path
    """Kept: records, certificates, pictures, logs."""
    sockets: Path
    """Short-lived, and short: a socket's path has 107 bytes."""

    @property
    def state(self) -> Path:
        """The station's state directory."""
        return self.home / "state"

    @property
    def apple(self) -> Path:
        """What Apple offers, which outlives a run."""
        return self.home / "apple"

    def clear(self) -> None:
        """Begin anew. Raises Refused for a directory that is not ours to clear."""
        mark = self.home / MARK
        if self.home.is_dir() and any(self.home.iterdir()) and not mark.is_file():
            raise Refused(f"{self.home} holds something else.", remedy="Name an empty directory, or a new one.")
        for old in (self.state, self.pictures):
            if old.is_dir():
                shutil.rmtree(old)
        self.pictures.mkdir(parents=True)
        mark.touch()

    @property
    def pictures(self) -> Path:
        """The screen's pictures of this run."""
        return self.home / "pictures"

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.sockets / "station.sock"

    @property
    def virtual(self) -> Path:
        """The virtual host's directory."""
        return self.sockets / "virtual"


def demo(
    directory: Annotated[
        Path, typer.Option("--dir", help="What stays of this run: records, certificates, pictures, logs.")
    ] = Path(".try"),
    model: Annotated[str, typer.Option(help="The phone that is plugged in.")] = "iPhone 12",
    pace: Annotated[float, typer.Option(min=0, help="How slow the phone is: 1 takes about half a minute.")] = 1.0,
    fast: Annotated[bool, typer.Option("--fast", help="As fast as can be: --pace 0.")] = False,
    by_hand: Annotated[
        bool, typer.Option("--by-hand", help="Press START and hold CONFIRM yourself, in the window.")
    ] = False,
) -> None:
    """Plug a virtual phone into a real station, confirm, restore, verify, certify."""
    windowed = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if by_hand and not windowed:
        raise typer.BadParameter("there is no display to press anything on.", param_hint="--by-hand")
    try:
        chosen = find_model(model)
    except KeyError as error:
        raise typer.BadParameter(str(error.args[0]), param_hint="--model") from error
    with TemporaryDirectory(prefix="station-") as sockets:
        stage = Stage(home=directory.absolute(), sockets=Path(sockets))
        try:
            log_to_stderr()
            done = asyncio.run(_run(stage, chosen, pace=0.0 if fast else pace, by_hand=by_hand, windowed=windowed))
        except (KeyboardInterrupt, asyncio.CancelledError):
            console.print("Ended before it was done.")
            raise typer.Exit(130) from None
        except (StationError, OSError) as error:  # a TimeoutError is an OSError
            words = in_words(error) if isinstance(error, StationError) else _said(error)
            logs = f" The logs are in {stage.home}." if os.path.isfile(stage.home / MARK) else ""  # noqa: PTH113 (never raises)
            console.print(f"[red]{words}[/]{logs}")
            raise typer.Exit(1) from error
    if not done:
        raise typer.Exit(1)


async def _run(stage: Stage, model: Model, *, pace: float, by_hand: bool, windowed: bool) -> bool:
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    await asyncio.to_thread(stage.clear)
    async with VirtualHost(stage.virtual, pace=pace) as host:
        await asyncio.to_thread(host.apple.release, await asyncio.to_thread(_firmware, stage, model))
        async with (
            _no_workers_left(stage),
            _process(stage, "daemon", _daemon_environment(stage, by_hand=by_hand), "daemon") as daemon,
            _connected(stage, daemon) as client,
            _process(stage, "screen", _screen_environment(windowed=windowed), *_screen_arguments(stage)) as screen,
        ):
            done = await _unless_closed(screen, _main_job(stage, host, client, model, by_hand=by_hand))
            if windowed:
                console.print("Close the window to end.")
                await screen.wait()
            return done


async def _main_job(stage: Stage, host: VirtualHost, client: ApiClient, model: Model, *, by_hand: bool) -> bool:
    hand = Hand(stage.virtual / "panel")
    console.print(f"[bold]1[/] A virtual {model.name} with iOS {OLD[0]} ({OLD[1]}) is plugged into bay {BAY}.")
    console.print(f"  iOS {NEW[0]} for it is not here: the station looks who has it, and fetches it.")
    installed = Installed(version=OLD[0], build=OLD[1])
    phone = host.hands.plug(Plug(model=model.product_type, installed=installed, socket=SOCKET))
    bay = await _until(client, BayState.READY, seconds=READ_SECONDS)
    console.print(f"  The station sees: {_phone(bay)}, {format_ecid(phone.identity.ecid)}. “{bay.title}”")
    if by_hand:
        console.print("[bold]2[/] Now you, in the window: press “Start restore”, then hold CONFIRM.")
    else:
        console.print("[bold]2[/] START is pressed, CONFIRM is held.")
        await hand.press(Control.START, seconds=PRESS_SECONDS)
        await _until(client, BayState.ARMED, seconds=READ_SECONDS)
        await hand.press(Control.CONFIRM, seconds=HOLD_SECONDS)
    with Follower(console) as follower:
        async with asyncio.timeout(JOB_SECONDS):
            while bay.result is None or not bay.result.record:
                bay = _bay(await client.snapshot())
                follower.show(bay)
        verified = bay.result.outcome is Outcome.VERIFIED
        follower.finish(success=verified)
    return await _tell(stage, hand, bay, verified=verified)


async def _tell(stage: Stage, hand: Hand, bay: BayView, *, verified: bool) -> bool:
    """Say how it ended and where everything lies. True when all is as it should be."""
    result = bay.result
    assert result is not None
    wanted = Lamp.DONE if verified else Lamp.FAULT
    lit = await _lamp(hand, wanted)
    mark = "[green]✔[/]" if verified else "[red]✘[/]"
    console.print(f"[bold]3[/] {mark} {result.title} {result.remedy}".rstrip())
    console.print(f"  The {COLOURS[wanted]} lamp is {'' if lit else 'not '}lit. Record number {result.record}.")
    if result.certificate is not None:
        certificate = Path(result.certificate)
        console.print(f"  Certificate: {certificate}")
        console.print(f"               {certificate.with_suffix('.json')}")
    console.print(f"  Check it: {_program()} records verify --state {stage.state} --emulated")
    console.print(f"  Pictures of the screen: {stage.pictures}")
    console.print(f"  Logs: {stage.home / 'daemon.log'}, {stage.home / 'screen.log'}")
    return verified and lit and result.certificate is not None


def _said(error: OSError) -> str:
    """What the machine refused, in words."""
    if isinstance(error, TimeoutError):
        return "It took too long: this machine may be busy. Try it again."
    return f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."


def _program() -> str:
    """What to type for this program: its name, or where it is when a shell would not find it."""
    here = Path(sys.argv[0])
    found = shutil.which("station")
    if found is not None and here.exists() and Path(found).samefile(here):
        return "station"
    return str(here) if here.name == "station" else f"{sys.executable} -m station"


async def _lamp(hand: Hand, lamp: Lamp) -> bool:
    """Whether this lamp is lit and no other; looked at for a while, because lamps wink."""
    for _ in range(20):
        if await hand.look() == (lamp,):
            return True
        await asyncio.sleep(0.1)
    return False


async def _until(client: ApiClient, *states: BayState, seconds: float) -> BayView:
    async with asyncio.timeout(seconds):
        bay = _bay(client.latest or await client.snapshot())
        # A phone is ready some moments before the station knows which firmware it has for it.
        while bay.state not in states or (bay.state is BayState.READY and _waits(bay)):
            before, bay = bay, _bay(await client.snapshot())
            if bay.state is BayState.NEEDS_PERSON and bay.title != before.title:
                console.print(f"  “{bay.title}” Its virtual owner taps “Trust”.")
        return bay


def _bay(snapshot: Snapshot) -> BayView:
    return next(bay for bay in snapshot.bays if bay.bay == BAY)


def _waits(bay: BayView) -> bool:
    """Whether a gate is closed to what START means."""
    return any(offer.findings for offer in bay.offers if offer.service is bay.chosen)


def _phone(bay: BayView) -> str:
    return "nothing" if bay.phone is None else f"{bay.phone.model_name}, iOS {bay.phone.version} ({bay.phone.build})"


def _firmware(stage: Stage, model: Model) -> Path:
    """The newest iOS for the model as Apple has it, made the first time. Blocks."""
    file = stage.apple / f"{model.product_type}_{NEW[0]}_{NEW[1]}_Restore.ipsw"
    if not file.exists():
        stage.apple.mkdir(exist_ok=True)
        part = file.with_suffix(".part")
        with console.status("Making a miniature iOS for it (once)…"), TemporaryDirectory() as directory:
            zip_ipsw(make_ipsw(Path(directory) / "ipsw", version=NEW[0], build=NEW[1], models=[model]), part)
        part.replace(file)
    return file


def _daemon_environment(stage: Stage, *, by_hand: bool) -> dict[str, str]:
    return {
        "STATION_NAME": "Demonstration",
        "STATION_STATE": str(stage.state),
        "STATION_RUNTIME": f"/dev/shm/restore-station-{os.getuid()}",  # noqa: S108 (the daemon makes it, for nobody else)
        "STATION_SOCKET": str(stage.socket),
        "STATION_VIRTUAL": str(stage.virtual),
        "STATION_BAYS": f'{{"{BAY}": "{SOCKET}"}}',
        # Without buttons that a person could reach, a hold on the screen confirms.
        "STATION_TOUCH_CONFIRMS": str(by_hand),
    }


def _screen_environment(*, windowed: bool) -> dict[str, str]:
    return {} if windowed else {"SDL_VIDEODRIVER": "dummy"}


def _screen_arguments(stage: Stage) -> tuple[str, ...]:
    return ("screen", "--socket", str(stage.socket), "--size", "800x480", "--pictures", str(stage.pictures))


async def _unless_closed(screen: Process, work: Coroutine[Any, Any, bool]) -> bool:
    """The work's result. Raises Refused when the window is closed, or the screen fails, before it is done."""
    working, closing = asyncio.ensure_future(work), asyncio.ensure_future(screen.wait())
    try:
        await asyncio.wait({working, closing}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Refused("The screen was closed before the job was done.")
        return await working
    finally:
        working.cancel()
        closing.cancel()


@asynccontextmanager
async def _no_workers_left(stage: Stage) -> AsyncGenerator[None, None]:
    """Workers outlive their daemon, as they must; those of a demonstration end with it."""
    try:
        yield
    finally:
        for directory in await asyncio.to_thread(lambda: list((stage.state / "jobs").glob("*"))):
            if (pid := await asyncio.to_thread(JobDirectory(directory).alive)) is not None:
                os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def _connected(stage: Stage, daemon: Process) -> AsyncGenerator[ApiClient, None]:
    """A connection to the daemon, which has to come up first."""
    async with asyncio.timeout(START_SECONDS):
        while not await asyncio.to_thread(stage.socket.is_socket):
            if daemon.returncode is not None:
                raise Refused("The daemon did not start.")
            await asyncio.sleep(0.2)
    async with connect(stage.socket) as client:
        yield client


@asynccontextmanager
async def _process(
    stage: Stage, name: str, environment: dict[str, str], *arguments: str
) -> AsyncGenerator[Process, None]:
    """Run `station ARGUMENTS` while the context is open, its output in NAME.log."""
    log = await asyncio.to_thread((stage.home / f"{name}.log").open, "wb")
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "station", *arguments, stdout=log, stderr=log, env=os.environ | environment
        )
    finally:
        log.close()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
