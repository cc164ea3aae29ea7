"""The ticket of the application processor (ApImg4Ticket): what the server checks, and what it signs."""

from collections.abc import Mapping
from typing import Any

from station.virtual.apple.signing.fields import malformed, not_eligible, number, octets, same, truth
from station.virtual.firmware.components import FOURCCS
from station.virtual.firmware.image4 import SigningKey, sign_ticket

_SECURE_BOOT_ENTRIES = {"ucon": b"\x5a" * 64, "ucer": b"\xa5" * 64}
"""What TSS adds for the SEP ("TBM"): the host passes it on in the image's IM4R."""
_IDS = ("ApChipID", "ApBoardID", "ApSecurityDomain")
_NONCES, _SEP_NONCE = (20, 32), 20
"""Bytes; before A10 an ApNonce has 20."""


def sign_application_processor(
    key: SigningKey, identities: Mapping[bytes, Mapping[str, Any]], request: Mapping[str, Any], others: tuple[str, ...]
) -> dict[str, Any]:
    """The phone's own ticket. Raises NotSignedError.

    Args:
        key: who signs.
        identities: the build identities that are signed, by UniqueBuildID.
        request: what was asked for.
        others: what the components begin with that are in the request for tickets of other chips.
    """
    ecid, nonce = number(request, "ApECID"), octets(request, "ApNonce", *_NONCES)
    sep_nonce = octets(request, "SepNonce", _SEP_NONCE) if "SepNonce" in request else None
    chip, board, domain = (number(request, name) for name in _IDS)
    if ecid <= 0:
        raise malformed()
    identity = identities.get(octets(request, "UniqueBuildID"))
    if identity is None or not same(request, identity, *_IDS):
        raise not_eligible()
    if not truth(request, "ApProductionMode") or not truth(request, "ApSecurityMode"):
        raise not_eligible()  # no phone that was sold is in another mode
    ticket = sign_ticket(
        key,
        ecid=ecid,
        chip=chip,
        board=board,
        nonce=nonce,
        sep_nonce=sep_nonce,
        digests=_digests(identity["Manifest"], request, others),
        security_domain=domain,
    )
    trusted = [name for name in ("SEP", "RestoreSEP") if "TBMDigests" in identity["Manifest"].get(name, {})]
    return {"ApImg4Ticket": ticket} | {f"{name}-TBM": _SECURE_BOOT_ENTRIES for name in trusted}


def _digests(manifest: Mapping[str, Any], request: Mapping[str, Any], others: tuple[str, ...]) -> dict[str, bytes]:
    """What the ticket names: each component of the request, which must be one of this build."""
    digests: dict[str, bytes] = {}
    for name, entry in request.items():
        if not isinstance(entry, dict) or name == "BasebandFirmware" or name.startswith(others):
            continue
        known, digest = manifest.get(name), entry.get("Digest", b"")
        if known is None or digest != known.get("Digest", b""):
            raise not_eligible()
        if not truth(entry, "ESEC") or (not truth(entry, "EPRO") and "EPRO" not in known):
            raise not_eligible()  # demoted
        fourcc = known["Info"].get("Img4PayloadType") or FOURCCS.get(name)
        if digest and fourcc:
            digests[fourcc] = digest
    return digests
