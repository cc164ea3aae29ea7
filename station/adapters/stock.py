"""Taking stock: what is known of the contents of a store, and which firmware has which."""

import os
from contextlib import suppress
from pathlib import Path

from station.adapters import unpacked
from station.adapters.objects import Look, Objects
from station.adapters.premises import Premises
from station.adapters.unpacked import FileDigest, FirmwareDamaged


def known(premises: Premises) -> dict[str, set[Look]]:
    """How each content looked when it was known to be good, as all firmware that has it tells."""
    looked: dict[str, set[Look]] = {}
    for directory in premises.directories():
        with suppress(FirmwareDamaged):
            looks, damage = unpacked.read_checked(directory), unpacked.read_damage(directory)
            spoilt = damage.files if damage else ()
            for file in unpacked.read(directory).files:
                if file.path in looks and file.path not in spoilt:
                    looked.setdefault(file.sha256, set()).add(looks[file.path])
    return looked


def sound_files(premises: Premises, objects: Objects, directory: Path, manifest_sha256: str) -> dict[str, FileDigest]:
    """What is good of a firmware that may be damaged, by path; nothing when another is there."""
    try:
        digests = unpacked.read(directory)
    except FirmwareDamaged:
        return {}
    if digests.manifest_sha256 != manifest_sha256:
        return {}
    good = known(premises)
    return {file.path: file for file in digests.files if objects.look(file.sha256) in good.get(file.sha256, ())}


def bytes_of(objects: Objects, directory: Path, sizes: dict[str, int]) -> dict[str, int]:
    """Bytes of each content of a firmware: of a shared one by its digest, of another by its path.

    `sizes` of contents are known, and added to: with much in the store, to look at each once makes a difference.
    """
    found: dict[str, int] = {}
    with suppress(FileNotFoundError):
        for path, entry in unpacked.walk(directory / "ipsw"):
            if not entry.is_symlink():
                found[f"{directory.name}/{path}"] = entry.stat(follow_symlinks=False).st_size
                continue
            key = os.readlink(entry).rpartition("/")[2]  # noqa: PTH115 (tens of thousands of them)
            if key not in sizes:
                sizes[key] = max(objects.look(key)[0], 0)  # one that was found damaged is not there
            found[key] = sizes[key]
    return found


def sweep(premises: Premises, objects: Objects) -> int:
    """Delete contents that no firmware has; the bytes that became free. For whoever holds the store."""
    sizes: dict[str, int] = {}
    return objects.sweep({sha256 for each in premises.directories() for sha256 in bytes_of(objects, each, sizes)})
