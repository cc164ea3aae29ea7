"""What is wrong with the phone in each bay: what people say, what was tried, who is being led, and what loops.

It belongs to the bay, not to one stay: a phone that is led through its buttons, or starts over and over, leaves the
bus and comes back. It is forgotten when another phone comes, and a while after the phone has left.
"""

from dataclasses import dataclass, field

from station.core import advice, guides
from station.core.advice import Key
from station.core.bays import Bay, Bays, could_be
from station.core.events import Moment
from station.core.guiding import Guiding
from station.core.jobs import JobState
from station.errors import Refused
from station.model.api import AdviceView, Describe, DidNotHelp, Guide, GuideNext, GuideView
from station.model.base import BayId, Ecid, JobId, Udid
from station.model.causes import Cause
from station.model.guide import TARGET_WORDS, Family, Seen, Target
from station.model.phone import PhoneMode
from station.model.record import Outcome, Record
from station.model.service import Service
from station.model.symptoms import Symptom

KEPT_SECONDS = 180.0
"""For how long a phone that has left is expected back."""
UNSEEN_SECONDS = 900.0
"""For how long what was said of a phone that nobody has seen yet is kept."""
LOOP_TIMES, LOOP_SECONDS = 3, 120.0
"""A phone that leaves so often, in so long, without being told to, starts over and over; or its cable is loose."""
FAILURES = 2
"""After so many a service counts as tried: one failure may be the cable's."""

_LED_HERE = {
    # What has been tried by then: whoever was led into a mode does not want to leave it at once.
    Target.RECOVERY: Key(service=Service.RESCUE),
    Target.DFU: Key(guide=Target.RESTART),
    Target.RESTART: Key(guide=Target.RESTART),
}


_BY_HAND = {Cause.ENTER_RECOVERY: Target.RECOVERY, Cause.ENTER_DFU: Target.DFU}
"""What a worker waits for that presses of buttons bring about."""

_PREPARES = frozenset({Service.BACKUP})
"""Nobody expects these to help: what comes next is next."""


def _wanted(bay: Bay) -> Target | None:
    """Where the job in a bay needs its phone brought by hand."""
    if bay.job is None or bay.job.state is not JobState.RUNNING or bay.job.story.person is None:
        return None
    return _BY_HAND.get(bay.job.story.person.cause)


@dataclass
class Trouble:
    """What is known of one bay's phone besides what it says itself."""

    symptom: Symptom | None = None
    noticed: bool = False
    """Whether the station itself noticed, and nobody said so."""
    tried: set[Key] = field(default_factory=set)
    """What needs no other try."""
    asked: bool = False
    """Whether the last thing that was tried still waits for somebody to say whether it helped."""
    failures: dict[Key, int] = field(default_factory=dict)
    guiding: Guiding | None = None
    job: JobId | None = None
    """The one that is under way."""
    deep: bool = False
    """Whether the last one began in DFU mode."""
    led: Target | None = None
    """Where the job that is under way needs its phone brought by hand, and somebody has been led to."""
    ecid: Ecid | None = None
    udid: Udid | None = None
    departures: list[float] = field(default_factory=list)
    forget_at: float | None = None
    """When all of this is nobody's any more; None: not while the phone is here."""

    @property
    def deadline(self) -> float | None:
        """When something is due."""
        steady = self.departures[-1] + LOOP_SECONDS if self.noticed and self.departures else None
        guide = None if self.guiding is None else self.guiding.deadline
        return min((at for at in (self.forget_at, steady, guide) if at is not None), default=None)


class Triage:
    """Describe, DidNotHelp, Guide, GuideNext; and what the bus shows meanwhile."""

    def __init__(self, bays: Bays) -> None:
        self._bays = bays
        self._by_bay: dict[BayId, Trouble] = {}

    def forget(self, name: BayId) -> None:
        """A bay is no more, or another socket."""
        self._by_bay.pop(name, None)

    # -- people

    def command(self, command: Describe | DidNotHelp | Guide | GuideNext, now: Moment) -> None:
        """Carry out a client's command. Raises Refused, and then has changed nothing."""
        bay = self._bays.get(command.bay)
        if bay is None:
            raise Refused(f"There is no bay {command.bay}.")
        match command:
            case Describe():
                self._describe(bay, command.symptom, now)
            case DidNotHelp():
                self._did_not_help(bay)
            case Guide():
                self._guide(bay, command.target, command.family, now)
            case GuideNext():
                self._next(bay, now)

    def _describe(self, bay: Bay, symptom: Symptom | None, now: Moment) -> None:
        trouble = self._trouble(bay)
        trouble.symptom, trouble.noticed, trouble.asked = symptom, False, False
        trouble.tried, trouble.failures = set(), {}
        if bay.sighting is None:
            trouble.forget_at = now.at + UNSEEN_SECONDS

    def _did_not_help(self, bay: Bay) -> None:
        trouble = self._by_bay.get(bay.id)
        if trouble is None or trouble.symptom is None:
            raise Refused("Nobody has said what is wrong with it.", remedy="Choose what is wrong first.")
        if bay.job is not None:
            raise Refused("This phone is being worked on.", remedy="Wait until it is done.")
        if trouble.asked:
            trouble.asked = False  # it was tried and is left out already: what is advised now is what is next
            return
        rung = self._left(bay, trouble, trouble.symptom)[0]
        if rung.end:
            raise Refused("Nothing is left that the station could do.", remedy=rung.says)
        trouble.tried.add(advice.key(rung))

    def _guide(self, bay: Bay, target: Target | None, family: Family | None, now: Moment) -> None:
        trouble = self._trouble(bay)
        if target is None:
            self._end_guide(bay, trouble, now)
            return
        if bay.job is not None and target is not _wanted(bay):
            raise Refused("This phone is being worked on.", remedy="Wait until it is done.")
        mode = None if bay.sighting is None else bay.sighting.mode
        if target is not Target.RESTART and mode is not None and mode.value == target.value:
            raise Refused(f"It is in {TARGET_WORDS[target]} already.")
        trouble.guiding = self._begin(bay, target, family, now)

    def _next(self, bay: Bay, now: Moment) -> None:
        trouble = self._by_bay.get(bay.id)
        if trouble is None or trouble.guiding is None:
            raise Refused("Nobody is being led here.", remedy="Begin with where the buttons are to lead.")
        trouble.guiding.next(now.at)
        self._end_if_ended(bay, trouble, now)

    # -- the bus, and jobs

    def arrived(self, bay: Bay, now: Moment) -> None:
        """A phone is on the bus, in the bay's sighting."""
        trouble, sighting = self._by_bay.get(bay.id), bay.sighting
        if trouble is None:
            return
        assert sighting is not None
        if not could_be(sighting, trouble.ecid, trouble.udid):
            del self._by_bay[bay.id]
            return
        trouble.forget_at = None
        if trouble.guiding is not None:
            self._shown(trouble, trouble.guiding, sighting.mode, now)

    def gone(self, bay: Bay, now: Moment) -> None:
        """It has left; called while its stay is still known."""
        trouble = self._trouble(bay)
        if bay.stay is not None:
            trouble.ecid, trouble.udid = bay.stay.ecid or trouble.ecid, bay.stay.udid or trouble.udid
        trouble.forget_at = now.at + KEPT_SECONDS
        if trouble.guiding is not None:
            self._shown(trouble, trouble.guiding, None, now)
        elif bay.job is None:
            self._departed(trouble, now)

    def recorded(self, bay: Bay, record: Record) -> None:
        """A job in a bay is on record. What ran to its end was tried; what failed may be tried once more."""
        trouble = self._by_bay.get(bay.id)
        if trouble is None or trouble.symptom is None:
            return
        stays = record.consent.options.stay_in_recovery
        this = Key(service=record.service, stays=stays)
        done = record.outcome in (Outcome.VERIFIED, Outcome.NOT_VERIFIED)
        if not done and record.cause is not Cause.CANCELLED:
            trouble.failures[this] = trouble.failures.get(this, 0) + 1
        if done or trouble.failures.get(this, 0) >= FAILURES:
            trouble.tried.add(this)
            if trouble.deep:
                trouble.tried.add(this._replace(deep=True))
            trouble.asked = record.service not in _PREPARES

    def tick(self, now: Moment) -> None:
        """Do what is due."""
        for bay in self._bays:
            trouble = self._by_bay.get(bay.id)
            if trouble is None:
                continue
            if trouble.guiding is not None:
                trouble.guiding.tick(now.at)
                self._end_if_ended(bay, trouble, now)
            self._tick(bay, trouble, now)

    def attend(self) -> None:
        """Mark the bays in which a person sees to a phone: nothing happens to it by itself meanwhile."""
        for bay in self._bays:
            trouble = self._by_bay.get(bay.id)
            bay.led = trouble is not None and trouble.guiding is not None
            bay.described = trouble is not None and trouble.symptom is not None and not trouble.noticed

    def jobs(self, now: Moment) -> None:
        """Look at the jobs: where one begins, nobody is led any more; where one waits for presses, somebody is."""
        for bay in self._bays:
            wanted = _wanted(bay)
            trouble = self._by_bay.get(bay.id) if wanted is None else self._trouble(bay)
            if trouble is None:
                continue
            if bay.job is None:
                trouble.job, trouble.led = None, None
                continue
            if trouble.job != bay.job.id:
                trouble.job = bay.job.id
                trouble.deep = bay.sighting is not None and bay.sighting.mode is PhoneMode.DFU
            if wanted is None:
                trouble.led = None
                self._end_guide(bay, trouble, now)
            elif trouble.led is not wanted:
                trouble.led = wanted
                trouble.guiding = self._begin(bay, wanted, None, now)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next."""
        due = (trouble.deadline for trouble in self._by_bay.values())
        return min((at for at in due if at is not None), default=None)

    # -- what it looks like

    def guide_view(self, bay: Bay) -> GuideView | None:
        """Who is being led, as people see it."""
        trouble = self._by_bay.get(bay.id)
        return None if trouble is None or trouble.guiding is None else trouble.guiding.view()

    def advice_view(self, bay: Bay) -> AdviceView | None:
        """What can help; None: nobody said what is wrong, or something is being done."""
        trouble = self._by_bay.get(bay.id)
        if trouble is None or trouble.symptom is None or bay.job is not None:
            return None
        return advice.view(trouble.symptom, self._left(bay, trouble, trouble.symptom))

    def loops(self, bay: Bay) -> bool:
        """Whether the station noticed that its phone comes and goes, and nothing else is to be said of the bay."""
        trouble = self._by_bay.get(bay.id)
        return trouble is not None and trouble.noticed and bay.job is None and bay.result is None

    # -- inside

    def _trouble(self, bay: Bay) -> Trouble:
        return self._by_bay.setdefault(bay.id, Trouble())

    @staticmethod
    def _begin(bay: Bay, target: Target, family: Family | None, now: Moment) -> Guiding:
        model = None if bay.stay is None else guides.family_of(bay.stay.product_type)
        return Guiding(
            target=target,
            family=family or model or Family.FACE,
            known=family is not None or model is not None,
            mode=None if bay.sighting is None else bay.sighting.mode,
            at=now.at,
        )

    def _left(self, bay: Bay, trouble: Trouble, symptom: Symptom) -> advice.Ladder:
        tried = set(trouble.tried)
        if bay.stay is not None and bay.stay.decided is not None:
            tried.add(Key(service=Service.BACKUP))
        return advice.left(symptom, advice.condition_of(bay), tried)

    def _shown(self, trouble: Trouble, guiding: Guiding, mode: PhoneMode | None, now: Moment) -> None:
        """USB shows something else while somebody is being led."""
        before = guiding.seen
        guiding.saw(mode, now.at)
        if guiding.seen is Seen.ARRIVED and before is not Seen.ARRIVED and trouble.symptom is not None:
            trouble.tried.add(_LED_HERE[guiding.target])
            trouble.asked = True

    def _departed(self, trouble: Trouble, now: Moment) -> None:
        """It left without being told to."""
        recent = [at for at in trouble.departures if at > now.at - LOOP_SECONDS]
        trouble.departures = [*recent, now.at][-LOOP_TIMES:]
        if len(trouble.departures) == LOOP_TIMES and trouble.symptom is None:
            trouble.symptom, trouble.noticed = Symptom.BOOT_LOOP, True

    def _tick(self, bay: Bay, trouble: Trouble, now: Moment) -> None:
        if trouble.forget_at is not None and now.at >= trouble.forget_at:
            if bay.sighting is None and bay.job is None and trouble.guiding is None:
                del self._by_bay[bay.id]
                return
            trouble.forget_at = now.at + KEPT_SECONDS
        if trouble.noticed and now.at >= trouble.departures[-1] + LOOP_SECONDS:
            trouble.noticed = False
            if bay.sighting is not None and bay.sighting.mode is PhoneMode.NORMAL:
                trouble.symptom = None  # it stays: whatever it was, nobody has complained

    def _end_if_ended(self, bay: Bay, trouble: Trouble, now: Moment) -> None:
        if trouble.guiding is not None and trouble.guiding.ended:
            self._end_guide(bay, trouble, now)

    @staticmethod
    def _end_guide(bay: Bay, trouble: Trouble, now: Moment) -> None:
        trouble.guiding = None
        if bay.sighting is None:
            trouble.forget_at = now.at + KEPT_SECONDS
