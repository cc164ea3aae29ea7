"""What decisions depend on besides the phones: the firmware there is, the station's own health."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from station.core.arriving import Lack
from station.core.policy import Policy
from station.core.quarantine import Quarantine
from station.errors import Refused
from station.model.backup import BackupNote
from station.model.base import BackupId, Ecid, JobId
from station.model.catalog import Arrival
from station.model.firmware import Firmware
from station.model.service import Service


@dataclass(frozen=True, kw_only=True)
class VaultState:
    """The vault, as last looked into."""

    directory: str = ""
    """Where the backups are, each in a directory named by its id."""
    secrets: str = ""
    """Where passwords wait for workers: a directory in memory."""
    trouble: str = ""
    """Why nothing can be backed up or put back; empty: it can."""
    remedy: str = ""
    free: int = 0
    """Bytes that can still be written there."""
    verified: Mapping[Ecid, BackupNote] = field(default_factory=dict)
    """The newest backup of each phone that counts."""
    partial: Mapping[Ecid, BackupNote] = field(default_factory=dict)
    """The newest that broke off, newer than the one that counts: it is gone on with."""
    owed: Mapping[Ecid, BackupId] = field(default_factory=dict)
    """The phones that still have the password of a backup of ours, and whose it is."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """The machine's own health. None: this machine does not tell."""

    free: int | None = None
    """Bytes that are free on the disk of the records."""
    under_voltage: bool | None = None
    """Whether its supply gives too little, now or a moment ago."""
    temperature: int | None = None
    """Of its processor, in whole degrees Celsius."""
    clock_trusted: bool | None = None
    """Whether the wall clock is known to be right."""


@dataclass(frozen=True)
class Times:
    """How long services took at this station of late."""

    seconds: Mapping[tuple[Service, str, bool], float] = field(default_factory=dict)
    """By service, product type (empty: whatever the model) and whether the phones were virtual ones."""

    def of(self, service: Service, product_type: str, *, emulated: bool) -> float | None:
        """What a service usually takes for such a phone, else for any; None: it was never done here."""
        known = self.seconds.get((service, product_type, emulated))
        return self.seconds.get((service, "", emulated)) if known is None else known


@dataclass(kw_only=True)
class Situation:
    """The station's circumstances, as last told."""

    firmware: dict[str, Firmware | None] = field(default_factory=dict)
    """The newest by product type, as far as it was asked for; None: there is none."""
    older: dict[str, tuple[Firmware, ...]] = field(default_factory=dict)
    """All other firmware by product type."""
    arrivals: tuple[Arrival, ...] = ()
    """Firmware that is on its way, or could not be had."""
    lacking: Mapping[str, Lack] = field(default_factory=dict)
    """By product type: why what is needed is not even on its way."""
    news: tuple[str, ...] = ()
    """What an operator should know of the firmware there is to be had."""
    trouble: str = ""
    """Why no job may start; empty: they may."""
    records_trouble: str = ""
    """Why the last record could not be written: nothing is wiped without one; empty: it could."""
    unsettled: dict[JobId, str] = field(default_factory=dict)
    """Why the vault does not know of a recorded job yet. What has nothing to do with it goes on."""
    vault: VaultState = VaultState()
    health: Health = Health()
    """As last looked at."""
    times: Times = field(default_factory=Times)
    quarantine: Quarantine = field(default_factory=Quarantine)
    """The phones that are set aside."""
    operator: bool = False
    """Whether somebody who knows the PIN is at the station."""

    def require_operator(self, policy: Policy) -> None:
        """Raise Refused unless an operator's commands are obeyed now."""
        if not (self.operator or policy.operator_confirm):
            raise Refused(
                "Only an operator may do that.",
                remedy="Open the operator's pages with the PIN, or allow it in the settings (operator_confirm).",
            )
