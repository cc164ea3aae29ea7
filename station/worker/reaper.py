"""Ends one worker, for the daemon: `python -m station.worker.reaper` (station-reaper@.service).

Workers are a user of their own: the daemon may not end them, and a worker that a phone has taken over could end whoever
is of its own user first. So this is a third user, with the one capability to end others' processes, and ends workers
only. The daemon hands over a pidfd through standard input, a connection to station-reaper.socket: no number is taken
for another process's then.
"""

import pwd
import re
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

WORKERS = "restore-station-worker"
_SECONDS = 10.0
"""For the connection to say which: it was made to say it."""


def main(user: str = WORKERS) -> None:
    """End the process of `user` whose pidfd comes over standard input. Ends with what was wrong; raises OSError."""
    uid = pwd.getpwnam(user).pw_uid
    with socket.socket(fileno=0) as connection:
        connection.settimeout(_SECONDS)
        _, pidfds, *_ = socket.recv_fds(connection, 1, 1)
    for pidfd in pidfds:
        with suppress(ProcessLookupError):  # it has ended by itself
            if owner(pidfd) != uid:
                sys.exit(f"That is no process of {user}.")
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def owner(pidfd: int) -> int:
    """The user who runs a process. Raises ProcessLookupError when it has ended."""
    pid = _pid(pidfd)
    try:
        said = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        raise ProcessLookupError from None
    _pid(pidfd)  # it still runs: so the number was its own when it was looked at
    return int(re.findall(r"^Uid:\t(\d+)", said, re.MULTILINE)[0])


def _pid(pidfd: int) -> int:
    """Its number (proc_pid_fdinfo(5)). Raises ProcessLookupError when it has ended."""
    pid = int(re.findall(r"^Pid:\s*(-?\d+)", Path(f"/proc/self/fdinfo/{pidfd}").read_text(), re.MULTILINE)[0])
    if pid <= 0:
        raise ProcessLookupError
    return pid


if __name__ == "__main__":
    main(*sys.argv[1:])
