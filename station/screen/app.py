"""The screen's loop: sleeps until a snapshot, a finger or the clock asks for another picture."""

import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pygame
from msgspec.structs import replace
from pygame.event import Event

from station.errors import StationError
from station.model.api import Command, Lock, Snapshot
from station.screen.album import Album, save
from station.screen.canvas import Canvas, Target
from station.screen.client import PATIENCE, Link
from station.screen.office import PRIVATE, Key, Office, Room, keyed
from station.screen.pages import OPERATORS, Turn, Where, still
from station.screen.render import View, picture, render
from station.screen.touch import Finger, Touched
from station.screen.wake import Alarm
from station.screen.window import WINDOW_SIZE, open_window

NOTE_SECONDS = 6.0
"""How long the reason for a refusal stays."""

PAGE_SECONDS = 90.0
"""How long a page stays open that nobody touches: whoever comes next begins at the beginning."""
DOOR_SECONDS = 30.0
"""The same for the digits of a PIN."""
CLOSED = "The operator's pages have closed."
IDLE = "Nobody touched the operator's pages for a while: they have closed."

_EXPOSED = (pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED)
_LEFT = (pygame.WINDOWLEAVE, pygame.WINDOWFOCUSLOST, pygame.WINDOWHIDDEN)


def boottime() -> float:
    """The daemon's clock: CLOCK_BOOTTIME, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Kiosk:
    """Draws a link's snapshot into pygame's display and sends what the finger chooses."""

    def __init__(self, link: Link, *, album: Album | None = None, clock: Callable[[], float] = boottime) -> None:
        self.open = True
        self.drawn = 0
        """How many pictures were drawn."""
        self._link = link
        self._album = album
        self._clock = clock
        self._finger = Finger()
        self._note = ""
        self._note_ends = 0.0
        self._last: tuple[View, Target | None] | None = None
        self._due: float | None = None
        self._number = 0
        self._place: Where | None = None
        """The page that is open."""
        self._touched = 0.0
        self._locked = False
        """Whether the operator's session was ended since the last touch, because nobody touches anything."""
        self._promised: dict[int, str] = {}
        """What to say when a command is carried out, by its number."""

    def step(self) -> float | None:
        """Deal with what happened and draw if the picture would differ.

        Returns:
            How many seconds may pass until the next step; None: any, as long as nothing happens.
        """
        now = self._clock()
        for event in pygame.event.get():
            self._handle(event, now)
        self._send(self._finger.stayed(now))
        view = self._view(now)
        if self._last != (view, self._finger.pressed) or (self._due is not None and now >= self._due):
            self._draw(view, now)
        if pygame.event.peek() or self._last != (view, self._finger.pressed):
            return 0.0
        ends = [at for at in (self._due, self._note_ends if self._note else None, self._left()) if at is not None]
        return min(ends) - now if ends else None

    def _view(self, now: float) -> View:
        while self._link.answers:
            answer = self._link.answers.popleft()
            done = self._promised.pop(answer.id, "")
            if answer.refused or done:
                self._say(f"{answer.refused} {answer.remedy}" if answer.refused else done, now)
        if now >= self._note_ends:
            self._note = ""
        left = self._left()
        if left is not None and now >= left:
            self._leave()
        before, self._place = self._place, still(self._place, self._link.snapshot)
        if _operators(before) and not _operators(self._place):
            self._say(IDLE if now >= self._touched + PAGE_SECONDS else CLOSED, now)
        return View(_timeless(self._link.snapshot), self._note, self._place)

    def _say(self, note: str, now: float) -> None:
        self._note, self._note_ends = note, now + NOTE_SECONDS

    def _left(self) -> float | None:
        """When whoever touched last is taken to have gone; None: nothing is left open."""
        if isinstance(self._place, Office):  # the daemon closes those, by what the operator does there
            return self._touched + DOOR_SECONDS if self._place.room is Room.DOOR else None
        snapshot = self._link.snapshot
        operator = snapshot is not None and snapshot.operator is not None and not self._locked
        return self._touched + PAGE_SECONDS if self._place is not None or operator else None

    def _leave(self) -> None:
        """Nobody is there any more."""
        snapshot = self._link.snapshot
        if snapshot is not None and snapshot.operator is not None:
            self._locked = True
            self._send([Lock(id=0)])
        self._place = None

    def _draw(self, view: View, now: float) -> None:
        surface = pygame.display.get_surface()
        assert surface is not None
        canvas = Canvas(surface, now, self._finger.pressed, pressed_since=self._finger.since)
        render(view, canvas)
        pygame.display.flip()
        self.drawn += 1
        self._last = (view, canvas.pressed)
        self._due = canvas.due
        self._send(self._finger.show(canvas.targets, now))
        if self._album is not None and not (isinstance(self._place, Office) and self._place.room in PRIVATE):
            self._album.consider(view.snapshot, surface)

    def _handle(self, event: Event, now: float) -> None:
        if event.type == pygame.QUIT:
            self.open = False
        elif event.type in _EXPOSED:
            self._last = None
        elif event.type in _LEFT:
            self._send(self._finger.lost())
        else:
            self._touch(event, now)

    def _touch(self, event: Event, now: float) -> None:
        """Fingers, and the mouse in a window; not the mouse that SDL makes up from fingers."""
        if event.type in (pygame.FINGERDOWN, pygame.FINGERUP, pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
            self._touched, self._locked = now, False
        match event.type:
            case pygame.FINGERDOWN:
                self._send(self._finger.down(event.finger_id, _spot(event), now))
            case pygame.FINGERMOTION:
                self._send(self._finger.move(event.finger_id, _spot(event)))
            case pygame.FINGERUP:
                self._send(self._finger.up(event.finger_id, _spot(event)))
            case pygame.MOUSEBUTTONDOWN if event.button == 1 and not event.touch:
                self._send(self._finger.down("mouse", event.pos, now))
            case pygame.MOUSEMOTION if not event.touch:
                self._send(self._finger.move("mouse", event.pos))
            case pygame.MOUSEBUTTONUP if event.button == 1 and not event.touch:
                self._send(self._finger.up("mouse", event.pos))

    def _send(self, touched: list[Touched]) -> None:
        for what in touched:
            match what:
                case Key():
                    self._key(what)
                case Turn():
                    self._place, self._note = what.to, ""
                    self._tell(what.sends, what.done)
                case _:
                    self._tell((what,))

    def _key(self, key: Key) -> None:
        if isinstance(self._place, Office) and self._link.snapshot is not None:
            did = keyed(self._place, key, self._link.snapshot)
            self._place, self._note = did.to, ""
            self._tell(did.sends, did.done)

    def _tell(self, commands: Iterable[Command], done: str = "") -> None:
        """Send commands; say `done` when the last of them was carried out."""
        for command in commands:
            self._number += 1
            self._link.send(replace(command, id=self._number))
        if done:
            self._promised = {self._number: done}


def _operators(place: Where | None) -> bool:
    """Whether only the operator may see it."""
    if isinstance(place, Office):
        return place.room is not Room.DOOR
    return place is not None and place.page in OPERATORS


def _timeless(snapshot: Snapshot | None) -> Snapshot | None:
    """A snapshot without what changes but shows nowhere, so that equal ones need no new picture."""
    return None if snapshot is None else replace(snapshot, sequence=0, at=0.0)


def _spot(event: Event) -> tuple[int, int]:
    """Where a finger is, in pixels."""
    width, height = pygame.display.get_window_size()
    return min(int(event.x * width), width - 1), min(int(event.y * height), height - 1)


def run(
    socket: Path, *, size: tuple[int, int] | None = None, fullscreen: bool | None = None, pictures: Path | None = None
) -> None:
    """Show the station until the window is closed or a signal ends it.

    Raises:
        StationError: there is nothing to draw on.
    """
    alarm = Alarm()
    link = Link(socket, alarm.ring)
    album = Album(pictures) if pictures is not None else None
    kiosk = Kiosk(link, album=album)

    def close(number: int, frame: object) -> None:
        del number, frame
        kiosk.open = False

    for name in (signal.SIGTERM, signal.SIGINT):  # before SDL, which would take them
        signal.signal(name, close)
    open_window(size=size, fullscreen=fullscreen)
    with alarm:
        link.start()
        while kiosk.open:
            alarm.sleep(kiosk.step())
        link.stop()
    pygame.display.quit()


def photograph(socket: Path, path: Path, *, size: tuple[int, int] | None = None) -> None:
    """Save one picture of the station as it is now.

    Raises:
        StationError: there is no daemon to tell.
    """
    alarm = Alarm()
    link = Link(socket, alarm.ring)
    link.start()
    deadline = time.monotonic() + PATIENCE
    while link.snapshot is None and time.monotonic() < deadline:
        alarm.sleep(deadline - time.monotonic())
    snapshot = link.snapshot
    link.stop()
    alarm.close()
    if snapshot is None:
        raise StationError(
            f"No station answers at {socket}.", remedy="Is the daemon running? Try: systemctl status station"
        )
    save(picture(View(snapshot), size or WINDOW_SIZE, boottime()), path)
