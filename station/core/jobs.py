"""One service, from the consent to the record: a state machine that is told what happens and says what to do.

It is long because it is one machine: what a departure means depends on the state, the phase and what was told before,
and split up nobody could read off what becomes of a phone. What can be judged without the state lives elsewhere
(`leash`, `vigil`, `story`, `verdict`, `verification`).
"""

import math
from dataclasses import dataclass, field, replace
from enum import Enum

from station.core import again, progress, verification
from station.core.actions import Action, RevokeConsent, StartWorker, WriteRecord
from station.core.arriving import Awaited, Target
from station.core.events import Moment
from station.core.leash import Leash
from station.core.policy import Policy
from station.core.records import record_of
from station.core.story import Story
from station.core.verdict import Verdict, failure, judge, not_verified
from station.core.verification import Evidence
from station.core.vigil import Vigil
from station.model.api import ResultView
from station.model.base import Ecid, JobId, format_ecid
from station.model.causes import Cause
from station.model.consent import ALLOWED, DESTRUCTIVE, UNSETTLING, Consent
from station.model.events import Failed, WorkerEvent, WorkerExit
from station.model.firmware import Firmware
from station.model.job import PHASES, JobSpec, Phase
from station.model.phone import PhoneFacts, PhoneMode
from station.model.record import Check, Observed, Outcome, Record
from station.model.service import SERVICES, Service


class JobState(Enum):
    """Where a service is, as the station sees it."""

    QUEUED = "queued"
    RUNNING = "running"
    """Its worker lives."""
    RETURNING = "returning"
    """The worker succeeded; the phone must come back, if it was to leave."""
    VERIFYING = "verifying"
    """It is back and is being looked at."""
    OBSERVING = "observing"
    """The job failed; the phone's state is being looked at."""
    RECORDING = "recording"
    ENDED = "ended"


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING}),
    JobState.RUNNING: frozenset({JobState.RETURNING, JobState.OBSERVING, JobState.RECORDING}),
    JobState.RETURNING: frozenset({JobState.VERIFYING, JobState.RECORDING}),
    JobState.VERIFYING: frozenset({JobState.RETURNING, JobState.RECORDING}),
    JobState.OBSERVING: frozenset({JobState.RECORDING}),
    JobState.RECORDING: frozenset({JobState.ENDED}),
    JobState.ENDED: frozenset(),
}

MUST_STAY = frozenset({Phase.CONNECT, Phase.TICKET, Phase.BACKUP, Phase.REREAD, Phase.PASSCODE, Phase.ACTIVATE})
"""Worker phases in which a phone that leaves was unplugged.

From RECOVERY on it leaves and comes back by itself. A departure that is told late may by then meet any later phase,
so none of those can tell an unplugging; and from PREPARE on the worker holds a connection that would break. So it does
in RESTART, ERASE_CONTENT and PUT_BACK, at whose end a phone restarts, often before its worker has said so.
"""

RESTORE_SYSTEM = frozenset({Phase.RAMDISK, Phase.RESTORED, Phase.PREPARE, Phase.IMAGE})
"""A phone that enumerates like a normal one in these phases runs the restore system (usbmuxd#147)."""

ERASABLE = frozenset({Phase.RESTORED, Phase.PREPARE, Phase.IMAGE, Phase.FIRMWARE, Phase.ERASE_CONTENT})
"""Before the restore system runs, or the phone is told to erase itself, nothing can be erased."""

UNSETTLED = ERASABLE | {Phase.PUT_BACK}
"""Nor can anything be left half-way before these, by the services that do not erase."""

ONLY_STARTS = frozenset({Service.RESTART, Service.RESCUE})
"""Services that are done when the phone starts: one that is locked then need not say what is on it."""

SILENCED = frozenset({Cause.LOCKED, Cause.NOT_TRUSTED})
"""Why a phone that runs its system says nothing."""

OWED = "The phone still has the station's backup password: back it up here once more, and it is taken off."

RECORD_RETRY_SECONDS = 10.0


@dataclass
class Job:
    """One service for one phone. Every method takes in one thing that happened, and returns what is to be done."""

    spec: JobSpec
    policy: Policy
    awaits: Awaited | None = None
    """What it waits for, while that is on its way: until then its spec names no firmware, and it does not begin."""
    state: JobState = JobState.QUEUED
    story: Story = field(default_factory=Story)
    mode: PhoneMode | None = None
    """Its phone's mode by USB; None while it is away."""
    started_at: float = 0.0
    progressed_at: float = 0.0
    fraction: float = 0.0
    """Of the whole, never going back."""
    verdict: Verdict | None = None
    checks: tuple[Check, ...] = ()
    vigil: Vigil = field(default_factory=Vigil)
    _gone_since: float | None = None
    _left: bool = False
    """Whether its phone has left the bus since the worker began: what is there after that is what came back."""
    _fresh: bool = True
    """Whether a normal enumeration is a started system, not the restore system."""
    _voided: Cause | None = None
    _void_detail: str = ""
    _look_failed: Failed | None = None
    _worked_until: float = 0.0
    _return_by: float = 0.0
    _leave_by: float = 0.0
    _record: Record | None = None
    _leash: Leash = field(init=False)

    def __post_init__(self) -> None:
        self._leash = Leash(self.id, self.policy.deadlines, self.policy.grace_seconds)

    @property
    def id(self) -> JobId:
        """Its name."""
        return self.spec.job

    @property
    def ecid(self) -> Ecid:
        """The one phone it may touch."""
        return self.consent.ecid

    @property
    def consent(self) -> Consent:
        """What it was started with: a job without one does not exist."""
        assert self.spec.consent is not None
        return self.spec.consent

    @property
    def service(self) -> Service:
        """What its phone is given."""
        return self.consent.service

    @property
    def firmware(self) -> Firmware | None:
        """What is installed, where something is."""
        return self.spec.firmware

    @property
    def target(self) -> Target | None:
        """What is installed, here or on its way, where something is."""
        return self.awaits if self.spec.firmware is None else self.spec.firmware

    @property
    def phase(self) -> Phase:
        """Where it is on the progress bar."""
        match self.state:
            case JobState.RETURNING if self._returns:
                return Phase.RETURN
            case JobState.RETURNING | JobState.VERIFYING:
                return Phase.VERIFY
            case JobState.RECORDING | JobState.ENDED if self.outcome is Outcome.VERIFIED:
                return PHASES[self.service][-1]
            case _:
                return self.story.phase

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it has not."""
        return None if self.verdict is None else self.verdict.outcome

    @property
    def awaits_phone(self) -> bool:
        """Whether its phone, when it is away, is expected back: its stay then goes on."""
        match self.state:
            case JobState.RUNNING:
                return self.story.phase not in MUST_STAY and self._voided is None
            case JobState.RETURNING | JobState.VERIFYING:
                return True
            case _:
                return False

    def start(self, now: Moment) -> list[Action]:
        """Its turn has come."""
        self.adopt(now)
        return [StartWorker(spec=self.spec)]

    def adopt(self, now: Moment, *, revoked: bool = False) -> None:
        """Its worker was started: just now, or by a daemon before this one, which may have voided its consent."""
        if revoked:
            self._voided = Cause.CONSENT_VOID
        self._become(JobState.RUNNING)
        self.started_at = self.progressed_at = now.at
        self._gone_since = now.at if self.mode is None else None
        self._left = self.mode is None
        self._leash.heard(self.story.phase, now.at)
        if revoked:
            self._leash.end_soon(now.at)  # it can do nothing more: it has the grace that it would have had then

    def worker_said(self, event: WorkerEvent, now: Moment) -> None:
        """Take in a line of its events."""
        if self.state is not JobState.RUNNING:
            return
        self.story.hear(event)
        self._leash.heard(self.story.phase, now.at)
        if self.story.last is not None:
            self._leash.end_soon(now.at)
        self._progress(now)

    def worker_ended(self, how: WorkerExit | None, now: Moment) -> list[Action]:
        """Its process is gone."""
        if self.state is not JobState.RUNNING:
            return []
        self._worked_until = now.at
        verdict = judge(self.story, how, voided=self._voided, detail=self._void_detail)
        if verdict is not None:
            return self._fail(verdict, now)
        if Phase.VERIFY not in PHASES[self.service]:
            self.verdict, self.checks = verification.reread(self.story)
            return self._conclude(Observed(mode=self.mode), now)
        self._become(JobState.RETURNING)
        self._return_by = now.at + self.policy.deadlines[Phase.RETURN]
        self._leave_by = now.at + self.policy.leave_seconds
        self.vigil.begin(self._return_by + self.policy.deadlines[Phase.VERIFY])
        self._progress(now)
        return self._await_phone(now)

    def not_started(self, cause: Cause, detail: str, now: Moment) -> list[Action]:
        """Its worker could not be started."""
        self._worked_until = now.at
        return self._fail(failure(cause, self.story, detail=detail), now)

    def void(self, cause: Cause, now: Moment, *, detail: str = "", at_once: bool = True) -> list[Action]:
        """Nothing irreversible may follow. `at_once`: end the worker now; else it may first see for itself."""
        if self.state is not JobState.RUNNING or self._voided is not None or self.story.last is not None:
            return []
        self._voided, self._void_detail = cause, detail
        revoke = RevokeConsent(job=self.id)
        if at_once:  # killed first: the disk may be slow
            return [*self._leash.kill(now.at), revoke]
        self._leash.end_soon(now.at)
        return [revoke]

    def disbelieve(self, detail: str, now: Moment) -> list[Action]:
        """Its events cannot be read, so nobody knows what it has announced: the worst is taken as done."""
        self.story.erased = self._erases
        self.story.between |= self._unsettles
        return self.void(Cause.INTERNAL, now, detail=detail)

    def phone_gone(self, now: Moment) -> list[Action]:
        """Its phone left the bus."""
        self.mode, self._left = None, True
        match self.state:
            case JobState.RUNNING:
                if self.story.phase not in MUST_STAY:
                    self._gone_since = now.at
                    return []
                return self.void(Cause.DISCONNECTED, now, detail=self._where(), at_once=False)
            case JobState.VERIFYING:
                self._become(JobState.RETURNING)
                return self._await_phone(now)
            case _:
                return self._await_phone(now)

    def phone_came(self, mode: PhoneMode, now: Moment) -> list[Action]:
        """Its phone is on the bus, in `mode`."""
        self.mode, self._gone_since = mode, None
        self._fresh = self.state is not JobState.RUNNING or self.story.phase not in RESTORE_SYSTEM
        return self._await_phone(now)

    def intruder(self, ecid: Ecid | None, now: Moment) -> list[Action]:
        """Another phone is in its bay."""
        detail = f"{'an unknown phone' if ecid is None else format_ecid(ecid)} is in bay {self.spec.bay}"
        match self.state:
            case JobState.RUNNING:
                return self.void(Cause.WRONG_PHONE, now, detail=detail)
            case JobState.RETURNING | JobState.VERIFYING:
                return self._not_returned(not_verified(Cause.WRONG_PHONE, detail), now)
            case JobState.OBSERVING:
                return self._conclude(Observed(mode=None), now)
            case _:
                return []

    def look_began(self, now: Moment) -> None:
        """Its phone is being asked."""
        self.vigil.wants_look = False
        if self.state is JobState.RETURNING:
            self._become(JobState.VERIFYING)
            self._progress(now)

    def look_ended(self, facts: PhoneFacts | None, failed: Failed | None, now: Moment) -> list[Action]:
        """What its phone said, or why it did not."""
        if self.state is JobState.OBSERVING and self.mode is not None:
            mode = self.mode if failed is None or failed.phone_mode is None else failed.phone_mode
            ours = facts is not None and facts.ecid == self.ecid
            return self._conclude(Observed(mode=mode, facts=facts if ours else None), now)
        if self.state is not JobState.VERIFYING:
            return []
        if facts is None and failed is not None and failed.cause in SILENCED and self.service in ONLY_STARTS:
            self.verdict, self.checks = verification.returned(self.service, self.ecid, unread=failed.cause.value)
            return self._conclude(Observed(mode=self.mode), now)
        if facts is None:
            # Perhaps it was still the restore system, or it has not finished starting: another look may tell.
            self._look_failed = failed
            self._become(JobState.RETURNING)
            self.vigil.look_later(now.at + self.policy.retry_seconds)
            return []
        if self._returns and verification.same_start(self.spec.before, facts):
            # It has not restarted yet: it is slow, or a daemon that was away did not see whether it left.
            self._left = False
            self._become(JobState.RETURNING)
            return self._await_phone(now)
        seen = Evidence(ecid=self.ecid, facts=facts, before=self.spec.before, firmware=self.firmware, story=self.story)
        self.verdict, self.checks = verification.verify(self.service, seen)
        return self._conclude(Observed(mode=PhoneMode.NORMAL, facts=facts), now)

    def record_written(self) -> None:
        """Its record is in the chain."""
        self._become(JobState.ENDED)

    def record_failed(self, now: Moment) -> None:
        """Its record could not be written; try again later."""
        self.vigil.begin(math.inf)
        self.vigil.wait(now.at + RECORD_RETRY_SECONDS)

    def result(self) -> ResultView | None:
        """How it ended, as people see it until it is recorded; None while it has not."""
        if self.verdict is None:
            return None
        return ResultView(
            job=self.id,
            ecid=self.ecid,
            service=self.service,
            outcome=self.verdict.outcome,
            title=self.verdict.title,
            remedy=self.verdict.remedy,
            record=0,
            certificate=None,
            cause=self.verdict.cause,
            checks=self.checks,
            before=self.spec.before,
        )

    def tick(self, now: Moment) -> list[Action]:
        """Do what is due."""
        if self.state is JobState.RUNNING:
            return self._tick_running(now)
        if not self.vigil.tick(now.at):
            return []
        match self.state:
            case JobState.RETURNING | JobState.VERIFYING:
                return self._waited_in_vain(now)
            case JobState.OBSERVING:
                return self._conclude(Observed(mode=self.mode), now)
            case JobState.RECORDING:
                return self._write_record()
            case _:
                return []

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next."""
        if self.state is JobState.RUNNING:
            return min(self._leash.deadline, self._gone_until) if self._gone_until else self._leash.deadline
        return self.vigil.deadline

    def eta(self) -> float | None:
        """When it will be done; None while there is nothing to judge by."""
        return progress.eta(started=self.started_at, at=self.progressed_at, fraction=self.fraction)

    def _tick_running(self, now: Moment) -> list[Action]:
        if self._leash.given_up(now.at):
            if self.story.last is None:  # nobody will hear what else it announced: the worst is taken as done
                self.story.erased |= self._erases and self.story.phase in ERASABLE
                self.story.between |= self._unsettles and self.story.phase in UNSETTLED
            return self.worker_ended(None, now)
        if self._gone_until is not None and now.at >= self._gone_until:
            return self.void(Cause.DISCONNECTED, now, detail=f"not back in time; {self._where()}")
        actions: list[Action] = []
        if self._leash.silent(now.at):
            actions = self.void(Cause.DEADLINE, now, detail=f"no sign of progress in phase “{self.story.phase.value}”")
        elif not self._leash.due(now.at):
            return []
        return actions + self._leash.kill(now.at)

    @property
    def _gone_until(self) -> float | None:
        """Until when a phone that left by itself must be back."""
        if self._gone_since is None or self._voided is not None or self.story.last is not None:
            return None
        return self._gone_since + self.policy.deadlines[self.story.phase]

    @property
    def _erases(self) -> bool:
        return bool(ALLOWED[self.service] & DESTRUCTIVE)

    @property
    def _unsettles(self) -> bool:
        return bool(ALLOWED[self.service] & UNSETTLING)

    @property
    def _returns(self) -> bool:
        """Whether its phone must leave the bus at the end and come back."""
        return SERVICES[self.service].returns and not self._stays

    @property
    def _stays(self) -> bool:
        """Whether its phone is to stay in recovery mode."""
        return self.consent.options.stay_in_recovery and self.service is Service.RESCUE

    def _waited_in_vain(self, now: Moment) -> list[Action]:
        """Its phone did not come back in time, or does not say what it must."""
        if self._returns and not self._left:
            return self._not_returned(not_verified(Cause.NOT_LEFT), now)
        why = self._look_failed if self.mode is PhoneMode.NORMAL else None
        if why is not None:
            return self._not_returned(not_verified(why.cause, why.detail), now)
        if self.mode is PhoneMode.RECOVERY and self.service in ONLY_STARTS:
            return self._not_returned(not_verified(Cause.STAYED_IN_RECOVERY), now)
        gone = self.mode is None and not self._returns  # nothing but a hand took it away
        return self._not_returned(not_verified(Cause.DISCONNECTED if gone else Cause.NOT_RETURNED), now)

    def _await_phone(self, now: Moment) -> list[Action]:
        """Set the wait that fits where the phone is; a failure whose phone cannot be asked needs none."""
        if self.state is JobState.RETURNING and self._stays:
            return self._await_staying(now)
        if self.state is JobState.RETURNING and self._returns and not self._left:
            self.vigil.wait(self._leave_by)
            return []
        match self.state, self.mode:
            case ((JobState.RETURNING | JobState.OBSERVING), PhoneMode.NORMAL):
                # What may still be the restore system is given time to leave before it is asked.
                look_at = now.at if self._fresh else now.at + self.policy.retry_seconds
                self.vigil.wait(now.at + self.policy.deadlines[Phase.VERIFY], look_at=look_at)
                self.vigil.tick(now.at)
            case JobState.RETURNING, None if self._returns:
                self.vigil.wait(self._return_by)
            case (JobState.RETURNING, _) | (JobState.OBSERVING, None):
                self.vigil.wait(now.at + self.policy.observe_seconds)
            case JobState.OBSERVING, _:
                return self._conclude(Observed(mode=self.mode), now)
            case _:
                pass
        return []

    def _await_staying(self, now: Moment) -> list[Action]:
        """Its phone was told to stay in recovery mode: there it is, or it soon is not."""
        if self.mode is PhoneMode.RECOVERY:
            self.verdict, self.checks = verification.held()
            return self._conclude(Observed(mode=self.mode), now)
        if self.mode is not None:
            detail = f"it is in {self.mode.value} mode instead of recovery"
            return self._not_returned(not_verified(Cause.NOT_RETURNED, detail), now)
        self.vigil.wait(now.at + self.policy.observe_seconds)
        return []

    def _fail(self, verdict: Verdict, now: Moment) -> list[Action]:
        self.verdict = verdict
        self._become(JobState.OBSERVING)
        self.vigil.begin(now.at + self.policy.observe_seconds + self.policy.deadlines[Phase.VERIFY])
        return self._await_phone(now)

    def _not_returned(self, verdict: Verdict, now: Moment) -> list[Action]:
        self.verdict = verdict
        mode, told = self.mode, self._look_failed
        if mode is PhoneMode.NORMAL and told is not None and told.phone_mode is not None:
            mode = told.phone_mode  # USB cannot tell the restore system
        seen = "nothing" if mode is None else f"a phone in {mode.value} mode that could not be asked"
        self.checks = verification.absent(self.ecid, verdict.detail or seen)
        return self._conclude(Observed(mode=mode), now)

    def _conclude(self, observed: Observed, now: Moment) -> list[Action]:
        assert self.verdict is not None
        self.verdict = again.advised(self.verdict, self.consent, self.policy.bays)
        if self.story.owes_password:
            self.verdict = replace(self.verdict, remedy=f"{self.verdict.remedy} {OWED}".strip())
        seconds = self.story.seconds + max(0.0, now.at - self._worked_until)
        self._record = record_of(self, observed, seconds=seconds, now=now)
        self._become(JobState.RECORDING)
        self.vigil.end()
        return self._write_record()

    def _write_record(self) -> list[Action]:
        assert self._record is not None
        return [WriteRecord(record=self._record)]

    def _where(self) -> str:
        return f"it left the bus in phase “{self.story.phase.value}”"

    def _progress(self, now: Moment) -> None:
        fraction = self.story.fraction if self.phase is self.story.phase else 0.0
        self.fraction = max(self.fraction, progress.fraction_of_whole(self.service, self.phase, fraction))
        self.progressed_at = now.at

    def _become(self, state: JobState) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} → {state}"
        self.state = state
