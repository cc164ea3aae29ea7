"""The chip for electronic SIM cards (eUICC), which the updater "Vinyl" looks after, from iOS 18 on.

Its request: pymobiledevice3 `add_vinyl_tags` and `PREFETCHABLE_UPDATERS`. Its two parts lie in one file, and each
has a nonce of its own.
"""

import hashlib
import os
from typing import Any

from station.virtual.phones.chips import Chips, burnt_in
from station.virtual.phones.identity import Identity
from station.virtual.restore.installation import Installation
from station.virtual.restore.updaters.base import Asked, DeviceGenerated

_GOLD, _MAIN = "eUICC,Gold", "eUICC,Main"


class Vinyl(DeviceGenerated):
    """The updater."""

    def __init__(self, installation: Installation, identity: Identity, chips: Chips) -> None:
        assert chips.euicc is not None
        self._nonces = {_GOLD: os.urandom(16), _MAIN: os.urandom(16)}
        eid = burnt_in(identity.ecid, "eUICC", 16)
        asked = Asked("eUICC,Ticket", chips.euicc, eid, self._nonces[_GOLD] + self._nonces[_MAIN])
        fields = {
            "eUICC,ApProductionMode": True,
            "eUICC,EID": eid,
            "eUICC,RootKeyIdentifier": hashlib.sha1(b"root key", usedforsecurity=False).digest(),
        }
        super().__init__(installation, asked, fields=fields, tags=("eUICC,ChipID",), info={}, sources=(_GOLD, _MAIN))

    def measure(self, name: str, data: bytes) -> None:
        """Take the digest of the component's half of the file."""
        half = len(data) // 2
        super().measure(name, data[:half] if name == _GOLD else data[half:])

    def _component(self, name: str) -> dict[str, Any]:
        return super()._component(name) | {"Nonce": self._nonces[name]}
