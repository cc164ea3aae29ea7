"""What the worker says: typed events, not too many, and the deadline that real progress feeds."""

import hashlib
from contextlib import suppress

from station.adapters.clock import boottime
from station.adapters.jobdir import EventWriter
from station.errors import InputRejected, StorageError
from station.model.base import Ecid
from station.model.causes import Cause
from station.model.consent import Act
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
    WorkerStarted,
)
from station.model.job import Phase
from station.model.phone import PhoneFacts, PhoneMode
from station.worker.deadline import Deadline

MIN_INTERVAL = 0.25
"""Seconds between two Progress events, at least."""
TICKET = "ticket.im4m"
"""The ticket with which the phone was last told to boot, in the job's directory."""
MAX_DETAILS = 10_000
MAX_CHECKPOINTS = 5000
"""A restore has about a hundred; a phone that says more has something else in mind."""


class Reporter:
    """Writes events, and feeds the deadline when something is new."""

    def __init__(self, writer: EventWriter, deadline: Deadline) -> None:
        self.deadline = deadline
        self.phase = Phase.CONNECT
        self.phone_mode: PhoneMode | None = None
        """The mode the phone was last seen in; None: it was not seen."""
        self._writer = writer
        self._fraction = 0.0
        self._told_at = 0.0
        self._told_fraction = 0.0
        self._details: set[str] = set()
        self._checkpoints: set[tuple[int, int | None]] = set()
        self._checkpoints_told = 0
        self._operations: set[int] = set()
        self._asked: Cause | None = None

    def started(self, pid: int) -> None:
        """The job is taken; `pid` is the process to signal."""
        self._writer.write(WorkerStarted(at=boottime(), pid=pid))

    def enter(self, phase: Phase) -> None:
        """A phase begins."""
        self.phase = phase
        self._fraction = self._told_fraction = 0.0
        self._told_at = boottime()
        self._details.clear()
        self.deadline.begin(phase)
        self._writer.write(PhaseBegan(at=self._told_at, phase=phase))

    def signed(self, ticket: bytes) -> None:
        """Keep the ticket with which Apple signed (an IM4M), and tell of it.

        One that a full disk does not take is used all the same: it proves something, and nothing depends on it.
        """
        with suppress(StorageError):
            self._writer.keep(TICKET, ticket)
            self._writer.write(Signed(at=boottime(), ticket=hashlib.sha256(ticket).hexdigest()))

    def progress(self, fraction: float, detail: str = "") -> None:
        """How far the phase is. Feeds the deadline if it is further than ever, or at something new."""
        further = fraction > self._fraction
        new = detail not in self._details and len(self._details) < MAX_DETAILS
        if not (further or new):
            return
        self._details.add(detail)
        self.deadline.feed()
        self._fraction = min(max(fraction, self._fraction), 1.0)
        now = boottime()
        moved = self._fraction - self._told_fraction >= 0.01 or now - self._told_at >= 1.0 or new
        if moved and now - self._told_at >= MIN_INTERVAL:
            self._told_at, self._told_fraction = now, self._fraction
            self._writer.write(Progress(at=now, phase=self.phase, fraction=self._fraction, detail=detail))

    def checkpoint(self, number: int, name: str, result: int | None) -> None:
        """A checkpoint. Feeds the deadline the first time only: phones are known to go round in circles."""
        self._checkpoints_told += 1
        if self._checkpoints_told > MAX_CHECKPOINTS:
            raise InputRejected("The phone reports checkpoints without end.")
        if (number, result) not in self._checkpoints:
            self._checkpoints.add((number, result))
            self.deadline.feed()
        self._writer.write(Checkpoint(at=boottime(), id=number, name=name, result=result))

    def operation(self, number: int) -> None:
        """An operation; told once each."""
        if number not in self._operations and len(self._operations) < MAX_CHECKPOINTS:
            self._operations.add(number)
            self.deadline.feed()
            self._writer.write(Operation(at=boottime(), operation=number))

    def person_needed(self, cause: Cause) -> None:
        """Somebody must do something at the phone; told when it is something else than before."""
        if cause is not self._asked:
            self._asked = cause
            self._writer.write(PersonNeeded(at=boottime(), cause=cause))

    def person_came(self) -> None:
        """They did it: when it must be done again, that is told again."""
        self._asked = None

    def backup_read(self, *, files: int, size: int, faults: tuple[str, ...]) -> None:
        """A backup was read from its first byte to its last."""
        self._writer.write(BackupRead(at=boottime(), files=files, size=size, faults=faults))

    def password_owed(self, owed: bool) -> None:
        """The phone is about to have the station's password, or is rid of it; on the disk when this returns."""
        self._writer.write(PasswordOwed(at=boottime(), owed=owed))

    def facts(self, facts: PhoneFacts) -> None:
        """What the phone says of itself."""
        self._writer.write(FactsRead(at=boottime(), facts=facts))

    def intent(self, act: Act, ecid: Ecid) -> None:
        """What is about to be done; on the disk when this returns."""
        self._writer.write(Intent(at=boottime(), act=act, ecid=ecid))

    def succeeded(self) -> None:
        """The job is done."""
        self._writer.write(Succeeded(at=boottime()))

    def failed(self, cause: Cause, detail: str, status: int | None) -> None:
        """The job could not be done."""
        self._writer.write(Failed(at=boottime(), cause=cause, detail=detail, status=status, phone_mode=self.phone_mode))
