"""`events.jsonl` of a job directory: what a worker says, one typed message a line, only ever appended.

Every line has `at` (seconds of CLOCK_BOOTTIME, so that a reader can tell how old it is whatever the wall
clock does). An `Intent` is on disk (fsync) before its act is sent to the phone.
"""

import msgspec

from station.model.base import Ecid, Message
from station.model.causes import Cause
from station.model.consent import Act
from station.model.job import Phase
from station.model.phone import PhoneFacts, PhoneMode


class WorkerStarted(Message, frozen=True, kw_only=True, tag="started"):
    """The worker has taken the job; a job is taken once."""

    at: float
    pid: int


class PhaseBegan(Message, frozen=True, kw_only=True, tag="phase"):
    """A phase began; from now on silence longer than its deadline ends the worker."""

    at: float
    phase: Phase


class Progress(Message, frozen=True, kw_only=True, tag="progress"):
    """How far the current phase is: `fraction` in 0..1, never going back within a phase."""

    at: float
    phase: Phase
    fraction: float
    detail: str = ""
    """What is being done, in the field's words ("RestoreRamDisk", "seal_system_volume")."""


class Checkpoint(Message, frozen=True, kw_only=True, tag="checkpoint"):
    """The restore system passed a checkpoint. `id` is masked to 16 bits: the upper ones carry junk."""

    at: float
    id: int
    name: str
    result: int | None
    """None when it began, its result when it completed."""


class Operation(Message, frozen=True, kw_only=True, tag="operation"):
    """The restore system reports an operation by number (42 wipes storage, 50 makes new keys)."""

    at: float
    operation: int


class Intent(Message, frozen=True, kw_only=True, tag="intent"):
    """An irreversible act is about to be sent to this phone. Durable before it is sent."""

    at: float
    act: Act
    ecid: Ecid


class FactsRead(Message, frozen=True, kw_only=True, tag="facts"):
    """What the phone in normal mode says of itself."""

    at: float
    facts: PhoneFacts


class PersonNeeded(Message, frozen=True, kw_only=True, tag="person"):
    """The worker waits for somebody to do something at the phone."""

    at: float
    cause: Cause


class BackupRead(Message, frozen=True, kw_only=True, tag="backup_read"):
    """A backup was opened again: its manifest, every file's size and digest, and the decryption with its password.

    Only a backup of which this was said, without a fault, counts as one.
    """

    at: float
    files: int
    size: int
    """Bytes, as they lie in the vault."""
    faults: tuple[str, ...] = ()
    """What is wrong, in the words of the check; a few of them when there are many."""


class PasswordOwed(Message, frozen=True, kw_only=True, tag="password_owed"):
    """The phone has the station's backup password (True), or is rid of it again (False). Durable, like an Intent."""

    at: float
    owed: bool


class Signed(Message, frozen=True, kw_only=True, tag="signed"):
    """Apple has signed the build for this phone; the ticket is in the job's directory, as `ticket.im4m`."""

    at: float
    ticket: str
    """Its SHA-256, hex."""


class Succeeded(Message, frozen=True, kw_only=True, tag="succeeded"):
    """The worker did what it was asked. For what restored does: Status 0, and nothing but Status 0."""

    at: float


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The worker could not do it."""

    at: float
    cause: Cause
    detail: str
    """One line for the record: the library's or the phone's own words, shortened and made printable."""
    status: int | None = None
    """restored's Status, when it gave one."""
    phone_mode: PhoneMode | None = None
    """The mode the phone was last seen in, when known."""


WorkerEvent = (
    WorkerStarted
    | PhaseBegan
    | Progress
    | Checkpoint
    | Operation
    | Intent
    | FactsRead
    | PersonNeeded
    | BackupRead
    | PasswordOwed
    | Signed
    | Succeeded
    | Failed
)


class WorkerExit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`exit.json`: how the worker process ended, written by its keeper. Absent: the keeper was killed too."""

    code: int | None = None
    signal: int | None = None
