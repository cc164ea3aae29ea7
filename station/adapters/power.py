"""Shutting the machine down and restarting it: systemd's business."""

import subprocess
from pathlib import Path

from station.errors import Refused
from station.model.operator import Power

SECONDS = 15.0
BOOTED = Path("/run/systemd/system")
"""There exactly when systemd runs the machine (sd_booted(3))."""

_VERBS = {Power.OFF: "poweroff", Power.RESTART: "reboot"}
_BY_HAND = "Switch it off where it stands, once no phone is at work."


def switch(how: Power) -> None:
    """Have the machine shut down or restarted. Blocks. Raises Refused when that is not possible."""
    if not BOOTED.is_dir():
        raise Refused("This machine cannot be switched off from here.", remedy=_BY_HAND)
    try:
        done = subprocess.run(
            ("systemctl", "--no-ask-password", _VERBS[how]),  # noqa: S607 (found in PATH, as everywhere)
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused("The machine does not answer.", remedy=_BY_HAND) from error
    if done.returncode != 0:
        raise Refused("The machine refuses to be switched off.", remedy=_BY_HAND)
