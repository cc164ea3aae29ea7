"""Baseband tickets: what the server checks, and what it signs.

Requests and answers: pymobiledevice3 `restore/tss.py` (`add_baseband_tags`) and `restore/restore.py` (`sign_bbfw`);
the keys of stored answers (Mav17, ICE16). Inside a real ticket is a format of the modem's maker; this one is an IM4M
whose properties name the chip, its serial number, and every element with what is signed of it.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from station.virtual.apple.signing.fields import bad_baseband, bad_serial, not_eligible, number, octets, same
from station.virtual.firmware.baseband import encode_elements, signature_sizes, v7_signature
from station.virtual.firmware.image4 import SigningKey, sign_ticket
from station.virtual.phones.chips import MAV25

FIRMWARE = "BasebandFirmware"
_MAX_SIGNATURE = 64 * 1024
_KEY_HASHES = ("BbActivationManifestKeyHash", "BbProvisioningManifestKeyHash", "BbFDRSecurityKeyHash")
_OURS = ("BbChipID", "ApChipID", "ApBoardID", "ApSecurityDomain", "UniqueBuildID", *_KEY_HASHES)


def sign_baseband(
    key: SigningKey, identities: Iterable[Mapping[str, Any]], request: Mapping[str, Any]
) -> dict[str, Any]:
    """The ticket and the signatures of the elements. Raises NotSignedError."""
    firmware = request[FIRMWARE]
    if not isinstance(firmware, dict) or any(name not in request for name in ("BbChipID", "BbGoldCertId", "BbSNUM")):
        raise bad_baseband()
    serial = request["BbSNUM"]
    if not isinstance(serial, bytes) or len(serial) not in (4, 12):
        raise bad_serial()
    ecid = number(request, "ApECID")
    nonce = octets(request, "BbNonce", 20) if "BbNonce" in request else None
    said = {name: value for name, value in firmware.items() if name not in ("Digest", "Trusted")}
    if not said or not any(_fits(identity, request, said) for identity in identities):
        raise not_eligible()
    sizes = signature_sizes(said)
    if any(not 0 < size <= _MAX_SIGNATURE for size in sizes.values()):
        raise bad_baseband()
    blobs = {element: _signature(number(request, "BbChipID"), size) for element, size in sizes.items()}
    certificate = number(request, "BbGoldCertId", signed=True) & 0xFFFF_FFFF  # idevicerestore takes it for an int32
    elements = {name: value for name, value in said.items() if isinstance(value, bytes)}
    elements |= {f"{element}-Blob": hashlib.sha384(blob).digest() for element, blob in blobs.items()}
    ticket = sign_ticket(
        key,
        ecid=ecid,
        chip=number(request, "BbChipID"),
        board=None,
        nonce=nonce,
        sep_nonce=None,
        digests={},
        properties={"snum": serial, "cert": certificate, "elem": encode_elements(elements)},
    )
    return {"BBTicket": ticket, FIRMWARE: {_answer(element, said): blob for element, blob in blobs.items()}}


def _fits(identity: Mapping[str, Any], request: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    known = identity["Manifest"].get(FIRMWARE, {})
    return same(request, identity, *_OURS) and all(known.get(name) == value for name, value in said.items())


def _signature(chip: int, size: int) -> bytes:
    noise = os.urandom(size)
    return v7_signature(size, noise) if chip == MAV25.chip_id else noise


def _answer(element: str, said: Mapping[str, Any]) -> str:
    hashed = f"{element}-HashTableDigest"
    return f"{hashed}-Blob" if hashed in said else f"{element}-Blob"
