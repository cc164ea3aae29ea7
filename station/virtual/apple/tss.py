"""What Apple's signing server (TSS) decides: whom it signs which build for.

Requests and answers as pymobiledevice3 `restore/tss.py` and public logs show them: a property list in, and
`STATUS=…&MESSAGE=…[&REQUEST_STRING=<property list>]` out. Baseband tickets are not made.
"""

import plistlib
from pathlib import Path
from typing import Any

from station.virtual import framing
from station.virtual.firmware.components import FOURCCS
from station.virtual.firmware.image4 import SigningKey, sign_ticket

MAX_REQUEST = 1024 * 1024
"""Bytes; real requests have some 50 KiB."""

_SECURE_BOOT_ENTRIES = {"ucon": b"\x5a" * 64, "ucer": b"\xa5" * 64}
"""What TSS adds for the SEP ("TBM"): the host passes it on in the image's IM4R."""


class NotSignedError(Exception):
    """The answer to a request that gets no ticket, in TSS's own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"STATUS={status}&MESSAGE={message}")


def not_eligible() -> NotSignedError:
    """This build is not signed, not for this device, or not with these components."""
    return NotSignedError(94, "This device isn't eligible for the requested build.")


def malformed() -> NotSignedError:
    """The request cannot be understood."""
    return NotSignedError(100, "An internal error occurred.")


class SigningServer:
    """Signs the builds it was told about, for phones that fit them."""

    def __init__(self) -> None:
        self._key = SigningKey.create()
        self.public_key = self._key.public_key
        """What phones have burnt in."""
        self._identities: dict[bytes, dict[str, Any]] = {}

    def sign_build(self, ipsw: Path) -> None:
        """From now on sign every build identity of this unpacked IPSW."""
        manifest = plistlib.loads((ipsw / "BuildManifest.plist").read_bytes())
        identities = {identity["UniqueBuildID"]: identity for identity in manifest["BuildIdentities"]}
        # A new dictionary, not a changed one: this may run in a thread while a request is being answered.
        self._identities = {**self._identities, **identities}

    def stop_signing(self, build: str) -> None:
        """Close the signing window of a build."""
        self._identities = {
            unique: identity
            for unique, identity in self._identities.items()
            if identity["Info"]["BuildNumber"] != build
        }

    def answer(self, body: bytes) -> str:
        """The answer to one request."""
        try:
            response = self._respond(_parse(body))
        except NotSignedError as refusal:
            return str(refusal)
        return f"STATUS=0&MESSAGE=SUCCESS&REQUEST_STRING={plistlib.dumps(response).decode()}"

    def _respond(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = [key[1:] for key, value in request.items() if key.startswith("@") and value is True]
        # "SE2,Ticket" is asked for with the keys of "SE".
        peripherals = {name: name.removesuffix(",Ticket").rstrip("2") for name in wanted if name.endswith(",Ticket")}
        response: dict[str, Any] = {"@ServerVersion": "2.1.0"}
        if "ApImg4Ticket" in wanted:
            response |= self._application_processor(request, tuple(f"{prefix}," for prefix in peripherals.values()))
        for name, prefix in peripherals.items():
            response[name] = self._peripheral(request, prefix)
        if len(response) == 1:
            raise malformed()
        return response

    def _application_processor(self, request: dict[str, Any], others: tuple[str, ...]) -> dict[str, Any]:
        """The phone's own ticket, for components that do not start with one of `others`."""
        identity = self._identities.get(_octets(request, "UniqueBuildID"))
        if identity is None:
            raise not_eligible()
        chip, board, domain = (_number(request, key) for key in ("ApChipID", "ApBoardID", "ApSecurityDomain"))
        if [chip, board, domain] != [int(identity[key], 16) for key in ("ApChipID", "ApBoardID", "ApSecurityDomain")]:
            raise not_eligible()
        digests = {}
        for name, entry in request.items():
            if not isinstance(entry, dict) or name.startswith(others):
                continue
            digest = entry.get("Digest", b"")
            if name not in identity["Manifest"] or digest != identity["Manifest"][name].get("Digest", b""):
                raise not_eligible()
            if digest and name in FOURCCS:
                digests[FOURCCS[name]] = digest
        ticket = sign_ticket(
            self._key,
            ecid=_number(request, "ApECID"),
            chip=chip,
            board=board,
            nonce=_octets(request, "ApNonce"),
            sep_nonce=_octets(request, "SepNonce") if "SepNonce" in request else None,
            digests=digests,
            security_domain=domain,
        )
        return {"ApImg4Ticket": ticket} | {f"{name}-TBM": _SECURE_BOOT_ENTRIES for name in ("SEP", "RestoreSEP")}

    def _peripheral(self, request: dict[str, Any], prefix: str) -> bytes:
        """A ticket for Cryptexes or a peripheral, from a request that the phone made up itself."""
        entries = {
            name: entry for name, entry in request.items() if isinstance(entry, dict) and name.startswith(f"{prefix},")
        }
        if not entries or not any(_fits(identity, request, entries) for identity in self._identities.values()):
            raise not_eligible()
        udid = request.get(f"{prefix},UDID")
        ecid = int.from_bytes(udid[-8:]) if isinstance(udid, bytes) else request.get(f"{prefix},ECID")
        ecid = request.get("ApECID") if ecid is None else ecid
        return sign_ticket(
            self._key,
            ecid=ecid if isinstance(ecid, int) else None,
            chip=_number(request, f"{prefix},ChipID"),
            board=_number(request, f"{prefix},BoardID") if f"{prefix},BoardID" in request else None,
            nonce=_octets(request, f"{prefix},Nonce"),
            sep_nonce=None,
            digests={
                FOURCCS[name]: entry["Digest"]
                for name, entry in entries.items()
                if name in FOURCCS and isinstance(entry.get("Digest"), bytes)
            },
        )


def _fits(identity: dict[str, Any], request: dict[str, Any], entries: dict[str, dict[str, Any]]) -> bool:
    """Whether a request for these components is one for this build identity."""
    for key in ("ApChipID", "ApBoardID"):
        if key in request and request[key] != int(identity[key], 16):
            return False
    return all(_matches(identity["Manifest"].get(name), entry) for name, entry in entries.items())


def _matches(known: dict[str, Any] | None, entry: dict[str, Any]) -> bool:
    """Whether all digests in an entry are the known ones, and there is one at all."""
    given = {key: value for key, value in entry.items() if key == "Digest" or key.endswith("Hash")}
    return known is not None and bool(given) and all(known.get(key) == value for key, value in given.items())


def _parse(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_REQUEST:
        raise malformed()
    try:
        return framing.parse(body)
    except framing.BadMessageError:
        raise malformed() from None


def _number(request: dict[str, Any], key: str) -> int:
    value = request.get(key)
    if isinstance(value, bytes) and 1 <= len(value) <= 8:
        return int.from_bytes(value, "little")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise malformed()
    return value


def _octets(request: dict[str, Any], key: str) -> bytes:
    value = request.get(key)
    if not isinstance(value, bytes) or not 1 <= len(value) <= 64:
        raise malformed()
    return value
