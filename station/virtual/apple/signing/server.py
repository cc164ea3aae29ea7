"""What Apple's signing server (TSS) decides: whom it signs which build for.

Requests and answers as pymobiledevice3 `restore/tss.py`, libtatsu `src/tss.c` and public logs show them: a property
list in, and `STATUS=…&MESSAGE=…[&REQUEST_STRING=<property list>]` out. One request may ask for several tickets.
"""

import plistlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from station.virtual.apple.signing.application import sign_application_processor
from station.virtual.apple.signing.baseband import FIRMWARE, sign_baseband
from station.virtual.apple.signing.fields import NotSignedError, malformed, parse
from station.virtual.apple.signing.peripherals import peripheral, sign_peripheral
from station.virtual.firmware.image4 import SigningKey


class SigningServer:
    """Signs the builds it was told about, for phones that fit them."""

    def __init__(self) -> None:
        self.key = SigningKey.create()
        self.public_key = self.key.public_key
        """What phones have burnt in."""
        self._identities: dict[bytes, dict[str, Any]] = {}

    def sign_build(self, ipsw: Path) -> None:
        """From now on sign every build identity of this unpacked IPSW."""
        self.sign(plistlib.loads((ipsw / "BuildManifest.plist").read_bytes())["BuildIdentities"])

    def sign(self, identities: Iterable[dict[str, Any]]) -> None:
        """From now on sign these build identities: a BuildManifest's BuildIdentities."""
        # A new dictionary, not a changed one: this may run in a thread while a request is being answered.
        self._identities = {**self._identities, **{identity["UniqueBuildID"]: identity for identity in identities}}

    def stop_signing(self, build: str) -> None:
        """Close the signing window of a build."""
        self._identities = {
            unique: identity
            for unique, identity in self._identities.items()
            if identity["Info"]["BuildNumber"] != build
        }

    def signs(self, build: str) -> bool:
        """Whether any identity of a build is signed."""
        return any(identity["Info"]["BuildNumber"] == build for identity in self._identities.values())

    def answer(self, body: bytes) -> str:
        """The answer to one request."""
        try:
            response = self._respond(parse(body))
        except NotSignedError as refusal:
            return str(refusal)
        return f"STATUS=0&MESSAGE=SUCCESS&REQUEST_STRING={plistlib.dumps(response).decode()}"

    def _respond(self, request: dict[str, Any]) -> dict[str, Any]:
        identities = list(self._identities.values())
        wanted = [key[1:] for key, value in request.items() if key.startswith("@") and value is True]
        peripherals = {name: peripheral(name) for name in wanted if ",Ticket" in name}
        response: dict[str, Any] = {"@ServerVersion": "2.1.0"}
        if "ApImg4Ticket" in wanted:
            others = tuple(f"{kind.prefix}," for kind in peripherals.values())
            response |= sign_application_processor(self.key, self._identities, request, others)
        # Clients ask for a baseband ticket along with any other; they mean it when they say which firmware.
        if "BBTicket" in wanted and FIRMWARE in request:
            response |= sign_baseband(self.key, identities, request)
        for name, kind in peripherals.items():
            response[name] = sign_peripheral(self.key, identities, request, kind)
        if len(response) == 1:
            raise malformed()
        return response
