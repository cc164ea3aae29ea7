"""What decisions depend on besides the phones: the firmware there is, the station's own health."""

from dataclasses import dataclass, field

from station.model.firmware import Firmware


@dataclass(kw_only=True)
class Situation:
    """The station's circumstances, as last told."""

    firmware: dict[str, Firmware | None] = field(default_factory=dict)
    """The newest by product type, as far as it was asked for; None: there is none."""
    trouble: str = ""
    """Why no job may start; empty: they may."""
    records_trouble: str = ""
    """Why the last record could not be written: nothing is wiped without one; empty: it could."""
