"""What people do at the station: choose a bay, START, HOLD CONFIRM, cancel, dismiss."""

from msgspec.structs import replace

from station.core import rulings
from station.core.actions import Action, CloseJob, KeepRelease
from station.core.arming import ARMED_SECONDS, Armed, Arming
from station.core.bays import Bay, Bays, Stay
from station.core.events import ButtonChanged, Moment
from station.core.gates import Case, may_start
from station.core.jobs import JobState
from station.core.policy import Policy
from station.core.scheduler import Scheduler
from station.errors import Refused
from station.model.api import (
    Cancel,
    Choose,
    Command,
    Decide,
    Describe,
    DidNotHelp,
    Dismiss,
    EndOrder,
    FetchNewest,
    ForgetBay,
    Guide,
    GuideNext,
    HoldBegan,
    HoldEnded,
    HoldGoesOn,
    LearnBay,
    LightLamp,
    Lock,
    OperatorConfirm,
    Order,
    Overrule,
    Release,
    RemoveFirmware,
    SaveLogs,
    Select,
    SetFace,
    SetPin,
    Start,
    StopFetch,
    SwitchOff,
    TestPanel,
    Unlock,
    UsePolicy,
)
from station.model.base import BayId, Ecid, format_ecid
from station.model.causes import Cause
from station.model.consent import Consent, Hand, Options
from station.model.record import Outcome
from station.model.service import SERVICES, Service

USUAL = Options()
"""What is meant when nothing was chosen."""
NOTICE_SECONDS = 10.0
"""How long the reason is shown why a button did nothing."""


class Desk:
    """Buttons, the screen's touches and the operator's commands."""

    def __init__(self, bays: Bays, scheduler: Scheduler, policy: Policy) -> None:
        self.arming = Arming()
        self.selected: BayId | None = None
        self.situation = scheduler.situation
        self.notice = ""
        """Why a button did nothing, for a while."""
        self._notice_until: float | None = None
        self._bays = bays
        self._scheduler = scheduler
        self._policy = policy

    def command(self, command: Command, now: Moment) -> list[Action]:  # noqa: C901, PLR0912 one arm a command
        """Carry out a client's command. Raises Refused, and then has changed nothing."""
        match command:
            case Select():
                self._select(command.bay)
            case Start():
                self._start(command.bay, command.service, command.options, Hand.SCREEN, now)
            case Choose():
                self._choose(self._bay(command.bay), command.service, command.options)
            case Decide():
                self._decide(command, now)
            case Overrule():
                self._overrule(command, now)
            case HoldBegan():
                self._hold(command.bay, now)
            case HoldGoesOn():
                self.arming.goes_on(command.bay, now)
                self.tick(now)  # it is this word that confirms, once the hold was long enough
            case HoldEnded():
                self.arming.release(Hand.SCREEN)
            case OperatorConfirm():
                self._operator(command, now)
            case Cancel():
                return self._cancel(self._bay(command.bay), now)
            case Dismiss():
                return self._dismiss(self._bay(command.bay))
            case Release():
                word = rulings.release(command, self.situation, self._policy, at=now.utc)
                return [KeepRelease(release=word)]
            case Order() | EndOrder():
                pass  # a standing order's: the station gives them to `Orders`
            case TestPanel() | LightLamp():
                pass  # trying the panel: the station gives them to `Trial`
            case Describe() | DidNotHelp() | Guide() | GuideNext():
                pass  # what is wrong with a phone: the station gives them to `Triage`
            case Unlock() | Lock() | SetPin() | SetFace() | UsePolicy() | LearnBay() | ForgetBay():
                pass  # the operator's: the station gives them to `Operator`
            case SaveLogs() | SwitchOff() | FetchNewest() | StopFetch() | RemoveFirmware():
                pass  # the same
        return []

    def button(self, event: ButtonChanged, now: Moment) -> list[Action]:
        """Take in a button. A START that is refused says why for a while."""
        if not self.arming.button(event.button, event.state, now):
            return []
        try:
            bay = self._bay(self._chosen() if event.bay is None else event.bay)
            if bay.result is not None and bay.result.outcome is not Outcome.VERIFIED:
                return self._dismiss(bay)  # whoever presses has seen it: a station may have no screen to touch
            if event.bay is not None:
                self._turn_to(bay, now)
            stay = bay.stay
            service, options = (Service.RESTORE, USUAL) if stay is None else (stay.chosen, stay.options)
            self._start(bay.id, service, options, Hand.BUTTONS, now)
        except Refused as refused:
            self._say_why(refused, now)
        return []

    def phone_arrived(self, bay: Bay) -> None:
        """Plug, press START: a phone that arrives is chosen, unless another one waits for somebody's decision."""
        chosen = None if self.selected is None else self._bays.get(self.selected)
        if chosen is None or chosen.stay is None or chosen.job is not None or chosen.result is not None:
            self.selected = bay.id

    def tick(self, now: Moment) -> None:
        """Do what is due: the one place where holding CONFIRM becomes a job, if every gate is still open."""
        if self._notice_until is not None and now.at >= self._notice_until:
            self.notice, self._notice_until = "", None
        consent = self.arming.tick(now)
        if consent is None:
            return
        try:
            self._confirmed(consent)
        except Refused as refused:
            self.arming.disarm()
            self._say_why(refused, now)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next."""
        return min((at for at in (self.arming.deadline, self._notice_until) if at is not None), default=None)

    def _bay(self, name: BayId) -> Bay:
        bay = self._bays.get(name)
        if bay is None:
            raise Refused(f"There is no bay {name}.")
        return bay

    def _chosen(self) -> BayId:
        if self.selected is None:
            raise Refused("No bay is chosen.", remedy="Plug in a phone, or choose a bay on the screen.")
        return self.selected

    def _turn_to(self, bay: Bay, now: Moment) -> None:
        """A bay's own START chooses it. Raises Refused when another one waited to be confirmed: now neither does.

        Two people may be at the bench, or one who changed their mind. Whoever holds CONFIRM next means one of the two
        phones, and there is no telling which.
        """
        armed = self.arming.armed
        self._select(bay.id)
        if armed is not None and armed.bay != bay.id and now.at < armed.until:
            raise Refused(
                f"Bay {armed.bay} was waiting to be confirmed, and is not any more.",
                remedy=f"Press START of bay {bay.id} again, if that is the one.",
            )

    def _select(self, name: BayId) -> None:
        bay = self._bay(name)
        if self.arming.armed is not None and self.arming.armed.bay != bay.id:
            self.arming.disarm()
        self.selected = bay.id

    def _choose(self, bay: Bay, service: Service, options: Options) -> None:
        if bay.stay is None:
            raise Refused(f"There is no phone in bay {bay.id}.", remedy="Plug one in.")
        if self.arming.armed is not None and self.arming.armed.bay == bay.id:
            self.arming.disarm()
        bay.stay.chosen, bay.stay.options, bay.stay.dropped = service, options, None

    def _decide(self, command: Decide, now: Moment) -> None:
        stay = self._stay(command.bay, command.ecid)
        stay.decided = rulings.decide(command, self.situation, at=now.utc)

    def _overrule(self, command: Overrule, now: Moment) -> None:
        stay, bay = self._stay(command.bay, command.ecid), self._bay(command.bay)
        cases = [
            self.case(bay, service, options)
            for service, traits in SERVICES.items()
            if stay.mode in traits.modes
            # What was chosen about a service, such as an old build, may close gates of its own.
            for options in ({USUAL, stay.options} if service is stay.chosen else {USUAL})
        ]
        stay.overruled[command.gate] = rulings.overrule(command, cases, self.situation, self._policy, at=now.utc)

    def _stay(self, name: BayId, ecid: Ecid) -> Stay:
        """The stay that somebody means by a bay and the ECID they see there."""
        bay = self._bay(name)
        if bay.stay is None or bay.stay.ecid != ecid:
            raise Refused(f"Another phone than {format_ecid(ecid)} is in bay {name}, or none.")
        return bay.stay

    def case(self, bay: Bay, service: Service, options: Options = USUAL) -> Case:
        """What the gates look at."""
        return Case(
            service=service,
            bay=bay,
            bays=self._bays,
            situation=self.situation,
            policy=self._policy,
            options=options,
        )

    def _start(self, name: BayId, service: Service, options: Options, hand: Hand, now: Moment) -> None:
        bay = self._bay(name)
        armed = self.arming.armed
        if armed is not None and armed.bay != bay.id and now.at < armed.until:
            # A finger may be on its way to CONFIRM: what that means is not changed behind anybody's back.
            raise Refused(
                f"Bay {armed.bay} waits to be confirmed.", remedy=f"Cancel that, or choose bay {bay.id} first."
            )
        firmware = may_start(self.case(bay, service, options))
        assert bay.stay is not None
        assert bay.stay.ecid is not None
        bay.stay.dropped = None
        if service is not bay.stay.chosen:
            bay.stay.chosen, bay.stay.options = service, USUAL
        self.selected = bay.id
        asked = Armed(
            bay=bay.id,
            ecid=bay.stay.ecid,
            plug=bay.stay.plug,
            service=service,
            options=options,
            firmware=firmware,
            until=now.at + ARMED_SECONDS,
        )
        if SERVICES[service].confirmed:
            self.arming.arm(asked)
            return
        self.arming.disarm(bay.id)
        self._scheduler.submit(bay, asked.consent(hand, now), firmware)

    def _hold(self, name: BayId, now: Moment) -> None:
        if not self._policy.touch_confirms:
            raise Refused("This station confirms with its button, not on the screen.", remedy="Hold CONFIRM.")
        if self.arming.armed is None or self.arming.armed.bay != name:
            raise Refused("Nothing is waiting to be confirmed here.", remedy="Press START first.")
        self.arming.hold(Hand.SCREEN, now)

    def _operator(self, command: OperatorConfirm, now: Moment) -> None:
        if not self._policy.operator_confirm:
            raise Refused("This station does not let the command line confirm.", remedy="Hold CONFIRM at the station.")
        self._confirmed(self.arming.operator(command.bay, command.ecid, now))

    def _confirmed(self, consent: Consent) -> None:
        """Make the job. Raises Refused: a gate has closed since START, and then there is no consent."""
        armed = self.arming.armed
        assert armed is not None
        bay, options = self._bay(consent.bay), consent.options
        shown = armed.firmware
        if shown is not None:  # what was shown is what is meant, whatever has become the newest since
            options = replace(options, build=shown.build)
        now = may_start(self.case(bay, consent.service, options))
        came_or_went = type(now) is not type(shown)
        self._scheduler.submit(bay, consent, now if came_or_went else shown)
        self.arming.disarm()

    def _say_why(self, refused: Refused, now: Moment) -> None:
        """Show for a while why a button did nothing."""
        self.notice = f"{refused} {refused.remedy}".strip()
        self._notice_until = now.at + NOTICE_SECONDS

    def _cancel(self, bay: Bay, now: Moment) -> list[Action]:
        if bay.job is None:
            self.arming.disarm(bay.id)
            return []
        if bay.job.state is JobState.QUEUED:
            self._scheduler.drop(bay)
            return []
        if bay.job.state is not JobState.RUNNING or bay.job.story.erased or bay.job.story.between:
            raise Refused("It is too late to cancel.", remedy="Leave the phone plugged in until it is done.")
        return bay.job.void(Cause.CANCELLED, now)

    def _dismiss(self, bay: Bay) -> list[Action]:
        if bay.result is None:
            raise Refused("There is nothing to dismiss here.", remedy="A result can be dismissed once it is recorded.")
        job, bay.result = bay.result.job, None
        return [CloseJob(job=job)]
