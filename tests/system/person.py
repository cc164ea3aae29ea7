"""A person before a real screen: the kiosk as a process, in a window of an X server that draws into memory.

A finger here is the pointer of that server, moved and pressed by its own XTEST extension: what SDL gets are events
of X, as from a mouse on a desk. Where to touch is found by a second kiosk in the test's own process, which draws the
same snapshots by the same code, is touched at the same places, and says nothing to the station. Nothing is touched
before the window shows, pixel for pixel, what that one drew there.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pygame
from pygame import Rect, Surface
from Xlib import X, display
from Xlib.ext import xtest

from station.model.api import Command, Snapshot
from station.screen.app import boottime
from station.screen.canvas import Target
from station.screen.client import Link
from station.screen.touch import SETTLE
from tests.screen.robot import SIZE, Eyes, Robot
from tests.system.rig import PATIENCE

GLANCE = 0.03
"""Seconds between two looks at the window: nothing tells when it has changed."""
LOOK = SETTLE + 0.1
"""Seconds that a person looks before a touch."""


class Double(Link):
    """Sees what the screen sees, and says nothing."""

    def send(self, command: Command) -> None:
        pass


class Person(Robot):
    """Eyes on the window, and one finger."""

    def __init__(self, socket: Path, number: int, pictures: Path) -> None:
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        self.link = Double(socket, self._changed)
        self._display = display.Display(f":{number}")
        self._root = self._display.screen().root
        self._pictures = pictures
        self._steps_done = 0
        self._read: tuple[int, Eyes] | None = None
        """What was there at the last look, and which picture that was."""
        super().__init__(self.link, boottime, lambda: None)

    async def until(self, seen: Callable[[Snapshot], bool], *, seconds: float = PATIENCE) -> Snapshot:
        """Wait until the station shows something. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                self._news.clear()
                if self.link.snapshot is not None and seen(self.link.snapshot):
                    return self.link.snapshot
                await self._news.wait()

    async def read(self, said: str, *, whole: bool = False, seconds: float = PATIENCE) -> Rect:
        """Wait until this is written in the window, alone (`whole`) or in a line; where.

        Raises:
            AssertionError: it does not come; with what is there.
        """
        eyes = self._eyes()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    eyes = self._eyes()
                    for line, place in eyes.read:
                        if (line == said if whole else said in line) and self._same(place):
                            self._keep(said)
                            return place
                    await asyncio.sleep(GLANCE)
        except TimeoutError:
            self._keep(f"not {said}")
            shown = any(said in line for line, _ in eyes.read)
            why = "the window shows something else there" if shown else f"{[line for line, _ in eyes.read]}"
            raise AssertionError(f"“{said}” is not to be read: {why}; {self._pictures}") from None

    async def press(self, said: str, *, seconds: float = 0.05) -> None:
        """Touch what this is written on, and stay for so long."""
        place = await self.read(said, whole=True)
        boxes = [box for box, _ in self._eyes().targets if box.collidepoint(place.center)]
        assert boxes, f"“{said}” cannot be touched"
        await self.touch_at(boxes[-1], seconds=seconds)

    async def touch_at(self, box: Rect, *, look: float = LOOK, seconds: float = 0.05) -> None:
        """Put a finger there, and stay for so long."""
        await self._until_same(box)
        await asyncio.sleep(look)  # a person looks first
        self._eyes()
        x, y = box.center
        xtest.fake_input(self._display, X.MotionNotify, x=x, y=y)
        xtest.fake_input(self._display, X.ButtonPress, 1)
        self._display.sync()
        self.post(pygame.FINGERDOWN, box)
        end = boottime() + seconds
        while boottime() < end:
            await asyncio.sleep(min(GLANCE, seconds))
            self._steps()
        xtest.fake_input(self._display, X.ButtonRelease, 1)
        self._display.sync()
        self.post(pygame.FINGERUP, box)

    async def press_target(self, wanted: Callable[[Target], bool], *, known: bool = False) -> None:
        """Touch what does this, once it can be touched. `known`: the page was looked at already."""
        await self.touch_at(await self._find(wanted), look=0.0 if known else LOOK)

    async def _find(self, wanted: Callable[[Target], bool]) -> Rect:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = next((box for box, target in self._eyes().targets if wanted(target)), None)
                if found is not None:
                    return found
                await asyncio.sleep(GLANCE)

    async def _until_same(self, box: Rect) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self._same(box):
                self._eyes()
                await asyncio.sleep(GLANCE)

    def _eyes(self) -> Eyes:
        """What is there now. It is read again only where it was drawn again: other processes need the time."""
        self._steps()
        if self._read is None or self._read[0] != self.kiosk.drawn:
            self._read = self.kiosk.drawn, self.glance()
        return self._read[1]

    def _same(self, box: Rect) -> bool:
        """Whether the window shows what was drawn here."""
        box = box.clip(Rect(0, 0, *SIZE))
        drawn = self.kiosk._glass.paper.subsurface(box)
        return pygame.image.tobytes(drawn, "RGB") == pygame.image.tobytes(self._photograph(box), "RGB")

    def _photograph(self, box: Rect) -> Surface:
        """What the window shows there."""
        raw = self._root.get_image(*box, X.ZPixmap, 0xFFFFFFFF)
        return pygame.image.frombuffer(bytes(raw.data), box.size, "BGRA").convert(24)

    def _keep(self, said: str) -> None:
        """A picture of this step, for whoever has to find out what went wrong."""
        self._steps_done += 1
        name = "".join(letter if letter.isalnum() else "-" for letter in said.lower())[:40]
        pygame.image.save(self._photograph(Rect(0, 0, *SIZE)), self._pictures / f"{self._steps_done:02}-{name}.png")

    def _changed(self) -> None:
        self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        """Let go of the server and the station."""
        self.link.stop()
        self._display.close()


@asynccontextmanager
async def x_server() -> AsyncGenerator[int, None]:
    """An X server that draws into memory, on a display that is free. Yields the display's number."""
    ear, mouth = os.pipe()
    size = f"{SIZE[0]}x{SIZE[1]}x24"
    command = ("Xvfb", "-displayfd", str(mouth), "-screen", "0", size, "-nolisten", "tcp", "-noreset")
    try:
        server = await asyncio.create_subprocess_exec(*command, pass_fds=(mouth,), stdout=DEVNULL, stderr=DEVNULL)
    finally:
        os.close(mouth)
    try:
        with os.fdopen(ear, "rb") as told:
            number = int(await asyncio.to_thread(told.readline))
        yield number
    finally:
        await _end(server)


@asynccontextmanager
async def before_the_screen(socket: Path, pictures: Path) -> AsyncGenerator[Person, None]:
    """Run the kiosk in a window, and stand before it. Pictures of every step are kept where it says."""
    await asyncio.to_thread(pictures.mkdir)
    async with x_server() as number:
        environment = os.environ | {"DISPLAY": f":{number}", "SDL_VIDEODRIVER": "x11"}
        command = ("-m", "station", "screen", "--socket", str(socket), "--size", "800x480", "--windowed")
        screen = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment)
        try:
            pygame.display.init()
            pygame.display.set_mode(SIZE)
            pygame.event.clear()
            me = Person(socket, number, pictures)
            me.link.start()
            try:
                await me.until(lambda snapshot: True)
                yield me
            finally:
                await asyncio.to_thread(me.close)
                pygame.display.quit()
        finally:
            await _end(screen)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    async with asyncio.timeout(PATIENCE):
        await process.wait()
