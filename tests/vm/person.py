"""Who stands before a guest's display, touchscreen, buttons and lamps: a robot with eyes and fingers.

The robot sees the display as whoever stands before it does: by pictures that QEMU takes of it. Where to touch it knows
from the same program: a second kiosk here is told the same snapshots and the same touches, and its picture is what must
be on the guest's display before the robot touches anything.
"""

import asyncio
import io
import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pygame
from pygame import Rect, Surface

from station.daemon.settings import Gpio
from station.model.api import Answer, Command, Lamp
from station.model.panel import Control
from station.screen.app import boottime
from station.screen.canvas import Target
from station.screen.client import Link
from station.screen.office import Office, Room
from station.screen.pages import Page, Place, Turn
from tests.screen.robot import Eyes, Robot
from tests.vm.guest import DISPLAY, Guest

PATIENCE = 240.0
"""Seconds for whatever takes less than twenty on an idle machine."""
AGAIN = 10.0
"""Seconds after which somebody taps again when nothing came of it: what was drawn while the finger fell is not hit."""
TRIES = 6
"""How often something is begun, on processors so slow that the station may take it back meanwhile."""
FIFO = Path("/run/touchscreen")
Meant = Callable[[Target], bool]
"""Whether a place of the picture is the one that is meant."""
TOLERANCE = 40
"""By how much of 255 a colour may differ: what is lit at this moment pulses."""
UNLIKE = 0.1
"""How much of what is drawn may be otherwise than it should: the clock, and what moves."""


class NotThereError(AssertionError):
    """The picture has no such place."""


class Pins:
    """The wires of buttons and lamps, from outside."""

    def __init__(self, guest: Guest, lines: str) -> None:
        """Hold the wires. `lines`: the chip's directory in the guest's sysfs."""
        self._guest = guest
        self._lines = lines
        wiring = Gpio()
        self._buttons = {Control.START: wiring.start, Control.CONFIRM: wiring.confirm}
        self._lamps = {getattr(wiring, lamp.value): lamp for lamp in Lamp}

    async def press(self, control: Control) -> None:
        """Put a finger on a button and leave it there: it closes to ground."""
        await self._pull(control, "pull-down")

    async def release(self, control: Control) -> None:
        """Take the finger away: the resistor pulls the line up."""
        await self._pull(control, "pull-up")

    async def lit(self) -> set[Lamp]:
        """The lamps that are lit at this moment."""
        files = [f"{self._lines}/sim_gpio{pin}/value" for pin in self._lamps]
        values = (await self._guest.check("cat", *files)).split()
        return {lamp for lamp, value in zip(self._lamps.values(), values, strict=True) if value == "1"}

    async def show(self, lamp: Lamp) -> None:
        """Wait until this lamp is seen lit, and no other."""
        seen: set[Lamp] = set()
        try:
            async with asyncio.timeout(PATIENCE):
                while seen != {lamp}:  # it may be between two flashes, or in the second between one lamp and the next
                    seen = await self.lit()
        except TimeoutError:
            raise AssertionError(f"{lamp} was never lit alone; in the end: {seen}") from None

    async def _pull(self, control: Control, way: str) -> None:
        await self._guest.check("sh", "-c", f"echo {way} > {self._lines}/sim_gpio{self._buttons[control]}/pull")


class Mirror(Link):
    """What the guest's screen is told, for the kiosk here. What that one would send, the guest's has sent already."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), lambda: None)

    def send(self, command: Command) -> None:
        self.answers.append(Answer(id=command.id))


class Person:
    """The robot: eyes at the display, a finger on the glass, another on the buttons."""

    def __init__(self, guest: Guest, pins: Pins, *, ahead: float, pictures: Path) -> None:
        """Stand before a kiosk.

        Args:
            guest: where it is.
            pins: its buttons and lamps.
            ahead: by how many seconds the guest's CLOCK_BOOTTIME is ahead of ours.
            pictures: where those are kept that are not as they should be.
        """
        self.pins = pins
        self.mirror = Mirror()
        self.worst = 0.0
        """The largest share of a picture that was not as it should be and was taken for right."""
        self._guest = guest
        self._shown = Surface(DISPLAY)
        """What was on the display when it was looked at last."""
        self._clock = lambda: boottime() + ahead
        self._robot = Robot(self.mirror, self._clock, lambda: None)
        self._pictures = pictures
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        """The screen begins anew: no page is open."""
        self._robot = Robot(self.mirror, self._clock, lambda: None)

    async def sees(self) -> Eyes:
        """Wait until the display shows what it should."""
        share, eyes = 1.0, self._robot.look()
        try:
            async with asyncio.timeout(PATIENCE):
                while share > UNLIKE:
                    share, eyes = await self._look()
        except TimeoutError:
            number = next(self._numbers)
            for name, surface in (("shown", self._shown), ("expected", eyes.surface)):
                pygame.image.save(surface, self._pictures / f"{number}-{name}.png")  # type: ignore[arg-type]  # the same
            journal = await self._guest.run("journalctl", "--unit=station-screen", "--lines=30", "--no-pager")
            said = f"{share:.1%} of the display is not as it should be: {self._pictures}/{number}-*.png"
            raise AssertionError(f"{said}\n{journal.output}") from None
        self.worst = max(self.worst, share)
        return eyes

    async def touch(self, meant: Callable[[Target], bool], *, hold: float = 0.0) -> None:
        """Tap, or hold, a place of the picture that means this."""
        await self.sees()
        await self._guest.check("sleep", "0.5")  # what appears under a falling finger cannot be touched
        eyes = await self.sees()
        boxes = [box for box, target in eyes.targets if meant(target)]
        if not boxes:
            raise NotThereError([target for _, target in eyes.targets])
        before = self._shown
        self._robot.tap(boxes[0])
        for _ in range(TRIES):
            await self._tap(boxes[0], hold or 0.2)
            if await self._is_felt(before):
                return

    async def go(self, *way: Meant) -> None:
        """Tap one place after the other. A page closes when nobody touches it: then from the first on again."""
        for left in reversed(range(TRIES)):
            try:
                for meant in way:
                    await self.touch(meant)
            except NotThereError:
                if not left:
                    raise
            else:
                return

    async def wake(self) -> None:
        """Touch the glass where nothing is: it may be dim, and then a first touch does no more than wake it."""
        corner = Rect(0, DISPLAY[1] - 1, 1, 1)
        assert not any(box.colliderect(corner) for box, _ in self._robot.look().targets)
        await self._tap(corner, 0.2)
        self._robot.tap(corner)

    async def _look(self) -> tuple[float, Eyes]:
        """Look at the display once: how much is not as it should be, and what should be there."""
        self._shown = read(await self._guest.picture())
        eyes = self._robot.look()
        return difference(self._shown, eyes.surface), eyes  # type: ignore[arg-type]  # the robot draws on a Surface

    async def _is_felt(self, before: Surface) -> bool:
        """Whether something comes of a touch: what should, or anything else than was on the display before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN):
                while (await self._look())[0] > UNLIKE:
                    if difference(self._shown, before) > UNLIKE:
                        break
                return True
        return False

    async def _tap(self, box: Rect, seconds: float) -> None:
        x, y = box.center
        await self._guest.check("sh", "-c", f"echo down {x} {y} > {FIFO}; sleep {seconds}; echo up > {FIFO}")


def sends(kind: type[Command], **fields: object) -> Meant:
    """What gives this command, at once or with a page that it opens."""

    def meant(target: Target) -> bool:
        command = target.command
        sent = command.sends if isinstance(command, Turn) else (command,)
        return any(isinstance(one, kind) and all(getattr(one, f) == v for f, v in fields.items()) for one in sent)

    return meant


def opens(page: Page | Room) -> Meant:
    """What opens this page."""

    def meant(target: Target) -> bool:
        to = target.command.to if isinstance(target.command, Turn) else None
        return (isinstance(to, Place) and to.page is page) or (isinstance(to, Office) and to.room is page)

    return meant


def read(picture: bytes) -> Surface:
    """A picture that QEMU took."""
    return pygame.image.load(io.BytesIO(picture), "display.ppm")


def difference(shown: Surface, expected: Surface) -> float:
    """How much of what is drawn in either picture is not so in the other: 0: nothing; 1: all of it."""
    assert shown.get_size() == expected.get_size(), (shown.get_size(), expected.get_size())
    empty = Surface(DISPLAY, depth=32)
    empty.fill(expected.get_at((0, 0)))
    papers = [Surface(DISPLAY, depth=32) for _ in range(2)]
    for paper, picture in zip(papers, (shown, expected), strict=True):
        paper.blit(picture, (0, 0))
    drawn = max(_other(paper, empty) for paper in papers)
    return _other(*papers) / max(1, drawn)


def _other(one: Surface, two: Surface) -> int:
    """How many pixels are of another colour."""
    near = (TOLERANCE, TOLERANCE, TOLERANCE, 255)
    same: int = pygame.transform.threshold(None, one, None, near, None, 0, two)
    return one.get_width() * one.get_height() - same
