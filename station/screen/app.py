"""The screen's loop: sleeps until a snapshot, a finger or the clock asks for another picture."""

import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pygame
from msgspec.structs import replace
from pygame.event import Event
from systemd.daemon import notify

from station.errors import StationError
from station.model.api import HOLD_BEAT, Command, HoldBegan, HoldGoesOn, Lock, Snapshot
from station.model.base import BayId
from station.model.face import PLAIN
from station.screen.album import Album, save
from station.screen.backlight import Backlight, find_backlight
from station.screen.canvas import Canvas, Target
from station.screen.client import PATIENCE, Link
from station.screen.doze import Doze
from station.screen.glass import Glass
from station.screen.guard import Guard
from station.screen.office import CLOSED, IDLE, PRIVATE, Key, Office, Room, keyed
from station.screen.pages import OPERATORS, Guest, Turn, Where, guest, still
from station.screen.render import View, picture, render
from station.screen.sketch import Sketch
from station.screen.touch import Finger, Touched
from station.screen.wake import Alarm
from station.screen.window import WINDOW_SIZE, open_window, owns_display

NOTE_SECONDS = 6.0
"""How long the reason for a refusal stays."""

PAGE_SECONDS = 60.0
"""How long a page stays open that nobody touches: whoever comes next begins at the beginning."""
DOOR_SECONDS = 30.0
"""The same for the digits of a PIN."""

BEAT = HOLD_BEAT * 0.8
"""Seconds between two words that a finger still holds."""
BREATH = 0.002
"""Seconds between two pictures, however much moves and however slow the machine is."""
GREETING = 0.5
"""Seconds that the first picture waits for the station to say how the display is turned."""

_EXPOSED = (pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED)
_TOUCHES = (pygame.FINGERDOWN, pygame.FINGERUP, pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP)
_LEFT = (pygame.WINDOWLEAVE, pygame.WINDOWFOCUSLOST, pygame.WINDOWHIDDEN)


def boottime() -> float:
    """The daemon's clock: CLOCK_BOOTTIME, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Kiosk:
    """Draws a link's snapshot into pygame's display and sends what the finger chooses."""

    def __init__(
        self,
        link: Link,
        *,
        album: Album | None = None,
        backlight: Backlight | None = None,
        clock: Callable[[], float] = boottime,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.open = True
        self.drawn = 0
        """How many pictures were drawn."""
        self._link = link
        self._album = album
        self._clock = clock
        self._wall = wall
        self._finger = Finger()
        self._glass = Glass(backlight)
        self._doze = Doze(clock())
        self._face = PLAIN
        """How it looks: as the last snapshot said."""
        self._held: HoldBegan | None = None
        self._beat = 0.0
        """When the daemon is told next that the finger still holds."""
        self._note = ""
        self._note_ends = 0.0
        self._note_on: frozenset[tuple[BayId, Guest]] = frozenset()
        """The phones that were there when it came: it can be about each."""
        self._last: tuple[View, Target | None] | None = None
        self._sketch: Sketch | None = None
        """What was drawn last."""
        self._due: float | None = None
        self._number = 0
        self._place: Where | None = None
        """The page that is open."""
        self._touched = 0.0
        self._locked = False
        """Whether the operator's session was ended since the last touch, because nobody touches anything."""
        self._promised: dict[int, str] = {}
        """What to say when a command is carried out, by its number."""

    @property
    def size(self) -> tuple[int, int]:
        """The picture's width and height in pixels, upright."""
        return self._glass.size

    def shows(self, snapshot: Snapshot) -> bool:
        """Whether the display shows this."""
        return self._last is not None and self._last[0].snapshot == _timeless(snapshot)

    def step(self) -> float | None:
        """Deal with what happened and draw if the picture would differ.

        Returns:
            How many seconds may pass until the next step; None: any, as long as nothing happens.
        """
        now = self._clock()
        for event in pygame.event.get():
            self._handle(event, now)
        self._send(self._finger.stayed(now))
        self._go_on(now)
        view = self._view(now)
        self._glass.relight(self._doze.light(view.snapshot, self._face, now))
        if self._last != (view, self._finger.pressed) or (self._due is not None and now >= self._due):
            self._draw(view, now)
        else:
            self._glass.refresh()
        if pygame.event.peek() or self._last != (view, self._finger.pressed):
            return 0.0
        note = self._note_ends if self._note else None
        beat = self._beat if self._holds() is not None else None
        minute = now + 60.0 - self._wall() % 60.0 if view.time else None
        ends = [at for at in (self._due, note, beat, minute, self._left(), self._doze.due) if at is not None]
        # From now on, not from when this step began; and never at once, or who listens to the daemon would starve.
        return max(BREATH, min(ends) - self._clock()) if ends else None

    def _view(self, now: float) -> View:
        while self._link.answers:
            answer = self._link.answers.popleft()
            done = self._promised.pop(answer.id, "")
            if answer.refused or done:
                self._say(f"{answer.refused} {answer.remedy}" if answer.refused else done, now)
        snapshot = self._link.snapshot
        if now >= self._note_ends or self._note_on - _guests(snapshot):
            self._note = ""
        left = self._left()
        if left is not None and now >= left:
            self._leave()
        before, self._place = self._place, still(self._place, snapshot)
        if before is not None and self._place is None:
            self._note = ""
        if _operators(before) and not _operators(self._place):
            self._say(IDLE if now >= self._touched + PAGE_SECONDS else CLOSED, now)
        if snapshot is not None:
            self._face = snapshot.face
        return View(_timeless(snapshot), self._note, self._place, self._face, self._time(snapshot))

    def _time(self, snapshot: Snapshot | None) -> str:
        """The time of day, where the station trusts its clock."""
        trusted = snapshot is not None and snapshot.clock_trusted
        return time.strftime("%H:%M", time.localtime(self._wall())) if trusted else ""

    def _say(self, note: str, now: float) -> None:
        self._note, self._note_ends, self._note_on = note, now + NOTE_SECONDS, _guests(self._link.snapshot)

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
        sketch = Sketch(self._glass.turned(self._face.turn), self._sketch)
        canvas = Canvas(sketch, now, self._finger.pressed, pressed_since=self._finger.since)
        render(view, canvas)
        self._glass.show(sketch)
        self._sketch = sketch
        self.drawn += 1
        self._last = (view, canvas.pressed)
        self._due = canvas.due
        # As of now: drawing takes its time, and what nobody could see yet is not touched by a finger that comes.
        self._send(self._finger.show(canvas.targets, self._clock()))
        if self._album is not None and not (isinstance(self._place, Office) and self._place.room in PRIVATE):
            self._album.consider(view.snapshot, self._glass.paper)

    def _handle(self, event: Event, now: float) -> None:
        if event.type == pygame.QUIT:
            self.open = False
        elif event.type in _EXPOSED:
            self._last = None
            self._glass.forget()
        elif event.type in _LEFT:
            self._send(self._finger.lost())
        else:
            self._touch(event, now)

    def _touch(self, event: Event, now: float) -> None:
        """Fingers, and the mouse in a window; not the mouse that SDL makes up from fingers."""
        if event.type in _TOUCHES and not getattr(event, "touch", False):
            self._touched, self._locked = now, False
            if self._doze.touched(now):  # it was dim: nobody could see what they touched
                self._send(self._finger.lost())
                return
        match event.type:
            case pygame.FINGERDOWN:
                self._send(self._finger.down(event.finger_id, self._spot(event), now))
            case pygame.FINGERMOTION:
                self._send(self._finger.move(event.finger_id, self._spot(event)))
            case pygame.FINGERUP:
                self._send(self._finger.up(event.finger_id, self._spot(event)))
            case pygame.MOUSEBUTTONDOWN if event.button == 1 and not event.touch:
                self._send(self._finger.down("mouse", self._glass.place(event.pos), now))
            case pygame.MOUSEMOTION if not event.touch:
                self._send(self._finger.move("mouse", self._glass.place(event.pos)))
            case pygame.MOUSEBUTTONUP if event.button == 1 and not event.touch:
                self._send(self._finger.up("mouse", self._glass.place(event.pos)))

    def _spot(self, event: Event) -> tuple[int, int]:
        """Where in the picture a finger is."""
        width, height = pygame.display.get_window_size()
        return self._glass.place((min(int(event.x * width), width - 1), min(int(event.y * height), height - 1)))

    def _holds(self) -> HoldBegan | None:
        """The hold that the finger is on."""
        pressed = self._finger.pressed
        return pressed.command if pressed is not None and isinstance(pressed.command, HoldBegan) else None

    def _go_on(self, now: float) -> None:
        """Tell the daemon that a hold goes on: a screen that froze would not."""
        held = self._holds()
        if held is None or held is not self._held:
            self._held, self._beat = held, now + BEAT
        elif now >= self._beat:
            self._beat = now + BEAT
            self._send([HoldGoesOn(id=0, bay=held.bay)])

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


def _guests(snapshot: Snapshot | None) -> frozenset[tuple[BayId, Guest]]:
    """The phones that are there."""
    bays = () if snapshot is None else snapshot.bays
    return frozenset((bay.bay, guest(bay)) for bay in bays if bay.phone is not None)


def _timeless(snapshot: Snapshot | None) -> Snapshot | None:
    """A snapshot without what changes but shows nowhere, so that equal ones need no new picture."""
    return None if snapshot is None else replace(snapshot, sequence=0, at=0.0)


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
    kiosk = Kiosk(link, album=album, backlight=find_backlight() if owns_display() else None)

    def close(number: int, frame: object) -> None:
        del number, frame
        kiosk.open = False

    for name in (signal.SIGTERM, signal.SIGINT):  # before SDL, which would take them
        signal.signal(name, close)
    with alarm, Guard() as guard:
        link.start()  # it connects while the display opens
        try:
            open_window(size=size, fullscreen=fullscreen)
            greeted = boottime() + GREETING
            while kiosk.open and link.snapshot is None and (left := greeted - boottime()) > 0:
                alarm.sleep(left)
            pause = kiosk.step()
            notify("READY=1")  # to systemd, if it started this: there is a picture
            while kiosk.open:
                alarm.sleep(pause)
                guard.feed(boottime())
                pause = kiosk.step()
        finally:
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
