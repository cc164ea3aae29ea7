"""What an organisation that manages a phone leaves on it: who may supervise it, and its profiles."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Organisation:
    """What MCInstall keeps."""

    name: str = "Example Organisation"
    supervisors: list[bytes] = field(default_factory=list)
    """Certificates (DER) whose owners may do everything without asking."""
    cloud_configuration: dict[str, Any] = field(default_factory=dict)
    """What was said about supervision, beyond what every phone says."""
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Configuration profiles by their PayloadIdentifier."""
    stored: dict[str, bytes] = field(default_factory=dict)
    """Profiles that are kept for later, by purpose."""
