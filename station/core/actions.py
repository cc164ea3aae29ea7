"""What the station wants done. The daemon does it, in order, and tells what became of it with an event."""

from dataclasses import dataclass

from station.model.base import JobId, Udid
from station.model.job import JobSpec
from station.model.order import OrderNote
from station.model.record import Record
from station.model.release import Release


@dataclass(frozen=True, kw_only=True)
class StartWorker:
    """Write the job down, then start its worker. Answered by what the worker says, or WorkerNotStarted."""

    spec: JobSpec


@dataclass(frozen=True, kw_only=True)
class RevokeConsent:
    """Make it durable that nothing irreversible may follow in this job."""

    job: JobId


@dataclass(frozen=True, kw_only=True)
class KillWorker:
    """End the job's process now. Answered by WorkerEnded."""

    job: JobId


@dataclass(frozen=True, kw_only=True)
class WriteRecord:
    """Append to the record chain, with a certificate where one is earned. RecordWritten or RecordNotWritten."""

    record: Record


@dataclass(frozen=True, kw_only=True)
class FindFirmware:
    """Look up the newest firmware for a model. Answered by FirmwareFound."""

    product_type: str


@dataclass(frozen=True, kw_only=True)
class SaveOrder:
    """Put a standing order on the disk; a closed one with its report. Answered by OrderSaved or OrderNotSaved."""

    note: OrderNote


@dataclass(frozen=True, kw_only=True)
class KeepRelease:
    """Put an operator's word about a phone that is set aside on the disk. Answered by ReleaseKept."""

    release: Release


@dataclass(frozen=True, kw_only=True)
class CloseJob:
    """Nobody needs the job's directory any more."""

    job: JobId


@dataclass(frozen=True, kw_only=True)
class ForgetPhone:
    """A phone has left, and nothing works on it any more: whoever has its pair record could read it."""

    udid: Udid


Action = (
    StartWorker
    | RevokeConsent
    | KillWorker
    | WriteRecord
    | FindFirmware
    | CloseJob
    | ForgetPhone
    | SaveOrder
    | KeepRelease
)
