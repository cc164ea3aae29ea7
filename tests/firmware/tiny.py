"""IPSWs of a few small files: enough for a store, which looks into nothing but the manifest."""

import plistlib
from collections.abc import Mapping
from pathlib import Path

from station.adapters.ipsw import MANIFEST


def tiny_ipsw(directory: Path, version: str, build: str, models: tuple[str, ...], files: Mapping[str, bytes]) -> Path:
    """Write an unpacked IPSW with a manifest that names `files`."""
    components = {f"Component{number}": {"Info": {"Path": path}} for number, path in enumerate(files)}
    manifest = {
        "ProductVersion": version,
        "ProductBuildVersion": build,
        "SupportedProductTypes": [*models],
        "BuildIdentities": [{"Info": {"RestoreBehavior": "Erase"}, "Manifest": components}],
    }
    for path, content in (files | {MANIFEST: plistlib.dumps(manifest)}).items():  # type: ignore[operator]
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return directory
