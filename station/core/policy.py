"""What the people who run a station decided about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from station.model.base import BayId, SocketPath
from station.model.gates import Purpose
from station.model.job import DEADLINES, Phase, Reach
from station.model.panel import Button


class BackupRule(Enum):
    """How it is decided about backups."""

    ASK = "ask"
    """Somebody decides for each phone."""
    STANDING = "standing"
    """Decided once, against them: the station's phones come without owners."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The settings that decisions depend on."""

    name: str
    """The station's name, as records carry it."""
    software: str
    """This program's version and the library's, as records carry them."""
    reach: Reach
    bays: Mapping[BayId, SocketPath] = field(default_factory=dict)
    """Which socket is which bay; empty: sockets become bays 1, 2, … in the order in which phones appear."""
    cap: int = 4
    """How many restores run at once; the rest are queued."""
    touch_confirms: bool = False
    """Whether a hold on the screen confirms: only for a station without buttons."""
    operator_confirm: bool = False
    """Whether the command line may confirm."""
    buttons: tuple[Button, ...] = ()
    """Those that are wired."""
    fetches: bool = False
    """Whether firmware is fetched by the station itself."""
    deadlines: Mapping[Phase, float] = field(default_factory=lambda: dict(DEADLINES))
    observe_seconds: float = 30.0
    """How long a phone that is away after a failure is waited for, before the record is written without it."""
    leave_seconds: float = 120.0
    """How long a phone that was told to restart may stay on the bus before that means that it did not."""
    grace_seconds: float = 15.0
    """How much longer than its deadline a worker may live, which should have ended itself."""
    retry_seconds: float = 10.0
    """Between two looks at a phone that does not answer yet."""

    preset: str = ""
    """The kind of station, as in the settings."""
    presets: tuple[str, ...] = ()
    """Every kind there is."""
    settled: frozenset[str] = frozenset()
    """Settings that the environment decides: what is chosen at the station would not count."""

    # How strict the gates are. A rule reads its own line here, and nothing asks what kind of station this is.
    purpose: Purpose = Purpose.RECYCLING
    """What becomes of the phones."""
    backup: BackupRule = BackupRule.STANDING
    """How it is decided about backups."""
    min_battery: int = 0
    """Percent that a phone's battery must have before its data is put at risk."""
    max_temperature: int = 80
    """Degrees Celsius at which the station begins nothing heavy; a Raspberry Pi slows itself down there."""
    min_free: int = 256 << 20
    """Bytes of disk below which no job starts: its record must still fit, whatever happens."""
    quarantine_after: int = 2
    """How many failed wipes in a row set a phone aside; 0: none do."""
