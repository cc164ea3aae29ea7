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
SIGNING_SECONDS = 45.0
"""How long Apple is asked for one ticket, at most."""

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
    os.environ["USBMUXD_SOCKET_ADDRESS"] = spec.reach.usbmuxd
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
