"""What a phone can be given."""

from enum import Enum


class Service(Enum):
    """A service as a person chooses it. More join, gentlest first (mission: restart … restore)."""

    RESTORE = "restore"
    """Erase, and install the newest signed build: firmware rebuilt from the ground up."""
