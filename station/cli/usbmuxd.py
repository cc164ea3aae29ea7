"""`station usbmuxd`: what usbmuxd.service runs in place of usbmuxd itself, which hangs now and then as a phone leaves.

Its process lives on then, answers nobody, and systemd sees nothing of that: so it is asked something now and then.
"""

import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from station.adapters.usbmuxd import UsbmuxdSilent, ask

STARTING = 20.0
"""Seconds that it may take until it answers for the first time."""
PULSE = 3.0
"""Seconds between two questions."""
SILENT = 10.0
"""Seconds for an answer that takes milliseconds."""


def usbmuxd(
    program: Annotated[list[str], typer.Argument(help="usbmuxd, and how it is told to stay in the foreground.")],
    address: Annotated[str, typer.Option(help="Where it answers.")] = "/var/run/usbmuxd",
) -> None:
    """Run usbmuxd, and end when it ends, or no longer answers: systemd starts it anew."""
    raise typer.Exit(watch(program, address))


def watch(
    program: Sequence[str], address: str, *, starting: float = STARTING, pulse: float = PULSE, silent: float = SILENT
) -> int:
    """Run a program until it ends, is told to (SIGTERM), or answers no longer; its exit code, negative for a signal."""
    process = subprocess.Popen(program)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    patient = time.monotonic() + starting
    while True:
        try:
            return process.wait(pulse)
        except subprocess.TimeoutExpired:
            pass
        try:
            ask(address, {"MessageType": "ListDevices"}, silent)
        except UsbmuxdSilent as error:
            if time.monotonic() > patient:
                typer.echo(f"{error} It is ended, and started anew.", err=True)
                process.kill()
