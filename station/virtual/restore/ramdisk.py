"""What a virtual restore ramdisk says about the restore: whether it erases.

No host tells restored to erase: the Erase and the Update identity name different ramdisks, and the options are
in the ramdisk (restored's own log looks for `/usr/local/share/restore/options.plist`, idevicerestore#647). A
virtual ramdisk has no file system, so its payload simply begins with that property list.
"""

import plistlib

from station.virtual import framing

_END = b"</plist>\n"
_MAX = 4096


def make_options(behavior: str | None) -> bytes:
    """How the payload of a ramdisk begins. `behavior` is the identity's RestoreBehavior; research has none."""
    return plistlib.dumps({"RestoreBehavior": behavior or "Erase"})


def read_behavior(payload: bytes) -> str:
    """How the restore behaves: "Erase" or "Update". Raises ValueError: this is no restore ramdisk."""
    start, end, _ = payload[:_MAX].partition(_END)
    try:
        behavior = framing.parse(start + end).get("RestoreBehavior")
    except framing.BadMessageError as error:
        raise ValueError("the ramdisk has no restore options") from error
    if behavior not in ("Erase", "Update"):
        raise ValueError("the ramdisk does not say how to restore")
    return str(behavior)
