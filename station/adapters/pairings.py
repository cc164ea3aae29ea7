"""Pair records: which phones usbmuxd can open, and that it forgets them when they leave.

Whoever has a phone's pair record can read the phone, and usbmuxd keeps records on its disk for ever. A worker pairs;
nobody knows for how long a worker, a phone or this daemon lives. So it is written down first that a phone is going to
be paired, and struck out when usbmuxd has forgotten it.
"""

import errno
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from station.adapters import usbmuxd
from station.adapters.usbmuxd import UsbmuxdSilent
from station.errors import StorageError
from station.model.base import Udid

SECONDS = 5.0
"""How long usbmuxd may take for an answer."""


class Pairings:
    """The phones that are or may be paired. Every call blocks, for at most some seconds."""

    def __init__(self, address: str, ledger: Path) -> None:
        """Name both.

        Args:
            address: usbmuxd's: a path, or HOST:PORT.
            ledger: a directory with an empty file for each phone, named by its UDID.
        """
        self._address = address
        self._ledger = ledger

    def expect(self, udid: Udid) -> None:
        """A phone is going to be paired. Raises StorageError: that could not be written down."""
        try:
            self._ledger.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._ledger / _checked(udid)).touch(mode=0o600)
        except OSError as error:
            raise StorageError(f"The pairing could not be written down: {error.strerror}.") from error

    def forget(self, udid: Udid) -> None:
        """Have usbmuxd delete the record. Raises UsbmuxdSilent: perhaps it is still there; `sweep` tries again."""
        answer = self._ask({"MessageType": "DeletePairRecord", "PairRecordID": _checked(udid)})
        if answer.get("Number") not in (0, errno.ENOENT):
            raise UsbmuxdSilent(f"usbmuxd does not delete a pair record ({answer.get('Number')}).")
        with suppress(OSError):
            (self._ledger / _checked(udid)).unlink(missing_ok=True)

    def sweep(self, keep: Collection[Udid]) -> list[Udid]:
        """Forget all phones that are not here and not in `keep`; which these were. Raises UsbmuxdSilent."""
        with suppress(FileNotFoundError):
            known = {Udid(path.name) for path in self._ledger.iterdir()}
            gone = sorted(known - self._present() - set(keep)) if known else []
            for udid in gone:
                self.forget(udid)
            return gone
        return []

    def _present(self) -> set[Udid]:
        devices = self._ask({"MessageType": "ListDevices"}).get("DeviceList")
        if not isinstance(devices, list):
            raise UsbmuxdSilent("usbmuxd does not tell which phones there are.")
        try:
            serials = {str(device["Properties"]["SerialNumber"]) for device in devices}
        except (KeyError, TypeError) as error:
            raise UsbmuxdSilent("usbmuxd does not tell which phones there are.") from error
        return {Udid(udid) for serial in serials for udid in (serial, _dashed(serial))}

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        return usbmuxd.ask(self._address, message, SECONDS)


def _dashed(serial: str) -> str:
    """Some versions of usbmuxd leave the dash of a UDID out."""
    return f"{serial[:8]}-{serial[8:]}" if len(serial) == 24 else serial


def _checked(udid: Udid) -> str:
    """A UDID that is one: it becomes the name of a file."""
    if not udid.replace("-", "").isalnum():
        raise UsbmuxdSilent("A phone has no name that could be forgotten.")
    return udid
