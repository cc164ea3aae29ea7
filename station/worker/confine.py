"""What the kernel holds a worker to, whatever runs in it."""

import ctypes
import os
import resource
import signal
from pathlib import Path

from station.model.service import Service

_PR_SET_PDEATHSIG = 1

LIMITS = {
    # Private writable memory, not address space: libraries reserve much that they never touch.
    resource.RLIMIT_DATA: 384 << 20,
    resource.RLIMIT_FSIZE: 64 << 20,
    resource.RLIMIT_NOFILE: 256,
    resource.RLIMIT_CPU: 3600,
}
"""A multiple of what a restore needs, which is about 80 MB of memory by this count, its threads' stacks included.

A phone can make a worker use all of it, not more: a station of 4 GB has room for eight that do.
"""

LIMITS_OF: dict[Service | None, dict[int, int]] = {
    # A film is one file of a backup; how much of the vault's disk all of them may take, `worker.backups` decides. The
    # manifest of one that is read again lies in memory, as a file that this limit counts too. And a full phone of
    # 1 TB is decrypted, hashed and received over TLS: hours of work on a small computer.
    Service.BACKUP: {resource.RLIMIT_FSIZE: resource.RLIM_INFINITY, resource.RLIMIT_CPU: 12 * 3600},
    Service.PUT_BACK: {resource.RLIMIT_FSIZE: resource.RLIM_INFINITY, resource.RLIMIT_CPU: 12 * 3600},
}
"""What a service needs more of."""

_OUT_OF_MEMORY_SCORE = 500
"""When memory runs out all the same, the kernel ends a worker and not the daemon: one phone's job, not everyone's."""

_NICENESS = 5
"""The daemon and the screen come first."""


def confine(directory: Path, *, service: Service | None, keeper: int, log: int) -> None:
    """Shut the calling process in: it ends with its keeper, and has a home, a place and a log of its own.

    Args:
        directory: what of the job directory is the worker's.
        service: what is to be given: some need more than others.
        keeper: process id of the parent, whose end must be this one's.
        log: file descriptor that takes stdout and stderr.
    """
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o007)  # what it leaves, the daemon can clear away: their group is one
    os.nice(_NICENESS)
    score = Path("/proc/self/oom_score_adj")
    score.write_text(str(max(_OUT_OF_MEMORY_SCORE, int(score.read_text()))))
    for limit, wanted in (LIMITS | LIMITS_OF.get(service, {})).items():
        _, hard = resource.getrlimit(limit)
        value = min((each for each in (wanted, hard) if each != resource.RLIM_INFINITY), default=wanted)
        resource.setrlimit(limit, (value, value))
    home, place = directory / "home", directory / "cwd"
    home.mkdir(mode=0o770, exist_ok=True)
    place.mkdir(mode=0o770, exist_ok=True)
    # What the library leaves in temporary files goes where the keeper cleans up.
    os.environ.update(HOME=str(home.absolute()), TMPDIR=str(home.absolute()))
    os.chdir(place)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)
