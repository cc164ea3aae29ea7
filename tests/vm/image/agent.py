"""The guest's end of `tests.vm.guest`: runs commands that the host asks for. Only the standard library; run as root.

One JSON object a line, both ways, on the virtio-serial port that is the only argument:

    guest  {"ready": true}                                         once, when it begins to listen
    host   {"id": 7, "command": ["lsusb"], "timeout": 10.0}
    guest  {"id": 7, "code": 0, "output": "Bus 001 …"}             code is null when it had to be killed

Commands run at the same time, each in a process group of its own.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from typing import IO, Any

MAX_OUTPUT = 1 << 20
"""Bytes of a command's output that are kept; what follows is read, counted and dropped."""


class Output:
    """What a command printed: its beginning, and how much more there was."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._total = 0

    def add(self, data: bytes) -> None:
        """Take up a piece."""
        self._kept += data[: MAX_OUTPUT - len(self._kept)]
        self._total += len(data)

    def text(self) -> str:
        """All that is kept."""
        text = self._kept.decode(errors="replace")
        dropped = self._total - len(self._kept)
        return f"{text}\n[and {dropped} bytes more]" if dropped else text


def execute(command: list[str], seconds: float) -> dict[str, Any]:
    """Run a command to its end, or to its deadline."""
    output = Output()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return {"code": 127, "output": str(error)}
    assert process.stdout is not None
    with process.stdout as pipe:
        os.set_blocking(pipe.fileno(), False)
        in_time = follow(process, pipe, output, time.monotonic() + seconds)
        if not in_time:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        drain(pipe, output)
    return {"code": process.returncode if in_time else None, "output": output.text()}


def follow(process: "subprocess.Popen[bytes]", pipe: IO[bytes], output: Output, deadline: float) -> bool:
    """Read until the process has ended; false if the deadline came first.

    The process counts, not the pipe: a daemon that the command left behind may hold that for ever.
    """
    ended = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.register(pipe, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = [key.fileobj for key, _ in selector.select(left)]
                if ended in ready:
                    process.wait()
                    return True
                if pipe in ready and not drain(pipe, output, pieces=1):
                    selector.unregister(pipe)
            return False
    finally:
        os.close(ended)


def drain(pipe: IO[bytes], output: Output, *, pieces: int = 64) -> bool:
    """Take what is in the pipe now; false at its end. A pipe holds 64 KiB: more pieces than that came after."""
    for _ in range(pieces):
        try:
            data = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return True
        if not data:
            return False
        output.add(data)
    return True


class Agent:
    """Answers what comes through the port."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()

    def run(self) -> None:
        """Serve until the host has closed its end."""
        self._send({"ready": True})
        while line := self._incoming.readline():
            threading.Thread(target=self._answer, args=[json.loads(line)], daemon=True).start()

    def _answer(self, request: dict[str, Any]) -> None:
        self._send({"id": request["id"], **execute(request["command"], request["timeout"])})

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            self._outgoing.write(json.dumps(message).encode() + b"\n")
            self._outgoing.flush()


if __name__ == "__main__":
    port = os.open(sys.argv[1], os.O_RDWR)  # once: the driver refuses a second time
    with os.fdopen(port, "rb") as incoming, os.fdopen(port, "wb", closefd=False) as outgoing:
        Agent(incoming, outgoing).run()
