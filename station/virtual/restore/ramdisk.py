"""What a virtual restore ramdisk says about the restore: whether it erases, and what system it installs.

No host tells restored to erase: the Erase and the Update identity name different ramdisks, and the options are
in the ramdisk (restored's own log looks for `/usr/local/share/restore/options.plist`, idevicerestore#647), as is
the version of the restore system. A virtual ramdisk has no file system, so its payload simply begins with one
property list of both.
"""

import plistlib
from dataclasses import dataclass

from station.virtual import framing

_END = b"</plist>\n"
_MAX = 4096


@dataclass(frozen=True)
class Ramdisk:
    """What is to be restored."""

    behavior: str
    """ "Erase" or "Update"."""
    version: str
    """Such as "26.2.1"."""
    build: str
    """Such as "23C71"."""

    @property
    def ios(self) -> int:
        """The first number of the version."""
        return int(self.version.partition(".")[0])


def make_options(behavior: str | None, *, version: str = "26.2.1", build: str = "23C71") -> bytes:
    """How the payload of a ramdisk begins.

    Args:
        behavior: the identity's RestoreBehavior; research has none.
        version: of the restore system, which is the one it installs.
        build: likewise.
    """
    says = {"RestoreBehavior": behavior or "Erase", "ProductVersion": version, "ProductBuildVersion": build}
    return plistlib.dumps(says)


def read_ramdisk(payload: bytes) -> Ramdisk:
    """Read the payload of a ramdisk. Raises ValueError: this is no restore ramdisk."""
    start, end, _ = payload[:_MAX].partition(_END)
    try:
        says = framing.parse(start + end)
    except framing.BadMessageError as error:
        raise ValueError("the ramdisk has no restore options") from error
    behavior, version, build = (
        says.get(f"{key}") for key in ("RestoreBehavior", "ProductVersion", "ProductBuildVersion")
    )
    if behavior not in ("Erase", "Update"):
        raise ValueError("the ramdisk does not say how to restore")
    if not (isinstance(version, str) and version.partition(".")[0].isdecimal() and isinstance(build, str)):
        raise ValueError("the ramdisk does not say what to restore")
    return Ramdisk(str(behavior), version, build)
