"""The firmware of a job: an unpacked IPSW, read as it is needed, and the identity in it that fits the phone."""

import hashlib
import logging
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ipsw_parser.archive import DirectoryArchive
from ipsw_parser.build_identity import BuildIdentity
from ipsw_parser.build_manifest import BuildManifest
from ipsw_parser.exceptions import NoSuchBuildIdentityError
from ipsw_parser.ipsw import IPSW
from pymobiledevice3.restore.base_restore import (
    RESTORE_VARIANT_ERASE_INSTALL,
    RESTORE_VARIANT_UPGRADE_INSTALL,
    Behavior,
)

from station.adapters import leases
from station.adapters.objects import NAME as OBJECTS
from station.errors import Refused
from station.model.causes import Cause
from station.model.firmware import Firmware
from station.worker.failures import JobFailed

_EMPTY = hashlib.sha256(b"").digest()
_VARIANTS = {
    # Whole names: "Research Customer Erase Install (IPSW)" holds the name of the one that is meant.
    variant: (behavior.value, (f"Customer {variant}", variant))
    for variant, behavior in (
        (RESTORE_VARIANT_ERASE_INSTALL, Behavior.Erase),
        (RESTORE_VARIANT_UPGRADE_INSTALL, Behavior.Update),
    )
}
"""What the library asks for, how it must behave, and what the manifest calls it."""


class FirmwareDirectory(DirectoryArchive):  # type: ignore[misc]  # ipsw_parser has no types
    """The library's archive over a directory of the store; says what is wrong instead of which call failed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root.resolve()
        self._objects = self.root.parents[1] / OBJECTS

    def keep(self) -> None:
        """Have nothing removed from the directory for as long as this is there, or until the process ends.

        Raises:
            JobFailed: FIRMWARE_MISSING, it is being removed.
        """
        try:
            weakref.finalize(self, leases.take(self.root.parent).close)
        except (Refused, OSError) as error:
            raise JobFailed(Cause.FIRMWARE_MISSING, f"the firmware is being removed: {error}") from error

    def locate(self, path: str) -> Path:
        """Where a member lies.

        Raises:
            FileNotFoundError: it is missing, empty, or neither in the directory nor one of the store's contents, to
                which a link in the directory leads; the library knows what it can do without, and everything else
                becomes FIRMWARE_CORRUPT.
        """
        try:
            named = self.root / path
            place = named.resolve()
            inside = place.is_relative_to(self.root)
            inside = inside or (named.is_symlink() and place.parent.parent == self._objects and ".." not in named.parts)
            if inside and place.is_file() and place.stat().st_size:
                return place
        except (OSError, ValueError, RuntimeError):  # the last: links that lead in a circle
            pass
        raise FileNotFoundError(f"missing or empty: {path}")

    def open(self, path: str) -> BinaryIO:
        """Open a member."""
        return self.locate(path).open("rb")

    def read(self, path: str) -> bytes:
        """Read a small member."""
        return self.locate(path).read_bytes()


class StrictManifest(BuildManifest):  # type: ignore[misc]  # ipsw_parser has no types
    """Chooses identities by equality. The library's takes the first whose variant *contains* the name."""

    def get_build_identity(
        self, device_class: str, restore_behavior: str | None = None, variant: str | None = None
    ) -> BuildIdentity:
        """The one identity for a hardware model that erases, or the one that keeps the data, whichever is asked for.

        Raises:
            NoSuchBuildIdentityError: there is none, or another kind was asked for.
            JobFailed: the manifest contradicts itself.
        """
        behavior, names = _VARIANTS.get(variant or "", ("", ()))
        if not names or restore_behavior not in (None, behavior):
            raise NoSuchBuildIdentityError(f"no {variant} for {device_class}")
        found = [each for each in self._of(device_class.lower()) if each["Info"].get("Variant") in names]
        if not found:
            raise NoSuchBuildIdentityError(f"no {variant} for {device_class}")
        if len(found) > 1 or found[0]["Info"].get("RestoreBehavior") != behavior:
            raise JobFailed(Cause.FIRMWARE_CORRUPT, f"the manifest contradicts itself about {device_class}")
        return found[0]

    def _of(self, device_class: str) -> Iterator[BuildIdentity]:
        for identity in self.build_identities:
            info = identity.get("Info")
            if isinstance(info, dict) and str(info.get("DeviceClass", "")).lower() == device_class:
                yield identity


class _StoredIpsw(IPSW):  # type: ignore[misc]  # ipsw_parser has no types
    """The library's IPSW with a manifest that was read already.

    The library's own way to begin walks the directory and parses the manifest, a megabyte of XML, which would be parsed
    a second time for the one that is strict: half of what opening a firmware takes.
    """

    def __init__(self, archive: FirmwareDirectory, manifest: bytes) -> None:
        self.archive = archive
        self._logger = logging.getLogger(__name__)
        self.build_manifest = StrictManifest(self, manifest)


def open_firmware(firmware: Firmware) -> IPSW:
    """The unpacked IPSW of a job.

    Raises:
        JobFailed: FIRMWARE_MISSING, FIRMWARE_CORRUPT: it is not there, or not what the spec names.
    """
    root = Path(firmware.directory)
    if not root.is_dir():
        raise JobFailed(Cause.FIRMWARE_MISSING, f"no firmware directory for {firmware.build}")
    archive = FirmwareDirectory(root)
    archive.keep()
    raw = archive.read("BuildManifest.plist")
    if hashlib.sha256(raw).hexdigest() != firmware.manifest_sha256:
        raise JobFailed(Cause.FIRMWARE_CORRUPT, "BuildManifest.plist is not the one this firmware was stored with")
    ipsw = _StoredIpsw(archive, raw)
    if ipsw.build_manifest.product_build_version != firmware.build:
        raise JobFailed(Cause.FIRMWARE_CORRUPT, "BuildManifest.plist is of another build")
    return ipsw


def check_files(ipsw: IPSW, identity: BuildIdentity) -> None:
    """Raise FileNotFoundError when a file that the identity names is missing or empty: before anything is sent.

    Some files of Apple's are empty (Savage's PatchVT, up to iPhone 12); their digest says so.
    """
    for entry in identity.manifest.values():
        path = entry_path(entry)
        if path is not None and entry.get("Digest") != _EMPTY:
            ipsw.archive.locate(path)


def entry_path(entry: Any) -> str | None:
    """The path of a component's file in its manifest entry, when it has a file."""
    info = entry.get("Info") if isinstance(entry, dict) else None
    path = info.get("Path") if isinstance(info, dict) else None
    return path if isinstance(path, str) else None
