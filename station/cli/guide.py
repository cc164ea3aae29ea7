"""`station guide`: led through a phone's buttons in a terminal, with a countdown for each, and what USB showed."""

import asyncio
import math
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from station.adapters.api import ApiClient, connect
from station.cli.client import SOCKET, Bay, Socket, bay_of, run
from station.errors import Refused
from station.model.api import Guide, GuideNext, GuideView
from station.model.base import BayId
from station.model.guide import FAMILY_WORDS, TARGET_WORDS, Family, Seen, Target

console = Console(highlight=False, soft_wrap=True)


FAMILIES = "Whose buttons; by default those of the phone that is in the bay. " + " ".join(
    f"{family.value}: {words}." for family, words in FAMILY_WORDS.items()
)


def guide(
    bay: Bay,
    target: Annotated[Target, typer.Argument(help="Where the buttons are to lead.")],
    family: Annotated[Family | None, typer.Option(help=FAMILIES)] = None,
    socket: Socket = SOCKET,
) -> None:
    """Be led through a phone's buttons: a forced restart, recovery or DFU mode."""
    name = BayId(bay)
    run(_lead(socket, Guide(id=1, bay=name, target=target, family=family)))


async def _lead(socket: Socket, begin: Guide) -> None:
    async with connect(socket) as watching, connect(socket) as commanding:
        answer = await commanding.command(begin)
        if answer.refused:
            raise Refused(answer.refused, remedy=answer.remedy)
        try:
            with _keyboard() as enter, _Lines() as lines:
                seen = await _follow(watching, commanding, begin.bay, enter, lines)
        finally:
            with suppress(Refused):
                await commanding.command(Guide(id=3, bay=begin.bay, target=None))
    if seen is not Seen.ARRIVED:
        raise typer.Exit(1)


async def _follow(
    watching: ApiClient, commanding: ApiClient, bay: BayId, enter: asyncio.Event | None, lines: "_Lines"
) -> Seen | None:
    """Show the guide as it goes on; what was seen at its end. `enter`: whether somebody has pressed it."""
    view = bay_of(await watching.snapshot(), bay).guide
    while view is None:  # the snapshot from before the command
        view = bay_of(await watching.snapshot(), bay).guide
    news = asyncio.create_task(watching.snapshot())
    try:
        while True:
            lines.show(view, asks=enter is not None)
            over = view.step >= len(view.steps)
            if view.seen is Seen.ARRIVED or (over and enter is None):
                return view.seen
            await _wait(news, enter, seconds=lines.next_second(view))
            if enter is not None and enter.is_set():
                enter.clear()
                await commanding.command(GuideNext(id=2, bay=bay))
            if news.done():
                now = bay_of(news.result(), bay).guide
                if now is None:
                    return view.seen
                view, news = now, asyncio.create_task(watching.snapshot())
    finally:
        news.cancel()
        await asyncio.gather(news, return_exceptions=True)


async def _wait(news: "asyncio.Task[object]", enter: asyncio.Event | None, *, seconds: float | None) -> None:
    """Until something is new, somebody presses ENTER, or a second is over."""
    pressed = None if enter is None else asyncio.create_task(enter.wait())
    waits: set[asyncio.Task[object]] = {news} if pressed is None else {news, pressed}
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if pressed is not None:
        pressed.cancel()
        await asyncio.gather(pressed, return_exceptions=True)


@contextmanager
def _keyboard() -> Generator[asyncio.Event | None, None, None]:
    """An event that ENTER sets; None where there is nobody to press it."""
    if not sys.stdin.isatty():
        yield None
        return
    enter, loop = asyncio.Event(), asyncio.get_running_loop()

    def pressed() -> None:
        sys.stdin.readline()
        enter.set()

    loop.add_reader(sys.stdin, pressed)
    try:
        yield enter
    finally:
        loop.remove_reader(sys.stdin)


class _Lines:
    """A line a step; on a terminal the last one counts down."""

    def __init__(self) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._family: Family | None = None
        self._step = -1
        self._says = ""

    def __enter__(self) -> Self:
        if console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, view: GuideView, *, asks: bool) -> None:
        """Bring what is shown up to date."""
        if view.family is not self._family:
            console.print(f"{FAMILY_WORDS[view.family]}: {TARGET_WORDS[view.target]}.")
            if view.warning:
                console.print(f"! {view.warning}")
        if view.step < len(view.steps) and (view.family, view.step) != (self._family, self._step):
            press = view.steps[view.step]
            console.print(f"  {view.step + 1}. {press.says} ({press.seconds:.0f} s)")
        if view.says not in ("", self._says):
            console.print(f"  {view.says.replace('“Next”', 'ENTER') if asks else view.says}")
        self._family, self._step, self._says = view.family, view.step, view.says
        if console.is_terminal:
            left = self._left(view)
            ready = " ENTER goes on." if asks and view.step in (0, len(view.steps)) else ""
            self._live.update(Text("" if left is None else f"     {math.ceil(left)} s{ready}"), refresh=True)

    def next_second(self, view: GuideView) -> float | None:
        """Seconds until the countdown shows another number; None: nothing counts here."""
        left = self._left(view)
        if left is None or left <= 0 or not console.is_terminal:
            return None
        return left - math.ceil(left) + 1.0

    @staticmethod
    def _left(view: GuideView) -> float | None:
        if view.step >= len(view.steps):
            return None
        end = view.began + view.steps[view.step].seconds
        return max(0.0, end - time.clock_gettime(time.CLOCK_BOOTTIME))
