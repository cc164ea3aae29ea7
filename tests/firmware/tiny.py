"""IPSWs of a few small files: enough for a store, which looks into nothing but the manifest."""

import hashlib
import plistlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from station.adapters import unpacked
from station.adapters.ipsw import MANIFEST, read_manifest
from station.adapters.unpacked import Digests, FileDigest


def tiny_ipsw(directory: Path, version: str, build: str, models: tuple[str, ...], files: Mapping[str, bytes]) -> Path:
    """Write an unpacked IPSW with a manifest that names `files`."""
    components = {f"Component{number}": {"Info": {"Path": path}} for number, path in enumerate(files)}
    manifest = {
        "ProductVersion": version,
        "ProductBuildVersion": build,
        "SupportedProductTypes": [*models],
        "BuildIdentities": [{"Info": {"RestoreBehavior": "Erase"}, "Manifest": components}],
    }
    for path, content in {**files, MANIFEST: plistlib.dumps(manifest)}.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return directory


def digests_of(source: Path) -> Digests:
    """What an unpacked IPSW is."""
    contents = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    files = (
        FileDigest(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for path, content in contents.items()
    )
    return unpacked.describe(read_manifest(contents[MANIFEST]), files)


def fetched(store: Path, source: Path) -> Path:
    """An IPSW as a download leaves it in the store: in a directory that `FirmwareStore.take_in` takes."""
    directory = store / ".fetch-1"
    directory.mkdir(parents=True)
    shutil.copytree(source, directory / "ipsw")
    return directory
