"""Firmware as the station keeps it: an unpacked IPSW whose files' digests are known."""

from station.model.base import Message


class Firmware(Message, frozen=True, kw_only=True):
    """One build for some models, unpacked in a directory of the firmware store."""

    version: str
    build: str
    product_types: tuple[str, ...]
    directory: str
    """Absolute path of the unpacked IPSW."""
    manifest_sha256: str
    """Digest of its BuildManifest.plist, hex: names this very firmware in records."""
