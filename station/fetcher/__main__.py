"""`python -m station.fetcher`: fetch one firmware, or ask the lists, as a line of JSON on standard input says.

Exits with 0 when it is in the store, with 2 when what the servers have is not what was offered, and with 1 when it
could not be fetched now; why not stands in the download's `progress.json` (`adapters.fetch.arrivals`), and on standard
error. With anything else it is broken itself, and says nothing for people. SIGTERM: it stops soon, and goes on the
next time where it was. It ends with whoever started it.

What the lists said (`Known`) is a line on standard output.

Where standard input is a connection (station-fetcher@.service), there is nobody to see the exit code: it and the words
are the last line that is written there (`Report`), and whoever hangs up, or says that nothing will follow, ends it.
"""

import ctypes
import os
import signal
import stat
import sys
import threading
import time
import traceback
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec

from station.adapters.catalogs import Catalogs
from station.adapters.fetch import LIMITS, FetchRules, Limits, fetch
from station.adapters.firmware import RESERVE, FirmwareStore
from station.errors import InputRejected, StationError
from station.model.base import Message
from station.model.catalog import FirmwareHosts, Offer

_PR_SET_PDEATHSIG = 1
END_SECONDS = 3.0
"""How long it may take to end when nobody waits any more."""


class Errand(Message, frozen=True, kw_only=True, tag="fetch"):
    """What to fetch, and where to."""

    store: str
    """Directory."""
    offer: Offer
    rules: FetchRules
    limits: Limits = LIMITS
    reserve: int = RESERVE
    """Bytes of the disk that are left free."""


class Question(Message, frozen=True, kw_only=True, tag="ask"):
    """Whom to ask what there is."""

    directory: str
    """Where what the lists said is kept."""
    hosts: FirmwareHosts
    days: int
    """How long it counts."""
    models: tuple[str, ...]


class Report(Message, frozen=True, kw_only=True):
    """How it ended, for who is not its parent."""

    code: int
    said: str = ""


def main() -> int:
    """Run one errand; the exit code."""
    served = stat.S_ISSOCK(os.fstat(0).st_mode)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if not served:
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            return 1
    line = sys.stdin.buffer.readline()
    if served:
        threading.Thread(target=_watch, args=(stop,), daemon=True).start()
    code, said = run(line, stop)
    if served:
        with suppress(BrokenPipeError):
            sys.stdout.write(msgspec.json.encode(Report(code=code, said=said)).decode() + "\n")
            sys.stdout.flush()
    elif said:
        sys.stderr.write(f"{said}\n")
    return code


def run(line: bytes, stop: threading.Event) -> tuple[int, str]:
    """Run an errand; the exit code, and words for people."""
    try:
        errand = msgspec.json.decode(line, type=Errand | Question)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return 1, f"This is no errand: {error}"
    try:
        if isinstance(errand, Question):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is lost with it
            lists = Catalogs(Path(errand.directory), errand.hosts, timedelta(days=errand.days))
            sys.stdout.write(msgspec.json.encode(lists.refresh(errand.models)).decode() + "\n")
            sys.stdout.flush()
        else:
            store = FirmwareStore(Path(errand.store), reserve=errand.reserve)
            fetch(store, errand.offer, errand.rules, lambda _: None, stop, errand.limits)
    except StationError as error:
        return 2 if isinstance(error, InputRejected) else 1, f"{error} {error.remedy}"
    except Exception:  # noqa: BLE001 (whatever nobody foresaw is for the log, and no words for people)
        traceback.print_exc()
        return 3, ""
    return 0, ""


def _watch(stop: threading.Event) -> None:
    """End when nobody waits for the answer any more: soon, or at once when that is too long."""
    with suppress(OSError):  # it died, and what was said to it was not read
        while os.read(0, 1 << 12):
            pass
    stop.set()
    time.sleep(END_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
