"""Records: one for every job that touched a phone, failed ones too; and what a certificate adds."""

from enum import Enum

from station.model.base import BackupId, BayId, Ecid, JobId, Message
from station.model.causes import Cause
from station.model.consent import Consent
from station.model.firmware import Firmware
from station.model.gates import BackupDecision, Overruling
from station.model.job import Phase
from station.model.phone import PhoneFacts, PhoneMode
from station.model.service import Service


class Outcome(Enum):
    """How a job ended. There is no "probably"."""

    VERIFIED = "verified"
    """Done, and what came back was observed to be as it must be. Only this earns a certificate."""
    NOT_VERIFIED = "not_verified"
    """The phone reported success, but what came back was not seen to be right."""
    FAILED_UNTOUCHED = "failed_untouched"
    """Failed before anything irreversible was sent: the data is as it was."""
    FAILED_BETWEEN = "failed_between"
    """Failed while the phone was being changed around its data: nothing was erased, but it is not as it was."""
    FAILED_ERASED = "failed_erased"
    """Failed after the erase was sent: the data must be taken as gone, the phone needs another restore."""


class Check(Message, frozen=True, kw_only=True):
    """One thing that was looked at after the phone came back."""

    what: str
    expected: str
    observed: str
    passed: bool
    by_phone: bool = False
    """Whether the phone's own word is all there is: it did the work, and nobody can look into its storage."""


class Observed(Message, frozen=True, kw_only=True):
    """The phone's state as last seen when the job ended."""

    mode: PhoneMode | None
    """None: it was not there."""
    facts: PhoneFacts | None = None


class Record(Message, frozen=True, kw_only=True):
    """What happened in one job. Immutable; chained and signed by the record store."""

    job: JobId
    station: str
    software: str
    """This program's version and the library's."""
    bay: BayId
    ecid: Ecid
    service: Service
    emulated: bool
    consent: Consent
    firmware: Firmware | None
    before: PhoneFacts | None
    observed: Observed
    outcome: Outcome
    cause: Cause | None
    """None exactly when the outcome is VERIFIED."""
    title: str
    remedy: str
    detail: str
    status: int | None
    last_phase: Phase
    operations: tuple[int, ...]
    """restored's operation numbers seen, in order, without repeats."""
    checks: tuple[Check, ...]
    started: str
    """RFC 3339, UTC."""
    ended: str
    duration_seconds: float
    clock_trusted: bool
    """Whether the wall clock was known to be right when it ended (NTP)."""
    decision: BackupDecision | None = None
    """What was decided about a backup before data was put at risk; None: the service risks none."""
    overruled: tuple[Overruling, ...] = ()
    """The gates that somebody opened against the station's advice."""
    backup: BackupId | None = None
    """The backup in the vault that this job made or put back."""
    ticket: str = ""
    """SHA-256 (hex) of the last ticket with which Apple signed the firmware for this phone; empty: none was had."""


class SealedRecord(Message, frozen=True, kw_only=True):
    """A record in its chain: `digest` = SHA-256(previous digest ‖ number ‖ payload), signed."""

    number: int
    """Counts from 1 without gaps."""
    previous: str
    """Hex digest of the record before; 64 zeros for the first."""
    payload: str
    """The Record as canonical JSON: what is hashed and signed is this very text."""
    digest: str
    key_id: str
    signature: str
    """Ed25519 over the digest's 32 bytes, hex."""


class ChainHead(Message, frozen=True, kw_only=True):
    """Where the chain ends, kept apart from the database so that cutting off its end is noticed."""

    station: str
    count: int
    digest: str
    key_id: str
    signature: str
    """Ed25519 over the canonical JSON of all other fields, hex."""
