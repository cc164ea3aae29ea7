"""Apple's own list, as iTunes reads it: the newest of each model, and little of what came before.

    MobileDeviceSoftwareVersionsByVersion
      1, 2, …                                   what a version of iTunes can make use of
        MobileDeviceSoftwareVersions
          iPhone13,2
            23C71: {SameAs: 23D127}             what is installed, and what is to be
            Unknown: {Universal: {Restore: …}}  the same, when nobody knows what is installed
            23D127: {Restore: {BuildVersion, ProductVersion, FirmwareURL, FirmwareSHA1, …}, Update: …}

It says nothing of sizes and signing. Some addresses in it begin with "protected:": nobody is given those.
"""

import plistlib
from collections.abc import Iterator
from typing import Any

from station.adapters.catalogs.sieve import Sieve, is_product, no_list, refuse_crowds
from station.model.catalog import Source

SOURCE = Source.APPLE
MAX_BYTES = 32 << 20
"""It takes some 10 MB."""
ALSO = ("https://s.mzstatic.com",)
"""Where Apple may send whoever asks for it."""

_MAX_STRUCTURES = 300_000
"""Dictionaries, and lists: some ten times what it has."""
_DEPTH = 3
"""Of dictionaries between a model and what is to be installed on it."""
_EVERYTHING = "MobileDeviceSoftwareVersionsByVersion"
_MODELS = "MobileDeviceSoftwareVersions"


def parse(data: bytes, sieve: Sieve) -> None:
    """Read the list. Raises InputRejected when it is none; entries that make no sense are left out."""
    for mark in (b"<dict", b"<array"):
        refuse_crowds(SOURCE, data, mark, _MAX_STRUCTURES)
    try:
        # Only XML, as Apple's is: in a binary plist a few bytes can stand for endless structures.
        everything = plistlib.loads(data, fmt=plistlib.FMT_XML)[_EVERYTHING]
        versions = [version[_MODELS] for version in everything.values() if _MODELS in version]
        models = [(model, said) for version in versions for model, said in version.items()]
    except Exception:  # noqa: BLE001 (plistlib and a plist of other types than ours let a dozen kinds escape)
        no_list(SOURCE)
    seen: set[tuple[str, str]] = set()
    for product_type, said in models:
        if not isinstance(product_type, str) or not is_product(product_type):
            continue
        for restore in _restores(said, _DEPTH):
            fields = [restore.get(name, "") for name in ("ProductVersion", "BuildVersion", "FirmwareURL")]
            sha1 = restore.get("FirmwareSHA1", "")
            if all(isinstance(text, str) for text in (*fields, sha1)) and (product_type, fields[2]) not in seen:
                seen.add((product_type, fields[2]))
                version, build, url = fields
                sieve.take(
                    version=version,
                    build=build,
                    product_types=[product_type],
                    url=url,
                    size=None,
                    sha256=None,
                    sha1=sha1,
                )


def _restores(said: object, depth: int) -> Iterator[dict[str, Any]]:
    if isinstance(said, dict) and depth:
        for name, value in said.items():
            if name == "Restore" and isinstance(value, dict):
                yield value
            else:
                yield from _restores(value, depth - 1)
