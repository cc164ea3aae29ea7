"""The gateway as a child process: where there is no systemd that listens for it and starts it."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import structlog

from station.adapters.workers import HELD, Worker, spawn
from station.errors import ConfigError

PROGRAM = (sys.executable, "-m", "station.gateway")
PAUSE = 1.0
"""Seconds before it is started again."""

log = structlog.get_logger(__name__)


class OwnGateway:
    """Starts the gateway, and starts it again when it ends.

    Workers outlive the daemon and need it still: it lives for as long as the daemon or a worker holds `held` open, and
    then ends by itself. The next daemon makes a socket of its own in place of this one's, where all find it.
    """

    def __init__(self, path: Path, reach: Path | None) -> None:
        """The gateway at `path`, to what the file `reach` names, by default to Apple."""
        self._path = path
        self._more = () if reach is None else ("--reach", str(reach))
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._reading, self.held = os.pipe()

    def open(self) -> None:
        """Make the socket, which is there while the process may not be: who connects then waits. Raises ConfigError."""
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            self._listening.bind(str(new))
            new.chmod(0o600)
            self._listening.listen()
            new.replace(self._path)  # an earlier daemon's: workers find the one or the other
        except OSError as error:
            raise ConfigError(f"The socket {self._path} cannot be made: {error.strerror or error}.") from error

    async def run(self) -> None:
        """See to it that it runs, until cancelled; it may go on after that."""
        while True:
            try:
                process = await asyncio.to_thread(self._spawn)
            except OSError as error:
                log.warning("the gateway cannot be started", error=str(error))
            else:
                await process.ended()
                log.warning("the gateway has ended: it is started again", pid=process.pid)
            await asyncio.sleep(PAUSE)

    def close(self) -> None:
        """Hold it no more."""
        self._listening.close()
        os.close(self._reading)
        os.close(self.held)

    def _spawn(self) -> Worker:
        program = (*PROGRAM, *self._more, "--while-open", str(HELD))
        return spawn(program, {0: self._listening.fileno(), HELD: self._reading})
