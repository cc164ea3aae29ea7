"""The two clocks: one that only goes forward and counts sleep, one that people read."""

import time
from datetime import UTC, datetime


def boottime() -> float:
    """Seconds since boot, suspend included; the same for every process of this machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc_now() -> str:
    """Now, RFC 3339 in UTC with whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
