"""Scenarios: what is plugged in, what happens when, and how it must end. TOML files, read strictly.

Times are in seconds of a phone at its default pace; `pace` stretches them all. Whatever is left to chance is decided
by `seed`, once, when the file is read: `cast` and `timeline` are the same each time.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar

import msgspec

from station.errors import InputRejected
from station.model.base import Ecid, Message, SocketPath
from station.model.phone import PhoneMode
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.kinds import Fault
from station.virtual.faults.troubles import find_trouble
from station.virtual.phones.buttons import Hold
from station.virtual.phones.models import find_model
from station.virtual.phones.people import find_person

REMEDY = "“station virtual --list” shows those there are; a file’s name ends in .toml."
NOTHING = "nothing"
"""As a phone's iOS: none is installed."""
MAX_PHONES = 64
SOCKET = re.compile(r"\d+-\d+(\.\d+)*")
VERSION = re.compile(r"(\d+(?:\.\d+)*)/([0-9A-Za-z]+)")
"""26.1/23B85. A build is the name of a directory, too."""


class Firmware(Message, frozen=True, kw_only=True):
    """A build that Apple signs; made, in miniature, for the models that the scenario has."""

    version: str
    build: str


class Phone(Message, frozen=True, kw_only=True):
    """A phone, or several of a kind."""

    name: str
    """By which events mean it; of several the second is NAME-2, and so on."""
    count: int = 1
    models: tuple[str, ...] = ("iPhone 12",)
    """One of them, by chance."""
    ios: str = "26.1/23B85"
    """VERSION/BUILD, or "nothing"."""
    people: tuple[str, ...] = ()
    """Whose it is, by the names of `people`."""
    device_name: str = "Somebody’s iPhone"
    socket: SocketPath | None = None
    """None: the first free one."""
    ecid: Ecid | None = None
    """None: by chance. One that another phone has makes it a clone."""
    gadget: bool = False
    """Whether it is a keyboard that says that it is a phone; it then needs a socket."""
    recovery: bool = False
    """Whether it stays in recovery though there is something to boot."""
    faults: tuple[Fault, ...] = ()
    troubles: tuple[str, ...] = ()
    """By the names of `troubles`."""
    within: float = 0.0
    """It is plugged in by chance within so many seconds."""
    later: bool = False
    """Whether it is not plugged in before an event does."""


class Event(Message, frozen=True, kw_only=True, tag_field="do"):
    """Something that happens: at a time, or `at` seconds after a step; without either, right after the one before."""

    at: float = 0.0
    after: str = ""
    """PHONE STEP: the first time that this phone is at this step (a glob), or "unplugged", after what came before."""


class Plug(Event, frozen=True, kw_only=True, tag="plug"):
    """A phone is plugged in, for the first time or again."""

    phone: str
    socket: SocketPath | None = None


class Unplug(Event, frozen=True, kw_only=True, tag="unplug"):
    """A cable is pulled."""

    phone: str


class Tap(Event, frozen=True, kw_only=True, tag="tap"):
    """Somebody unlocks a phone, and taps “Trust”."""

    phone: str


class Press(Event, frozen=True, kw_only=True, tag="press"):
    """Somebody presses a phone's own buttons, one hold after the other, and lets go at the end."""

    phone: str
    holds: tuple[Hold, ...]


class Strike(Event, frozen=True, kw_only=True, tag="strike"):
    """A fault strikes at once; its `at` means nothing."""

    phone: str
    fault: Fault


class Misbehave(Event, frozen=True, kw_only=True, tag="misbehave"):
    """One of Apple's servers changes its mind."""

    service: AppleService
    behaviour: Behaviour


class DropHub(Event, frozen=True, kw_only=True, tag="drop-hub"):
    """A hub loses power, and gives its phones back one after the other."""

    hub: SocketPath
    seconds: float = 1.0


class Expected(Message, frozen=True, kw_only=True):
    """How one phone must be when everything has happened."""

    mode: PhoneMode | None = None
    """None: it is not on the bus."""
    destructions: int = 0
    steps: tuple[str, ...] = ()
    """What it has been through, in this order, whatever else was between."""
    read: str = ""
    """What a client found that did nothing but read who it is: "yes", or the error's name; "": any."""


AnyEvent = Plug | Unplug | Tap | Press | Strike | Misbehave | DropHub


class Scenario(Message, frozen=True, kw_only=True):
    """A scenario, as its file has it."""

    shows: str
    """What it is for, in one line."""
    seed: int = 1
    pace: float = 1.0
    firmware: tuple[Firmware, ...] = ()
    apple: Mapping[AppleService, Behaviour] = {}
    """How Apple's servers behave from the start; those not named, well."""
    phones: tuple[Phone, ...]
    events: tuple[AnyEvent, ...] = ()
    expect: Mapping[str, Expected] = {}
    """By the phones' names; of several of a kind, the kind's name means each."""

    kinds: ClassVar[Mapping[str, type[AnyEvent]]] = {
        str(kind.__struct_config__.tag): kind for kind in (Plug, Unplug, Tap, Press, Strike, Misbehave, DropHub)
    }
    """Every kind of event by its name."""

    @property
    def cast(self) -> dict[str, "Member"]:
        """Every phone by its name, with what chance decides about it."""
        chance = random.Random(f"{self.seed} {self.shows}")  # noqa: S311 - to be the same each time, which a secret must not be
        cast: dict[str, Member] = {}
        for phone in self.phones:
            for number in range(phone.count):
                name = phone.name if not number else f"{phone.name}-{number + 1}"
                ecid = Ecid(chance.getrandbits(52)) if phone.ecid is None else phone.ecid
                clone = ecid in (member.ecid for member in cast.values())
                arrives = chance.uniform(0, phone.within)
                cast[name] = Member(phone, ecid=ecid, clone=clone, model=chance.choice(phone.models), arrives=arrives)
        return cast

    def check(self) -> None:
        """Raise ValueError when it names what there is not."""
        names = [phone.name for phone in self.phones]
        if len(set(names)) != len(names):
            raise ValueError("two phones with one name")
        if sum(phone.count for phone in self.phones) > MAX_PHONES:
            raise ValueError(f"more than {MAX_PHONES} phones")
        self._check_forms()
        for phone in self.phones:
            _check_phone(phone)
        known = self.cast.keys()
        for event in self.events:
            mentioned = {name for name in (getattr(event, "phone", ""), event.after.partition(" ")[0]) if name}
            if strangers := mentioned - known:
                raise ValueError(f"an event is about {min(strangers)!r}, which is no phone's name")
            if event.after and " " not in event.after:
                raise ValueError(f"{event.after!r} is not PHONE STEP")
        if strangers := self.expect.keys() - known:
            raise ValueError(f"something is expected of {min(strangers)!r}, which is no phone's name")

    def _check_forms(self) -> None:
        """Raise ValueError when a pace, a version or a socket has not the form of one."""
        if self.pace < 0:
            raise ValueError("a pace is 0 or more")
        for firmware in self.firmware:
            parse_version(f"{firmware.version}/{firmware.build}")
        for one in (*self.phones, *self.events):
            socket = getattr(one, "socket", None) or getattr(one, "hub", None)
            if socket is not None and SOCKET.fullmatch(socket) is None:
                raise ValueError(f"{socket!r} is no socket, as 1-1.4 is")


@dataclass(frozen=True)
class Member:
    """A phone of a scenario, as chance has it."""

    phone: Phone
    ecid: Ecid
    clone: bool
    model: str
    arrives: float
    """Seconds from the start, at the default pace."""


def _check_phone(phone: Phone) -> None:
    """Raise ValueError when a phone is not one."""
    if phone.count < 1 or not phone.models or (phone.gadget and phone.socket is None):
        raise ValueError(f"{phone.name!r} needs a count, a model and, as a gadget, a socket")
    version = None if phone.ios == NOTHING else parse_version(phone.ios)[0]
    try:
        for name in phone.models:
            model = find_model(name)
            if version is not None and not phone.gadget:
                model.refuse_version(version)
        for person in phone.people:
            find_person(person)
        for trouble in phone.troubles:
            find_trouble(trouble)
    except KeyError as error:
        raise ValueError(error.args[0]) from error


def parse_version(text: str) -> tuple[str, str]:
    """Read VERSION/BUILD. Raises ValueError."""
    match = VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not VERSION/BUILD, as 26.1/23B85 is")
    return match[1], match[2]


def read(path: Path) -> Scenario:
    """Read a scenario. Raises InputRejected, with the file's name and the key's, for all that is wrong with it."""
    try:
        scenario = msgspec.toml.decode(path.read_bytes(), type=Scenario)
        scenario.check()
    except OSError as error:
        raise InputRejected(f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise InputRejected(f"{path} is no scenario: {error}") from error
    return scenario


def shipped() -> dict[str, Path]:
    """The scenarios that come with the station, by name."""
    folder = Path(str(resources.files("station.virtual") / "scenarios"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(name: str) -> Scenario:
    """A scenario by its name, or by the path of its file. Raises InputRejected."""
    path = shipped().get(name)
    if path is None and not name.endswith(".toml"):
        raise InputRejected(f"There is no scenario {name!r}.", remedy=REMEDY)
    return read(path or Path(name))
