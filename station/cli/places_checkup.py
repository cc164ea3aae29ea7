"""What `station doctor` says of directories that the settings name: whether the units can reach them."""

from collections.abc import Iterator
from pathlib import Path

from station.adapters import unit_places
from station.cli.finding import AS_ROOT, Finding
from station.daemon.settings import Settings
from station.errors import ConfigError

WHAT = "units' reach"
MEND = "sudo station places, then: sudo systemctl restart station"


def examine_places(settings: Settings, *, root: Path = Path("/")) -> Iterator[Finding]:
    """Look whether settings and units agree, where there are units."""
    if not unit_places.is_installed(root):
        return
    named = unit_places.Places(vault=settings.vault, firmware=settings.firmware, records_copies=settings.records_copies)
    try:
        files = unit_places.different(root, unit_places.wanted(named))
    except ConfigError as error:
        yield Finding(WHAT, fine=False, found=str(error), remedy=error.remedy)
    except OSError as error:
        yield Finding(WHAT, fine=False, found=f"{error.filename}: {error.strerror}", remedy=AS_ROOT)
    else:
        units = sorted({file.parent.name.removesuffix(".d") for file in files})
        found = f"not as the settings have it: {', '.join(units)}" if units else "all that the settings name"
        yield Finding(WHAT, fine=not units, found=found, remedy=f"Let them: {MEND}")
