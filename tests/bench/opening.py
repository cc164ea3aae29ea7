"""Open a firmware up to the identity to install, and print the seconds: `python -m tests.bench.opening HOW WHAT`.

HOW is `station` (WHAT: a Firmware in JSON) or `stock` (WHAT: an IPSW's zip file).
"""

import json
import sys
import time

import msgspec
from ipsw_parser.ipsw import IPSW
from pymobiledevice3.restore.base_restore import RESTORE_VARIANT_ERASE_INSTALL, Behavior

from station.model.firmware import Firmware
from station.worker.firmware import check_files, open_firmware

DEVICE = "d53gap"


def station(what: str) -> None:
    """As a worker does it before it sends anything."""
    ipsw = open_firmware(msgspec.json.decode(what, type=Firmware))
    identity = ipsw.build_manifest.get_build_identity(DEVICE, Behavior.Erase.value, RESTORE_VARIANT_ERASE_INSTALL)
    check_files(ipsw, identity)


def stock(what: str) -> None:
    """As the library does it; it looks for no file before it needs it."""
    ipsw = IPSW.create_from_path(what)
    ipsw.build_manifest.get_build_identity(
        DEVICE, restore_behavior=Behavior.Erase.value, variant=RESTORE_VARIANT_ERASE_INSTALL
    )


if __name__ == "__main__":
    began = time.monotonic()
    {"station": station, "stock": stock}[sys.argv[1]](sys.argv[2])
    json.dump(time.monotonic() - began, sys.stdout)
