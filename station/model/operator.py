"""What the operator's pages show: only while somebody who knows the PIN is at the station."""

from enum import Enum

from station.model.base import BayId, Ecid, Message, SocketPath
from station.model.order import OrderReport
from station.model.panel import Control, ControlState
from station.model.record import Outcome
from station.model.service import Service

PIN_DIGITS = (4, 12)
"""The shortest and the longest PIN."""
SESSION_SECONDS = 180.0
"""How long the operator's pages stay open after the operator's last command."""
RECORDS_SHOWN = 20


class PinState(Enum):
    """What the operator's door looks like."""

    UNSET = "unset"
    """Nobody has chosen a PIN yet: whoever opens the door first does."""
    SET = "set"
    WAIT = "wait"
    """Too many were wrong: it must be waited."""


class Power(Enum):
    """What can be done about the machine."""

    OFF = "off"
    RESTART = "restart"


class FirmwareLine(Message, frozen=True, kw_only=True):
    """One image in the store."""

    version: str
    build: str
    size: int
    """Bytes on the disk."""
    models: int
    """How many models it is for."""
    name: str = ""
    """By which it is removed."""
    pinned: bool = False
    """Whether a pin in the settings names it."""
    in_use: bool = False
    """Whether a job installs it, or will."""


class RecordLine(Message, frozen=True, kw_only=True):
    """One record, newest first."""

    number: int
    ended: str
    """RFC 3339 in UTC."""
    bay: BayId
    ecid: Ecid
    model_name: str
    service: Service
    outcome: Outcome
    title: str
    certificate: bool


class BayLine(Message, frozen=True, kw_only=True):
    """A bay and its USB socket."""

    bay: BayId
    socket: SocketPath
    occupied: bool


class ControlLine(Message, frozen=True, kw_only=True):
    """A button, as it is now."""

    control: Control
    bay: BayId | None
    """None: the station's own."""
    state: ControlState


class MachineView(Message, frozen=True, kw_only=True):
    """The machine itself; None: it cannot be told here."""

    software: str
    """This program's version and the library's."""
    addresses: tuple[str, ...] = ()
    clock: str = ""
    """Now, RFC 3339 in UTC."""
    clock_trusted: bool | None = None
    disk_free: int | None = None
    """Bytes, where jobs and records live."""
    temperature: float | None = None
    """Degrees Celsius."""
    under_voltage: bool | None = None
    upkeep: tuple[str, ...] = ()
    """What of that which the station does for itself in quiet hours ended badly, in sentences."""
    sticks: tuple[str, ...] = ()
    """USB sticks that logs could be written to, by their labels."""


class OperatorView(Message, frozen=True, kw_only=True):
    """All that the operator's pages show."""

    until: float
    """When they close if nothing is done, CLOCK_BOOTTIME seconds."""
    policy: str
    """The preset in force, as in the settings: walk-up, bench, overnight."""
    policies: tuple[str, ...]
    bays: tuple[BayLine, ...]
    learning: BayId | None = None
    """The bay that the next phone in an unknown socket teaches."""
    testing: bool = False
    """Whether the buttons are being tried: they mean nothing else meanwhile."""
    controls: tuple[ControlLine, ...] = ()
    firmware: tuple[FirmwareLine, ...] = ()
    news: tuple[str, ...] = ()
    """What there is to be said of the firmware that could be had, in sentences."""
    fetches: bool = False
    """Whether this station fetches firmware."""
    records: tuple[RecordLine, ...] = ()
    record_count: int = 0
    machine: MachineView | None = None
    report: OrderReport | None = None
    """Of the newest standing order, over or not; its lists are cut to RECORDS_SHOWN."""
    says: str = ""
    """What became of the last thing that takes its time, such as writing logs to a stick."""
