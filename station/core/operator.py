"""The operator's door: a PIN, what is open behind it while somebody is there, and what they choose.

Guessing does not pay: each try is counted before it is looked at, on the disk too, and after some that were wrong the
next one must wait, for twice as long each time.

It is long because it is one door: every command behind it, and what becomes of each, is told by the same session.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from station.core.actions import (
    Action,
    AskForNewest,
    CheckPin,
    DiscardFirmware,
    KeepChoices,
    MakePin,
    StartAnew,
    StopFetching,
    SwitchMachine,
    WriteLogs,
)
from station.core.bays import MAX_BAYS, Bay, Bays
from station.core.events import ChoicesFound, ChoicesKept, Moment, OperatorTold, Papers, PapersSeen, PinChecked, PinMade
from station.core.jobs import JobState
from station.core.policy import Policy
from station.core.situation import Situation
from station.errors import Refused
from station.model.api import (
    EndOrder,
    FetchNewest,
    ForgetBay,
    LearnBay,
    LightLamp,
    Lock,
    Order,
    Overrule,
    Release,
    RemoveFirmware,
    SaveLogs,
    SetFace,
    SetPin,
    StopFetch,
    SwitchOff,
    TestPanel,
    Unlock,
    UsePolicy,
)
from station.model.base import BayId, SocketPath
from station.model.choices import LOST_PIN, Choices
from station.model.face import DARKEST, Face
from station.model.operator import (
    PIN_DIGITS,
    SESSION_SECONDS,
    BayLine,
    ControlLine,
    FirmwareLine,
    OperatorView,
    PinState,
    Power,
)

FREE_TRIES = 5
"""So many wrong PINs in a row, and the next one must wait."""
FIRST_WAIT, LONGEST_WAIT = 60.0, 3600.0
"""Seconds to wait after the last of them; twice as long after each further one."""
BRIGHTEST = 100
LONGEST_DIM = 24 * 3600.0
BAY_NAME = re.compile(r"[A-Za-z0-9-]{1,8}")
"""A new bay's."""
MAX_STICK = 200
"""Letters of a stick's name."""
SWITCHED = {Power.OFF: "The machine is being switched off.", Power.RESTART: "The machine is being restarted."}
"""What is said when the machine has obeyed."""

OfFirmware = FetchNewest | StopFetch | RemoveFirmware
OperatorCommand = (
    Unlock | Lock | SetPin | SetFace | UsePolicy | LearnBay | ForgetBay | SaveLogs | SwitchOff | OfFirmware
)
OperatorNews = ChoicesFound | ChoicesKept | PinMade | PinChecked | PapersSeen | OperatorTold

OPERATORS = (
    *(Order, EndOrder, Overrule, Release, SetFace, SetPin, UsePolicy),
    *(LearnBay, ForgetBay, TestPanel, LightLamp, SaveLogs, SwitchOff),
    *(FetchNewest, StopFetch, RemoveFirmware),
)
"""Commands that only an operator gives: each keeps the pages open."""


@dataclass(frozen=True, kw_only=True)
class _Session:
    """Somebody who knows the PIN is here."""

    until: float


class Operator:
    """At most one session, whoever opened it: there is one door."""

    def __init__(self, bays: Bays, policy: Policy, situation: Situation) -> None:
        self.choices = Choices()
        self.trouble = ""
        """What of the choices could not be read."""
        self.learning: BayId | None = None
        self._bays = bays
        self._policy = policy
        self._situation = situation
        self._session: _Session | None = None
        self._wait_until: float | None = None
        self._learning_until: float | None = None
        self._papers = Papers()
        self._says = ""
        self._writing = False
        """Whether logs are being written."""

    @property
    def open(self) -> bool:
        """Whether the operator's pages are open."""
        return self._session is not None

    @property
    def deadline(self) -> float | None:
        """When `expire` is due next."""
        ends = None if self._session is None else self._session.until
        return min((at for at in (ends, self._wait_until, self._learning_until) if at is not None), default=None)

    def expire(self, now: Moment) -> None:
        """Close the door behind somebody who has left; open it for another try when it was waited long enough."""
        if self._session is not None and now.at >= self._session.until:
            self._close()
        if self._wait_until is not None and now.at >= self._wait_until:
            self._wait_until = None
        if self._learning_until is not None and now.at >= self._learning_until:
            self._stop_learning()

    def used(self, now: Moment) -> None:
        """An operator's command was carried out: they are still here."""
        if self._session is not None:
            self._open(now)

    # -- people

    def command(self, command: OperatorCommand, now: Moment) -> list[Action]:  # noqa: C901, PLR0911 one arm a command
        """Carry out a client's command. Raises Refused, and then has changed nothing."""
        match command:
            case Unlock():
                return self._unlock(command.pin, now)
            case Lock():
                self._close()
                return []
            case _:
                self._situation.require_operator(self._policy)
        self._says = ""
        match command:
            case SetPin():
                return self._set_pin(command.pin)
            case SetFace():
                return [KeepChoices(choices=replace(self.choices, face=_checked(command.face)))]
            case UsePolicy():
                return self._use(command.policy)
            case LearnBay():
                self._learn(command.bay, now)
                return []
            case ForgetBay():
                return self._forget(command.bay)
            case SaveLogs():
                return self._save_logs(command.stick)
            case SwitchOff():
                return self._switch(command.how)
            case FetchNewest() | StopFetch() | RemoveFirmware():
                return self._firmware(command)

    def told(self, news: OperatorNews, now: Moment) -> list[Action]:
        """Take in what became of an action. Raises Refused when it was a PIN, and the wrong one."""
        match news:
            case ChoicesFound():
                self.choices, self.trouble = news.choices, news.trouble
                self._wait(now)
            case PinMade():
                return [KeepChoices(choices=replace(self.choices, pin=news.pin, wrong=0), opens=news.opens)]
            case PinChecked():
                return self._checked_pin(news.right, now)
            case ChoicesKept():
                return self._kept(news, now)
            case PapersSeen():
                self._papers = news.papers if self.open else Papers()
            case OperatorTold():
                self._writing = self._writing and not news.wrote
                self._says = news.says if self.open else ""
        return []

    def teach(self, socket: SocketPath) -> list[Action]:
        """A phone is in this socket; if it is no bay and one is being taught, it is that one from now on."""
        name = self.learning
        if name is None or self._bays.knows(socket):
            return []
        old = self._bays.get(name)
        if old is not None and _occupied(old):
            self._says = f"Bay {name} is in use: it stays where it is."
            return []
        self._bays.learn(name, socket)
        self._stop_learning()
        self._says = f"This socket is bay {name} from now on."
        self.choices = replace(self.choices, bays=self._bays.sockets())
        return [KeepChoices(choices=self.choices, must=False)]

    def view(self, *, controls: tuple[ControlLine, ...], testing: bool) -> OperatorView | None:
        """What the operator's pages show; None: they are closed. `controls`, `testing`: of the panel."""
        if self._session is None:
            return None
        papers = self._papers
        return OperatorView(
            until=self._session.until,
            policy=self._policy.preset,
            policies=self._policy.presets,
            bays=tuple(BayLine(bay=bay.id, socket=bay.socket, occupied=_occupied(bay)) for bay in self._bays),
            learning=self.learning,
            testing=testing,
            controls=controls,
            firmware=self._lines(papers.firmware),
            news=self._situation.news,
            fetches=self._policy.fetches,
            records=papers.records,
            record_count=papers.record_count,
            machine=papers.machine,
            report=papers.report,
            says=self._says,
        )

    def _lines(self, firmware: tuple[FirmwareLine, ...]) -> tuple[FirmwareLine, ...]:
        """What is in the store, and which of it a job uses."""
        jobs = (bay.job.spec.firmware for bay in self._bays if bay.job is not None)
        used = {each.directory.split("/")[-2] for each in jobs if each is not None}
        return tuple(replace(line, in_use=line.name in used) for line in firmware)

    @property
    def door(self) -> tuple[PinState, float]:
        """What the door looks like, and until when it must be waited (0: it need not be)."""
        if self._wait_until is not None:
            return PinState.WAIT, self._wait_until
        return (PinState.UNSET if self.choices.pin is None else PinState.SET), 0.0

    # -- the door

    def _unlock(self, pin: str, now: Moment) -> list[Action]:
        if self._wait_until is not None:
            raise Refused("Too many PINs were wrong.", remedy=f"Wait {_duration(self._wait_until - now.at)}.")
        _require_digits(pin)
        if self.choices.pin is None:
            return [MakePin(pin=pin, opens=True)]
        against, self.choices = self.choices.pin, replace(self.choices, wrong=self.choices.wrong + 1)
        return [KeepChoices(choices=self.choices, must=False), CheckPin(pin=pin, against=against)]

    def _checked_pin(self, right: bool, now: Moment) -> list[Action]:
        if right:
            self.choices = replace(self.choices, wrong=0)
            self._open(now)
            return [KeepChoices(choices=self.choices, must=False)]
        self._wait(now)
        if self._wait_until is not None:
            raise Refused("That is not the PIN.", remedy=f"Wait {_duration(self._wait_until - now.at)}.")
        left = FREE_TRIES - self.choices.wrong
        raise Refused("That is not the PIN.", remedy=f"Tries left before you have to wait: {left}.")

    def _wait(self, now: Moment) -> None:
        seconds = waiting(self.choices.wrong)
        self._wait_until = now.at + seconds if seconds else None

    def _open(self, now: Moment) -> None:
        self._session = _Session(until=now.at + SESSION_SECONDS)
        self._situation.operator = True

    def _close(self) -> None:
        self._session, self._papers, self._says = None, Papers(), ""
        self._stop_learning()
        self._situation.operator = False

    # -- choices

    def _kept(self, news: ChoicesKept, now: Moment) -> list[Action]:
        """It is on the disk: now it holds."""
        before, self.choices = self.choices, news.choices
        if news.opens:
            self._open(now)
        if news.choices.pin != LOST_PIN:
            self.trouble = ""
        if news.choices.bays is not None and news.choices.bays != before.bays:
            self._bays.keep_only(news.choices.bays)
        return [StartAnew()] if news.choices.policy != before.policy else []

    def _set_pin(self, pin: str) -> list[Action]:
        if not pin:
            return [KeepChoices(choices=replace(self.choices, pin=None, wrong=0))]
        _require_digits(pin)
        return [MakePin(pin=pin, opens=False)]

    def _use(self, policy: str) -> list[Action]:
        self._require_ours("policy", "The policy")
        if policy not in self._policy.presets:
            raise Refused("There is no such policy.", remedy=f"There are: {', '.join(self._policy.presets)}.")
        if policy == self._policy.preset:
            return []
        self._require_no_logs()
        queued = next((bay for bay in self._bays if bay.job and bay.job.state is JobState.QUEUED), None)
        if queued is not None:  # it is written down nowhere before it begins, and a standing order asks once
            raise Refused(f"Bay {queued.id} waits for its turn.", remedy="Wait until it has begun, or cancel it.")
        return [KeepChoices(choices=replace(self.choices, policy=policy))]

    def _learn(self, name: BayId | None, now: Moment) -> None:
        if name is not None:
            self._require_ours("bays", "Which socket is which bay")
            bay = self._bays.get(name)
            if bay is None and not BAY_NAME.fullmatch(name):
                raise Refused("A bay cannot have that name.", remedy="Take up to eight letters and digits.")
            if bay is None and len(list(self._bays)) >= MAX_BAYS:
                raise Refused(f"This station has {MAX_BAYS} bays already.", remedy="Forget one first.")
            if bay is not None:
                _require_empty(bay)
        self._stop_learning()
        if name is not None:
            self.learning, self._learning_until = name, now.at + SESSION_SECONDS

    def _stop_learning(self) -> None:
        self.learning = self._learning_until = None

    def _forget(self, name: BayId) -> list[Action]:
        self._require_ours("bays", "Which socket is which bay")
        bay = self._bays.get(name)
        if bay is None:
            raise Refused(f"There is no bay {name}.")
        _require_empty(bay)
        others = {other: socket for other, socket in self._bays.sockets().items() if other != name}
        return [KeepChoices(choices=replace(self.choices, bays=others))]

    def _require_ours(self, setting: str, what: str) -> None:
        """Refuse what would be written down, and then not be heeded."""
        if setting in self._policy.settled:
            raise Refused(
                f"{what} is set where this station is started (STATION_{setting.upper()}).", remedy="Change it there."
            )

    # -- firmware

    def _firmware(self, command: OfFirmware) -> list[Action]:
        match command:
            case RemoveFirmware():
                return [DiscardFirmware(name=command.name)]
            case _ if not self._policy.fetches:
                raise Refused("This station fetches no firmware.", remedy="Its settings say so (supply.fetch).")
            case FetchNewest():
                if not any(bay.stay is not None and bay.stay.product_type for bay in self._bays):
                    raise Refused("No phone is here whose model is known.", remedy="Plug one in.")
                self._says = "The station is looking up what is the newest."
                return [AskForNewest()]
            case StopFetch():
                return [StopFetching(build=command.build)]

    # -- the machine

    def _save_logs(self, stick: str) -> list[Action]:
        self._require_no_logs()
        if not 0 < len(stick) <= MAX_STICK:
            raise Refused("There is no such stick.", remedy="Plug in a USB stick, and choose it.")
        self._writing, self._says = True, "The logs are being written. Leave the stick plugged in."
        return [WriteLogs(stick=stick)]

    def _require_no_logs(self) -> None:
        if self._writing:
            raise Refused("The logs are being written already.", remedy="Wait until that is done.")

    def _switch(self, how: Power) -> list[Action]:
        self._require_no_logs()
        busy = [bay.id for bay in self._bays if bay.job is not None]
        if busy:
            raise Refused(f"Bay {busy[0]} is at work.", remedy="Wait until it is done, or cancel it.")
        return [SwitchMachine(how=how)]


def waiting(wrong: int) -> float:
    """Seconds to wait after so many wrong PINs in a row."""
    if wrong < FREE_TRIES:
        return 0.0
    return min(FIRST_WAIT * 2.0 ** min(wrong - FREE_TRIES, 16), LONGEST_WAIT)


def distinct(bays: Mapping[BayId, SocketPath]) -> bool:
    """Whether these can be bays: each with a name, and a socket of its own.

    Names that come from the settings may be longer than those that are given here.
    """
    named = "" not in bays and "" not in bays.values()
    return named and len(bays) <= MAX_BAYS and len(set(bays.values())) == len(bays)


def fits(face: Face) -> bool:
    """Whether a station can look so."""
    return DARKEST <= face.brightness <= BRIGHTEST and (
        math.isfinite(face.dim_seconds) and 0 <= face.dim_seconds <= LONGEST_DIM
    )


def _checked(face: Face) -> Face:
    if not fits(face):
        raise Refused(
            "The screen cannot be so.",
            remedy=f"Brightness goes from {DARKEST} to {BRIGHTEST} percent, and it dims within a day or never.",
        )
    return face


def _require_digits(pin: str) -> None:
    shortest, longest = PIN_DIGITS
    if not (shortest <= len(pin) <= longest and pin.isascii() and pin.isdigit()):
        raise Refused(f"A PIN has {shortest} to {longest} digits.")


def _require_empty(bay: Bay) -> None:
    if bay.result is not None:
        raise Refused(f"Bay {bay.id} shows a result that nobody has seen to.", remedy="Dismiss it first.")
    if _occupied(bay):
        raise Refused(f"Bay {bay.id} is in use.", remedy="Unplug its phone first, when its work is done.")


def _occupied(bay: Bay) -> bool:
    return any(each is not None for each in (bay.sighting, bay.stay, bay.inspection, bay.job, bay.result))


def _duration(seconds: float) -> str:
    """Seconds in words, never too few."""
    if seconds <= 90:
        return f"{max(1, math.ceil(seconds))} seconds"
    return f"{math.ceil(seconds / 60)} minutes"
