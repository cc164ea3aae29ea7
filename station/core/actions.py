"""What the station wants done. The daemon does it, in order, and tells what became of it with an event."""

from dataclasses import dataclass, field

from station.model.base import JobId, Udid
from station.model.choices import Choices, PinHash
from station.model.job import JobSpec
from station.model.operator import Power
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


@dataclass(frozen=True, kw_only=True)
class MakePin:
    """Make of a PIN what may be kept of it. Answered by PinMade."""

    pin: str = field(repr=False)
    opens: bool


@dataclass(frozen=True, kw_only=True)
class CheckPin:
    """Find out whether this is the PIN. Answered by PinChecked."""

    pin: str = field(repr=False)
    against: PinHash


@dataclass(frozen=True, kw_only=True)
class KeepChoices:
    """Put an operator's choices on the disk. Answered by ChoicesKept."""

    choices: Choices
    opens: bool = False
    """Whether the pages open once they are there."""
    must: bool = True
    """Whether they hold only when they are on the disk. Otherwise they hold already, and a failure is told."""


@dataclass(frozen=True, kw_only=True)
class StartAnew:
    """The settings are other ones now: the daemon replaces itself by one that reads them. Workers go on."""


@dataclass(frozen=True, kw_only=True)
class WriteLogs:
    """Write the logs to a USB stick. Answered by OperatorTold."""

    stick: str


@dataclass(frozen=True, kw_only=True)
class AskForNewest:
    """Look at the lists of firmware now, and fetch the newest for the models that are here. SupplyTold tells."""


@dataclass(frozen=True, kw_only=True)
class StopFetching:
    """Do not fetch this build. SupplyTold tells."""

    build: str


@dataclass(frozen=True, kw_only=True)
class DiscardFirmware:
    """Delete firmware from the store. Answered by OperatorTold, and FirmwareFound."""

    name: str


@dataclass(frozen=True, kw_only=True)
class SwitchMachine:
    """Shut the machine down, or restart it."""

    how: Power


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
    | MakePin
    | CheckPin
    | KeepChoices
    | StartAnew
    | WriteLogs
    | AskForNewest
    | StopFetching
    | DiscardFirmware
    | SwitchMachine
)
