"""The operator's pages: about the station, behind its PIN. Each is a place, with what is being chosen there.

What is chosen and not yet sent (digits, a night's scope) is kept in the place, and nowhere else: it is forgotten when
the page is left. The pages are open only while the daemon says that the operator is here; the door is there before.
"""

from dataclasses import dataclass, replace
from enum import Enum

from station.model.api import Command, LearnBay, Lock, SetPin, Snapshot, TestPanel, Unlock
from station.model.base import BayId
from station.model.operator import PIN_DIGITS, PinState
from station.model.panel import Control, ControlState
from station.model.service import Service


class Room(Enum):
    """Which of the operator's pages."""

    DOOR = "door"
    HOME = "home"
    NIGHT = "night"
    NIGHT_SERVICE = "night_service"
    NIGHT_BAYS = "night_bays"
    REPORT = "report"
    KIND = "kind"
    BAYS = "bays"
    BAY = "bay"
    FIRMWARE = "firmware"
    IMAGE = "image"
    ARRIVAL = "arrival"
    RECORDS = "records"
    MACHINE = "machine"
    PANEL = "panel"
    LANGUAGE = "language"
    SCREEN = "screen"
    TOUCH = "touch"
    LOGS = "logs"
    PIN = "pin"
    POWER = "power"


PRIVATE = frozenset({Room.DOOR, Room.PIN})
"""Of these no picture is kept: it could show which key is pressed."""


CLOSED = "The operator's pages have closed."
IDLE = "Nobody touched the operator's pages for a while: they have closed."
"""Why somebody who was there is not any more."""


@dataclass(frozen=True)
class Key:
    """A touch that changes what is being chosen on an operator's page, such as a digit.

    It is the same before and after, so that it can be touched again at once.
    """

    name: str


DELETE, ENTER = Key("delete"), Key("enter")


@dataclass(frozen=True)
class PinDraft:
    """Digits on their way to the daemon. They are shown as dots and kept out of every text about this object."""

    typed: str = ""
    first: str = ""
    """When one is chosen: what was typed the first time."""
    differs: bool = False
    """Whether the second time was not as the first."""

    def __repr__(self) -> str:
        return "PinDraft(…)"

    def keyed(self, key: Key, *, choosing: bool) -> "tuple[PinDraft, str]":
        """The digits after a key, and the PIN once it is whole; `choosing`: it is typed twice."""
        least, most = PIN_DIGITS
        if key == DELETE:
            return replace(self, typed=self.typed[:-1]), ""
        if key != ENTER:
            return replace(self, typed=(self.typed + key.name)[:most], differs=False), ""
        if len(self.typed) < least:
            return self, ""
        if not choosing or self.typed == self.first:
            return PinDraft(), self.typed
        return (PinDraft(differs=True) if self.first else PinDraft(first=self.typed)), ""


COUNTS = (*range(1, 21), *range(25, 51, 5), *range(60, 101, 10), *range(150, 501, 50))
"""How many phones a night can be for."""
HOURS = (*range(1, 13), 14, 16, 18, 20, 24, 36, 48, 72, 96, 120, 168)
USUAL_HOURS = 10


@dataclass(frozen=True)
class NightDraft:
    """What a standing order will be, once it is given.

    Attributes:
        service: What each phone gets.
        bays: Where; empty: everywhere.
        count: For how many phones; 0: nobody chose, so as many as there are bays.
        hours: For how long.
    """

    service: Service = Service.RESTORE
    bays: frozenset[BayId] = frozenset()
    count: int = 0
    hours: int = USUAL_HOURS

    def phones(self, snapshot: Snapshot) -> int:
        """For how many phones."""
        return self.count or max(1, len(self.bays or snapshot.bays))

    def keyed(self, key: Key, snapshot: Snapshot) -> "NightDraft":
        """Another count or end."""
        match key.name:
            case "more":
                return replace(self, count=_next(COUNTS, self.phones(snapshot), 1))
            case "fewer":
                return replace(self, count=_next(COUNTS, self.phones(snapshot), -1))
            case "longer":
                return replace(self, hours=_next(HOURS, self.hours, 1))
            case "shorter":
                return replace(self, hours=_next(HOURS, self.hours, -1))
            case _:
                return self


def _next(steps: tuple[int, ...], now: int, way: int) -> int:
    """The next step up or down; the last one stays."""
    further = [step for step in steps[::way] if (step - now) * way > 0]
    return further[0] if further else now


@dataclass(frozen=True)
class PanelDraft:
    """How far the trying of buttons and lamps is.

    Attributes:
        seen: The buttons that were pressed since it began.
        step: Which lamp is asked about; None: the buttons are being tried.
        dark: The steps at which the lamp was not right.
    """

    seen: frozenset[tuple[Control, BayId | None]] = frozenset()
    step: int | None = None
    dark: tuple[int, ...] = ()


@dataclass(frozen=True)
class LearnDraft:
    """A bay, and the socket that it had when its page was opened."""

    bay: BayId
    socket: str


@dataclass(frozen=True)
class TouchDraft:
    """Which places of the glass were touched."""

    touched: frozenset[str] = frozenset()


@dataclass(frozen=True)
class KindDraft:
    """The kind of station that is about to be used."""

    policy: str


@dataclass(frozen=True)
class ImageDraft:
    """One firmware: the name of what is in the store, or the build of what is on its way."""

    name: str


Draft = PinDraft | NightDraft | PanelDraft | LearnDraft | TouchDraft | KindDraft | ImageDraft


@dataclass(frozen=True)
class Office:
    """One of the operator's pages.

    Attributes:
        room: Which.
        part: Of a list that is longer than the page: which part of it, counted from 0.
        draft: What is being chosen.
    """

    room: Room
    part: int = 0
    draft: Draft | None = None


HOME = Office(Room.HOME)


@dataclass(frozen=True)
class Keyed:
    """What a key did.

    Attributes:
        to: The page after it.
        sends: What the daemon is told.
        done: What to say when it has done so.
    """

    to: Office
    sends: tuple[Command, ...] = ()
    done: str = ""


def keyed(office: Office, key: Key, snapshot: Snapshot) -> Keyed:
    """What a key does on a page."""
    match office.draft:
        case NightDraft() as draft:
            return Keyed(replace(office, draft=draft.keyed(key, snapshot)))
        case TouchDraft(touched=touched):
            return Keyed(replace(office, draft=TouchDraft(touched | {key.name})))
        case PinDraft() | None if office.room in PRIVATE:
            return _pin_keyed(office, key, snapshot)
        case _:
            return Keyed(office)


def _pin_keyed(office: Office, key: Key, snapshot: Snapshot) -> Keyed:
    draft = office.draft if isinstance(office.draft, PinDraft) else PinDraft()
    changing = office.room is Room.PIN
    after, pin = draft.keyed(key, choosing=changing or snapshot.pin is PinState.UNSET)
    if pin and changing:
        return Keyed(HOME, (SetPin(id=0, pin=pin),), "The PIN is changed.")
    return Keyed(replace(office, draft=after), (Unlock(id=0, pin=pin),) if pin else ())


def still_open(office: Office, snapshot: Snapshot) -> Office | None:
    """The page as it is now; None: the operator is not here any more."""
    if office.room is Room.DOOR:
        if snapshot.operator is not None:
            return HOME
        return Office(Room.DOOR) if snapshot.pin is PinState.WAIT else office
    if snapshot.operator is None:
        return None
    if isinstance(office.draft, PanelDraft):
        down = {(line.control, line.bay) for line in snapshot.operator.controls if line.state is ControlState.DOWN}
        if not down <= office.draft.seen:
            return replace(office, draft=replace(office.draft, seen=office.draft.seen | down))
    return office


def leaving(office: Office) -> tuple[Command, ...]:
    """What the daemon is told when somebody goes from a page: what waits there is over."""
    match office.room:
        case Room.PANEL:
            return (TestPanel(id=0, on=False),)
        case Room.BAY:
            return (LearnBay(id=0, bay=None),)
        case Room.HOME:
            return (Lock(id=0),)
        case _:
            return ()
