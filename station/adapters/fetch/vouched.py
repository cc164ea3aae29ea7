"""What Apple's manifest says of the images themselves: their digests, as the phone will demand them.

The digest of an image is that of its IM4P with its type as it is sent (one file may be sent as two types): SHA-384,
SHA-1 for phones up to the iPhone 6s. It is known so of the images that the phone's own boot chain loads; what other
chips and the file systems are checked by is over something else than the file, and nothing is said of them here.
"""

import hashlib
import plistlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Vouched = Mapping[str, frozenset[tuple[bytes, str]]]
"""By path: every digest that the file has, and as what type; the type is empty where it is the file's own."""

_METHODS = {20: "sha1", 48: "sha384"}
_LARGEST = 64 << 20
"""Bytes of an image that is read whole: all but the file systems."""
_HEAD = b"\x16\x04IM4P\x16\x04"
"""How every IM4P says that it is one; its type follows."""
_FIRST = 24
"""Bytes among which that is."""


def digests_in(manifest: bytes) -> Vouched:
    """The digests in a manifest, which `ipsw.read_manifest` has accepted."""
    found: dict[str, set[tuple[bytes, str]]] = {}
    for identity in plistlib.loads(manifest, fmt=plistlib.FMT_XML)["BuildIdentities"]:
        components = identity.get("Manifest") if isinstance(identity, dict) else None
        for name, entry in (components if isinstance(components, dict) else {}).items():
            info = entry.get("Info") if isinstance(entry, dict) else None
            if isinstance(info, dict) and _is_the_boot_chains(name, info) and _is_digest(entry.get("Digest")):
                kind = info.get("Img4PayloadType")
                kind = kind if isinstance(kind, str) and len(kind) == 4 and kind.isascii() else ""
                found.setdefault(info["Path"], set()).add((entry["Digest"], kind))
    return {path: frozenset(digests) for path, digests in found.items()}


def is_as_vouched(vouched: Vouched, path: str, file: Path) -> bool:
    """Whether a file is one that the manifest speaks of, or one of which it says nothing. Raises OSError."""
    digests = vouched.get(path)
    if digests is None or file.stat().st_size > _LARGEST:
        return True
    data = bytearray(file.read_bytes())
    at = data.find(_HEAD, 0, _FIRST) + len(_HEAD)
    if at < len(_HEAD):
        return False
    own = bytes(data[at : at + 4])
    for digest, kind in digests:
        data[at : at + 4] = kind.encode() or own
        if hashlib.new(_METHODS[len(digest)], data, usedforsecurity=False).digest() == digest:
            return True
    return False


def _is_the_boot_chains(name: str, info: dict[str, Any]) -> bool:
    path = info.get("Path")
    return "," not in name and "HashMethod" not in info and isinstance(path, str) and path.endswith(".im4p")


def _is_digest(digest: object) -> bool:
    return isinstance(digest, bytes) and len(digest) in _METHODS
