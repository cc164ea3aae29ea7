"""What all messages have in common: frozen, keyword-only, strict."""

from typing import NewType

import msgspec

Ecid = NewType("Ecid", int)
"""A phone's Exclusive Chip ID: 64 bits, burnt in. The one identity a phone keeps in every mode."""

Udid = NewType("Udid", str)
"""A phone's Unique Device ID as usbmuxd and lockdownd write it (with the dash, where it has one)."""

BayId = NewType("BayId", str)
"""A bay's name, as printed beside its socket: "1", "2", …"""

SocketPath = NewType("SocketPath", str)
"""A physical USB socket: the last part of its sysfs path ("1-1.4"). It stays when the phone re-enumerates."""

PlugId = NewType("PlugId", str)
"""One stay of one phone in one bay, from plug to unplug; never used again."""

JobId = NewType("JobId", str)
"""A job's name; also the name of its directory."""


BackupId = NewType("BackupId", str)
"""A backup's name in the vault; also the name of its directory there."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that crosses a process boundary."""


def format_ecid(ecid: int) -> str:
    """Write an ECID the way Apple's tools do: 0x and sixteen capital hex digits."""
    return f"0x{ecid:016X}"
