"""The station: the one owner of state. An event goes in, actions come out; nothing else changes anything.

It is long because it is the one place where every event meets everything that it is about.
"""

from station.core.actions import Action, CloseJob, FindFirmware, ForgetPhone
from station.core.bays import Bay, Bays, Sighting, Stay, could_be
from station.core.desk import Desk
from station.core.events import (
    ButtonChanged,
    ChoicesFound,
    ChoicesKept,
    Event,
    FirmwareFound,
    HealthChanged,
    JobFound,
    Moment,
    OperatorTold,
    OrderFound,
    OrderNotSaved,
    OrderSaved,
    PapersSeen,
    PinChecked,
    PinMade,
    QuarantineFound,
    RecordNotWritten,
    RecordWritten,
    ReleaseKept,
    ResultFound,
    SupplyTold,
    Tick,
    TimesChanged,
    TroubleChanged,
    VaultSeen,
    WorkerEnded,
    WorkerGarbled,
    WorkerNotStarted,
    WorkerSaid,
)
from station.core.inspection import Inspection
from station.core.jobs import Job, JobState
from station.core.operator import OPERATORS, Operator
from station.core.orders import Orders
from station.core.policy import Policy
from station.core.records import result_of
from station.core.scheduler import Scheduler
from station.core.triage import Triage
from station.core.trial import Trial
from station.core.wants import Want, wanted
from station.model.api import (
    Describe,
    DidNotHelp,
    EndOrder,
    FetchNewest,
    ForgetBay,
    Guide,
    GuideNext,
    HoldBegan,
    LearnBay,
    LightLamp,
    Lock,
    OperatorConfirm,
    Order,
    RemoveFirmware,
    ResultView,
    SaveLogs,
    SetFace,
    SetPin,
    Start,
    StopFetch,
    SwitchOff,
    TestPanel,
    Unlock,
    UsePolicy,
)
from station.model.base import Ecid, JobId, SocketPath, Udid
from station.model.causes import Cause
from station.model.events import Failed, WorkerExit
from station.model.firmware import Firmware
from station.model.gates import BackupDecision, Choice, Gate
from station.model.job import JobSpec
from station.model.phone import PhoneFacts, PhoneMode, UsbArrived, UsbGone
from station.model.record import Outcome, Record
from station.model.service import Service


class Station:
    """All live state. Pure: `handle` may be called from a test as from the daemon."""

    def __init__(self, policy: Policy, instance: str) -> None:
        """Begin with empty bays.

        Args:
            policy: the settings.
            instance: a text no earlier Station of this machine had: names of jobs and stays begin with it.
        """
        self.policy = policy
        self.bays = Bays(policy, instance)
        self._scheduler = Scheduler(self.bays, policy, instance)
        self.desk = Desk(self.bays, self._scheduler, policy)
        self.orders = Orders(self.bays, self.desk, self._scheduler, policy, instance)
        self.triage = Triage(self.bays)
        self.operator = Operator(self.bays, policy, self.desk.situation)
        self.trial = Trial(self.desk.arming, self.bays, policy, self.desk.situation)

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """Take in one event and return what must be done, in order.

        Raises:
            Refused: the event was a command that cannot be carried out; nothing has changed.
        """
        before = self._trusting()
        self.operator.expire(now)
        self.trial.attend(now)  # before too: what is over must not refuse this event, or swallow it
        actions = self._dispatch(event, now)
        if isinstance(event, OPERATORS):
            self.operator.used(now)
        self.triage.attend()
        self.trial.attend(now)
        actions += self.orders.consider(now)
        actions += self._scheduler.schedule(now, jobs=not self.desk.situation.records_trouble)
        self.triage.jobs(now)
        return actions + [ForgetPhone(udid=udid) for udid in sorted(before - self._trusting())]

    def next_deadline(self) -> float | None:
        """When a `Tick` is due next, whatever else happens; None: never, while nothing happens."""
        deadlines = [self.desk.deadline, self.orders.deadline, self.triage.deadline, self.trial.deadline]
        deadlines.append(self.operator.deadline)
        for bay in self.bays:
            deadlines.append(None if bay.job is None else bay.job.deadline)
            deadlines.append(None if bay.inspection is None else bay.inspection.deadline)
        return min((at for at in deadlines if at is not None), default=None)

    def wants(self) -> frozenset[Want]:
        """The firmware that phones which are here could be given, as people and the order have chosen."""
        return wanted(self.bays, self.desk.arming, self.orders.note)

    def in_use(self) -> frozenset[str]:
        """Directories of firmware that a job uses, or will."""
        jobs = {bay.job.spec.firmware for bay in self.bays if bay.job is not None}
        armed = None if self.desk.arming.armed is None else self.desk.arming.armed.firmware
        order, here = self.orders.note, self.desk.situation
        build = order.options.build if order is not None and order.end is None else ""
        known = [each for models in (here.firmware.values(), *here.older.values()) for each in models]
        ordered = {each for each in known if each is not None and each.build == build}
        return frozenset(each.directory for each in {*jobs, armed, *ordered} if isinstance(each, Firmware))

    def models(self) -> set[str]:
        """The product types of the phones that are here."""
        return {bay.stay.product_type for bay in self.bays if bay.stay is not None and bay.stay.product_type}

    def seen(self) -> frozenset[str]:
        """The product types of phones that were given something here of late."""
        return frozenset(model for _, model, _ in self.desk.situation.times.seconds if model)

    def _trusting(self) -> set[Udid]:
        """The phones whose pair records are still needed: those that are here, and those that something works on."""
        here = {bay.stay.udid for bay in self.bays if bay.stay is not None}
        worked_on = {work.spec.udid for bay in self.bays for work in (bay.inspection, bay.job) if work is not None}
        return {udid for udid in here | worked_on if udid is not None}

    def _dispatch(self, event: Event, now: Moment) -> list[Action]:  # noqa: C901, PLR0911, PLR0912, PLR0915 one arm an event
        match event:
            case UsbArrived():
                return self._arrived(event, now)
            case UsbGone():
                bay = self.bays.at(event.socket)
                return [] if bay is None or bay.sighting is None else self._gone(bay, now)
            case WorkerSaid():
                self._worker_said(event, now)
            case WorkerEnded():
                return self._worker_ended(event.job, event.exit, now)
            case WorkerGarbled():
                return self._worker_garbled(event, now)
            case WorkerNotStarted():
                return self._worker_not_started(event, now)
            case ButtonChanged() if self.trial.on:
                self.desk.arming.note(event.button, event.state)
            case ButtonChanged():
                return self.desk.button(event, now)
            case TestPanel() | LightLamp():
                self.trial.command(event, now)
            case FirmwareFound():
                self.desk.situation.firmware[event.product_type] = event.firmware
                self.desk.situation.older[event.product_type] = event.older
                self._scheduler.supplied()
            case SupplyTold():
                self.desk.situation.arrivals, self.desk.situation.lacking = event.arrivals, event.lacking
                self.desk.situation.news = event.notices
                self._scheduler.supplied()
            case RecordWritten():
                return self._recorded(event)
            case RecordNotWritten():
                self._not_recorded(event, now)
            case JobFound():
                self._adopt(event, now)
            case ResultFound():
                self._adopt_result(event)
            case QuarantineFound():
                self.desk.situation.quarantine = event.quarantine
            case ReleaseKept():
                self.desk.situation.quarantine.released(event.release)
            case HealthChanged():
                self.desk.situation.health = event.health
            case TroubleChanged():
                self.desk.situation.trouble = event.trouble
            case VaultSeen():
                self.desk.situation.vault = event.vault
            case TimesChanged():
                self.desk.situation.times = event.times
            case OrderFound():
                self.orders.found(event, now)
            case OrderSaved():
                return self.orders.saved(event.note)
            case OrderNotSaved():
                self.orders.not_saved(now)
            case Order():
                self.orders.give(event, now)
            case EndOrder():
                self.orders.end(now)
            case Describe() | DidNotHelp() | Guide() | GuideNext():
                self.triage.command(event, now)
            case (
                Unlock()
                | Lock()
                | SetPin()
                | SetFace()
                | UsePolicy()
                | LearnBay()
                | ForgetBay()
                | SaveLogs()
                | SwitchOff()
                | FetchNewest()
                | StopFetch()
                | RemoveFirmware()
            ):
                return self.operator.command(event, now)
            case ChoicesKept():
                return self._choices_kept(event, now)
            case ChoicesFound() | PinMade() | PinChecked() | PapersSeen() | OperatorTold():
                return self.operator.told(event, now)
            case Tick():
                return self._tick(now)
            case Start() | HoldBegan() | OperatorConfirm():
                self.trial.require_over()
                return self.desk.command(event, now)
            case _:
                return self.desk.command(event, now)
        return []

    # -- phones come and go

    def _arrived(self, event: UsbArrived, now: Moment) -> list[Action]:
        sighting = Sighting.of(event)
        actions = [] if sighting is None else self._teach(event.socket)
        bay = self.bays.at(event.socket)
        if bay is None or sighting is None or bay.sighting == sighting:
            return actions  # no bay, no phone, or told twice
        actions += self._gone(bay, now) if bay.sighting is not None else []
        bay.sighting = sighting
        self.triage.arrived(bay, now)
        if bay.stay is not None and bay.stay.may_be(sighting):
            self.bays.identify(bay.stay, sighting)
        else:
            actions += self._close_verified(bay)
            bay.stay = self.bays.begin_stay(sighting)
            self.desk.phone_arrived(bay)
        if bay.job is not None:
            ours = could_be(sighting, bay.job.ecid, bay.job.spec.udid)
            actions += bay.job.phone_came(sighting.mode, now) if ours else bay.job.intruder(sighting.ecid, now)
        return actions + self._find_firmware(bay.stay) + self._void_twins(bay.stay.ecid, now)

    def _gone(self, bay: Bay, now: Moment) -> list[Action]:
        bay.sighting = None
        self.triage.gone(bay, now)
        self.desk.arming.disarm(bay.id)
        actions = [] if bay.inspection is None else bay.inspection.end(now)
        if bay.job is not None and bay.job.awaits_phone:
            return actions + bay.job.phone_gone(now)
        bay.stay = None
        if bay.job is not None and bay.job.state is JobState.QUEUED:
            self._scheduler.drop(bay)
        elif bay.job is not None:
            actions += bay.job.phone_gone(now)
        return actions + self._close_verified(bay)

    def _teach(self, socket: SocketPath) -> list[Action]:
        """A phone is in a socket: perhaps an operator waits for just that."""
        name = self.operator.learning
        actions = self.operator.teach(socket)
        if actions and name is not None:
            self.triage.forget(name)
        return actions

    def _choices_kept(self, event: ChoicesKept, now: Moment) -> list[Action]:
        before = {bay.id for bay in self.bays}
        actions = self.operator.told(event, now)
        for name in before - {bay.id for bay in self.bays}:
            self.triage.forget(name)
            if self.desk.selected == name:
                self.desk.selected = None
        return actions

    def _void_twins(self, ecid: Ecid | None, now: Moment) -> list[Action]:
        """One ECID in two bays is a clone or a phone that was moved: whatever was confirmed for it is void."""
        if ecid is None:
            return []
        showing = self.bays.twins(ecid)
        awaiting = [bay for bay in self.bays if bay.job is not None and bay.job.ecid == ecid and bay not in showing]
        if len(showing) + len(awaiting) < 2:
            return []
        detail = f"the same ECID is in bay {', '.join(bay.id for bay in showing)}"
        actions: list[Action] = []
        for bay in (*showing, *awaiting):
            self.desk.arming.disarm(bay.id)
            if bay.job is None or bay.job.ecid != ecid or bay.job.story.erased:
                continue
            if bay.job.state is JobState.QUEUED:
                self._scheduler.drop(bay)
            else:
                actions += bay.job.void(Cause.CONSENT_VOID, now, detail=detail)
        return actions

    def _find_firmware(self, stay: Stay) -> list[Action]:
        return [FindFirmware(product_type=stay.product_type)] if stay.product_type else []

    # -- workers

    def _worker_said(self, said: WorkerSaid, now: Moment) -> None:
        work = self._work(said.job)[1]
        if work is not None:
            work.worker_said(said.event, now)

    def _worker_garbled(self, event: WorkerGarbled, now: Moment) -> list[Action]:
        work = self._work(event.job)[1]
        return [] if work is None else work.disbelieve(event.detail, now)

    def _worker_not_started(self, event: WorkerNotStarted, now: Moment) -> list[Action]:
        bay, work = self._work(event.job)
        if isinstance(work, Job):
            return work.not_started(event.cause, event.detail, now)
        if work is None or bay is None:
            return []
        return self._looked(bay, work, Failed(at=now.at, cause=event.cause, detail=event.detail), now)

    def _worker_ended(self, job: JobId, how: WorkerExit | None, now: Moment) -> list[Action]:
        bay, work = self._work(job)
        if work is None or bay is None:
            return []
        if isinstance(work, Inspection):
            return self._looked(bay, work, work.result(how, now), now)
        if bay.stay is not None:
            bay.stay.facts = None  # of a phone that is no more what it was, or may be another
        actions = work.worker_ended(how, now)
        if bay.sighting is None and not work.awaits_phone:
            bay.stay = None
        return actions

    def _work(self, job: JobId) -> tuple[Bay | None, Job | Inspection | None]:
        """What goes on under a job's name, and where."""
        for bay in self.bays:
            for work in (bay.inspection, bay.job):
                if work is not None and work.id == job:
                    return bay, work
        return None, None

    def _looked(self, bay: Bay, inspection: Inspection, found: PhoneFacts | Failed, now: Moment) -> list[Action]:
        """An inspection is over."""
        bay.inspection = None
        actions: list[Action] = [CloseJob(job=inspection.id)]
        if bay.stay is None or bay.stay.plug != inspection.spec.plug:
            return actions
        if isinstance(found, PhoneFacts) and bay.job is None and bay.stay.ecid not in (None, found.ecid):
            found = Failed(at=now.at, cause=Cause.WRONG_PHONE, detail="USB and lockdown name different ECIDs")
        facts = found if isinstance(found, PhoneFacts) else None
        failed = found if isinstance(found, Failed) else None
        if bay.job is not None:
            actions += bay.job.look_ended(facts, failed, now)
        if facts is not None:
            self.bays.remember(bay.stay, facts)
            return actions + self._find_firmware(bay.stay) + self._void_twins(facts.ecid, now)
        if bay.job is None:
            bay.stay.failed = failed
        return actions

    def _tick(self, now: Moment) -> list[Action]:
        self.desk.tick(now)
        self.triage.tick(now)
        actions: list[Action] = []
        for bay in self.bays:
            if bay.inspection is not None and bay.inspection.given_up(now):
                actions += self._worker_ended(bay.inspection.id, None, now)
            elif bay.inspection is not None:
                actions += bay.inspection.tick(now)
            if bay.job is not None:
                actions += bay.job.tick(now)
        return actions

    # -- ends

    def _recorded(self, event: RecordWritten) -> list[Action]:
        self.desk.situation.records_trouble = ""
        self.desk.situation.unsettled.pop(event.record.job, None)
        self.desk.situation.quarantine.recorded(event.record)
        bay, job = self._work(event.record.job)
        if bay is None or not isinstance(job, Job) or job.state is not JobState.RECORDING:
            return []
        job.record_written()
        bay.job, bay.result = None, _seen(event)
        if bay.sighting is None:
            bay.stay = None  # nothing waits for its phone any more: whichever comes is a new one
        self.orders.recorded(event.record, event.number)
        self.triage.recorded(bay, event.record)
        same_stay = bay.stay is not None and bay.stay.plug == job.spec.plug
        if bay.stay is not None and same_stay and event.record.service is Service.BACKUP:
            self._backed_up(bay.stay, event.record)
        return [] if same_stay else self._close_verified(bay)

    @staticmethod
    def _backed_up(stay: Stay, record: Record) -> None:
        """A backup that counts decides what was to be decided."""
        if record.outcome is Outcome.VERIFIED:
            stay.decided = BackupDecision(choice=Choice.MADE_HERE, at=record.ended)

    def _not_recorded(self, event: RecordNotWritten, now: Moment) -> None:
        if event.sealed:
            self.desk.situation.records_trouble = ""
            self.desk.situation.unsettled[event.job] = event.detail
        else:
            self.desk.situation.records_trouble = event.detail
        job = self._work(event.job)[1]
        if isinstance(job, Job):
            job.record_failed(now)

    def _close_verified(self, bay: Bay) -> list[Action]:
        """What is done and verified needs nobody's word: it is forgotten when its phone leaves."""
        if bay.result is None or bay.result.outcome is not Outcome.VERIFIED:
            return []
        job, bay.result = bay.result.job, None
        return [CloseJob(job=job)]

    # -- what an earlier daemon left

    def _adopt(self, event: JobFound, now: Moment) -> None:
        bay = self.bays.adopt(event.spec.bay, event.spec.socket)
        bay.job = Job(event.spec, self.policy)
        bay.job.adopt(now, revoked=event.revoked)
        self._expect(bay, event.spec, bay.job.ecid)
        self._recall(bay, event.spec)

    def _adopt_result(self, event: ResultFound) -> None:
        bay = self.bays.adopt(event.spec.bay, event.spec.socket)
        bay.result = _seen(event)
        self.orders.recorded(event.record, event.number)
        if event.record.outcome is Outcome.VERIFIED:
            self._expect(bay, event.spec, event.record.ecid)

    @staticmethod
    def _recall(bay: Bay, spec: JobSpec) -> None:
        """What people had decided in this stay, as far as the job carries it: they need not say it again."""
        if bay.stay is None:
            return
        if spec.decided is not None and spec.decided.choice is not Choice.STANDING:
            bay.stay.decided = spec.decided
        # A release is no opened gate of this stay: it is kept with the records.
        bay.stay.overruled = {word.gate: word for word in spec.overruled if word.gate is not Gate.QUARANTINE}

    @staticmethod
    def _expect(bay: Bay, spec: JobSpec, ecid: Ecid) -> None:
        """The phone was here when the earlier daemon ended; the bus will tell whether it still is."""
        bay.stay = Stay(plug=spec.plug, mode=PhoneMode.NORMAL, ecid=ecid, udid=spec.udid, emulated=spec.emulated)


def _seen(event: RecordWritten | ResultFound) -> ResultView:
    """What people are shown of a job that is on record."""
    return result_of(event.record, number=event.number, certificate=event.certificate, proof=event.proof)
