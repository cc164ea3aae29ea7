"""What every service in a worker is given."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from station.model.job import JobSpec
from station.worker.guard import Guard
from station.worker.reporter import Reporter


@dataclass(frozen=True, kw_only=True)
class Work:
    """One job in hand."""

    spec: JobSpec
    find_usb: Callable[[], Any]
    """Finds a pyusb backend: the machine's own, or a virtual one."""
    reporter: Reporter
    guard: Guard

    @cached_property
    def usb(self) -> Any:
        """The pyusb backend, found when a service first asks for it: most only speak to usbmuxd."""
        return self.find_usb()
