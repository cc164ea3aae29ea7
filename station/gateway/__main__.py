"""`python -m station.gateway [--reach FILE] [--while-open NUMBER]`: serve the listening unix socket on standard input.

Whoever starts it has made the socket: systemd (station-gateway.socket), or the daemon where there is none. So clients
can connect before it runs, and while it is started anew.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from station.adapters import notify
from station.gateway.places import Places, places
from station.gateway.tunnels import Gateway
from station.model.job import Reach


def main() -> int:
    """Serve until it is told to end (SIGTERM); the exit code."""
    parser = argparse.ArgumentParser(prog="station gateway", description="Let workers reach Apple, and nobody else.")
    parser.add_argument("--reach", type=Path, help="where other servers are than Apple's: reach.json of a virtual host")
    parser.add_argument("--while-open", type=int, help="end when the other end of this pipe is closed")
    options = parser.parse_args()
    return run(options.reach, options.while_open)


def run(reach: Path | None, pipe: int | None = None) -> int:
    """Serve to what `reach` names, by default Apple, until told to end, or `pipe` is closed; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s gateway: %(message)s")
    try:
        listed = _listed(reach)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{reach} does not say where servers are: {error}\n")
        return 1
    with socket.socket(fileno=os.dup(0)) as listening, contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(listed, listening, pipe))
    return 0


def _listed(file: Path | None) -> Places:
    reach = Reach(usbmuxd="") if file is None else msgspec.json.decode(file.read_bytes(), type=Reach)
    return places(reach)


async def _serve(listed: Places, listening: socket.socket, pipe: int | None) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(Gateway(listed).serve(listening))
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    if pipe is not None:
        loop.add_reader(pipe, serving.cancel)  # nobody writes to it: what can be read is its end
    else:  # started by systemd; otherwise what it would tell is about the daemon, whose environment it has
        feeding = asyncio.create_task(notify.keep_watchdog_fed())
        serving.add_done_callback(lambda _: feeding.cancel())
        notify.ready("Open to Apple.")
    await serving


if __name__ == "__main__":
    sys.exit(main())
