"""What `station doctor` finds: one thing that was looked at, and what to do when it is wrong."""

from dataclasses import dataclass

AS_ROOT = "Run this as root or as the station's user; if it stays, give that user the directory (chown)."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    found: str
    remedy: str = ""
