"""What a phone can be given."""

from enum import Enum


class Service(Enum):
    """A service as a person chooses it. More join, gentlest first (mission: restart … restore)."""

    RESTORE = "restore"
    """Erase, and install the newest build in the store, which Apple must sign for this very phone."""
