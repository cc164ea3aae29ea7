"""What every service in a worker is given."""

from dataclasses import dataclass
from typing import Any

from station.model.job import JobSpec
from station.worker.guard import Guard
from station.worker.reporter import Reporter


@dataclass(frozen=True, kw_only=True)
class Work:
    """One job in hand."""

    spec: JobSpec
    usb: Any
    """A pyusb backend: the machine's own, or a virtual one."""
    reporter: Reporter
    guard: Guard
