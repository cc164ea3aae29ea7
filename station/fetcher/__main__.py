"""`python -m station.fetcher`: fetch one firmware, as a line of JSON (`Errand`) on standard input says.

Exits with 0 when it is in the store, with 2 when what the servers have is not what was offered, and with 1 when it
could not be fetched now; why not stands in the download's `progress.json` (`adapters.fetch.arrivals`), and on standard
error. With anything else it is broken itself, and says nothing for people. SIGTERM: it stops soon, and goes on the
next time where it was. It ends with whoever started it.
"""

import ctypes
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

import msgspec

from station.adapters.fetch import LIMITS, FetchRules, Limits, fetch
from station.adapters.firmware import RESERVE, FirmwareStore
from station.errors import InputRejected, StationError
from station.model.base import Message
from station.model.catalog import Offer

_PR_SET_PDEATHSIG = 1


class Errand(Message, frozen=True, kw_only=True):
    """What to fetch, and where to."""

    store: str
    """Directory."""
    offer: Offer
    rules: FetchRules
    limits: Limits = LIMITS
    reserve: int = RESERVE
    """Bytes of the disk that are left free."""


def main() -> int:
    """Run one errand; the exit code."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        return 1
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        errand = msgspec.json.decode(sys.stdin.buffer.readline(), type=Errand)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        sys.stderr.write(f"This is no errand: {error}\n")
        return 1
    store = FirmwareStore(Path(errand.store), reserve=errand.reserve)
    try:
        fetch(store, errand.offer, errand.rules, lambda _: None, stop, errand.limits)
    except StationError as error:
        sys.stderr.write(f"{error} {error.remedy}\n")
        return 2 if isinstance(error, InputRejected) else 1
    except Exception:  # noqa: BLE001 (whatever nobody foresaw is for the log, and no words for people)
        traceback.print_exc()
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
