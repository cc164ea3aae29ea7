"""The Cryptexes: a ticket for all of them; they themselves are asked for one by one."""

import os
from typing import Any

from station.virtual.firmware.components import FOURCCS
from station.virtual.phones.identity import Identity
from station.virtual.restore.installation import Installation
from station.virtual.restore.updaters.base import OneAnswer, Receive, device_generated, response_of

_TAGS = ("ChipID", "Type", "SubType", "ProductClass", "UseProductClass", "NonceDomain", "Version")


class Cryptex1(OneAnswer):
    """The updater of the Cryptexes."""

    def __init__(self, installation: Installation, identity: Identity) -> None:
        self._installation = installation
        self._identity = identity
        self._nonce = os.urandom(32)

    def arguments(self) -> dict[str, Any]:
        """A request for the digests in the build identity, for this phone's chip and ECID."""
        me = self._identity
        names = [name for name in FOURCCS if name.startswith("Cryptex1,")]
        entries = {name: self._installation.entry(name) for name in names}
        return device_generated(
            "Cryptex1,Ticket",
            tags=tuple(f"Cryptex1,{tag}" for tag in _TAGS),
            info={"Cryptex1,ProductionMode": True},
            request={
                "ApECID": me.ecid,
                "ApChipID": me.chip_id,
                "ApBoardID": me.board_id,
                "Cryptex1,Nonce": self._nonce,
                "Cryptex1,UDID": me.chip_id.to_bytes(8) + me.ecid.to_bytes(8),
                **{name: {"Digest": entry["Digest"]} for name, entry in entries.items() if "Digest" in entry},
            },
        )

    async def take(self, receive: Receive) -> None:
        """Take the ticket."""
        response = response_of(await receive())
        self._installation.take_cryptex_ticket(response.get("Cryptex1,Ticket"), nonce=self._nonce)
