"""The log that a failed restore sends along: as long-winded as restored's own, which has up to 650 kB.

The form is that of public logs (idevicerestore #352 #490 #747 #786): each line of a checkpoint is followed by what
restored writes to NVRAM, so that the host can be told even if the phone restarts.
"""

import time
from datetime import UTC, datetime

from station.virtual.faults.kinds import StatusError
from station.virtual.restore.items import Checkpoint

_BEGUN, _FAILED = 0x1103, 0x1107
_BEFORE = 10
"""Checkpoints that restored has behind it when a host can first see it (MAIN: umask to enable_usb)."""


class RestoreLog:
    """The log of one restore."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._open: dict[int, tuple[int, str]] = {}
        """Number of each open checkpoint to which one it is, and its name."""
        self._count = _BEFORE
        self._start = time.monotonic()

    def note(self, line: str) -> None:
        """Write one line."""
        self._lines.append(line)

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write that a checkpoint begins."""
        self._count += 1
        self._open[checkpoint.number] = (self._count, str(checkpoint.name))
        self._checkpoint("BEGIN:", checkpoint)

    def end(self, checkpoint: Checkpoint, failure: StatusError | None) -> None:
        """Write that a checkpoint ends, and if it failed why."""
        self._open.pop(checkpoint.number, None)
        if failure is None:
            self._checkpoint("END:", checkpoint)
            return
        number, status, error = checkpoint.number, failure.status, f"[0]D({failure.log})"
        self._checkpoint(f"FAILURE:(FAILURE:{status})", checkpoint, f" {error}")
        name = f"0x{_FAILED:04X}{number:04X}"
        self.note(f"restore-step-results = {{{name}:{{0:{status}}}}}")
        self.note(f"restore-step-codes = {{{name}:{{0:{status}}}}}")
        self.note(f'restore-step-domains = {{{name}:{{0:"AMRestoreErrorDomain"}}}}')
        self.note(f'restore-step-error = {{{name}:"{error}"}}')

    def __str__(self) -> str:
        """The whole log."""
        return "\n".join(self._lines)

    def _checkpoint(self, what: str, checkpoint: Checkpoint, more: str = "") -> None:
        now = datetime.now(UTC)
        stamp = f"{now:%H:%M:%S}.{now.microsecond // 1000:04d}-GMT"
        self.note(f"[{stamp}]{{3>6}} CHECKPOINT {what} RESTORED:[0x{checkpoint.number:04X}] {checkpoint.name}{more}")
        ids = ";".join(f"0x{_BEGUN:04X}{number:04X}:{count}" for number, (count, _) in self._open.items())
        names = ";".join(f"0x{_BEGUN:04X}{number:04X}:{name}" for number, (_, name) in self._open.items())
        self.note(f"restore-step-ids = {{{ids}}}")
        self.note(f"restore-step-names = {{{names}}}")
        self.note(f"restore-step-uptime = {int(time.monotonic() - self._start)}")
