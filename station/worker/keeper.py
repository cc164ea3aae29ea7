"""The keeper: a small process that starts the worker's child, keeps its log and writes down how it ended.

It does nothing but that, so there is nothing in it that could fail; of what was loaded before the fork the two share
the memory. It holds the job's lock; the child inherits it, so that "the worker lives" is true for as long as anybody is
there who could touch the phone. Each ends with the other: the child by PR_SET_PDEATHSIG, the keeper by waiting for it.
"""

import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from station.adapters import journal
from station.adapters.jobdir import LOG, JobDirectory
from station.errors import Refused, StationError, StorageError
from station.model.base import format_ecid
from station.model.events import WorkerExit
from station.model.job import JobSpec
from station.worker import child

LOG_LIMIT = 8 << 20
"""Bytes of log kept; what comes after is read and dropped, so that the child never waits for a reader."""

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_REFUSED = 2


def main(path: Path) -> int:
    """Do the job in `path`; the exit code, or the end by the signal that ended the child."""
    try:
        how = keep(JobDirectory(path))
    except StationError as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED
    if how.signal is not None:
        if how.signal in _STOPPING:
            signal.signal(how.signal, signal.SIG_DFL)
        os.kill(os.getpid(), how.signal)
    return 1 if how.code is None else how.code


def keep(directory: JobDirectory) -> WorkerExit:
    """Take the job, run it in a child, and write down how that ended.

    Raises:
        Refused: the job was taken before.
        InputRejected: there is no job.
        StorageError: the end could not be written down.
    """
    spec = directory.spec()
    if directory.claimed:  # not to wait at the lock of the worker that has it
        raise Refused(f"Job {directory.path.name} was taken before.")
    with directory.living():
        directory.claim()
        _note(spec)
        how = _run(directory)
        try:
            directory.end(how)
        except StorageError as error:
            sys.stderr.write(f"{error}\n")  # the disk is full; whoever waits for this process still learns it
    return how


def _note(spec: JobSpec) -> None:
    """Have the journal know which job is this unit's: it was started before there was one."""
    if journal.is_connected():
        who = spec.udid if spec.ecid is None else format_ecid(spec.ecid)
        what = "look" if spec.service is None else spec.service.value
        about = {"job": spec.job, "bay": spec.bay, "ecid": spec.ecid}
        journal.send(f"{what} of {who} in bay {spec.bay}", "info", about)


def _run(directory: JobDirectory) -> WorkerExit:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child's too: there are keys in its memory
    reading, writing = os.pipe()
    keeper = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        child.run(directory, keeper=keeper, log=writing)
    os.close(writing)
    for number in _STOPPING:
        signal.signal(number, lambda *_: os.kill(pid, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    _keep_log(reading, directory.work / LOG)
    _, status = os.waitpid(pid, 0)
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    # The pair record in there opens the phone: it goes, however the child ended.
    directory.clear_home()
    code = os.waitstatus_to_exitcode(status)
    return WorkerExit(code=code) if code >= 0 else WorkerExit(signal=-code)


def _keep_log(reading: int, path: Path) -> None:
    """Write what comes out of the child to the log, until it has ended."""
    left = LOG_LIMIT
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    while chunk := os.read(reading, 1 << 16):
        with suppress(OSError):  # a full disk costs the log, not the restore
            left -= os.write(log, chunk[:left])
    os.close(log)
    os.close(reading)
