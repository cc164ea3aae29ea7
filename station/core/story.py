"""What a worker has said so far, reduced to what decisions need."""

from dataclasses import dataclass, field

from station.model.consent import DESTRUCTIVE, UNSETTLING, Act
from station.model.events import (
    BackupRead,
    Checkpoint,
    FactsRead,
    Failed,
    Intent,
    Operation,
    PasswordOwed,
    PersonNeeded,
    PhaseBegan,
    Progress,
    Signed,
    Succeeded,
    WorkerEvent,
    WorkerStarted,
)
from station.model.job import Phase
from station.model.phone import PhoneFacts

MAX_OPERATIONS = 1000
"""A restore names some fifty; a phone that names more without end must not fill the memory."""


@dataclass
class Story:
    """A worker's events, summed up. `hear` them in order."""

    phase: Phase = Phase.CONNECT
    fraction: float = 0.0
    """Of the phase; never going back within it."""
    detail: str = ""
    erased: bool = False
    """Whether it announced an act that ends data: from then on the data must be taken as gone."""
    erasing: Act | None = None
    """The last such act."""
    between: bool = False
    """Whether it announced an act that leaves the phone in between when it fails."""
    backup: BackupRead | None = None
    """What was found when the backup was read again."""
    owes_password: bool | None = None
    """Whether the phone has the station's backup password now; None: nothing was said of it."""
    operations: list[int] = field(default_factory=list)
    facts: PhoneFacts | None = None
    ticket: str = ""
    """SHA-256 of the last ticket that Apple gave for it."""
    person: PersonNeeded | None = None
    """What it waits for a person to do, while it does."""
    last: Succeeded | Failed | None = None
    """Its own verdict: nothing but an intent is believed after it."""
    first_at: float | None = None
    last_at: float | None = None

    def hear(self, event: WorkerEvent) -> None:  # noqa: C901, PLR0912 one arm an event
        """Take in one event."""
        if isinstance(event, Intent) and event.act in DESTRUCTIVE:
            self.erased, self.erasing = True, event.act
        if isinstance(event, Intent) and event.act in UNSETTLING:
            self.between = True
        if isinstance(event, PasswordOwed):
            self.owes_password = event.owed
        if self.last is not None:
            return
        self.first_at = event.at if self.first_at is None else self.first_at
        self.last_at = event.at
        if not isinstance(event, PersonNeeded):
            self.person = None
        match event:
            case PhaseBegan():
                self.phase, self.fraction, self.detail = event.phase, 0.0, ""
            case Progress() if event.phase is self.phase:
                self.fraction = max(self.fraction, min(event.fraction, 1.0))
                self.detail = event.detail
            case Checkpoint():
                self.detail = event.name
            case Operation():
                self._note(event.operation)
            case FactsRead():
                self.facts = event.facts
            case PersonNeeded():
                self.person = event
            case BackupRead():
                self.backup = event
            case Signed():
                self.ticket = event.ticket
            case Succeeded() | Failed():
                self.last = event
            case WorkerStarted() | Intent() | Progress() | PasswordOwed():
                pass

    def _note(self, operation: int) -> None:
        if operation not in self.operations and len(self.operations) < MAX_OPERATIONS:
            self.operations.append(operation)

    @property
    def seconds(self) -> float:
        """From its first word to its last. Both are of one boot, whatever happened to the machine since."""
        if self.first_at is None or self.last_at is None:
            return 0.0
        return max(0.0, self.last_at - self.first_at)
