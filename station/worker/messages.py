"""What the library only logs, or swallows: the restore system's own words, as verdicts and events."""

import os
from pathlib import Path
from typing import Any

from pymobiledevice3.restore.consts import PROGRESS_BAR_OPERATIONS
from pymobiledevice3.restore.restore import known_errors

from station.model.causes import Cause
from station.model.job import Phase
from station.worker.failures import JobFailed, printable
from station.worker.reporter import Reporter

_CHECKPOINTS = {Phase.PREPARE: 45, Phase.FIRMWARE: 80}
"""Checkpoints that begin in a phase, roughly (public logs of iOS 16 to 18): a measure of progress, no more."""
_BYTES_OF_A_CHECKPOINT = 20_000_000
"""What is sent after the image counts too: so many bytes as much as a checkpoint."""
_UNFINISHED = 0.98
_MAX_KEPT = 1 << 20
"""Bytes kept of each of the phone's logs."""
_MAX_FILES = 8


def verdict(message: dict[str, Any]) -> bool:
    """Whether a StatusMsg says that the restore is done; any other status is raised.

    Raises:
        JobFailed: DEVICE_STATUS, with the status and the phone's own words.
    """
    status = message.get("Status")
    if type(status) is int and status == 0:  # False is no Status 0
        return True
    number = status if isinstance(status, int) and -(2**63) <= status < 2**64 else None
    words = [f"status {number}", known_errors.get(number or 0, "")]
    if (code := message.get("AMRError")) is not None:
        words.append(f"AMRError {printable(code, 40)}")
    log = message.get("Log")
    if isinstance(log, str) and log.strip():
        words.append(printable(log.strip().splitlines()[-1], 200))
    raise JobFailed(Cause.DEVICE_STATUS, ": ".join(filter(None, words)), status=number)


class Journal:
    """Checkpoints and operations as events; what the phone hands over for the record, bounded, as files."""

    def __init__(self, reporter: Reporter, directory: Path, bytes_after_image: int) -> None:
        self._reporter = reporter
        self._directory = directory
        self._work = {phase: float(count) for phase, count in _CHECKPOINTS.items()}
        self._work[Phase.FIRMWARE] += bytes_after_image / _BYTES_OF_A_CHECKPOINT
        self._done = dict.fromkeys(Phase, 0.0)
        self._files = 0

    def checkpoint(self, message: dict[str, Any]) -> None:
        """A CheckpointMsg. Identifiers are masked: the upper bits carry junk or counters."""
        number, result = message["CHECKPOINT_ID"], message.get("CHECKPOINT_RESULT", 0)
        complete = message.get("CHECKPOINT_COMPLETE") is True
        name = printable(message.get("CHECKPOINT_NAME", ""), 64)
        if not isinstance(number, int) or not isinstance(result, int):
            raise TypeError("checkpoint")
        result = max(min(result, 2**63 - 1), -(2**63))
        self._reporter.checkpoint(number & 0xFFFF, name, result if complete else None)
        if not complete:
            self._advance(1, name)

    def sent(self, count: int, name: str) -> None:
        """Bytes of a component that is streamed through a port of its own."""
        self._advance(count / _BYTES_OF_A_CHECKPOINT, name)

    def progress(self, message: dict[str, Any]) -> None:
        """A ProgressMsg."""
        operation, percent = message["Operation"], message.get("Progress", 0)
        if not isinstance(operation, int):
            raise TypeError("operation")
        self._reporter.operation(max(min(operation, 2**31), -(2**31)))
        if isinstance(percent, int) and 0 < percent <= 100:
            name = PROGRESS_BAR_OPERATIONS.get(operation, f"operation {operation}")
            self._advance(0, f"{name} {percent} %")

    def keep(self, name: str, data: bytes) -> None:
        """Keep something the phone hands over, for whoever looks into the job later."""
        if self._files < _MAX_FILES:
            self._files += 1
            path = self._directory / f"{self._files}-{os.path.basename(name)}"  # noqa: PTH119 (a phone's word, no path)
            path.write_bytes(data[-_MAX_KEPT:])

    def _advance(self, work: float, detail: str) -> None:
        phase = self._reporter.phase
        self._done[phase] += work
        if phase in self._work:
            self._reporter.progress(min(self._done[phase] / self._work[phase], _UNFINISHED), detail)
