"""The composition root of a worker: from a spec to a verdict."""

import asyncio
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import usb.backend.libusb1

from station.adapters import journal
from station.adapters.jobdir import JobDirectory
from station.model.causes import Cause
from station.model.job import JobSpec, Reach
from station.model.service import SERVICES, Service
from station.worker.failures import JobFailed, explain, printable
from station.worker.guard import Guard
from station.worker.reporter import Reporter
from station.worker.work import Work

Give = Callable[[Work], Awaitable[None]]
"""Gives a service: returns only when it is done, and raises whatever goes wrong."""

MAX_LOG_LINE = 500
MAX_JOURNAL_LINES = 1000
"""Of a job: the journal drops what comes too fast, of everybody."""
SIGNING_SECONDS = 45.0
"""How long Apple is asked for one ticket, at most."""

log = logging.getLogger(__name__)

_MODULES: dict[Service | None, str] = {
    None: "look",
    Service.RESTART: "restart",
    Service.RESCUE: "rescue",
    Service.BACKUP: "backup",
    Service.PUT_BACK: "put_back",
    Service.ACTIVATE: "activate",
    Service.ERASE: "erase",
    Service.REINSTALL: "reinstall",
    Service.RESTORE: "restore",
}
"""Of `station.worker.services`. Only the one that is asked for is imported: a phone waits for it."""


def do(directory: JobDirectory, spec: JobSpec, reporter: Reporter) -> bool:
    """Do the job, and write its verdict down; whether it succeeded."""
    _log_to_stderr()
    if journal.is_connected(os.getppid()):  # the keeper's is: this process's own goes to the job's log
        logging.getLogger("station").addHandler(_Journal(spec))
    os.environ["USBMUXD_SOCKET_ADDRESS"] = spec.reach.usbmuxd
    try:
        # Not asyncio.run, which waits for threads that may hang; the process ends right after this.
        asyncio.new_event_loop().run_until_complete(_do(directory, spec, reporter))
    except BaseException as error:  # noqa: BLE001 (whatever it is, it becomes the verdict)
        _log_error(error)
        failure = explain(error)
        log.error("failed: %s", failure.cause.value)  # noqa: TRY400 (the traceback is in the job's log already)
        reporter.failed(failure.cause, str(failure), failure.status)
        return False
    log.info("succeeded")
    reporter.succeeded()
    return True


async def _do(directory: JobDirectory, spec: JobSpec, reporter: Reporter) -> None:
    if spec.service is not None and SERVICES[spec.service].firmware:
        from station.worker.signing import SigningServer  # noqa: PLC0415 (heavy, and nothing else asks Apple to sign)

        SigningServer(
            spec.reach.signing_url,
            spec.reach.gateway,
            lambda: min(SIGNING_SECONDS, reporter.deadline.share(0.75)),
        ).serve()
    give: Give = importlib.import_module(f"station.worker.services.{_MODULES[spec.service]}").give
    guard = Guard(directory, spec, reporter)
    await give(Work(spec=spec, find_usb=lambda: _usb(spec.reach), reporter=reporter, guard=guard))


def _usb(reach: Reach) -> Any:
    """The one place where the machine's USB or a virtual one is chosen."""
    if reach.usbip:
        from station.virtual.usb.backend import UsbIpBackend  # noqa: PLC0415 (virtual phones are not in every worker)

        return UsbIpBackend(Path(reach.usbip))
    backend = usb.backend.libusb1.get_backend()
    if backend is None:
        raise JobFailed(Cause.INTERNAL, "libusb is not installed")
    return backend


class _Formatter(logging.Formatter):
    """One short line for each record, whatever a phone put into it."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(record.getMessage(), MAX_LOG_LINE)
        return f"{record.relativeCreated / 1000:8.2f} {record.levelname.lower()} {record.name}: {text}"


class _Journal(logging.Handler):
    """Our own words in the journal too, as the job's. What the library says may be anything: the job's log has it."""

    def __init__(self, spec: JobSpec) -> None:
        super().__init__(logging.INFO)
        self._about = {"job": spec.job, "bay": spec.bay, "ecid": spec.ecid}
        self._left = MAX_JOURNAL_LINES

    def emit(self, record: logging.LogRecord) -> None:
        """Write it there, unless there was too much already: a phone may have this process repeat itself."""
        self._left -= 1
        if self._left >= 0:
            said = printable(record.getMessage(), MAX_LOG_LINE) if self._left else "The rest is in the job's own log."
            journal.send(said, record.levelname.lower(), self._about)


def _log_to_stderr() -> None:
    """Our own words, and what the library finds alarming; the rest of it is whole messages of the phone's."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    handler.addFilter(lambda record: record.name.startswith("station.") or record.levelno >= logging.WARNING)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _log_error(error: BaseException) -> None:
    for block in traceback.format_exception(error):
        for line in block[: 64 * MAX_LOG_LINE].splitlines():
            sys.stderr.write(line[:MAX_LOG_LINE].encode("ascii", "backslashreplace").decode() + "\n")
