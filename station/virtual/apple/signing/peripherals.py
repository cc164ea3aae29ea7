"""Tickets for Cryptexes and for other chips, from requests that the phone or the host made up.

What each request holds: pymobiledevice3 `restore/tss.py`; public logs of SE, Cryptex1, Rose and Yonkers requests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from station.virtual.apple.signing.fields import incomplete, malformed, not_eligible, number, octets, same, truth
from station.virtual.firmware.image4 import PropertyValue, SigningKey, sign_ticket
from station.virtual.firmware.peripherals import fourcc

_AP = ("ApChipID", "ApBoardID", "ApSecurityDomain", "UniqueBuildID")


@dataclass(frozen=True)
class Peripheral:
    """What the requests of one kind of chip look like."""

    prefix: str
    """What its fields and components begin with."""
    ids: tuple[str, ...]
    """Fields that must be as in the build identity."""
    subject: str
    """The field that names the very chip."""
    nonce: str | None = "Nonce"
    """None: each of its components has its own."""
    tag: str = ""
    """What its fields end with, where a device has several."""

    def key(self, field: str) -> str:
        """A field's whole name."""
        return f"{self.prefix},{field}{self.tag}"


_PERIPHERALS = {
    "BMU,Ticket": Peripheral("BMU", ("BoardID", "ChipID"), "UniqueID"),
    "Baobab,Ticket": Peripheral(
        "Baobab", ("BoardID", "ChipID", "ManifestEpoch", "SecurityDomain"), "ECID", nonce="UpdateNonce"
    ),
    "Cellular1,Ticket": Peripheral("Cellular1", ("BoardID", "ChipID", "SecurityDomain"), "ECID"),
    "Cryptex1,Ticket": Peripheral(
        "Cryptex1", ("ChipID", "Type", "SubType", "ProductClass", "UseProductClass", "NonceDomain", "Version"), "UDID"
    ),
    "Rap,Ticket": Peripheral("Rap", ("BoardID", "ChipID", "SecurityDomain"), "ECID"),
    "SE,Ticket": Peripheral("SE", ("ChipID",), "ID"),
    "SE2,Ticket": Peripheral("SE", ("ChipID",), "ID"),
    "Savage,Ticket": Peripheral("Savage", ("ChipID", "PatchEpoch"), "UID"),
    "Timer,Ticket,1": Peripheral("Timer", ("BoardID", "ChipID", "SecurityDomain"), "ECID", tag=",1"),
    "Timer,Ticket,2": Peripheral("Timer", ("BoardID", "ChipID", "SecurityDomain"), "ECID", tag=",2"),
    "Wireless1,Ticket": Peripheral("Wireless1", ("BoardID", "ChipID", "SecurityDomain"), "ECID"),
    "Yonkers,Ticket": Peripheral("Yonkers", ("BoardID", "ChipID", "PatchEpoch"), "ECID"),
    "eUICC,Ticket": Peripheral("eUICC", ("ChipID",), "EID", nonce=None),
}


def peripheral(ticket: str) -> Peripheral:
    """What a ticket is for. Raises NotSignedError when there is no such ticket."""
    try:
        return _PERIPHERALS[ticket]
    except KeyError:
        raise malformed() from None


def sign_peripheral(
    key: SigningKey, identities: Iterable[Mapping[str, Any]], request: Mapping[str, Any], kind: Peripheral
) -> bytes:
    """The ticket of one chip. Raises NotSignedError."""
    entries = {
        name: entry for name, entry in request.items() if isinstance(entry, dict) and name.startswith(f"{kind.prefix},")
    }
    known = next((identity for identity in identities if _fits(identity, request, entries, kind)), None)
    if known is None or not truth(request, kind.key("ProductionMode")):
        raise not_eligible()
    properties: dict[str, PropertyValue] = {}
    ecid = number(request, "ApECID") if "ApECID" in request else None
    subject = request.get(kind.key(kind.subject))
    match subject:
        case bool() | None:
            raise incomplete()
        case int():
            properties["SUBJ"] = subject % (1 << 64)
        case bytes():
            properties["UDID" if kind.prefix == "Cryptex1" else "SUBJ"] = octets(request, kind.key(kind.subject))
            ecid = int.from_bytes(subject[-8:]) if kind.prefix == "Cryptex1" else ecid
        case _:
            raise malformed()
    nonces = {name: octets(entry, "Nonce") for name, entry in entries.items()} if kind.nonce is None else {}
    return sign_ticket(
        key,
        ecid=ecid,
        chip=number(request, kind.key("ChipID")),
        board=number(request, kind.key("BoardID")) if kind.key("BoardID") in request else None,
        nonce=b"".join(nonces[name] for name in sorted(nonces)) or octets(request, kind.key(str(kind.nonce))),
        sep_nonce=None,
        digests={fourcc(name): digest for name, entry in entries.items() if (digest := _digest(entry))},
        properties=properties,
    )


def _fits(
    identity: Mapping[str, Any], request: Mapping[str, Any], entries: Mapping[str, dict[str, Any]], kind: Peripheral
) -> bool:
    """Whether a request for these components is one for this build identity."""
    ids = (*_AP, *(kind.key(field) for field in kind.ids))
    manifest = identity["Manifest"]
    known = kind.prefix == "Timer" or kind.key("ChipID") in identity
    return (
        known
        and ("SEP" not in request or _matches(manifest.get("SEP"), request["SEP"]))
        and bool(entries)
        and same(request, identity, *ids)
        and all(_matches(manifest.get(name), entry) for name, entry in entries.items())
    )


def _matches(known: Mapping[str, Any] | None, entry: object) -> bool:
    """Whether all digests in an entry are the known ones, and there is one at all."""
    if not isinstance(entry, dict):
        return False
    given = {key: value for key, value in entry.items() if key.endswith(("Digest", "Hash", "CMAC"))}
    return known is not None and bool(given) and all(known.get(key) == value for key, value in given.items())


def _digest(entry: Mapping[str, Any]) -> bytes | None:
    """What a ticket says of a component; a secure element's payload has a hash for each kind of device."""
    for key in ("Digest", "ProductionUpdatePayloadHash", "DevelopmentUpdatePayloadHash", "ProductionCMAC"):
        if isinstance(entry.get(key), bytes) and entry[key]:
            return bytes(entry[key])
    return None
