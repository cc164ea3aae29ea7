"""A worker that keeps the job directory's contract and does what a conductor tells it: a program of its own.

    scripted_worker.py CONDUCTOR [JOBDIR]

Without JOBDIR it is told its directory on standard input. It connects to the unix socket CONDUCTOR and says its
job's name. Each line it is then told is an event to write down, answered with "ok", or "exit N".
"""

import os
import socket
import sys
from pathlib import Path

import msgspec

from station.adapters.jobdir import EventWriter, JobDirectory
from station.model.events import WorkerEvent, WorkerExit


def main(conductor: str, path: str = "") -> int:
    path = path or sys.stdin.readline().rstrip("\n")
    if not path:
        return 0  # nobody has a job for it
    directory = JobDirectory(Path(path))
    with directory.living(), socket.socket(socket.AF_UNIX) as line:
        directory.claim()
        line.connect(conductor)
        line.sendall(f"{directory.spec().job} {os.getpid()}\n".encode())
        writer = EventWriter(directory)
        for order in line.makefile():
            if order.startswith("exit "):
                code = int(order.removeprefix("exit "))
                directory.end(WorkerExit(code=code))
                return code
            writer.write(msgspec.json.decode(order, type=WorkerEvent))
            line.sendall(b"ok\n")
    return 2  # the conductor has left


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
