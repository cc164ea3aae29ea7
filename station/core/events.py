"""What the station is told. Together with the model's USB events and API commands: every way its state can change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from station.core.arriving import Lack
from station.core.quarantine import Quarantine
from station.core.situation import Health, Times, VaultState
from station.model.api import Command
from station.model.base import BayId, JobId
from station.model.catalog import Arrival
from station.model.causes import Cause
from station.model.choices import Choices, PinHash
from station.model.events import WorkerEvent, WorkerExit
from station.model.firmware import Firmware
from station.model.job import JobSpec
from station.model.operator import FirmwareLine, MachineView, RecordLine
from station.model.order import OrderNote, OrderReport
from station.model.panel import Button, Control, ControlState
from station.model.phone import UsbEvent
from station.model.record import Record
from station.model.release import Release


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The time at which something is handled: the core has no clock of its own."""

    at: float
    """CLOCK_BOOTTIME seconds: what deadlines are measured with."""
    utc: str
    """RFC 3339 in UTC: what people and records read."""
    trusted: bool = True
    """Whether the wall clock is known to be right."""


@dataclass(frozen=True, kw_only=True)
class WorkerSaid:
    """A line of a job's events."""

    job: JobId
    event: WorkerEvent


@dataclass(frozen=True, kw_only=True)
class WorkerGarbled:
    """A job's events hold something that is no event: the worker is not to be believed."""

    job: JobId
    detail: str


@dataclass(frozen=True, kw_only=True)
class WorkerEnded:
    """A job's process is gone, and everything it said has been told before."""

    job: JobId
    exit: WorkerExit | None
    """None: nobody was left to say how."""


@dataclass(frozen=True, kw_only=True)
class WorkerNotStarted:
    """A job could not even begin."""

    job: JobId
    cause: Cause
    detail: str


@dataclass(frozen=True, kw_only=True)
class ButtonChanged:
    """One of the station's own buttons, debounced."""

    control: Control
    state: ControlState
    bay: BayId | None = None
    """Whose button it is; None: the station's."""

    @property
    def button(self) -> Button:
        """Which it is."""
        return Button(self.control, self.bay)


@dataclass(frozen=True, kw_only=True)
class FirmwareFound:
    """The firmware there is for a model."""

    product_type: str
    firmware: Firmware | None
    """The newest; None: there is none."""
    older: tuple[Firmware, ...] = ()
    """All others."""


@dataclass(frozen=True, kw_only=True)
class SupplyTold:
    """What firmware is on its way. What has come is told before, with FirmwareFound."""

    arrivals: tuple[Arrival, ...]
    lacking: Mapping[str, Lack] = field(default_factory=dict)
    """By product type: why what is needed is not even on its way."""
    notices: tuple[str, ...] = ()
    """What an operator should know of what there is to be had."""


@dataclass(frozen=True, kw_only=True)
class RecordWritten:
    """A job's record is in the chain, durably."""

    record: Record
    """As it is sealed: perhaps by an earlier daemon, which may have judged otherwise."""
    number: int
    certificate: str | None
    """Path of the PDF, when one was earned."""
    proof: str = ""
    """What its QR code says."""


@dataclass(frozen=True, kw_only=True)
class RecordNotWritten:
    """A job's record could not be written; the station asks again later."""

    job: JobId
    detail: str
    sealed: bool = False
    """Whether the record itself is in the chain, and only the vault does not know of it yet."""


@dataclass(frozen=True, kw_only=True)
class JobFound:
    """A job that an earlier daemon started has no record yet. What its worker said follows."""

    spec: JobSpec
    revoked: bool = False
    """Whether that daemon had voided its consent."""


@dataclass(frozen=True, kw_only=True)
class ResultFound:
    """A job that an earlier daemon finished; nobody has dismissed its result yet."""

    spec: JobSpec
    record: Record
    number: int
    certificate: str | None
    proof: str = ""


@dataclass(frozen=True, kw_only=True)
class OrderFound:
    """A standing order that an earlier daemon kept. Told after the jobs and results it left."""

    note: OrderNote
    same_boot: bool
    """Whether the machine has run ever since: else `until` means nothing."""


@dataclass(frozen=True, kw_only=True)
class OrderSaved:
    """A standing order is on the disk, as it was when it was to be saved."""

    note: OrderNote


@dataclass(frozen=True, kw_only=True)
class OrderNotSaved:
    """A standing order could not be put on the disk."""

    detail: str


@dataclass(frozen=True, kw_only=True)
class QuarantineFound:
    """Which phones are set aside, as the records tell. Told first of all."""

    quarantine: Quarantine


@dataclass(frozen=True, kw_only=True)
class ReleaseKept:
    """An operator's word about a phone that is set aside is on the disk."""

    release: Release


@dataclass(frozen=True, kw_only=True)
class HealthChanged:
    """The station itself was looked at."""

    health: Health


@dataclass(frozen=True, kw_only=True)
class TimesChanged:
    """How long services took here of late, now that another record is written."""

    times: Times


@dataclass(frozen=True, kw_only=True)
class TroubleChanged:
    """Something about the station itself forbids new jobs (broken records); empty: no more."""

    trouble: str


@dataclass(frozen=True, kw_only=True)
class VaultSeen:
    """The vault was looked into."""

    vault: VaultState


@dataclass(frozen=True, kw_only=True)
class ChoicesFound:
    """What an operator chose at this station before. Told first of all."""

    choices: Choices
    trouble: str = ""
    """What of it could not be read, and what to do about it; empty: nothing."""


@dataclass(frozen=True, kw_only=True)
class ChoicesKept:
    """Choices are on the disk."""

    choices: Choices
    opens: bool = False


@dataclass(frozen=True, kw_only=True)
class PinMade:
    """What may be kept of a PIN that somebody chose."""

    pin: PinHash
    opens: bool


@dataclass(frozen=True, kw_only=True)
class PinChecked:
    """Whether what somebody entered was the PIN."""

    right: bool


@dataclass(frozen=True, kw_only=True)
class Papers:
    """What an operator looks through: gathered while somebody does, and known to nobody otherwise."""

    firmware: tuple[FirmwareLine, ...] = ()
    records: tuple[RecordLine, ...] = ()
    record_count: int = 0
    machine: MachineView | None = None
    report: OrderReport | None = None


@dataclass(frozen=True, kw_only=True)
class PapersSeen:
    """They were gathered anew."""

    papers: Papers


@dataclass(frozen=True, kw_only=True)
class OperatorTold:
    """What became of something that the operator waits for, in words."""

    says: str
    wrote: bool = False
    """Whether it was about logs."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """Time has passed: `Station.next_deadline` was reached."""


Event = (
    UsbEvent
    | WorkerSaid
    | WorkerGarbled
    | WorkerEnded
    | WorkerNotStarted
    | ButtonChanged
    | FirmwareFound
    | SupplyTold
    | RecordWritten
    | RecordNotWritten
    | JobFound
    | ResultFound
    | OrderFound
    | OrderSaved
    | OrderNotSaved
    | QuarantineFound
    | ReleaseKept
    | HealthChanged
    | TimesChanged
    | TroubleChanged
    | VaultSeen
    | ChoicesFound
    | ChoicesKept
    | PinMade
    | PinChecked
    | PapersSeen
    | OperatorTold
    | Tick
    | Command
)
