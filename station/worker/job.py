"""The composition root of a worker: from a spec to a verdict."""

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import usb.backend.libusb1

from station.adapters.jobdir import JobDirectory
from station.model.causes import Cause
from station.model.job import JobSpec, Reach
from station.model.service import Service
from station.virtual.usb.backend import UsbIpBackend
from station.worker.failures import JobFailed, explain, printable
from station.worker.guard import Guard
from station.worker.reporter import Reporter
from station.worker.services import activate, backup, erase, look, put_back, reinstall, rescue, restart, restore
from station.worker.signing import SigningServer
from station.worker.work import Work

MAX_LOG_LINE = 500
SIGNING_SECONDS = 45.0
"""How long Apple is asked for one ticket, at most."""

_SERVICES: dict[Service | None, Callable[[Work], Awaitable[None]]] = {
    None: look.give,
    Service.RESTART: restart.give,
    Service.RESCUE: rescue.give,
    Service.BACKUP: backup.give,
    Service.PUT_BACK: put_back.give,
    Service.ACTIVATE: activate.give,
    Service.ERASE: erase.give,
    Service.REINSTALL: reinstall.give,
    Service.RESTORE: restore.give,
}


def do(directory: JobDirectory, spec: JobSpec, reporter: Reporter) -> bool:
    """Do the job, and write its verdict down; whether it succeeded."""
    _log_to_stderr()
    os.environ["USBMUXD_SOCKET_ADDRESS"] = spec.reach.usbmuxd
    SigningServer(spec.reach.signing_url, lambda: min(SIGNING_SECONDS, reporter.deadline.share(0.75))).serve()
    try:
        # Not asyncio.run, which waits for threads that may hang; the process ends right after this.
        asyncio.new_event_loop().run_until_complete(_do(directory, spec, reporter))
    except BaseException as error:  # noqa: BLE001 (whatever it is, it becomes the verdict)
        _log_error(error)
        failure = explain(error)
        reporter.failed(failure.cause, str(failure), failure.status)
        return False
    reporter.succeeded()
    return True


async def _do(directory: JobDirectory, spec: JobSpec, reporter: Reporter) -> None:
    give = _SERVICES.get(spec.service)
    if give is None:
        raise JobFailed(Cause.INTERNAL, f"this worker cannot {spec.service}")
    work = Work(spec=spec, usb=_usb(spec.reach), reporter=reporter, guard=Guard(directory, spec, reporter))
    await give(work)


def _usb(reach: Reach) -> Any:
    """The one place where the machine's USB or a virtual one is chosen."""
    backend = UsbIpBackend(Path(reach.usbip)) if reach.usbip else usb.backend.libusb1.get_backend()
    if backend is None:
        raise JobFailed(Cause.INTERNAL, "libusb is not installed")
    return backend


class _Formatter(logging.Formatter):
    """One short line for each record, whatever a phone put into it."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(record.getMessage(), MAX_LOG_LINE)
        return f"{record.relativeCreated / 1000:8.2f} {record.levelname.lower()} {record.name}: {text}"


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
