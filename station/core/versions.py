"""Versions and builds of iOS: which is newer, and which this program is known to install."""

import re
from functools import lru_cache

from station.errors import InputRejected

INSTALLABLE = range(13, 28)
"""Major versions of iOS that were installed with the library that this program ships (tests/virtual_restore).

Every new one has broken the programs that restore phones on its first day.
"""

BuildOrder = tuple[int, str, bool, int, str]
Age = tuple[tuple[int, ...], BuildOrder]
"""How versions and builds are ordered."""

_VERSION = re.compile(r"\d{1,3}(\.\d{1,3}){0,3}", re.ASCII)
_BUILD = re.compile(r"(\d{1,3})([A-Z])(\d{1,6})([a-z]?)", re.ASCII)
_BETAS = range(4000, 6000)
"""Numbers of betas, which have a letter behind: 23C5027f came before 23C52, and 23D8133 after 23D127."""


@lru_cache(maxsize=4096)  # lists of firmware are ordered, and name few versions often
def version_order(version: str) -> tuple[int, ...]:
    """A key that orders versions ("9.3.6" before "10.0"). Raises InputRejected when it is none."""
    if not _VERSION.fullmatch(version):
        raise InputRejected(f"{version[:20]!r} is no version number.")
    return tuple(int(part) for part in version.split("."))


@lru_cache(maxsize=4096)
def build_order(build: str) -> BuildOrder:
    """A key that orders builds by age ("9B206" before "13A344", "23C5027f" before "23C52"). Raises InputRejected."""
    match = _BUILD.fullmatch(build)
    if match is None:
        raise InputRejected(f"{build[:20]!r} is no build number.")
    train, letter, number, suffix = int(match[1]), match[2], int(match[3]), match[4]
    return train, letter, not (suffix and number in _BETAS), number, suffix


def age(version: str, build: str) -> Age:
    """A key that orders firmware by age. Raises InputRejected when either is none."""
    return version_order(version), build_order(build)


def is_build(text: str) -> bool:
    """Whether it is a build, such as 23C71."""
    return _BUILD.fullmatch(text) is not None


def is_beta(build: str) -> bool:
    """Whether a build is numbered as betas are, such as 23C5027f. Raises InputRejected when it is none."""
    return not build_order(build)[2]


def is_version(text: str) -> bool:
    """Whether it is a version, such as 26.2.1."""
    return _VERSION.fullmatch(text) is not None


def installable(version: str) -> bool:
    """Whether this program is known to install such a version; what is none is left to others to refuse."""
    return not is_version(version) or version_order(version)[0] in INSTALLABLE
