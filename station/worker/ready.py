"""A worker that waits for its job: what takes long to load is loaded before anybody's phone waits for it.

Until it is told a job it touches no phone and no file. Whoever started it ends it by closing its standard input.
"""

import gc
import importlib
import os
import select
import stat
import sys
from contextlib import suppress
from pathlib import Path

from station.adapters import journal, notify
from station.adapters.jobdir import LOG, JobDirectory

_NEEDED = ("station.worker.job", "station.worker.services.look", "station.worker.services.erase")
"""What most jobs begin with. What installs firmware is left out: seconds do not matter there, and memory does."""

HOME = "/proc/self/cwd/../home"
"""The library notes at its import where its home is. Read later, in a job's `cwd`, this is the job's own."""
_NO_HOME = "/proc/self"
"""Beside this there is no `home`. Elsewhere it could be somebody's, or one that may not be looked at."""


RUNTIME_SECONDS = 15 * 3600
"""How long systemd lets a worker work (RuntimeMaxSec= of its unit): as long as the largest backup may take."""
_RENEWAL = 3600
"""Seconds: so often a worker that waits says that it has not begun yet."""


def await_job() -> Path | None:
    """Get ready, and wait until somebody writes a job's directory, one line, to standard input; None: nobody did.

    Where standard input is a connection, it says first that it is there: by that the other end knows its process.

    What the process prints from then on goes to the job's log; its errors to the journal, where systemd started it.
    """
    if stat.S_ISSOCK(os.fstat(0).st_mode):
        with suppress(BrokenPipeError):  # nobody waits any more: there will be no job
            os.write(0, b"\n")
    os.environ["HOME"] = HOME
    os.chdir(_NO_HOME)
    for name in _NEEDED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the keeper and its child go on with the same pages of memory; a collection would copy them all
    while not select.select([0], [], [], _RENEWAL)[0]:
        notify.extend(RUNTIME_SECONDS)
    told = ""
    with suppress(ConnectionResetError):  # who would have told it was killed
        told = sys.stdin.readline()
    if not told.endswith("\n"):
        return None
    path = Path(told.removesuffix("\n"))
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    log = os.open(JobDirectory(path).work / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    instead = {0: nothing, 1: log, 2: log}
    if journal.is_connected():  # a unit's: by its standard error it is known that the journal wants to hear of its job
        del instead[2]
    for number, place in instead.items():
        os.dup2(place, number)
    os.close(nothing)
    os.close(log)
    return path
