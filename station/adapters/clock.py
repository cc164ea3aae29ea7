"""The two clocks: one that only goes forward and counts sleep, one that people read."""

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

TIMESYNCD_MARK = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd makes it once it has set the clock since boot (systemd-timesyncd.service(8))."""

UNSYNCHRONISED = 16_000_000
"""The kernel's "maximum error" in microseconds, while nobody keeps its clock right."""


def boottime() -> float:
    """Seconds since boot, suspend included; the same for every process of this machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc_now() -> str:
    """Now, RFC 3339 in UTC with whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def trusted() -> bool:
    """Whether the wall clock is known to be right: somebody (timesyncd, chrony, ntpd) keeps it by NTP.

    The kernel's own word is asked as systemd-timedated does, by the maximum error (adjtimex(2)). A service under
    `ProtectClock=` may not ask; there timesyncd's mark speaks. Blocks for microseconds only.
    """
    state = _Timex()
    asked = ctypes.CDLL(None).adjtimex(ctypes.byref(state)) >= 0
    return (asked and state.maxerror < UNSYNCHRONISED) or TIMESYNCD_MARK.exists()


class _Timex(ctypes.Structure):
    """The beginning of the kernel's `struct timex`; the rest is room for what we do not read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 512),
    )
