"""A process that changes a store and is killed before one of its changes to the disk.

python -m tests.firmware.dying STORE SOURCE WHAT NUMBER: of the change; 0: live, and print how many there are.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from station.adapters.firmware import FirmwareStore
from station.adapters.unpacked import FirmwareDamaged
from tests.firmware.tiny import digests_of, fetched

CHANGES = {"os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir"}
"""Audit events of all that changes a directory. Contents are written, durably, before anything is put in its place."""


def _take_in(store: FirmwareStore, source: Path) -> Callable[[], object]:
    directory, digests = fetched(store.path, source), digests_of(source)
    return lambda: store.take_in(directory, digests)


def _import(store: FirmwareStore, source: Path) -> Callable[[], object]:
    return lambda: store.import_ipsw(source)


def _remove(store: FirmwareStore, _source: Path) -> Callable[[], object]:
    return lambda: store.remove([each.name for each in store.kept() if "iPhone13,2" in each.product_types])


def _verify(store: FirmwareStore, _source: Path) -> Callable[[], object]:
    def verify() -> None:
        for firmware in store.list():
            with suppress(FirmwareDamaged):
                store.verify(firmware, full=True)

    return verify


WHAT = {"take_in": _take_in, "import": _import, "remove": _remove, "verify": _verify}


def main() -> None:
    """Do what the arguments say."""
    store, source, what, number = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    do = WHAT[what](FirmwareStore(store, reserve=0), source)
    count = 0

    def hook(event: str, _arguments: object) -> None:
        nonlocal count
        if event in CHANGES:
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    do()
    sys.stdout.write(f"{count}\n")


if __name__ == "__main__":
    main()
