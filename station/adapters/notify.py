"""systemd: readiness, status and the watchdog. Does nothing where systemd did not start us, or does not listen."""

import asyncio
import os
import time
from contextlib import suppress

from systemd.daemon import notify


def ready(status: str) -> None:
    """Tell systemd that the service is up."""
    _tell(f"READY=1\nSTATUS={status}")


def status(text: str) -> None:
    """Set the line that `systemctl status` shows."""
    _tell(f"STATUS={text}")


def stopping() -> None:
    """Tell systemd that the service is going down on purpose."""
    _tell("STOPPING=1")


def reloading() -> None:
    """Tell systemd that the service reads its settings anew; `ready` ends that (sd_notify(3)).

    The watchdog is fed too: nobody does until the new program has begun, and it waits no longer for that.
    """
    now = time.monotonic_ns() // 1000
    _tell(f"WATCHDOG=1\nRELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Starting anew with other settings.")


def extend(seconds: int) -> None:
    """Have systemd count the time that this service may run (RuntimeMaxSec=) from now on."""
    _tell(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}")


async def keep_watchdog_fed() -> None:
    """Feed the watchdog at a third of its interval, for ever; returns at once when there is none.

    Runs on the event loop on purpose: a loop that is blocked feeds nothing, and systemd restarts the daemon. That
    is all it proves. It is a task apart from the one that decides: should that one wait for something that never
    comes, with the event loop free, the watchdog is fed all the same. (Should it fail, the daemon ends.)
    """
    microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
    if not microseconds or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while True:
        _tell("WATCHDOG=1")
        await asyncio.sleep(microseconds / 3e6)


def _tell(words: str) -> None:
    with suppress(OSError):  # whoever supervises us may be gone; the phones are not
        notify(words)
