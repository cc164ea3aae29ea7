"""Firmware of two times, and the phones it is for: as small as an IPSW can be, since the guest is slow."""

from dataclasses import dataclass
from pathlib import Path

from station.virtual.firmware.ipsw import make_ipsw, zip_ipsw
from station.virtual.phones.models import find_model

KIB = 1024


@dataclass(frozen=True)
class Release:
    """One version for some models."""

    version: str
    build: str
    models: tuple[str, ...]

    def make(self, directory: Path) -> tuple[Path, Path]:
        """Write it into a directory: unpacked, and zipped. Takes a second."""
        name = f"{self.version}_{self.build}"
        unpacked = make_ipsw(
            directory / name,
            version=self.version,
            build=self.build,
            models=[find_model(model) for model in self.models],
            os_bytes=2000 * KIB,
            cryptex_bytes=500 * KIB,
            ramdisk_bytes=100 * KIB,
        )
        return unpacked, zip_ipsw(unpacked, directory / f"{name}_Restore.ipsw")


OLD = Release("13.7", "17H35", ("iPhone 6s", "iPhone 8", "iPhone 11"))
"""Of the time of Debian's idevicerestore 1.0.0."""
NEW = Release("26.2.1", "23C71", ("iPhone 12", "iPhone 16"))
"""Of the present."""
