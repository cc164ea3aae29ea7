"""The station's command line in the guest: as it is delivered, but for where Apple's servers are (APPLE).

Phones, USB, usbmuxd, pins and display are the guest's. There is no way from it to Apple, so this one thing is said
otherwise, in the place where the program asks for it: `Settings.reach`, from which the spec of each job, and the
gateway, have it.
"""

from pathlib import Path

import msgspec

from station.cli.main import app
from station.daemon.settings import Settings
from station.model.job import Reach

APPLE = Path("/etc/apple.json")
"""A `Reach`."""


def _reach(settings: Settings) -> Reach:
    told = msgspec.json.decode(APPLE.read_bytes(), type=Reach)
    return msgspec.structs.replace(told, gateway=str(settings.gateway_socket))


if __name__ == "__main__":
    Settings.reach = _reach  # type: ignore[assignment, method-assign]  # what leads to Apple leads to us
    Settings.reach_file = property(lambda _: APPLE)  # type: ignore[assignment, method-assign]  # what leads to Apple leads to us
    app()
