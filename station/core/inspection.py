"""One short look at a phone in normal mode: who it is, what is on it."""

from dataclasses import dataclass, field

from station.core.actions import Action, StartWorker
from station.core.events import Moment
from station.core.leash import Leash
from station.core.policy import Policy
from station.core.story import Story
from station.core.verdict import judge
from station.model.base import JobId
from station.model.causes import Cause
from station.model.events import Failed, WorkerEvent, WorkerExit
from station.model.job import JobSpec
from station.model.phone import PhoneFacts


@dataclass
class Inspection:
    """A running INSPECT job. It changes nothing, so it needs no consent and leaves no record."""

    spec: JobSpec
    policy: Policy
    story: Story = field(default_factory=Story)
    _leash: Leash = field(init=False)

    def __post_init__(self) -> None:
        self._leash = Leash(self.id, self.policy.deadlines, self.policy.grace_seconds)

    @property
    def id(self) -> JobId:
        """Its job's name."""
        return self.spec.job

    def start(self, now: Moment) -> list[Action]:
        """Begin."""
        self._leash.heard(self.story.phase, now.at)
        return [StartWorker(spec=self.spec)]

    def worker_said(self, event: WorkerEvent, now: Moment) -> None:
        """Take in a line of its events."""
        self.story.hear(event)
        self._leash.heard(self.story.phase, now.at)
        if self.story.last is not None:
            self._leash.end_soon(now.at)

    def end(self, now: Moment) -> list[Action]:
        """Its phone left: nobody wants to know any more."""
        return self._leash.kill(now.at)

    def disbelieve(self, detail: str, now: Moment) -> list[Action]:
        """Its events cannot be read."""
        self.story.last = Failed(at=now.at, cause=Cause.INTERNAL, detail=detail)
        return self._leash.kill(now.at)

    def tick(self, now: Moment) -> list[Action]:
        """End it when it is overdue."""
        return self._leash.kill(now.at) if self._leash.silent(now.at) or self._leash.due(now.at) else []

    def given_up(self, now: Moment) -> bool:
        """Whether its worker was killed and is still there."""
        return self._leash.given_up(now.at)

    @property
    def deadline(self) -> float:
        """When `tick` is due next."""
        return self._leash.deadline

    def result(self, how: WorkerExit | None, now: Moment) -> PhoneFacts | Failed:
        """What it found, now that its worker has ended."""
        verdict = judge(self.story, how, voided=None)
        if verdict is None and self.story.facts is not None:
            return self.story.facts
        if verdict is None or verdict.cause is None:
            return Failed(at=now.at, cause=Cause.INTERNAL, detail="the worker succeeded without reading anything")
        return Failed(at=now.at, cause=verdict.cause, detail=verdict.detail, phone_mode=verdict.phone_mode)
