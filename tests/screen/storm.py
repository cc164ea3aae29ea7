"""Everything at once, before one screen: fingers, ghosts, buttons, cables and workers, in any order; and the truth.

The kiosk is the real one and is fed pygame's events; the station's decisions are the real ones, carried out at once
(`Bench`). What people did is kept here by other means than either's: where each finger is and what was drawn under it
when it came, when each button went down, which phone was in which socket since when. A consent that does not follow
from that is an AssertionError, and so is a session behind the PIN that nobody opened with it.
"""

from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pygame
from msgspec.structs import replace
from pygame import Rect

from station.core.actions import Action, KillWorker, StartAnew, StartWorker
from station.core.events import ButtonChanged, ChoicesFound, Event, Papers, PapersSeen, WorkerEnded, WorkerSaid
from station.core.policy import BackupRule
from station.errors import Refused
from station.model.api import (
    Answer,
    BayView,
    Cancel,
    Command,
    Decide,
    Dismiss,
    Guide,
    HoldBegan,
    HoldEnded,
    OperatorConfirm,
    Order,
    RemoveFirmware,
    Select,
    Start,
    StopFetch,
    SwitchOff,
)
from station.model.base import BayId, Ecid, JobId, SocketPath
from station.model.causes import Cause
from station.model.choices import Choices
from station.model.consent import Act, Consent, Hand, Options
from station.model.events import FactsRead, Failed, Intent, PhaseBegan, Succeeded, WorkerExit, WorkerStarted
from station.model.face import Face
from station.model.face import Turn as Turned
from station.model.gates import Purpose
from station.model.job import PHASES, JobSpec, Phase
from station.model.panel import Button, Control, ControlState
from station.model.phone import UsbArrived, UsbGone
from station.model.service import SERVICES, Service
from station.screen import app
from station.screen.app import DOOR_SECONDS, PAGE_SECONDS, Kiosk
from station.screen.canvas import Canvas, Target
from station.screen.client import Link
from station.screen.office import ENTER, HOME, Key, Office, Room
from station.screen.pages import Page, Place, Turn, Where
from station.screen.render import View, render, to_confirm, to_guide
from station.screen.scenes.operator.furniture import HOLD_SECONDS
from station.screen.touch import FORGET, SETTLE
from tests.core.helpers import NORMAL, RECOVERY, Bench, clean_facts, facts, hash_of, serial
from tests.screen.operator_samples import FIRMWARE, MACHINE, OPERATOR, REPORT

SOCKETS = {BayId(str(number)): SocketPath(f"1-1.{number}") for number in range(1, 7)}
ELSEWHERE = SocketPath("1-1.9")
"""A socket that is no bay."""
PIN = "31415926"
PAPERS = Papers(
    firmware=FIRMWARE, records=OPERATOR.records, record_count=OPERATOR.record_count, machine=MACHINE, report=REPORT
)
CONFIRM_SECONDS = 2.0
START_SECONDS = 30.0
LEAST_FRAME = 0.2
"""Seconds between two looks of the screen, however fast something moves: a slow machine's."""
MOST_FRAMES = 20
"""While nobody does anything."""
CAUSES = (Cause.DISCONNECTED, Cause.DEVICE_STATUS, Cause.NOT_TRUSTED, Cause.LOCKED, Cause.DISK_FULL)
ERASES = {Service.ERASE: Act.ERASE_CONTENT, Service.RESTORE: Act.ERASE}


@dataclass
class Phone:
    """One phone. `socket` is where its cable is."""

    ecid: Ecid
    socket: SocketPath | None = None
    clean: bool = False


@dataclass
class Touch:
    """A finger that is down, and what was drawn under it when it came."""

    at: float
    spot: tuple[int, int]
    """Where it is in the picture."""
    on: tuple[Rect, Target] | None
    stayed: bool = True
    """Whether it never left that."""


@dataclass(frozen=True)
class Asked:
    """A START, as somebody meant it."""

    at: float
    socket: SocketPath
    visit: int
    """How often that socket's phone had been changed."""
    ecid: Ecid | None
    service: Service
    options: Options


@dataclass
class Storm(Bench):
    """A station, its screen, and whoever is there.

    Attributes:
        dice: what is random.
        counted: how many touches, presses and plugs there were.
        targets: what the last picture offered.
    """

    dice: Random
    owners: bool = False
    face: Face = field(default_factory=Face)
    bays: int = 1
    touch: bool = False

    def __post_init__(self) -> None:
        """Begin with empty bays, and a PIN."""
        self.counted = 0
        self.targets: list[tuple[Rect, Target]] = []
        self.consents: list[Consent] = []
        self._phones = [Phone(Ecid(number)) for number in (0xA, 0xB, 0xC, 0xA)]  # the last: a clone
        self._visits: defaultdict[SocketPath, int] = defaultdict(int)
        self._fingers: dict[int | str, Touch] = {}
        self._lifted: Touch | None = None
        """The finger that is just leaving."""
        self._asked: dict[BayId, Asked] = {}
        self._confirm_since: float | None = None
        self._ordered = False
        self._invited = False
        """Whether somebody just typed the PIN."""
        self._jobs: set[JobId] = set()
        self._works: dict[JobId, tuple[JobSpec, Generator[None, None, None]]] = {}
        self._killed: list[JobId] = []
        buttons = () if self.touch else (Button(Control.START), Button(Control.CONFIRM))
        super().__init__(
            bays=dict(list(SOCKETS.items())[: self.bays]),
            touch_confirms=self.touch,
            buttons=buttons,
            cap=2,
            quarantine_after=0,
            preset="bench",
            presets=("walk-up", "bench", "overnight"),
            purpose=Purpose.OWNER if self.owners else Purpose.RECYCLING,
            backup=BackupRule.ASK if self.owners else BackupRule.STANDING,
        )
        self.link = _Wire(self)
        self.kiosk = Kiosk(self.link, clock=lambda: self.now)
        self.do(ChoicesFound(choices=Choices(pin=hash_of(PIN), face=self.face)))
        self.link.snapshot = self.view()

    # -- the station, and what it may do

    def do(self, *events: Event) -> list[Action]:
        """Events reach the station; what comes of each is judged."""
        done: list[Action] = []
        for event in events:
            opened = self.station.operator.open
            done += super().do(event)
            assert opened or self._invited or not self.station.operator.open, f"{event} opened the operator's pages"
            for bay in self.station.bays:
                if bay.job is not None:
                    self._judge(bay.job.spec)
        if self.link.snapshot is not None:
            self.link.snapshot = self.view()
        return done

    def _perform(self, actions: list[Action]) -> None:
        super()._perform(actions)
        for action in actions:
            match action:
                case StartWorker(spec=spec):
                    self._judge(spec)
                    self._works[spec.job] = (spec, self._work(spec))
                case KillWorker(job=job):
                    self._killed.append(job)
                case StartAnew():
                    self.lose_the_station()
                case _:
                    pass

    def _judge(self, spec: JobSpec) -> None:
        """A job that is new has a consent that somebody gave."""
        consent = spec.consent
        if consent is None or spec.job in self._jobs:
            return
        self._jobs.add(spec.job)
        self.consents.append(consent)
        if consent.by is Hand.ORDER:
            assert self._ordered, f"{consent} without an order"
            return
        assert consent.by is not Hand.OPERATOR, f"{consent}: nobody is at a command line"
        asked = self._asked.get(consent.bay)
        assert asked is not None, f"{consent} without START"
        assert self.now - asked.at <= START_SECONDS, f"{consent}, and START was long ago"
        assert (asked.socket, asked.ecid) == (spec.socket, consent.ecid), f"{consent} after START for {asked}"
        assert asked.visit == self._visits[spec.socket], (
            f"{consent} after START for {asked}, and it was unplugged since"
        )
        assert asked.service is consent.service, f"{consent} after START for {asked.service}"
        assert replace(asked.options, build="") == replace(consent.options, build=""), f"{consent} after {asked}"
        if not SERVICES[consent.service].confirmed:
            return
        if consent.by is Hand.BUTTONS:
            held = [] if self._confirm_since is None else [self._confirm_since]
        else:
            assert self.touch, f"{consent} by touch, and there are buttons"
            held = [
                touch.at
                for touch in self._fingers.values()
                if touch.on is not None and touch.stayed and touch.on[1].command == HoldBegan(id=0, bay=consent.bay)
            ]
        enough = [since for since in held if since >= asked.at and self.now - since >= CONFIRM_SECONDS - 1e-6]
        assert enough, f"{consent} and CONFIRM was not held (down since {held}, now {self.now}, START {asked.at})"

    def obey(self, command: Command) -> None:
        """The screen sends a command: it follows from what a finger does now."""
        match command:
            case Start():
                on = None if self._lifted is None or not self._lifted.stayed else self._lifted.on
                assert on is not None, f"{command} without a finger that leaves"
                assert on[1].command == replace(command, id=0), f"{command} by a finger on {on}"
                self._ask(command.bay, command.service, command.options)
            case Order() | SwitchOff() | RemoveFirmware() | StopFetch():
                assert self._kept(command), f"{command} by a touch in passing"
                self._ordered = self._ordered or (isinstance(command, Order) and self.station.operator.open)
            case OperatorConfirm():
                raise AssertionError(f"a screen sent {command}")
            case _:
                pass
        try:
            self.do(command)
        except Refused as refused:
            self.link.answers.append(Answer(id=command.id, refused=str(refused), remedy=refused.remedy))
        else:
            self.link.answers.append(Answer(id=command.id))

    def _kept(self, command: Command) -> bool:
        """Whether a finger stayed long enough on what sends this."""
        stayed = [touch for touch in self._fingers.values() if touch.stayed and touch.on is not None]
        return any(
            self.now - touch.at >= HOLD_SECONDS - 1e-6 and touch.on is not None and _sends(touch.on[1], type(command))
            for touch in stayed
        )

    def _ask(self, bay: BayId, service: Service, options: Options) -> None:
        """Somebody gave START."""
        found = self.station.bays.get(bay)
        if found is not None:
            here = self._in(found.socket)
            ecid = None if here is None else here.ecid
            self._asked[bay] = Asked(self.now, found.socket, self._visits[found.socket], ecid, service, options)

    # -- workers

    def work(self) -> None:
        """Each worker does its next thing."""
        for job in list(self._killed):
            self._killed.remove(job)
            if self._works.pop(job, None) is not None:
                self.do(WorkerEnded(job=job, exit=None))
        for job, (_, work) in list(self._works.items()):
            if job in self._works:
                with suppress(StopIteration):
                    next(work)

    def _work(self, spec: JobSpec) -> Generator[None, None, None]:
        """A worker, which finds nothing out by itself: whether things go well is random."""
        phone = self._in(spec.socket)
        self._say(spec, WorkerStarted(at=self.now, pid=1))
        yield
        fails = self.dice.random() < 0.2
        if spec.service is None:
            phone = self._in(spec.socket)
            if phone is None or fails:
                self._end(spec, Failed(at=self.now, cause=self.dice.choice(CAUSES), detail="so it is"))
                return
            told = clean_facts(phone.ecid) if phone.clean else facts(phone.ecid)
            self._say(spec, FactsRead(at=self.now, facts=told))
            self._end(spec, Succeeded(at=self.now))
            return
        for phase in PHASES[spec.service]:
            if phase in (Phase.CONNECT, Phase.RETURN, Phase.VERIFY):
                continue
            self._say(spec, PhaseBegan(at=self.now, phase=phase))
            yield
        if spec.service in ERASES and spec.ecid is not None:
            self._say(spec, Intent(at=self.now, act=ERASES[spec.service], ecid=spec.ecid))
            yield
        if fails or phone is None or phone is not self._in(spec.socket):
            self._end(spec, Failed(at=self.now, cause=self.dice.choice(CAUSES), detail="so it is"))
            return
        phone.clean = phone.clean or spec.service in ERASES
        self._end(spec, Succeeded(at=self.now))
        if SERVICES[spec.service].returns and phone.socket is not None:
            socket = phone.socket
            self.do(UsbGone(socket=socket))
            self.do(UsbArrived(socket=socket, product_id=NORMAL, serial=serial(phone.ecid)))

    def _say(self, spec: JobSpec, event: Any) -> None:
        self.do(WorkerSaid(job=spec.job, event=event))

    def _end(self, spec: JobSpec, word: Succeeded | Failed) -> None:
        self._works.pop(spec.job, None)
        self._say(spec, word)
        self.do(WorkerEnded(job=spec.job, exit=WorkerExit(code=0 if isinstance(word, Succeeded) else 1)))

    # -- cables

    def _in(self, socket: SocketPath) -> Phone | None:
        return next((phone for phone in self._phones if phone.socket == socket), None)

    def plug(self, *_: object) -> None:
        """A phone that lies about comes into a socket that is free."""
        free = [socket for socket in (*list(SOCKETS.values())[: self.bays], ELSEWHERE) if self._in(socket) is None]
        about = [phone for phone in self._phones if phone.socket is None]
        if not free or not about:
            return
        phone, socket = self.dice.choice(about), self.dice.choice(free)
        self._count()
        self._visits[socket] += 1
        phone.socket = socket
        product = RECOVERY if self.dice.random() < 0.1 else NORMAL
        self.do(UsbArrived(socket=socket, product_id=product, serial=serial(phone.ecid, product)))

    def unplug(self) -> None:
        """A phone is taken out."""
        here = [phone for phone in self._phones if phone.socket is not None]
        if here:
            self._pull(self.dice.choice(here))

    def _pull(self, phone: Phone) -> None:
        self._count()
        socket, phone.socket = phone.socket, None
        assert socket is not None
        self._visits[socket] += 1
        self.do(UsbGone(socket=socket))

    def swap(self) -> None:
        """One phone quickly takes the place of another."""
        self.unplug()
        self.plug()

    # -- buttons

    def press_start(self, bay: BayId | None = None) -> None:
        """START, of the station or of a bay."""
        name = bay or self.station.desk.selected
        view = None if name is None else next((view for view in self.view().bays if view.bay == name), None)
        if view is not None and view.chosen is not None and view.result is None and not self.station.trial.on:
            self._ask(view.bay, view.chosen, view.options)
        for state in (ControlState.DOWN, ControlState.UP):
            self._count()
            self.do(ButtonChanged(control=Control.START, state=state, bay=bay))

    def press_confirm(self, seconds: float) -> None:
        """CONFIRM, for so long."""
        self.confirm(down=True)
        self.wait(seconds)
        self.confirm(down=False)

    def confirm(self, *, down: bool) -> None:  # type: ignore[override]  # a bench's is a whole story
        """CONFIRM goes down, or up."""
        self._count()
        if not down:
            self._confirm_since = None
        elif self._confirm_since is None:
            self._confirm_since = self.now
        self.do(ButtonChanged(control=Control.CONFIRM, state=ControlState.DOWN if down else ControlState.UP))

    def fault(self) -> None:
        """A button is stuck, and mended."""
        control = self.dice.choice([Control.START, Control.CONFIRM])
        self._confirm_since = None if control is Control.CONFIRM else self._confirm_since
        self.do(ButtonChanged(control=control, state=ControlState.FAULT))
        self.wait(self.dice.random())
        self._count()
        self.do(ButtonChanged(control=control, state=ControlState.UP))

    # -- fingers

    def down(self, spot: tuple[int, int], finger: int | str = 1) -> None:
        """A finger comes down at a place of the picture."""
        on = next(((box, target) for box, target in reversed(self.targets) if box.collidepoint(spot)), None)
        self._fingers[finger] = Touch(self.now, spot, on)
        self._post("DOWN", finger, spot)

    def move(self, spot: tuple[int, int], finger: int | str = 1) -> None:
        """A finger that is down moves."""
        if (touch := self._fingers.get(finger)) is not None:
            touch.spot = spot
            touch.stayed = touch.stayed and touch.on is not None and touch.on[0].collidepoint(spot)
        self._post("MOTION", finger, spot)

    def up(self, finger: int | str = 1, *, told: bool = True) -> None:
        """A finger leaves; without `told` the glass does not say so, and nobody can know."""
        if told and finger in self._fingers:
            self._lifted = self._fingers.pop(finger)
            self._post("UP", finger, self._lifted.spot)
            self._lifted = None

    def _post(self, what: str, finger: int | str, spot: tuple[int, int]) -> None:
        self._count()
        wide, high = pygame.display.get_window_size()
        x, y = self._on_the_glass(spot)
        if finger == "mouse":
            kind = {"DOWN": pygame.MOUSEBUTTONDOWN, "MOTION": pygame.MOUSEMOTION, "UP": pygame.MOUSEBUTTONUP}[what]
            pygame.event.post(pygame.event.Event(kind, button=1, pos=(x, y), touch=False))
        else:
            kind = {"DOWN": pygame.FINGERDOWN, "MOTION": pygame.FINGERMOTION, "UP": pygame.FINGERUP}[what]
            share = {"x": (x + 0.5) / wide, "y": (y + 0.5) / high}
            pygame.event.post(pygame.event.Event(kind, {"finger_id": finger, "touch_id": 0, **share}))
        self.steps()

    def _on_the_glass(self, spot: tuple[int, int]) -> tuple[int, int]:
        """Where on the display a place of the picture is."""
        wide, high = pygame.display.get_window_size()
        x, y = spot
        match self.kiosk._face.turn:
            case Turned.NONE:
                return x, y
            case Turned.RIGHT:
                return wide - 1 - y, x
            case Turned.OVER:
                return wide - 1 - x, high - 1 - y
            case Turned.LEFT:
                return y, high - 1 - x

    def tap(self, spot: tuple[int, int], finger: int | str = 1) -> None:
        """Come down, and leave."""
        self.down(spot, finger)
        self.up(finger)

    # -- time, and the screen in it

    def steps(self) -> float | None:
        """Let the screen do what it wants to do at once."""
        for _ in range(50):
            pause = self.kiosk.step()
            if pause != 0:
                return pause
        raise AssertionError("the screen never rests")

    def wait(self, seconds: float) -> list[Action]:
        """Time passes for the station and before the screen."""
        before, end = len(self.actions), self.now + seconds
        while True:
            pause = self.steps()
            if self.now >= end:
                return self.actions[before:]
            ahead = seconds if pause is None else max(pause, LEAST_FRAME, seconds / MOST_FRAMES)
            super().wait(min(ahead, end - self.now))

    def lose_the_station(self) -> None:
        """The daemon is not there for a moment, or the connection broke: it is told that no finger holds any more."""
        self.link.snapshot = None
        self.steps()
        super().wait(0.3)
        armed = self.station.desk.arming.armed
        if armed is not None:
            self.do(HoldEnded(id=0, bay=armed.bay))
        self.link.snapshot = self.view()
        self.steps()

    def drawn(self, view: View, canvas: Canvas) -> None:
        """In place of `render`: the same, and what it offers is noted."""
        render(view, canvas)
        self.targets = list(canvas.targets)

    def _count(self) -> None:
        self.counted += 1

    # -- the operator

    def let_the_operator_in(self) -> None:
        """Somebody who knows the PIN comes, if the door can be seen."""
        self._lift_all()
        self.wait(FORGET + 1)
        door = next((box for box, on in self.targets if on.command == Turn(Office(Room.DOOR))), None)
        if door is None or self.station.operator.open:
            return
        self._firmly(door)
        self._invited = True
        for digit in PIN:
            key = next((box for box, on in self.targets if on.command == Key(digit)), None)
            if key is not None:
                self.wait(SETTLE)
                self.tap(key.center)
        self.wait(2 * SETTLE)
        enter = next((box for box, on in self.targets if on.command == ENTER), None)
        if enter is not None:
            self.tap(enter.center)
        self._invited = False
        self.do(PapersSeen(papers=PAPERS))
        self.steps()

    # -- the way home

    def at_home(self) -> bool:
        """Whether the screen shows what it shows when nothing is open: how to begin, the one phone, or all bays."""
        assert self.kiosk._last is not None
        view, _ = self.kiosk._last
        snapshot, place = view.snapshot, view.place
        if snapshot is None or to_confirm(snapshot) is not None or to_guide(snapshot) is not None:
            return False
        # Of a station with one bay, the page of its phone is what is shown anyhow.
        alone = len(snapshot.bays) == 1 and isinstance(place, Place) and place.page is Page.PHONE
        return place is None or alone

    def go_home(self) -> None:
        """Somebody taps the way back until nothing is open. AssertionError when there is none."""
        self._lift_all()
        self.wait(FORGET + 1)
        seen = []
        for _ in range(12):
            if self.at_home():
                return
            way = self._way_back()
            assert self.kiosk._last is not None
            seen.append((self.kiosk._last[0].place, way))
            assert way is not None, f"no way back from {seen[-1][0]}: {[target.command for _, target in self.targets]}"
            self._firmly(way)
        raise AssertionError(f"these lead nowhere: {seen}")

    def wait_home(self) -> None:
        """Nobody is there any more."""
        self._lift_all()
        self.wait(max(PAGE_SECONDS, DOOR_SECONDS, START_SECONDS) + 1)
        for _ in range(8):
            if self.at_home():
                return
            self.wait(130)
        assert self.kiosk._last is not None
        raise AssertionError(f"nobody is there, and this is shown still: {self.kiosk._last[0].place}")

    def clear_all(self) -> None:
        """Phones are taken away, jobs end, results are seen to: the screen says how to begin."""
        self._confirm_since = None
        self.do(ButtonChanged(control=Control.CONFIRM, state=ControlState.UP))
        for phone in self._phones:
            if phone.socket is not None:
                self._pull(phone)
        for _ in range(60):
            self.work()
            self.wait(40)
            if not self._works and all(bay.job is None for bay in self.station.bays):
                break
        for _ in range(4 * len(self.view().bays)):
            over = next((view for view in self.view().bays if view.result is not None), None)
            if over is None:
                break
            way = self._onward(over)
            assert way is not None, f"no way to say OK to {over}: {[target.command for _, target in self.targets]}"
            self._firmly(way)
        self.go_home()
        shown = self.link.snapshot
        assert shown is not None
        states = {bay.bay: bay.state.value for bay in shown.bays}
        assert set(states.values()) <= {"empty"}, states

    def _onward(self, over: BayView) -> Rect | None:
        """What says OK to a bay's result, or leads to where it can be said."""
        ways = [lambda on: on == Dismiss(id=0, bay=over.bay), lambda on: _opens(on, over)]
        ways += [lambda on: on == Select(id=0, bay=over.bay)]
        found = (box for way in ways for box, target in self.targets if way(target.command))
        return next(found, None) or self._way_back()

    def _lift_all(self) -> None:
        for finger in list(self._fingers):
            self.up(finger)
        if self._confirm_since is not None:
            self.confirm(down=False)

    def _firmly(self, box: Rect) -> None:
        """A tap by somebody who sees what they tap; another one if the first only woke the screen."""
        self.wait(2 * SETTLE)
        before = self.kiosk._last
        self.tap(box.center)
        if self.kiosk._last == before:
            self.wait(2 * SETTLE)
            if box in [place for place, _ in self.targets]:
                self.tap(box.center)
        self.wait(2 * SETTLE)

    def _way_back(self) -> Rect | None:
        """What ends what is shown, or leads one page up."""
        assert self.kiosk._last is not None
        snapshot, place = self.kiosk._last[0].snapshot, self.kiosk._last[0].place
        if snapshot is None:
            return None
        taken = to_confirm(snapshot) is not None or (to_guide(snapshot) is not None and not isinstance(place, Office))
        for box, target in self.targets:
            match target.command:
                case Cancel() | Guide(target=None) if taken and not target.hold:
                    return box
                case Turn(to=to) if not taken and not target.hold and _depth(to) < _depth(place):
                    return box
                case _:
                    pass
        return None


def _sends(target: Target, kind: type[Command]) -> bool:
    command = target.command
    return isinstance(command, kind) or (
        isinstance(command, Turn) and any(isinstance(sent, kind) for sent in command.sends)
    )


def _opens(command: object, bay: BayView) -> bool:
    """Whether this opens a bay, to see all of it."""
    to = command.to if isinstance(command, Turn) else None
    return isinstance(to, Place) and (to.bay, to.page) == (bay.bay, Page.PHONE)


_DEEP = frozenset({Room.BAY, Room.NIGHT_BAYS, Room.NIGHT_SERVICE, Room.REPORT, Room.TOUCH, Room.IMAGE, Room.ARRIVAL})


def _depth(place: Where | None) -> int:
    """How far somebody is from home."""
    match place:
        case None:
            return 0
        case Office(room=room):
            return 1 if place == HOME or room in (Room.DOOR, Room.HOME) else 3 if room in _DEEP else 2
        case Place(page=page):
            return {Page.PHONE: 1, Page.FAMILY: 3}.get(page, 2)


class _Wire(Link):
    """A link whose other end is the storm's station: each command is carried out at once."""

    def __init__(self, storm: Storm) -> None:
        super().__init__(Path("/nonexistent"), lambda: None)
        self._storm = storm

    def send(self, command: Command) -> None:
        if self.snapshot is not None:
            self._storm.obey(command)


def rage(storm: Storm, events: int) -> None:  # noqa: C901 one arm for each thing that can happen
    """Do random things until so many touches, presses and plugs have happened."""
    dice = storm.dice
    end = storm.counted + events
    fingers: list[int | str] = [1, 1, 1, 2, 3, "mouse"]
    names, weights = zip(*WEIGHTS.items(), strict=True)
    while storm.counted < end:
        wide, high = storm.kiosk.size
        where = (dice.randrange(wide), dice.randrange(high))
        boxes = [box for box, _ in storm.targets]
        aimed = dice.choice(boxes).center if boxes else where
        finger = dice.choice(fingers)
        match dice.choices(names, weights)[0]:
            case "tap":
                storm.wait(dice.choice([0.0, 0.35, 0.35]))
                onward = [box for box, on in storm.targets if _sends(on, Start) or _sends(on, Decide)]
                boxes = onward if onward and dice.random() < 0.3 else [box for box, _ in storm.targets]
                aimed = dice.choice(boxes).center if boxes else where
                storm.down(aimed, finger)
                storm.wait(dice.choice([0.0, 0.05, 0.2]))
                storm.up(finger)
            case "beside":
                box = Rect(aimed, (0, 0)) if not boxes else dice.choice(boxes)
                storm.tap((box.right + dice.randint(-3, 3), box.centery), finger)
            case "anywhere":
                storm.tap(where, finger)
            case "down":
                storm.down(dice.choice([aimed, where]), finger)
            case "up":
                storm.up(finger, told=dice.random() < 0.7)
            case "swipe":
                storm.down(aimed, finger)
                for share in (0.3, 0.6, 1.0):
                    storm.wait(dice.choice([0.0, 0.05]))
                    x, y = (round(a + (b - a) * share) for a, b in zip(aimed, where, strict=True))
                    storm.move((x, y), finger)
                storm.up(finger)
            case "hold":
                holds = [box for box, on in storm.targets if on.hold or on.release is not None]
                storm.wait(0.35)
                storm.down(dice.choice(holds).center if holds else aimed, finger)
                for _ in range(dice.randint(1, 6)):
                    storm.wait(dice.choice([0.1, 0.4, 0.8]))
                    if dice.random() < 0.1:
                        storm.move(where, finger)
                storm.up(finger, told=dice.random() < 0.9)
            case "start":
                storm.press_start(dice.choice([None, *[bay.id for bay in storm.station.bays]]))
            case "confirm":
                storm.press_confirm(dice.choice([0.1, 1.0, 1.9, 2.1, 3.0]))
            case "start, confirm":
                name = dice.choice([None, *[bay.id for bay in storm.station.bays]])
                storm.press_start(name)
                storm.wait(dice.choice([0.0, 0.4]))
                ring = next((box for box, on in storm.targets if isinstance(on.command, HoldBegan)), None)
                if ring is None:
                    storm.confirm(down=True)
                else:
                    storm.down(ring.center)
                storm.wait(dice.choice([0.5, 1.5]))
                disturb = dice.choice(DISTURBANCES)
                if disturb is not None:
                    disturb(storm)
                storm.wait(dice.choice([0.4, 0.6, 1.5]))
                storm.confirm(down=False)
                storm.up()
            case "confirm edge":
                storm.confirm(down=dice.random() < 0.5)
            case "fault":
                storm.fault()
            case "plug":
                storm.plug()
            case "unplug":
                storm.unplug()
            case "swap":
                storm.swap()
            case "lost":
                storm.lose_the_station()
            case "window":
                kinds = (pygame.WINDOWLEAVE, pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED, pygame.WINDOWFOCUSLOST)
                pygame.event.post(pygame.event.Event(dice.choice(kinds)))
                storm.steps()
            case "made up":
                for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
                    pygame.event.post(pygame.event.Event(kind, button=1, pos=aimed, touch=True))
                    storm.steps()
            case "work":
                storm.work()
            case "long":
                storm.wait(dice.choice([5.0, 31.0, 61.0, 200.0]))
            case name:
                raise AssertionError(name)
        storm.work()
        storm.wait(dice.choice([0.0, 0.0, 0.1, 0.5]))


DISTURBANCES: tuple[Callable[[Storm], object] | None, ...] = (
    None,
    None,
    None,
    Storm.swap,
    Storm.lose_the_station,
    Storm.press_start,
    lambda storm: storm.move((0, 0)),
    lambda storm: storm.press_start(storm.dice.choice([bay.id for bay in storm.station.bays])),
)
"""What may happen while CONFIRM is held."""
WEIGHTS = {
    "tap": 34,
    "beside": 6,
    "anywhere": 6,
    "down": 3,
    "up": 3,
    "swipe": 4,
    "hold": 8,
    "start": 4,
    "confirm": 4,
    "start, confirm": 8,
    "confirm edge": 3,
    "fault": 1,
    "plug": 8,
    "unplug": 4,
    "swap": 1,
    "lost": 1,
    "window": 2,
    "made up": 2,
    "work": 8,
    "long": 1,
}
"""How often what happens."""


def watch(storm: Storm, patch: Any) -> None:
    """Note what is offered on each picture that the storm's screen draws."""
    patch.setattr(app, "render", storm.drawn)
